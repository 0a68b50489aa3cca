"""Whether the server still answers, as the page's header says it."""

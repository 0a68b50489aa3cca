"""The mark at an answer that is not to be trusted."""

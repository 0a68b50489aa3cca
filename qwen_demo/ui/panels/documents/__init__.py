"""Pages read off PDF files and images."""

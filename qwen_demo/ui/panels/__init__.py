"""The features of the page, a folder each: its Python, its script and its style side by side."""

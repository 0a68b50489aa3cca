"""The viewer of one image and what the answer points at."""

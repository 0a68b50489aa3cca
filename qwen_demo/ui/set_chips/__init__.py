"""What is set and differs from the defaults, at the question."""

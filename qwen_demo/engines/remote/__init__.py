"""Other servers as an engine."""

"""One question, two settings."""

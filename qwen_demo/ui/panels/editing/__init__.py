"""Changing a question in its place."""

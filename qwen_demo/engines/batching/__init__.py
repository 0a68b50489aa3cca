"""Continuous batching: many requests share each forward pass of one model."""

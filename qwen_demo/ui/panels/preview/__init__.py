"""Viewer, context and pixel budget in step with the conversation."""

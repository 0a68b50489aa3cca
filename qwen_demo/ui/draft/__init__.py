"""The question that is being written outlives its page."""

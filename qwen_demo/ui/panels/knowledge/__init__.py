"""The Knowledge panel, and answers of the chat from the collections that are kept there."""

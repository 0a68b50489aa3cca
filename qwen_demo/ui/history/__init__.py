"""Conversations as they are kept, exported, shared and written as code."""

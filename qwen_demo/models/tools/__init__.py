"""Tools in the form that Qwen2.5 was trained on: how a prompt states them, how an answer calls them. Loads no torch."""

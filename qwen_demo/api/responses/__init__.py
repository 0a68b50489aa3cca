"""OpenAI's Responses API on the service of chat completions. Nothing is stored: each request brings all its turns."""

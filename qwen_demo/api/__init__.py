"""The REST API: OpenAI's chat completions, the article's `/inference`, health and metrics. No engine, no Gradio."""

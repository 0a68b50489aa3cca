"""The REST API: OpenAI's chat completions and responses, `/inference`, health and metrics. No engine, no Gradio."""

"""Qwen2.5-VL as the engine runs it: a lean decoder and vision encoder on the weights that transformers loaded."""

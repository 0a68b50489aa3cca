"""A web demo and model service for Qwen2.5-VL."""

__version__ = "0.1.0"

"""The question that finds out whether a model answers, and warms it up: one image, one word, one token."""

import PIL.Image

from qwen_demo.raster import Raster
from qwen_demo.types import ChatRequest, Image, Message, Sampling, Text


def small_question() -> ChatRequest:
    image = Image(Raster.of(PIL.Image.new("RGB", (224, 224), "white")), "warm-up")
    return ChatRequest((Message("user", (image, Text("Hello."))),), Sampling(max_new_tokens=1))

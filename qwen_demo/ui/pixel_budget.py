"""Pixel budget: a slider in visual tokens; what it changes is shown by the context and the viewer."""

import gradio as gr

from qwen_demo.types import ModelInfo
from qwen_demo.ui import texts

# Before the model's own bound is known.
MOST_TOKENS = 4096


def draw(elem_id: str = "pixel-budget") -> gr.Slider:
    return gr.Slider(0, MOST_TOKENS, 0, step=4, label=texts.PIXEL_BUDGET, info=texts.PIXEL_BUDGET_INFO, elem_id=elem_id)


def fitted(model: ModelInfo) -> gr.Slider:
    """Once the model is known: its bounds are the slider's."""
    most = model.max_pixels // model.patch_pixels**2 or MOST_TOKENS
    return gr.Slider(maximum=min(most, MOST_TOKENS))


def pixels(budget: float | None, model: ModelInfo) -> int | None:
    """The slider counts tokens; 0 leaves the size to the model."""
    return int(budget or 0) * model.patch_pixels**2 or None

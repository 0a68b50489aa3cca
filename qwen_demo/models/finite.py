"""GPUs without bfloat16 compute in float16, which ends at 65,504: what overflows on a photograph is found beforehand.

Qwen2.5-VL was trained in bfloat16, and some of its layers give larger numbers. Those numbers live in the sum that all
layers add to, so that one layer in float32 would not help: then the whole model computes in float32. Four-bit weights
stay four bits.
"""

import logging
from typing import Any

import PIL.Image
import torch

from qwen_demo.models.prompt import PromptBuilder
from qwen_demo.raster import Raster
from qwen_demo.types import ChatRequest, Image, Message, Text

log = logging.getLogger(__name__)

PROBE_SIDE = 448


def ensure_finite(model: Any, prompts: PromptBuilder, device: torch.device) -> None:
    """Make a model in float16 compute in float32 if anything overflows on a probe; says so in the log."""
    if model.dtype != torch.float16:
        return
    found = overflowing(model, prompts, device)
    if found:
        log.warning(
            "float16 overflows in %d layers (first: %s); the model computes in float32, which is slower. A GPU with bfloat16 "
            "(Ampere or later) needs neither",
            len(found),
            found[0],
        )
        compute_in_float32(model)


@torch.inference_mode()
def overflowing(model: Any, prompts: PromptBuilder, device: torch.device) -> list[str]:
    """Names of the layers whose outputs are not finite for an image of noise with a question, in order."""
    layers = {
        **{f"model.visual.blocks.{n}": block for n, block in enumerate(model.model.visual.blocks)},
        "model.visual.merger": model.model.visual.merger,
        **{f"model.language_model.layers.{n}": each for n, each in enumerate(model.model.language_model.layers)},
        "lm_head": model.lm_head,
    }
    found: list[str] = []

    def look(name: str, output: Any) -> None:
        tensor = output[0] if isinstance(output, tuple) else output
        if not bool(tensor.isfinite().all()):
            found.append(name)

    hooks = [
        layer.register_forward_hook(lambda _module, _inputs, output, name=name: look(name, output))
        for name, layer in layers.items()
    ]
    try:
        model(**prompts.build(_probe()).model_inputs(device))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def compute_in_float32(model: Any) -> None:
    """Whole weights become float32; quantised ones stay and are multiplied in it."""
    for module in model.modules():
        if hasattr(module, "compute_dtype"):
            module.compute_dtype = torch.float32
    for parameter in model.parameters():
        if parameter.dtype == torch.float16:
            parameter.data = parameter.data.float()


def _probe() -> ChatRequest:
    noise = torch.randint(
        0, 256, (PROBE_SIDE, PROBE_SIDE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    image = Image(Raster.of(PIL.Image.fromarray(noise.numpy())), "probe", "probe")
    return ChatRequest((Message("user", (image, Text("Describe the image."))),))

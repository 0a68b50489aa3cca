"""Images whose grey has more than 8 bits, for which `image_decoder.py` has no arithmetic.

Rare, and NumPy makes a process twice as large to fork; so these have a zygote of their own, started when one comes.
"""

import functools
from typing import Any

import numpy as np
import PIL.Image

from qwen_demo.media import downscale, image_decoder
from qwen_demo.media.image_decoder import DAMAGE

__all__ = ["DAMAGE", "decode", "grey_of"]

_LARGEST_SAMPLE = np.float32(1e37)


def grey_of(image: PIL.Image.Image) -> downscale.Grey:
    """What makes RGB of parts of `image`: 16-bit grey keeps its high bits; other depths, which have no agreed white,
    are stretched from black to white."""
    if image.mode.startswith("I;16"):
        return functools.partial(_rgb, low=0.0, high=65535.0)
    low, high = _LARGEST_SAMPLE, -_LARGEST_SAMPLE
    for _, strip in downscale.strips(image, 1):
        values = np.asarray(strip, dtype=np.float32)
        low = values.min(where=_sound(values), initial=low)
        high = values.max(where=_sound(values), initial=high)
    return functools.partial(_rgb, low=float(low), high=float(high))


decode = functools.partial(image_decoder.decode, grey_of=grey_of)


def _rgb(image: PIL.Image.Image, *, low: float, high: float) -> PIL.Image.Image:
    values = np.asarray(image, dtype=np.float32)
    scale = 255 / (high - low) if high > low else 0.0
    grey = (np.where(_sound(values), values, low) - low) * scale
    return PIL.Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")


def _sound(values: np.ndarray) -> Any:
    """Neither NaN nor infinite, nor close to it."""
    return np.abs(values) < _LARGEST_SAMPLE

"""Decoded pixels of any mode -> RGB on white, and no more of them than are kept.

A 50-megapixel image is there once, in the mode of its file; everything after that is done strip
by strip, so that no second copy of it is made. Pure: images in, images out.
"""

import math
from collections.abc import Iterator

import numpy as np
import PIL.Image

STRIP_PIXELS = 1 << 20
_LARGEST_SAMPLE = np.float32(1e37)
_Range = tuple[float, float]


def kept_size(width: int, height: int, most_pixels: int) -> tuple[int, int]:
    """The size that a image is scaled down to: its own, or one of about `most_pixels` and the same shape."""
    if width * height <= most_pixels:
        return width, height
    scale = math.sqrt(most_pixels / (width * height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def rgb_on_white(image: PIL.Image.Image, size: tuple[int, int]) -> PIL.Image.Image:
    """A new RGB image of `size`, which is not larger; transparency on white, deep grey from black to white.

    Raises:
        ValueError: the mode has no conversion to RGB.
    """
    grey = _grey_range(image)
    if image.size == size:
        return _opaque(image, grey)
    if _times(image.size, size) == 1 and image.mode == "RGB":
        return image.resize(size, PIL.Image.Resampling.BICUBIC)
    # Whole pixels are averaged first, strip by strip; what is left of the way is interpolated.
    factor = _times(image.size, size)
    small = PIL.Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top, strip in _strips(image, factor):
        small.paste(_opaque(strip, grey).reduce(factor), (0, top // factor))
    return small.resize(size, PIL.Image.Resampling.BICUBIC)


def _times(size: tuple[int, int], smaller: tuple[int, int]) -> int:
    """How many whole times `smaller` goes into `size`, at least once."""
    return max(1, min(size[0] // smaller[0], size[1] // smaller[1]))


def _strips(image: PIL.Image.Image, factor: int) -> Iterator[tuple[int, PIL.Image.Image]]:
    """Top and pixels of each strip; all but the last have a multiple of `factor` rows."""
    rows = max(1, STRIP_PIXELS // image.width // factor) * factor
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _opaque(image: PIL.Image.Image, grey: _Range | None) -> PIL.Image.Image:
    if grey is not None:
        return _from_deep_grey(image, *grey)
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        white = PIL.Image.new("RGB", image.size, "white")
        white.paste(coloured, mask=coloured.getchannel("A"))
        return white
    # A copy in any case: the result must not keep the file's bytes alive.
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


def _grey_range(image: PIL.Image.Image) -> _Range | None:
    """Samples that become black and white. 16-bit grey keeps its high bits; other depths, which have no agreed
    white, are stretched. None for the modes of 8 bits."""
    if not image.mode.startswith(("I", "F")):
        return None
    if image.mode.startswith("I;16"):
        return 0.0, 65535.0
    low, high = _LARGEST_SAMPLE, -_LARGEST_SAMPLE
    for _, strip in _strips(image, 1):
        values = np.asarray(strip, dtype=np.float32)
        low = values.min(where=_sound(values), initial=low)
        high = values.max(where=_sound(values), initial=high)
    return float(low), float(high)


def _from_deep_grey(image: PIL.Image.Image, low: float, high: float) -> PIL.Image.Image:
    values = np.asarray(image, dtype=np.float32)
    scale = 255 / (high - low) if high > low else 0.0
    grey = (np.where(_sound(values), values, low) - low) * scale
    return PIL.Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")


def _sound(values: np.ndarray) -> np.ndarray:
    """Neither NaN nor infinite, nor close to it."""
    return np.abs(values) < _LARGEST_SAMPLE

"""Decoded pixels of any mode -> RGB on white, and no more of them than are kept.

A 50-megapixel image is there once, in the mode of its file; everything after that is done strip
by strip, so that no second copy of it is made. Pure: images in, images out.
"""

import math
from collections.abc import Callable, Iterator

import PIL.Image

STRIP_PIXELS = 1 << 20
Grey = Callable[[PIL.Image.Image], PIL.Image.Image]


def kept_size(width: int, height: int, most_pixels: int) -> tuple[int, int]:
    """The size that a image is scaled down to: its own, or one of about `most_pixels` and the same shape."""
    if width * height <= most_pixels:
        return width, height
    scale = math.sqrt(most_pixels / (width * height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def is_deep(image: PIL.Image.Image) -> bool:
    """Whether a grey sample has more than 8 bits."""
    return image.mode.startswith(("I", "F"))


def rgb_on_white(image: PIL.Image.Image, size: tuple[int, int], grey: Grey | None = None) -> PIL.Image.Image:
    """An RGB image of `size`, which is not larger; transparency on white.

    Args:
        grey: what makes 8 bits of deep grey, for an image that has it.

    Raises:
        ValueError: the mode has no conversion to RGB.
    """
    if image.size == size:
        return _opaque(image, grey)
    if _times(image.size, size) == 1 and image.mode == "RGB":
        return image.resize(size, PIL.Image.Resampling.BICUBIC)
    # Whole pixels are averaged first, strip by strip; what is left of the way is interpolated.
    factor = _times(image.size, size)
    small = PIL.Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top, strip in strips(image, factor):
        small.paste(_opaque(strip, grey).reduce(factor), (0, top // factor))
    return small.resize(size, PIL.Image.Resampling.BICUBIC)


def _times(size: tuple[int, int], smaller: tuple[int, int]) -> int:
    """How many whole times `smaller` goes into `size`, at least once."""
    return max(1, min(size[0] // smaller[0], size[1] // smaller[1]))


def strips(image: PIL.Image.Image, factor: int) -> Iterator[tuple[int, PIL.Image.Image]]:
    """Top and pixels of each strip; all but the last have a multiple of `factor` rows."""
    rows = max(1, STRIP_PIXELS // image.width // factor) * factor
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _opaque(image: PIL.Image.Image, grey: Grey | None) -> PIL.Image.Image:
    if grey is not None:
        return grey(image)
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        white = PIL.Image.new("RGB", image.size, "white")
        white.paste(coloured, mask=coloured.getchannel("A"))
        return white
    return image.convert("RGB") if image.mode != "RGB" else image

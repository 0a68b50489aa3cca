"""Decodes one image, in a process of its own that `zygote.py` forks. `images.py` has the words and the checks.

Everything that can be checked is checked before pixels are decoded: structure, area and shape from the header. The
image comes out upright, RGB, on white, with both sides at least 28 pixels.
"""

import contextlib
import copy  # noqa: F401 Pillow imports it, and some of its own parts, at first use: when no file can be opened any more
import logging
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import PIL.Image
import PIL.ImageCms
import PIL.ImageFile
import PIL.ImageFilter
from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from qwen_demo.media import avif, bare_image, downscale, structure
from qwen_demo.media.enlarge import enlarged, enlarged_size
from qwen_demo.media.exchange import Exchange, Refused, read_whole, write_image

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what is wrong with a file, its sender is told

# Measured (`tests/media/test_downscale.py` holds them to it): bytes for each decoded pixel, for each coefficient of a
# JPEG whose decoder holds all of them whatever it gives, and for each pixel that is kept.
DECODER_BYTES = {"WebP": 16, "AVIF": 9}
COEFFICIENT_BYTES = 2
KEPT_BYTES = 16

# Not PIL.Image.open: it warns or raises by a process-wide pixel limit of its own, and reads
# the multi-picture directory of JPEG files without a bound.
_PLUGINS: dict[str, type[PIL.ImageFile.ImageFile]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    **({"AVIF": avif.AvifFile} if avif.AVAILABLE else {}),
}
_UPRIGHT = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
# What Pillow's readers raise on files that do not follow their format.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    EOFError,
    struct.error,
    zlib.error,
    UserWarning,
)


def decode(
    job: dict[str, Any],
    file: int,
    exchange: Exchange,
    grey_of: Callable[[PIL.Image.Image], downscale.Grey] | None = None,
) -> dict[str, Any]:
    """One image; of an animated one, the first frame.

    Args:
        job: `format`, `max_pixels`, `max_aspect_ratio`, and `kept_pixels`, the area that larger ones are scaled to.
        grey_of: what makes RGB of grey with more than 8 bits; without it, it is refused as `deep`.

    Returns:
        `width`, `height` of the pixels, `original` width and height, upright as well.

    Raises:
        Refused: over a limit.
    """
    data = read_whole(file)
    with _named():
        if job["format"] == "WebP" and (stated := structure.webp_size(data)):
            _check_size(*stated, job)
        bare = bare_image.bare(data, job["format"])
        read_bytes = len(data) + (0 if bare.data is data else len(bare.data))
        del data
        image = _PLUGINS[job["format"]](structure.MeteredReader(bare.data))
        size = image.size
        _check_size(*size, job)
        if downscale.is_deep(image) and not grey_of:
            raise Refused("deep")
        kept = downscale.kept_size(*size, job["kept_pixels"])
        if isinstance(image, JpegImagePlugin.JpegImageFile) and kept != size:
            image.draft(None, kept)  # the decoder leaves out what a half, quarter or eighth does not show
        peak_bytes = read_bytes + bare.piece_bytes + _peak_bytes(image, job["format"], kept)
        if bare.whole:
            peak_bytes += math.prod(size) * COEFFICIENT_BYTES * len(image.getbands())
        width, height = enlarged_size(*kept)
        memory = exchange.memory_for({"width": width, "height": height, "peak_bytes": peak_bytes})
        exchange.keep_within(peak_bytes)
        image.load()
        orientation = image.orientation if isinstance(image, avif.AvifFile) else bare.orientation
    try:
        grey = grey_of(image) if grey_of and downscale.is_deep(image) else None
        pixels = downscale.rgb_on_white(image, kept, grey)
    except ValueError as exc:
        raise Refused("mode") from exc
    del image, bare
    pixels = enlarged(pixels)
    if orientation in _UPRIGHT:
        pixels = pixels.transpose(_UPRIGHT[orientation])
    write_image(memory, pixels)
    return {"width": pixels.width, "height": pixels.height, "original": size[::-1] if orientation >= 5 else size}


def _check_size(width: int, height: int, job: dict[str, Any]) -> None:
    if width < 1 or height < 1:
        raise Refused("size", width, height)
    if width * height > job["max_pixels"] or max(width, height) > job["max_aspect_ratio"] * min(width, height):
        raise Refused("size", width, height)


def _peak_bytes(image: PIL.Image.Image, found: str, kept: tuple[int, int]) -> int:
    """About the most memory that decoding takes besides the file and the pixels that are given."""
    return math.prod(image.size) * DECODER_BYTES.get(found, 7) + math.prod(kept) * KEPT_BYTES


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Suspicions and Pillow's own limit by their codes."""
    try:
        yield
    except structure.Suspicious as exc:
        raise Refused(exc.code) from exc
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as exc:
        raise Refused("bomb") from exc

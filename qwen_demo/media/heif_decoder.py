"""Decodes one HEIC image, as phones make them, in a process of its own that `zygote.py` forks.

libheif and libde265 are libraries of their own, loaded where no other image is decoded; they come in wheels of pi-heif.
"""

import math
from typing import Any

import pi_heif
import PIL.Image

from qwen_demo.media import downscale
from qwen_demo.media.enlarge import enlarged, enlarged_size
from qwen_demo.media.exchange import Exchange, Refused, read_whole, write_image

# What the library raises on files that do not follow their format, and where it lacks a feature.
DAMAGE = (ValueError, EOFError, SyntaxError, RuntimeError, OSError, LookupError, TypeError)
DECODER_BYTES = 10  # measured, for each pixel: planes of colour, a grid's tiles, and two copies on the way out
KEPT_BYTES = 16


def decode(job: dict[str, Any], file: int, exchange: Exchange) -> dict[str, Any]:
    """The primary image, turned as the file says. Takes and gives what `image_decoder.decode` does.

    Raises:
        Refused: over a limit.
    """
    options = pi_heif.options
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
    options.DECODE_THREADS = 1
    data = read_whole(file)
    container = pi_heif.open_heif(data, convert_hdr_to_8bit=True)
    image = container[container.primary_index]
    size = image.size
    if min(size) < 1 or math.prod(size) > job["max_pixels"] or max(size) > job["max_aspect_ratio"] * min(size):
        raise Refused("size", *size)
    kept = downscale.kept_size(size[0], size[1], job["kept_pixels"])
    peak_bytes = 2 * len(data) + math.prod(size) * DECODER_BYTES + math.prod(kept) * KEPT_BYTES
    width, height = enlarged_size(*kept)
    memory = exchange.memory_for({"width": width, "height": height, "peak_bytes": peak_bytes})
    exchange.keep_within(peak_bytes)
    decoded = _decoded(image)
    if decoded.size != size:
        raise Refused("damaged")
    del container, image, data
    pixels = enlarged(downscale.rgb_on_white(decoded, kept))
    write_image(memory, pixels)
    return {"width": width, "height": height, "original": size}


def _decoded(image: pi_heif.HeifImage) -> PIL.Image.Image:
    decoded = image.to_pillow()
    if downscale.is_deep(decoded):  # grey alone comes with more than 8 bits, of which the library makes 16
        return decoded.point(lambda value: value * (255 / 65535)).convert("L")
    return decoded

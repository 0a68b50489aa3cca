"""Untrusted bytes -> `Image`.

Every limit is checked before pixels are decoded: bytes, format, structure, area and shape from
the header. The picture comes out upright, RGB, on white, with both sides at least 28 pixels.
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import PIL.Image
from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from qwen_demo.errors import MediaRefused
from qwen_demo.media import structure
from qwen_demo.media.avif import AvifFile
from qwen_demo.media.kinds import check_bytes, check_dimensions, file_format, label, refusal_of_format
from qwen_demo.settings import Settings
from qwen_demo.types import Image

_LARGEST_SAMPLE = np.float32(1e37)
MODEL_MIN_SIDE = 28  # one visual token of Qwen2.5-VL; its processors fail on thinner pictures

# Not PIL.Image.open: it warns or raises by a process-wide pixel limit of its own, and reads
# the multi-picture directory of JPEG files without a bound.
_PLUGINS = {
    "PNG": PngImagePlugin.PngImageFile,
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    **({"AVIF": AvifFile} if AvifFile else {}),
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
# What Pillow's readers raise on files that do not follow their format (warnings: under -W error).
_DAMAGE = (
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


def decode_image(data: bytes, limits: Settings, *, name: str = "picture") -> Image:
    """Decode one picture; of an animated one, the first frame.

    A side under 28 pixels is scaled up to 28, keeping the shape: 1 x 1 becomes 28 x 28 and
    20 x 2000 becomes 28 x 2800. Coordinates in the result are those of the scaled picture.

    Blocking: up to a second for a large picture. On an event loop use `load_bytes`.

    Args:
        data: content of a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF file.
        name: what the sender called it, for messages.

    Raises:
        MediaRefused: over a limit, of another kind, or damaged.
    """
    name = label(name)
    check_bytes(len(data), "image", limits, name)
    return make_image(_rgb_on_white(_decode(data, limits, name), name), name=name)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Pillow's errors in our words; theirs quote memory addresses and internals."""
    try:
        yield
    except MediaRefused:
        raise
    except structure.Suspicious as exc:
        raise MediaRefused(f"{name} was not opened: {exc}.") from exc
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as exc:
        raise MediaRefused(f"{name} has more pixels than the picture library accepts. Scale it down.") from exc
    except MemoryError as exc:
        raise MediaRefused(f"{name} needs more memory than the server has. Scale it down.") from exc
    except _DAMAGE as exc:
        raise MediaRefused(f"{name} cannot be read: the file is damaged or cut short. Save it again.") from exc


def make_image(pixels: PIL.Image.Image, *, name: str = "picture") -> Image:
    """An `Image` of RGB pixels that were decoded here or drawn by the program itself."""
    assert pixels.mode == "RGB", pixels.mode
    pixels = _enlarge(pixels)
    digest = hashlib.sha256(f"{pixels.width}x{pixels.height}:".encode())
    digest.update(pixels.tobytes())
    return Image(pixels=pixels, digest=digest.hexdigest(), name=name)


def _decode(data: bytes, limits: Settings, name: str) -> PIL.Image.Image:
    found = file_format(data[:512])
    if found not in _PLUGINS:
        raise refusal_of_format(name, found, "image")
    with _reading(name):
        exif = b""
        if found == "JPEG":
            exif = structure.check_jpeg(data)
        elif found == "TIFF":
            structure.check_directory(data)
        reads = structure.MAX_GIF_READS if found == "GIF" else structure.MAX_READS
        picture = _PLUGINS[found](structure.MeteredReader(data, max_reads=reads))
        check_dimensions(*picture.size, limits.max_image_pixels, "max-image-pixels", limits, name)
        picture.load()
        if found in ("PNG", "WebP"):
            exif = picture.info.get("exif", b"")
        # Pillow has turned a TIFF by now.
        orientation = picture.orientation if found == "AVIF" else structure.exif_orientation(exif)
        turn = _UPRIGHT.get(orientation)
        return picture.transpose(turn) if turn is not None else picture


def _rgb_on_white(picture: PIL.Image.Image, name: str) -> PIL.Image.Image:
    if picture.mode.startswith(("I", "F")):
        return _from_deep_grey(picture)
    if picture.has_transparency_data:
        coloured = picture.convert("RGBA")
        white = PIL.Image.new("RGB", picture.size, "white")
        white.paste(coloured, mask=coloured.getchannel("A"))
        return white
    try:
        # A copy in any case: the result must not keep the file's bytes alive.
        return picture.convert("RGB") if picture.mode != "RGB" else picture.copy()
    except ValueError as exc:
        raise MediaRefused(f"{name} has the colour model {picture.mode}. Save it as RGB.") from exc


def _from_deep_grey(picture: PIL.Image.Image) -> PIL.Image.Image:
    """16-bit grey keeps its high bits; other depths, which have no agreed white, are stretched."""
    values = np.asarray(picture, dtype=np.float32)
    if picture.mode.startswith("I;16"):
        grey = values / 257
    else:
        sound = np.abs(values) < _LARGEST_SAMPLE  # neither NaN nor infinite, nor close to it
        low = values.min(where=sound, initial=_LARGEST_SAMPLE)
        high = values.max(where=sound, initial=-_LARGEST_SAMPLE)
        grey = (np.where(sound, values, low) - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return PIL.Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")


def _enlarge(picture: PIL.Image.Image) -> PIL.Image.Image:
    side = min(picture.size)
    if side >= MODEL_MIN_SIDE:
        return picture
    size = tuple(max(MODEL_MIN_SIDE, round(length * MODEL_MIN_SIDE / side)) for length in picture.size)
    return picture.resize(size, PIL.Image.Resampling.BICUBIC)

"""Untrusted bytes -> `Image`.

Every limit is checked before pixels are decoded: bytes, format, structure, area and shape from
the header. The picture comes out upright, RGB, on white, with both sides at least 28 pixels.
"""

import hashlib
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import PIL.Image
from PIL import BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from qwen_demo.errors import MediaRefused
from qwen_demo.media import shrink, structure
from qwen_demo.media.avif import AvifFile
from qwen_demo.media.kinds import check_bytes, check_dimensions, file_format, label, refusal_of_format
from qwen_demo.raster import Raster
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.types import Image

MODEL_MIN_SIDE = 28  # one visual token of Qwen2.5-VL; its processors fail on thinner pictures
# Measured (`tests/media/test_shrink.py` holds them to it): bytes for each decoded pixel, for each pixel of the
# file where the decoder holds all of them whatever it gives, and for each pixel that is kept.
DECODER_BYTES = {"WebP": 16, "AVIF": 9}
WHOLE_BYTES = {"JPEG": 6}
KEPT_BYTES = 16

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
    A picture of more than `decoded_pixels` is scaled down to that; `Image.size` is still its own.

    Blocking: up to a second for a large picture. On an event loop use `load_bytes`.

    Args:
        data: content of a PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF file.
        name: what the sender called it, for messages.

    Raises:
        MediaRefused: over a limit, of another kind, or damaged.
    """
    return open_image(data, limits, name=name).decode()


def open_image(data: bytes, limits: Settings, *, name: str = "picture") -> "Opened":
    """Check everything that can be checked before pixels are decoded. Arguments and errors as `decode_image`."""
    name = label(name)
    check_bytes(len(data), "image", limits, name)
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
        size = picture.size
        check_dimensions(*size, limits.max_image_pixels, "max-image-pixels", limits, name)
        kept = shrink.kept_size(*size, max(limits.decoded_pixels, limits.max_pixels or 0))
        if found == "JPEG" and kept != size:
            picture.draft(None, kept)  # the decoder leaves out what a half, quarter or eighth does not show
        return Opened(picture, found, exif, size, kept, name)


@dataclass(frozen=True, slots=True)
class Opened:
    """A picture that has passed all limits and is not decoded yet.

    Attributes:
        exif: of a JPEG; other formats tell theirs later.
        size: width and height, not yet turned upright.
        kept: what it is scaled down to.
    """

    picture: PIL.Image.Image
    format: str
    exif: bytes
    size: tuple[int, int]
    kept: tuple[int, int]
    name: str

    @property
    def peak_bytes(self) -> int:
        """About the most memory that `decode` takes besides the file."""
        decoded = math.prod(self.picture.size) * DECODER_BYTES.get(self.format, 7)
        whole = math.prod(self.size) * WHOLE_BYTES.get(self.format, 0)
        return decoded + whole + math.prod(self.kept) * KEPT_BYTES

    def decode(self) -> Image:
        """Blocking. Raises `MediaRefused`."""
        with _reading(self.name):
            self.picture.load()
            exif = self.picture.info.get("exif", b"") if self.format in ("PNG", "WebP") else self.exif
            # Pillow has turned a TIFF by now.
            orientation = self.picture.orientation if self.format == "AVIF" else structure.exif_orientation(exif)
        try:
            pixels = shrink.rgb_on_white(self.picture, self.kept)
        except ValueError as exc:
            raise MediaRefused(f"{self.name} has the colour model {self.picture.mode}. Save it as RGB.") from exc
        turn = _UPRIGHT.get(orientation)
        if turn is not None:
            pixels = pixels.transpose(turn)
        if self.size == self.kept:
            return make_image(pixels, name=self.name)
        size = self.size[::-1] if orientation >= 5 else self.size
        return make_image(pixels, name=self.name, original_size=size)


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
        raise MediaRefused(
            Sentence("{name} has more pixels than the picture library accepts. Scale it down.", name=name)
        ) from exc
    except MemoryError as exc:
        raise MediaRefused(Sentence("{name} needs more memory than the server has. Scale it down.", name=name)) from exc
    except _DAMAGE as exc:
        raise MediaRefused(
            Sentence("{name} cannot be read: the file is damaged or cut short. Save it again.", name=name)
        ) from exc


def make_image(
    pixels: PIL.Image.Image, *, name: str = "picture", original_size: tuple[int, int] | None = None
) -> Image:
    """An `Image` of RGB pixels that were decoded here or drawn by the program itself."""
    assert pixels.mode == "RGB", pixels.mode
    pixels = _enlarge(pixels)
    width, height = original_size or pixels.size
    digest = hashlib.sha256(f"{width}x{height}:".encode())
    digest.update(pixels.tobytes())
    return Image(Raster.of(pixels), digest.hexdigest(), name, original_size)


def _enlarge(picture: PIL.Image.Image) -> PIL.Image.Image:
    side = min(picture.size)
    if side >= MODEL_MIN_SIDE:
        return picture
    size = tuple(max(MODEL_MIN_SIDE, round(length * MODEL_MIN_SIDE / side)) for length in picture.size)
    return picture.resize(size, PIL.Image.Resampling.BICUBIC)

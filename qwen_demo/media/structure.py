"""Hostile structure of an image: its names, and what is read of a file before or beside the image library.

Pillow bounds pixels but not what surrounds them: a 65 KB EXIF block whose 5,000 tags all point
at the same bytes becomes 300 MB, a TIFF of 1 KB with one large tile a GB, a JPEG of many
scans decodes for hours, long chains of tiny blocks run in slow loops.
"""

import io
import struct
from collections.abc import Iterator

MAX_JPEG_SCANS = 100  # real progressive files have about ten
MAX_JPEG_SEGMENTS = 5_000
MAX_DIRECTORY_ENTRIES = 4_096
MAX_READS = 2_000_000  # two for each run of a BMP file

_ORIENTATION_TAG = 0x0112
_SHORT = 3
_EXIF = b"Exif\x00\x00"


class Suspicious(ValueError):
    """The structure of a file is over a limit. Its code is one of `REASONS`."""

    def __init__(self, code: str):
        super().__init__(code)
        self.code = code


REASONS = {
    "pieces": "it is cut into far too many small pieces, or refers to the same bytes again and again",
    "segments": f"it has more than {MAX_JPEG_SCANS} scans or {MAX_JPEG_SEGMENTS:,} segments; save it again",
    "entries": f"its directory has more than {MAX_DIRECTORY_ENTRIES:,} entries",
    "tiles": "its tiles are far larger than the image; save it again, without tiles",
}


class MeteredReader(io.BytesIO):
    """Bytes that may be read only a bounded number of times over."""

    def __init__(self, data: bytes):
        super().__init__(data)
        self._reads_left = MAX_READS
        self._bytes_left = 4 * len(data) + (1 << 20)

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self._reads_left -= 1
        self._bytes_left -= len(piece)
        if self._reads_left < 0 or self._bytes_left < 0:
            raise Suspicious("pieces")
        return piece


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a WebP file states, whose library would take memory for all of it on opening.

    None where its first chunk is of another kind (RFC 9649, sections 2.5 to 2.7 have the three).
    """
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        return None
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    return None


def exif_orientation(exif: bytes) -> int:
    """Value 1 to 8 of the EXIF orientation tag; 1, upright, if there is none or it makes no sense."""
    for tag, kind, count, value in _entries(exif.removeprefix(_EXIF)):
        if (tag, kind, count) == (_ORIENTATION_TAG, _SHORT, 1):
            return value if 1 <= value <= 8 else 1
    return 1


def _entries(tiff: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(tag, type, count, first 16 bits of the value) of each entry of the first directory."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return
    start = struct.unpack_from(order + "I", tiff, 4)[0]
    if start + 2 > len(tiff):
        return
    for index in range(struct.unpack_from(order + "H", tiff, start)[0]):
        offset = start + 2 + 12 * index
        if offset + 12 > len(tiff):
            return
        yield struct.unpack_from(order + "HHIH", tiff, offset)

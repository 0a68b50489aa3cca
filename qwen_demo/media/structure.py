"""Hostile structure found before, or while, Pillow reads an image.

Pillow bounds pixels but not what surrounds them: a 65 KB EXIF block whose 5,000 tags all point
at the same bytes becomes 300 MB, a 15 MB TIFF becomes all the memory there is, a JPEG of many
scans decodes for hours, long chains of tiny blocks run in slow loops. Each is refused here.
"""

import io
import re
import struct
from collections.abc import Iterator

MAX_JPEG_SCANS = 100  # real progressive files have about ten
MAX_JPEG_SEGMENTS = 5_000
MAX_DIRECTORY_ENTRIES = 4_096
MAX_READS = 60_000
MAX_GIF_READS = 5_000  # Pillow joins comment blocks in quadratic time

_ORIENTATION_TAG = 0x0112
_SHORT = 3
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SOI, _EOI, _SOS, _TEM, _APP1 = 0xD8, 0xD9, 0xDA, 0x01, 0xE1
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
    "claims": "its directory claims more data than the file holds",
    "bigtiff": "BigTIFF is not accepted; save it as an ordinary TIFF or PNG",
}


class MeteredReader(io.BytesIO):
    """Bytes that may be read only a bounded number of times over."""

    def __init__(self, data: bytes, *, max_reads: int):
        super().__init__(data)
        self._reads_left = max_reads
        self._bytes_left = 4 * len(data) + (1 << 20)

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self._reads_left -= 1
        self._bytes_left -= len(piece)
        if self._reads_left < 0 or self._bytes_left < 0:
            raise Suspicious("pieces")
        return piece


def check_jpeg(data: bytes) -> bytes:
    """Walk the segments of a JPEG up to its end marker.

    Returns:
        the EXIF block, empty if there is none.

    Raises:
        Suspicious: too many scans or segments, or a hostile EXIF block.
    """
    exif = bytearray()
    scans = segments = 0
    position = 2
    while match := _MARKER.search(data, position):
        code, position = data[match.start() + 1], match.end()
        if code == _EOI:
            break
        if code in (_SOI, _TEM):
            continue
        segments += 1
        scans += code == _SOS
        if scans > MAX_JPEG_SCANS or segments > MAX_JPEG_SEGMENTS:
            raise Suspicious("segments")
        length = int.from_bytes(data[position : position + 2], "big")
        body = data[position + 2 : position + length]
        if code == _APP1 and body.startswith(_EXIF):
            exif += body[len(_EXIF) :]
        position += max(length, 2)
    if exif:
        check_directory(bytes(exif))
    return bytes(exif)


def check_directory(tiff: bytes) -> None:
    """Check the first directory of a TIFF file or EXIF block.

    Raises:
        Suspicious: too many entries, or entries that together claim more bytes than there are.
    """
    entries = list(_entries(tiff))
    if len(entries) > MAX_DIRECTORY_ENTRIES:
        raise Suspicious("entries")
    # 8 bytes is the widest type. An honest directory points at every byte about once.
    claimed = sum(8 * count for _, _, count, _ in entries if 8 * count > 32)
    if claimed > 8 * len(tiff) + (1 << 16):
        raise Suspicious("claims")


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
    if struct.unpack_from(order + "H", tiff, 2)[0] == 43:
        raise Suspicious("bigtiff")
    start = struct.unpack_from(order + "I", tiff, 4)[0]
    if start + 2 > len(tiff):
        return
    for index in range(struct.unpack_from(order + "H", tiff, start)[0]):
        offset = start + 2 + 12 * index
        if offset + 12 > len(tiff):
            return
        yield struct.unpack_from(order + "HHIH", tiff, offset)

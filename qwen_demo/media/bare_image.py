"""An image file without what surrounds its pixels: texts, colour profiles, previews, further images, private data.

Image libraries read all of that on opening, at a cost that a hostile file chooses, and refuse an image for a text that
is too long. Nothing of it changes what the model sees, save the orientation. So it is dropped here unread, in one walk
over the file, and the library gets pixels and what they need. Damage of the pixels is left for the library to find.
"""

import re
import zlib
from dataclasses import dataclass

from qwen_demo.media import bare_tiff
from qwen_demo.media.structure import MAX_JPEG_SCANS, MAX_JPEG_SEGMENTS, Suspicious, exif_orientation

MAX_PNG_CHUNKS = 60_000
MAX_GIF_BLOCKS = 400_000
MAX_RIFF_CHUNKS = 5_000

_PNG_HEAD = 8
_PNG_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_SOI, _EOI, _SOS, _TEM, _COM, _APP0, _APP1, _APP14, _APP15 = 0xD8, 0xD9, 0xDA, 0x01, 0xFE, 0xE0, 0xE1, 0xEE, 0xEF
_EXIF = b"Exif\x00\x00"
# The two segments that say how colours are stored.
_COLOURS = ((_APP0, b"JFIF\x00"), (_APP14, b"Adobe"))
_WEBP_EXTRAS = 0x2C  # flags: it has a colour profile, EXIF, XMP


@dataclass(frozen=True, slots=True)
class BareImage:
    """What is left.

    Attributes:
        data: a file of the same format.
        orientation: EXIF's value, 1 to 8, to be applied by whoever reads the pixels.
        piece_bytes: what the library unpacks at once beside the image.
        whole: it holds all coefficients at once, whatever size it is asked for.
    """

    data: bytes
    orientation: int = 1
    piece_bytes: int = 0
    whole: bool = False


def bare(data: bytes, found: str) -> BareImage:
    """`data`, a file of the format `found`, without all that.

    Raises:
        Suspicious: its structure is over a limit.
    """
    strip = {"PNG": _png, "JPEG": _jpeg, "GIF": _gif, "WebP": _webp, "TIFF": _tiff}.get(found)
    return strip(data) if strip else BareImage(data)


def _png(data: bytes) -> BareImage:
    """Chunks of the one still image; of an animation, the image that programs show which know no animations.

    A chunk whose checksum is wrong is dropped if an image can do without it, as the format's own library does.
    """
    kept, exif, position, chunks = [data[:_PNG_HEAD]], b"", _PNG_HEAD, 0
    while position + 8 <= len(data):
        chunks += 1
        if chunks > MAX_PNG_CHUNKS:
            raise Suspicious("pieces")
        length, kind = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        end = position + 12 + length
        if kind in _PNG_KEPT and (kind != b"tRNS" or _is_sound(data, position, end)):
            kept.append(data[position:end])
        elif kind == b"eXIf" and _is_sound(data, position, end):
            exif = data[position + 8 : end - 4]
        position = end
        if kind == b"IEND":
            break
    else:
        kept.append(data[position:])  # the file is cut short, or is none: for the library to say
    return BareImage(b"".join(kept), exif_orientation(exif))


def _is_sound(data: bytes, start: int, end: int) -> bool:
    return zlib.crc32(data[start + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big") and end <= len(data)


def _jpeg(data: bytes) -> BareImage:
    """Up to its end marker, so without the further images that phones append (MPO, Ultra HDR, motion)."""
    kept, exif, position, scans, segments = [data[:2]], b"", 2, 0, 0
    while match := _MARKER.search(data, position):
        code, start = data[match.start() + 1], match.start()
        if scans:
            kept.append(data[position:start])  # coefficients
        position = match.end()
        if code == _EOI:
            kept.append(b"\xff\xd9")
            break
        if code in (_SOI, _TEM):
            continue
        segments, scans = segments + 1, scans + (code == _SOS)
        if scans > MAX_JPEG_SCANS or segments > MAX_JPEG_SEGMENTS:
            raise Suspicious("segments")
        position += max(int.from_bytes(data[position : position + 2], "big"), 2)
        body = data[start + 4 : min(position, start + 4 + len(_EXIF))]
        if not (_APP0 <= code <= _APP15 or code == _COM) or any(
            code == place and body.startswith(name) for place, name in _COLOURS
        ):
            kept.append(data[start:position])
        elif code == _APP1 and body == _EXIF and not exif:
            exif = data[start + 4 + len(_EXIF) : position]
    else:
        kept.append(data[position:])
    return BareImage(b"".join(kept), exif_orientation(exif), whole=scans > 1)


def _gif(data: bytes) -> BareImage:
    """The first frame, and how it is laid on the screen; comments and what programs leave go, with all other frames."""
    position, blocks = 13 + _palette_bytes(data[10:11]), 0
    kept = [data[:position]]
    while (kind := data[position : position + 1]) not in (b"", b";"):
        start = position
        if kind == b"!":
            position += 2
        elif kind == b",":
            position += 11 + _palette_bytes(data[position + 9 : position + 10])
        else:  # between blocks, which is skipped
            position += 1
        while kind in (b"!", b",") and (size := data[position : position + 1]):
            position += 1 + size[0]
            blocks += 1
            if size == b"\x00":
                break
        blocks += 1
        if blocks > MAX_GIF_BLOCKS:
            raise Suspicious("pieces")
        if kind == b"," or data[start : start + 2] == b"!\xf9":
            kept.append(data[start:position])
        if kind == b",":
            kept.append(data[position : position + 1] and b";")  # none where the file is cut short
            break
    return BareImage(b"".join(kept))


def _palette_bytes(flags: bytes) -> int:
    return 3 * (2 << (flags[0] & 7)) if flags and flags[0] & 0x80 else 0


def _webp(data: bytes) -> BareImage:
    """Pixels and alpha (RFC 9649); of an animation, its first frame."""
    kept, exif, position, chunks, frames = [], b"", 12, 0, 0
    whole = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    while position + 8 <= whole:
        kind, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        start, position = position, position + 8 + length + length % 2
        chunks, frames = chunks + 1, frames + (kind == b"ANMF")
        if chunks > MAX_RIFF_CHUNKS:
            raise Suspicious("pieces")
        if kind == b"VP8X":
            flags = data[start + 8] & ~_WEBP_EXTRAS
            kept.append(data[start : start + 8] + bytes([flags]) + data[start + 9 : position])
        elif kind in (b"VP8 ", b"VP8L", b"ALPH", b"ANIM") or (kind == b"ANMF" and frames == 1):
            kept.append(data[start:position])
        elif kind == b"EXIF":
            exif = data[start + 8 : position]
    body = b"WEBP" + b"".join(kept)
    return BareImage(b"RIFF" + len(body).to_bytes(4, "little") + body, exif_orientation(exif))


def _tiff(data: bytes) -> BareImage:
    """The first image."""
    return BareImage(*bare_tiff.bare(data))

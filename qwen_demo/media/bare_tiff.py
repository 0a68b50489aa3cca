"""The first image of a TIFF file, with a new directory of just what its pixels need; and how large its pieces are.

Pillow and libtiff read a directory each in a way of their own. The new one has every tag once, in order, with values
that both read alike, so that what is checked here is what they find.
"""

import math
import struct
from collections.abc import Iterator

from qwen_demo.media.structure import MAX_DIRECTORY_ENTRIES, Suspicious

# Bytes of one value by type: TIFF 6.0, section 2, and the types of integers in later supplements.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I"}
_SHORT, _LONG = 3, 4
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _ORIENTATION, _SAMPLES, _ROWS = 256, 257, 258, 259, 274, 277, 278
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
# One number each: sizes, and how samples are stored.
_NUMBERS = {
    **dict.fromkeys((_WIDTH, _HEIGHT, _ROWS, 292, 293, _TILE_WIDTH, _TILE_HEIGHT, 512, 513, 514, 515), _LONG),
    **dict.fromkeys((_COMPRESSION, 262, 266, _ORIENTATION, _SAMPLES, 284, 317, 332, 531), _SHORT),
}
# Several: bits of each sample, where the pieces are and how long, colours, tables of JPEG.
_LISTS = (_BITS, 273, 279, 320, 324, 325, 338, 339, 347, 519, 520, 521, 529, 530, 532)
_MAX_VALUES = 1 << 19
_UNCOMPRESSED = 1
_LARGEST_PIECE = 4096 * 4096  # pixels of a tile that is larger than its image


def bare(data: bytes) -> tuple[bytes, int, int]:
    """
    Returns:
        the file; its orientation, 1 to 8, which the library is not told; bytes of the largest strip or tile, unpacked.

    Raises:
        Suspicious: too many entries, or tiles far larger than the image.
    """
    order = {b"II": "<", b"MM": ">"}[data[:2]]
    directory: dict[int, bytes] = {}
    numbers: dict[int, int] = {}
    for tag, kind, count, at in _entries(data, order):
        if tag in directory:
            continue
        if tag in _NUMBERS and kind in _INTEGERS:
            number = struct.unpack_from(order + _INTEGERS[kind], data, at)[0]
            numbers[tag] = number
            form, value = ("HHIHxx", min(number, 0xFFFF)) if _NUMBERS[tag] == _SHORT else ("HHII", number)
            directory[tag] = struct.pack(order + form, tag, _NUMBERS[tag], 1, value)
        elif tag in _LISTS:
            size = count * _SIZES[kind]
            field = data[at : at + size].ljust(4, b"\0") if size <= 4 else struct.pack(order + "I", at)
            directory[tag] = struct.pack(order + "HHI", tag, kind, count) + field
            if tag == _BITS and kind in _INTEGERS:
                numbers[tag] = max(struct.unpack_from(f"{order}{count}{_INTEGERS[kind]}", data, at))
    directory.pop(_ORIENTATION, None)  # it would turn the whole image, in a second copy
    piece_bytes, orientation = _piece_bytes(numbers), numbers.get(_ORIENTATION, 1)
    padding = bytes(-len(data) % 2)
    head = data[:4] + struct.pack(order + "I", len(data) + len(padding))
    entries = [directory[tag] for tag in sorted(directory)]
    length = struct.pack(order + "H", len(entries))
    file = b"".join((head, memoryview(data)[8:], padding, length, *entries, bytes(4)))
    return file, orientation if 1 <= orientation <= 8 else 1, piece_bytes


def _entries(data: bytes, order: str) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, number of values and where they lie, of each entry whose values are in the file."""
    start = struct.unpack_from(order + "I", data, 4)[0]
    if start + 2 > len(data):
        return
    count = struct.unpack_from(order + "H", data, start)[0]
    if count > MAX_DIRECTORY_ENTRIES:
        raise Suspicious("entries")
    for at in range(start + 2, min(start + 2 + 12 * count, len(data) - 11), 12):
        tag, kind, values = struct.unpack_from(order + "HHI", data, at)
        if kind not in _SIZES or (tag not in _NUMBERS and tag not in _LISTS) or not values:
            continue
        if values > _MAX_VALUES:
            raise Suspicious("entries")
        size = values * _SIZES[kind]
        place = at + 8 if size <= 4 else struct.unpack_from(order + "I", data, at + 8)[0]
        if place + size <= len(data):
            yield tag, kind, values, place


def _piece_bytes(numbers: dict[int, int]) -> int:
    """What the library unpacks at once: a tile, or a strip of rows."""
    width, height = numbers.get(_WIDTH, 0), numbers.get(_HEIGHT, 0)
    # Colour differences come as four bytes.
    bits = max(32, numbers.get(_BITS, 1) * numbers.get(_SAMPLES, 1))
    if _TILE_WIDTH in numbers or _TILE_HEIGHT in numbers:
        piece = numbers.get(_TILE_WIDTH, 0), numbers.get(_TILE_HEIGHT, 0)
        if math.prod(piece) > max(_LARGEST_PIECE, width * height) or max(piece) > max(65536, width, height):
            raise Suspicious("tiles")
    else:
        piece = width, min(numbers.get(_ROWS, height), height)
    if numbers.get(_COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED:
        return 0  # read straight into the image
    return math.prod(piece) * bits // 8

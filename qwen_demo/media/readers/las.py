"""LAS and LAZ, laser scans (ASPRS), by laspy and lazrs; piece by piece, so that what is packed never lies whole."""

import io
import logging

import laspy
import lazrs
import numpy as np

from qwen_demo.media.exchange import Refused
from qwen_demo.media.readers import tables
from qwen_demo.media.readers.raw import Limits, Raw

_AT_ONCE = 1 << 19
_MOST_RECORD = 4096  # bytes of one point; those of the standard have at most 67
logging.getLogger("laspy").setLevel(logging.CRITICAL)  # what is wrong with a file, its sender is told
DAMAGE = (laspy.errors.LaspyException, lazrs.LazrsError)


def read(data: memoryview, limits: Limits) -> Raw:
    """Raises `Refused` and what is in `DAMAGE`."""
    _check_head(bytes(data[:400]), len(data))
    with laspy.open(io.BytesIO(data), closefd=False, laz_backend=laspy.LazBackend.Lazrs, read_evlrs=False) as reader:
        header = reader.header
        count, size = header.point_count, header.point_format.size
        if size > _MOST_RECORD:
            raise Refused("columns")
        limits.check(count)
        if header.are_points_compressed:
            _check_chunks(data, header.offset_to_point_data, count)
        elif count * size > len(data):
            raise Refused("short", count)
        names = set(header.point_format.dimension_names)
        colored = {"red", "green", "blue"} <= names
        xyz = np.empty((3, count), np.float64).T
        rgb = [np.empty(count, np.uint16) for _ in range(3)] if colored else []
        at = 0
        for piece in reader.chunk_iterator(_AT_ONCE):
            part = slice(at, at + len(piece))
            xyz[part, 0], xyz[part, 1], xyz[part, 2] = piece.x, piece.y, piece.z
            for channel, name in zip(rgb, ("red", "green", "blue"), strict=False):
                channel[part] = piece[name]
            at += len(piece)
    if at < count:
        raise Refused("short", count)
    return Raw(xyz, tables.as_bytes(rgb) if colored and max(int(channel.max()) for channel in rgb) else None)


def _check_head(head: bytes, size: int) -> None:
    """What the library would believe: how many records stand before the points. Offsets are the standard's."""
    if len(head) < 227:
        raise Refused("short", 0)
    header_size = int.from_bytes(head[94:96], "little")
    start, records = int.from_bytes(head[96:100], "little"), int.from_bytes(head[100:104], "little")
    if not 227 <= header_size <= start <= size or records * 54 > start - header_size:
        raise Refused("damaged")


def _check_chunks(data: memoryview, start: int, count: int) -> None:
    """A table says how many pieces the packed points are in; room for all of them is taken before any is read.

    Its place stands before the points, or at the file's end where it was not known yet (LASzip's format).
    """
    at = int.from_bytes(data[start : start + 8], "little", signed=True)
    if at == -1:
        at = int.from_bytes(data[-8:], "little", signed=True)
    if not start + 8 <= at <= len(data) - 8:
        raise Refused("damaged")
    if int.from_bytes(data[at + 4 : at + 8], "little") > count:
        raise Refused("damaged")

"""Tables of numbers, as PLY, PCD and text files hold them: named columns, binary or in words."""

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from qwen_demo.media.exchange import Refused
from qwen_demo.points.scene import Bytes, Floats

BLANKS = bytes.maketrans(b",;\t\r|", b"     ")
MOST_COLUMNS = 256
_RED, _GREEN, _BLUE = ("red", "r", "diffuse_red"), ("green", "g", "diffuse_green"), ("blue", "b", "diffuse_blue")


def records(data: memoryview, at: int, dtype: np.dtype, count: int) -> np.ndarray:
    """A view of `count` records. Raises `Refused`: the file ends before."""
    if count * dtype.itemsize > len(data) - at:
        raise Refused("short", count)
    found: np.ndarray = np.frombuffer(data, dtype, count, at)
    return found


def numbers(text: bytes, most: int) -> Floats:
    """All numbers of a text, up to the first word that is none.

    Raises:
        Refused: there are more than `most`.
    """
    # A number takes two characters, so what is longer than the numbers wanted need not be looked at.
    found = np.fromstring(text.translate(BLANKS), np.float64, sep=" ")
    if len(found) > most:
        raise Refused("points", len(found))
    return found


def rows(text: bytes, columns: int, count: int) -> Floats:
    """[count, columns]. Raises `Refused`: it ends before."""
    found = np.fromstring(text.translate(BLANKS), np.float64, count * columns, sep=" ")
    if len(found) < count * columns:
        raise Refused("short", count)
    return found.reshape(count, columns)


def column(table: np.ndarray, names: Sequence[str], *wanted: str) -> np.ndarray | None:
    """The first column that has one of some names; structured arrays and plain ones alike."""
    for name in wanted:
        if name in names:
            found: np.ndarray = table[name] if table.dtype.names else table[:, list(names).index(name)]
            return found
    return None


def places(table: np.ndarray, names: Sequence[str]) -> Floats:
    """[n, 3]. Raises `Refused`: x, y or z is missing."""
    found = [column(table, names, name, name.upper()) for name in "xyz"]
    if any(each is None or each.ndim != 1 for each in found):
        raise Refused("columns")
    kinds = [np.asarray(each).dtype for each in found]
    xyz = np.empty((3, len(table)), np.float32 if all(kind == np.float32 for kind in kinds) else np.float64).T
    for k, each in enumerate(found):
        xyz[:, k] = each
    return xyz


def colors(table: np.ndarray, names: Sequence[str]) -> Bytes | None:
    """[n, 3] of red, green and blue, or of a grey, in whatever range they are; None if there are none."""
    lower = [name.lower() for name in names]
    if table.dtype.names:
        lower = list(names)
    found = [column(table, lower, *each) for each in (_RED, _GREEN, _BLUE)]
    if any(each is None or each.ndim != 1 for each in found):
        return None
    return as_bytes([np.asarray(each) for each in found])


def as_bytes(channels: Sequence[np.ndarray]) -> Bytes:
    """[n, 3] of three arrays: bytes as they are, 16 bits and parts of 1 scaled."""
    if all(channel.dtype == np.uint8 for channel in channels):
        return np.stack(channels, -1)
    largest = max((float(np.nanmax(channel)) for channel in channels if len(channel)), default=0.0)
    factor = 1.0 if 1 < largest <= 255 else 255.0 if largest <= 1 else 255 / 65535
    if largest == 1 and all(channel.dtype.kind in "iu" for channel in channels):
        factor = 1.0
    made = np.empty((len(channels[0]), 3), np.uint8)
    for k, channel in enumerate(channels):
        made[:, k] = np.clip(np.nan_to_num(channel.astype(np.float32) * np.float32(factor)), 0, 255)
    return made


def polygons(counts: npt.NDArray[np.integer], corners: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Fans of triangles of polygons, whose corners stand one polygon after the other.

    Args:
        counts: corners of each polygon; those of fewer than three are left out.
    """
    starts = np.cumsum(counts) - counts
    made = []
    for size in np.unique(counts[counts >= 3]):
        first = starts[counts == size]
        for k in range(1, int(size) - 1):
            made.append(np.stack([corners[first], corners[first + k], corners[first + k + 1]], 1))
    return np.concatenate(made).astype(np.int64) if made else np.empty((0, 3), np.int64)


def lines(data: memoryview, most: int) -> list[bytes]:
    """The first lines of a file, of at most 4 KiB each."""
    head = bytes(data[: most * 128])
    return [line[:4096] for line in itertools.islice(head.split(b"\n"), most)]

"""PCD, the format of the Point Cloud Library: in words, binary, or binary compressed by LZF."""

from typing import Any

import numpy as np

from qwen_demo.media.exchange import Refused
from qwen_demo.media.readers import tables
from qwen_demo.media.readers.raw import Limits, Raw
from qwen_demo.points.scene import Bytes

_MOST_LINES = 40
_SIZES = {"F": (4, 8), "I": (1, 2, 4, 8), "U": (1, 2, 4, 8)}


def read(data: memoryview, limits: Limits) -> Raw:
    """Raises `Refused` or `ValueError`."""
    header, at = _header(data)
    names, count, dtype = header["fields"], header["points"], header["dtype"]
    limits.check(count, per_point=64 + 2 * dtype.itemsize)
    if header["data"] == "ascii":
        widths = header["counts"]
        table = tables.rows(bytes(data[at:]), sum(widths), count)
        starts = np.cumsum(widths) - widths
        table = table[:, starts]
    elif header["data"] == "binary":
        table = tables.records(data, at, dtype, count)
    else:
        table = _columns(data, at, dtype, count)
    return Raw(tables.places(table, names), _colors(table, names, dtype))


def _header(data: memoryview) -> tuple[dict[str, Any], int]:
    found: dict[str, list[str]] = {}
    at = 0
    for line in tables.lines(data, _MOST_LINES):
        at += len(line) + 1
        words = line.decode("latin-1").split()
        if words and not words[0].startswith("#"):
            found[words[0].upper()] = words[1:]
        if "DATA" in found:
            break
    try:
        fields = [name.lower() if name != "_" else f"_{k}" for k, name in enumerate(found["FIELDS"])]
        sizes, kinds = [int(each) for each in found["SIZE"]], found["TYPE"]
        counts = [int(each) for each in found.get("COUNT", ["1"] * len(fields))]
        points = int(found["POINTS"][0]) if "POINTS" in found else int(found["WIDTH"][0]) * int(found["HEIGHT"][0])
        form = found["DATA"][0].lower()
    except (KeyError, IndexError) as exc:
        raise Refused("damaged") from exc
    fit = len(fields) == len(sizes) == len(kinds) == len(counts) <= tables.MOST_COLUMNS
    if not fit or len(set(fields)) < len(fields) or not all(1 <= each <= 4096 for each in counts):
        raise Refused("columns")
    if form not in ("ascii", "binary", "binary_compressed") or not 0 <= points < 1 << 60:
        raise Refused("damaged")
    if any(size not in _SIZES.get(kind, ()) for size, kind in zip(sizes, kinds, strict=True)):
        raise Refused("columns")
    parts = [
        (name, f"<{kind.lower()}{size}", (count,)) if count > 1 else (name, f"<{kind.lower()}{size}")
        for name, kind, size, count in zip(fields, kinds, sizes, counts, strict=True)
    ]
    return {"fields": fields, "points": points, "dtype": np.dtype(parts), "counts": counts, "data": form}, at


def _columns(data: memoryview, at: int, dtype: np.dtype, count: int) -> np.ndarray:
    """Compressed data holds one field after the other."""
    packed, plain = (int(each) for each in tables.records(data, at, np.dtype("<u4"), 2))
    if plain != count * dtype.itemsize or packed > len(data) - at - 8:
        raise Refused("short", count)
    text = unpacked(bytes(data[at + 8 : at + 8 + packed]), plain)
    table = np.empty(count, dtype)
    start = 0
    for name in dtype.names or ():
        own = dtype[name]
        table[name] = np.frombuffer(text, own, count, start)
        start += own.itemsize * count
    return table


def unpacked(packed: bytes, size: int) -> bytearray:
    """LZF (liblzf's format): runs of plain bytes, and references to what was written before.

    Raises:
        Refused: it does not give exactly `size` bytes.
    """
    made = bytearray()
    at, end = 0, len(packed)
    try:
        while at < end:
            head = packed[at]
            at += 1
            if head < 32:
                made += packed[at : at + head + 1]
                at += head + 1
                continue
            length = head >> 5
            if length == 7:
                length += packed[at]
                at += 1
            back = len(made) - ((head & 31) << 8) - packed[at] - 1
            at += 1
            length += 2
            if back < 0 or len(made) + length > size:
                raise Refused("damaged")
            piece = made[back : back + length]
            while len(piece) < length:  # it reaches into what it writes itself
                piece += piece[: length - len(piece)]
            made += piece
    except IndexError as exc:
        raise Refused("damaged") from exc
    if len(made) != size:
        raise Refused("damaged")
    return made


def _colors(table: np.ndarray, names: list[str], dtype: np.dtype) -> Bytes | None:
    """PCL packs them in one number, whose four bytes may be called a float."""
    packed = tables.column(table, names, "rgb", "rgba")
    if packed is None or packed.ndim != 1:
        return tables.colors(table, names)
    if packed.dtype == np.float64:  # of a text: a float's own value, or the whole number
        own = dtype["rgb" if "rgb" in names else "rgba"]
        as_float = own == np.dtype("<f4")
        packed = packed.astype(np.float32).view(np.uint32) if as_float else np.nan_to_num(packed).astype(np.uint32)
    elif packed.dtype.itemsize == 4:
        packed = np.ascontiguousarray(packed).view(np.uint32)
    else:
        return None
    return np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], -1).astype(np.uint8)

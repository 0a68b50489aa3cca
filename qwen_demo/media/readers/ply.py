"""PLY, the polygon file format of Stanford, in words or binary, points or polygons."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qwen_demo.media.exchange import Refused
from qwen_demo.media.readers import tables
from qwen_demo.media.readers.raw import Limits, Raw
from qwen_demo.points.scene import Surface

_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_HEADER_BYTES = 1 << 16
_MOST_CORNERS = 255
Properties = list[tuple[str, ...]]  # (type, name) or ("list", type, type, name)
Element = tuple[str, int, Properties]  # name, count, properties
Corners = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # how many of each polygon, and all of them
Found = tuple[np.ndarray | Corners, list[str], int]  # records or corners, names, where the next element begins


def read(data: memoryview, limits: Limits) -> Raw:
    """Raises `Refused` or `ValueError`."""
    form, elements, at = _header(data)
    counts = {name: count for name, count, _ in elements}
    limits.check(counts.get("vertex", 0), counts.get("face", 0))
    order = ">" if form == "binary_big_endian" else "<"
    rest = bytes(data[at:]) if form == "ascii" else data
    xyz = rgb = None
    corners = np.empty((0, 3), np.int64)
    offset = 0 if form == "ascii" else at
    for name, count, properties in elements:
        if form == "ascii":
            found, names, offset = _words(rest if isinstance(rest, bytes) else b"", offset, count, properties)
        else:
            found, names, offset = _binary(data, offset, count, properties, order)
        if name == "vertex":
            if isinstance(found, tuple):
                raise Refused("columns")
            xyz, rgb = tables.places(found, names), tables.colors(found, names)
        elif name == "face" and isinstance(found, tuple):
            corners = tables.polygons(*found)
    if xyz is None:
        raise Refused("nothing")
    if len(corners) > limits.triangles:
        raise Refused("triangles", len(corners))
    if len(corners) and not 0 <= corners.min() <= corners.max() < len(xyz):
        raise Refused("damaged")
    return Raw(xyz, rgb, (Surface(corners),) if len(corners) else ())


def _header(data: memoryview) -> tuple[str, list[Element], int]:
    head = bytes(data[:_HEADER_BYTES])
    end = head.find(b"end_header")
    start = head.find(b"\n", end) + 1
    if end < 0 or start < 1:
        raise Refused("damaged")
    form, elements = "", list[Element]()
    for line in head[:end].decode("latin-1").splitlines():
        match line.split():
            case ["format", form, _]:
                pass
            case ["element", name, count] if count.isdecimal() and len(count) < 16:
                elements.append((name, int(count), []))
            case ["property", "list", size, kind, name] if elements and size in _TYPES and kind in _TYPES:
                elements[-1][2].append(("list", _TYPES[size], _TYPES[kind], name))
            case ["property", kind, name] if elements and kind in _TYPES:
                elements[-1][2].append((_TYPES[kind], name))
            case ["ply" | "comment" | "obj_info", *_] | []:
                pass
            case _:
                raise Refused("damaged")
    if form not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise Refused("damaged")
    if len(elements) > 32 or any(len(element[2]) > tables.MOST_COLUMNS for element in elements):
        raise Refused("columns")
    return form, elements, start


def _binary(data: memoryview, at: int, count: int, properties: Properties, order: str) -> Found:
    lists = [each for each in properties if each[0] == "list"]
    names = [each[-1] for each in properties]
    if len(set(names)) < len(names):
        raise Refused("columns")
    if not lists:
        dtype = np.dtype([(each[-1], order + each[0]) for each in properties])
        return tables.records(data, at, dtype, count), names, at + count * dtype.itemsize
    if len(lists) > 1 or not count:
        if not count:
            return (np.empty(0, np.int64), np.empty(0, np.int64)), names, at
        raise Refused("columns")
    if lists[0][1] not in ("u1", "i1", "u2", "i2", "u4", "i4") or lists[0][2][0] == "f":
        raise Refused("columns")
    return _lists(data, at, count, properties, order), names, _LAST


_LAST = 1 << 62  # what follows a list is not looked for


def _lists(data: memoryview, at: int, count: int, properties: Properties, order: str) -> Corners:
    """Of an element with one list in it."""
    if at >= _LAST:
        raise Refused("columns")
    width = np.dtype(next(each for each in properties if each[0] == "list")[1]).itemsize
    before = sum(np.dtype(each[0]).itemsize for each in properties[: _place(properties)])
    first = int(np.frombuffer(data, order + _list(properties)[1], 1, at + before)[0])
    if not 0 <= first <= _MOST_CORNERS:
        raise Refused("damaged")
    dtype = np.dtype([_field(each, order, first) for each in properties for _ in (0,)])
    if count * dtype.itemsize <= len(data) - at:
        found = tables.records(data, at, dtype, count)
        sizes = found[_list(properties)[3]]["n"]
        if (sizes == first).all():
            return sizes.astype(np.int64), found[_list(properties)[3]]["v"].astype(np.int64).reshape(-1)
    return _uneven(data, at, count, properties, order, width)


def _uneven(data: memoryview, at: int, count: int, properties: Properties, order: str, width: int) -> Corners:
    """The same one by one, where polygons differ."""
    kind = _list(properties)[2]
    each = np.dtype(kind).itemsize
    place = _place(properties)
    before = sum(np.dtype(p[0]).itemsize for p in properties[:place])
    after = sum(np.dtype(p[0]).itemsize for p in properties[place + 1 :])
    endian: Literal["big", "little"] = "big" if order == ">" else "little"
    sizes: list[int] = []
    places: list[int] = []
    for _ in range(count):
        at += before
        if at + width > len(data):
            raise Refused("short", count)
        size = int.from_bytes(data[at : at + width], endian)
        at += width
        if size > _MOST_CORNERS:
            raise Refused("damaged")
        sizes.append(size)
        places.append(at)
        at += size * each + after
    if at > len(data):
        raise Refused("short", count)
    counts = np.array(sizes, np.int64)
    starts = np.repeat(np.array(places, np.int64), counts)
    steps = np.arange(len(starts)) - np.repeat(np.cumsum(counts) - counts, counts)
    octets = np.frombuffer(data, np.uint8)[(starts + steps * each)[:, None] + np.arange(each)]
    return counts, octets.copy().view(order + kind).reshape(-1).astype(np.int64)


def _place(properties: Properties) -> int:
    return next(k for k, each in enumerate(properties) if each[0] == "list")


def _list(properties: Properties) -> tuple[str, ...]:
    return properties[_place(properties)]


def _field(each: tuple[str, ...], order: str, size: int) -> tuple[str, Any]:
    if each[0] == "list":
        return each[3], np.dtype([("n", order + each[1]), ("v", order + each[2], (size,))])
    return each[-1], order + each[0]


def _words(text: bytes, at: int, count: int, properties: Properties) -> Found:
    """As `_binary`, of lines."""
    names = [each[-1] for each in properties]
    end = _after_lines(text, at, count)
    lists = [each for each in properties if each[0] == "list"]
    if not lists:
        return tables.rows(text[at:end], len(properties), count), names, end
    if len(properties) > 1:
        # What stands beside the corners is dropped line by line.
        place = _place(properties)
        kept = []
        for line in text[at:end].split(b"\n")[:count]:
            words = line.split()[place:]
            kept.append(b" ".join(words[: 1 + int(words[0])] if words else words))
        flat = tables.numbers(b"\n".join(kept), (count + 1) * (_MOST_CORNERS + 1))
    else:
        flat = tables.numbers(text[at:end], (count + 1) * (_MOST_CORNERS + 1))
    return _split(flat, count), names, end


def _split(flat: npt.NDArray[np.floating], count: int) -> Corners:
    """Of numbers in which each polygon's size stands before its corners."""
    if not np.isfinite(flat).all():
        raise Refused("damaged")
    whole = flat.astype(np.int64)
    if count and len(whole) == 4 * count and (whole[::4] == 3).all():
        return whole[::4], whole.reshape(-1, 4)[:, 1:].reshape(-1)
    sizes, places, at = [], [], 0
    for _ in range(count):
        if at >= len(whole) or not 0 <= whole[at] <= _MOST_CORNERS:
            raise Refused("short", count)
        sizes.append(int(whole[at]))
        places.append(at + 1)
        at += 1 + sizes[-1]
    if at > len(whole):
        raise Refused("short", count)
    counts = np.array(sizes, np.int64)
    starts = np.repeat(np.array(places, np.int64), counts)
    return counts, whole[starts + np.arange(len(starts)) - np.repeat(np.cumsum(counts) - counts, counts)]


def _after_lines(text: bytes, at: int, count: int) -> int:
    """Where the line begins that follows `count` others."""
    ends = np.flatnonzero(np.frombuffer(text, np.uint8)[at:] == 10)
    if len(ends) >= count:
        return at + int(ends[count - 1]) + 1 if count else at
    if len(ends) + 1 < count:
        raise Refused("short", count)
    return len(text)

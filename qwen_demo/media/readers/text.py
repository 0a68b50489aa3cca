"""Points in lines of text: x y z, with an intensity, with red, green and blue, with both; after some words or none."""

import numpy as np

from qwen_demo.media.exchange import Refused
from qwen_demo.media.readers import tables
from qwen_demo.media.readers.raw import Limits, Raw
from qwen_demo.points.scene import Bytes, Floats

_MOST_HEADINGS = 20
_MOST_COLUMNS = 32


def read(data: memoryview, limits: Limits) -> Raw:
    """Raises `Refused`."""
    text, columns = _headless(data)
    lines = int(np.count_nonzero(np.frombuffer(text, np.uint8) == 10)) + 1
    limits.check(lines, per_point=64 + 8 * columns)
    flat = tables.numbers(bytes(text), (lines + 1) * columns)
    whole = len(flat) // columns * columns
    if not whole or (len(flat) - whole and len(flat) // columns < 3):
        raise Refused("columns")
    if whole < (lines - 2) * columns * 0.5:  # it stopped at a word in the middle, or rows differ
        raise Refused("damaged")
    table = flat[:whole].reshape(-1, columns)
    return Raw(table[:, :3], _colors(table))


def heading(line: bytes) -> bool:
    """Whether a line is no row of at least three numbers."""
    words = line.translate(tables.BLANKS).split()
    try:
        return len([float(word) for word in words]) < 3
    except ValueError:
        return True


def _headless(data: memoryview) -> tuple[memoryview, int]:
    """The rows, and how many columns the first one has."""
    at = 0
    for line in tables.lines(data, _MOST_HEADINGS):
        if not heading(line):
            columns = len(line.translate(tables.BLANKS).split())
            if columns > _MOST_COLUMNS:
                raise Refused("columns")
            return data[at:], columns
        at += len(line) + 1
    raise Refused("columns")


def _colors(table: Floats) -> Bytes | None:
    """Of three columns that can be nothing else: x y z r g b, x y z intensity r g b."""
    columns = table.shape[1]
    start = {6: 3, 7: 4}.get(columns)
    if start is None and columns > 7:
        start = 3
    if start is None:
        return None
    part = table[:, start : start + 3]
    if not (np.isfinite(part).all() and part.min() >= 0 and part.max() <= 65535):
        return None
    if part.max() > 1 and (part != part.astype(np.int64)).any():
        return None
    return tables.as_bytes([part[:, k] for k in range(3)])

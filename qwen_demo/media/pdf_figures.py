"""Where a PDF page has figures and tables, by what the file draws: images, drawings, ruled areas. In a decoder.

Neighbouring shapes are one area. What covers the page is its ground (a scan, a colour), and what is small is ornament:
neither is a figure.
"""

import ctypes
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

Box = tuple[float, float, float, float]

DRAWN = (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_PATH, pdfium.FPDF_PAGEOBJ_SHADING)
MOST_OBJECTS = 6_000  # looked at on a page
MOST_FIGURES = 6  # of a page, the largest; as in `texts.py`
MOST_DEPTH = 3  # of forms in forms
CELL = 10.0  # points; what is nearer than one or two of these is together
LEAST_SIDE, LEAST_PART = 36.0, 0.01  # points, and of the page's area
GROUND = 0.88  # of the page's area, from which on it is what lies under everything
RULE = 3.0  # points; a thinner shape is a line
LEAST_SEGMENTS = 16  # of a drawing; a frame around words has five
LEAST_RULES = 3
RULES_APART = 220.0  # points between two lines of one table at most
ALIKE = 4.0  # points by which ends of such lines may differ
MOST_CELLS = 300_000  # that shapes of a page may lie on in all, so that no page takes long
SCALE = 1 << 20  # steps of a page's side, as the library's places on the device are whole numbers


@dataclass(slots=True)
class Shape:
    """What is drawn at a place. `kind`: `image`, `path` or `rule`; `box` in points from the upper left corner."""

    kind: str
    box: Box
    segments: int = 0


class Places:
    """From the page's own coordinates to parts of it as it is drawn: cropped, turned upright, from the upper left."""

    def __init__(self, page: pypdfium2.PdfPage):
        self._page = page
        self._x, self._y = ctypes.c_int(), ctypes.c_int()

    def part(self, x1: float, y1: float, x2: float, y2: float) -> Box:
        """Of two opposite corners, clipped to the page."""
        one, other = self._point(x1, y1), self._point(x2, y2)
        left, right = sorted((one[0], other[0]))
        top, bottom = sorted((one[1], other[1]))
        return max(0.0, left), max(0.0, top), min(1.0, right), min(1.0, bottom)

    def _point(self, x: float, y: float) -> tuple[float, float]:
        pdfium.FPDF_PageToDevice(self._page, 0, 0, SCALE, SCALE, 0, x, y, self._x, self._y)
        return self._x.value / SCALE, self._y.value / SCALE


def figures(page: pypdfium2.PdfPage, size: tuple[float, float], places: Places) -> list[dict[str, Any]]:
    """In reading order, each with its `box` in parts of the page and whether it is a `table`. `size`: in points."""
    width, height = size
    drawn = {(shape.kind, tuple(map(round, shape.box))): shape for shape in _shapes(page, size, places)}
    shapes = [shape for shape in drawn.values() if _area(shape.box) < GROUND * width * height]
    found = [*_ruled(shapes), *_areas(shapes, size)]
    kept: list[tuple[Box, bool]] = []
    for box, table in sorted(found, key=lambda each: -_area(each[0])):
        if _is_large(box, size) and not any(_shared(box, other) > 0.5 * _area(box) for other, _ in kept):
            kept.append((box, table))
    parts = [((x1 / width, y1 / height, x2 / width, y2 / height), table)
             for (x1, y1, x2, y2), table in kept[:MOST_FIGURES]]  # fmt: skip
    parts.sort(key=lambda each: (round(each[0][1], 2), each[0][0]))
    return [{"box": [round(value, 4) for value in box], "table": table} for box, table in parts]


def _is_large(box: Box, size: tuple[float, float]) -> bool:
    part = _area(box) / (size[0] * size[1])
    return min(box[2] - box[0], box[3] - box[1]) >= LEAST_SIDE and LEAST_PART <= part < GROUND


def _shapes(page: pypdfium2.PdfPage, size: tuple[float, float], places: Places) -> Iterator[Shape]:
    left = [MOST_OBJECTS]
    get = pdfium.FPDFPage_GetObject
    whole = (pdfium.FS_MATRIX)(1, 0, 0, 1, 0, 0)
    for shape in _drawn(pdfium.FPDFPage_CountObjects(page), lambda index: get(page, index), whole, 0, left):
        x1, y1, x2, y2 = places.part(*shape.box)
        box = (x1 * size[0], y1 * size[1], x2 * size[0], y2 * size[1])
        if box[0] <= box[2] and box[1] <= box[3]:
            thin = shape.kind == "path" and min(box[2] - box[0], box[3] - box[1]) < RULE
            yield Shape("rule" if thin else shape.kind, box, shape.segments)


def _drawn(count: int, get: Callable[[int], Any], matrix: Any, depth: int, left: list[int]) -> Iterator[Shape]:
    """In coordinates of the page. `left`: how many objects may still be looked at."""
    bounds = [ctypes.c_float() for _ in range(4)]
    for index in range(max(0, count)):
        if left[0] <= 0:
            return
        left[0] -= 1
        each = get(index)
        kind = pdfium.FPDFPageObj_GetType(each)
        if kind == pdfium.FPDF_PAGEOBJ_FORM and depth < MOST_DEPTH:
            own = pdfium.FS_MATRIX()
            if pdfium.FPDFPageObj_GetMatrix(each, own):
                inner = pdfium.FPDFFormObj_CountObjects(each)
                yield from _drawn(inner, _of_form(each), _product(own, matrix), depth + 1, left)
        elif kind in DRAWN and pdfium.FPDFPageObj_GetBounds(each, *bounds):
            path = kind == pdfium.FPDF_PAGEOBJ_PATH
            segments = max(0, pdfium.FPDFPath_CountSegments(each)) if path else 0
            box = _moved([value.value for value in bounds], matrix)
            yield Shape("image" if kind == pdfium.FPDF_PAGEOBJ_IMAGE else "path", box, segments)


def _of_form(form: Any) -> Callable[[int], Any]:
    return lambda index: pdfium.FPDFFormObj_GetObject(form, index)


def _product(one: Any, other: Any) -> Any:
    """First `one`, then `other`."""
    return pdfium.FS_MATRIX(
        one.a * other.a + one.b * other.c,
        one.a * other.b + one.b * other.d,
        one.c * other.a + one.d * other.c,
        one.c * other.b + one.d * other.d,
        one.e * other.a + one.f * other.c + other.e,
        one.e * other.b + one.f * other.d + other.f,
    )


def _moved(bounds: list[float], matrix: Any) -> Box:
    left, bottom, right, top = bounds
    corners = [(matrix.a * x + matrix.c * y + matrix.e, matrix.b * x + matrix.d * y + matrix.f)
               for x in (left, right) for y in (bottom, top)]  # fmt: skip
    xs, ys = zip(*corners, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def _ruled(shapes: list[Shape]) -> Iterator[tuple[Box, bool]]:
    """Tables of horizontal lines alone: three or more below each other, from the same left to the same right."""
    level = [shape.box for shape in shapes if shape.kind == "rule" and _wide(shape.box)]
    chains: list[list[Box]] = []
    for box in sorted(level, key=lambda each: each[1]):
        for chain in chains:
            last = chain[-1]
            same = abs(box[0] - last[0]) < ALIKE and abs(box[2] - last[2]) < ALIKE
            if same and box[1] - last[3] < RULES_APART:
                chain.append(box)
                break
        else:
            chains.append([box])
    for chain in chains:
        if len({round(box[1] / RULE) for box in chain}) >= LEAST_RULES:
            yield (chain[0][0], chain[0][1], chain[0][2], chain[-1][3]), True


def _areas(shapes: list[Shape], size: tuple[float, float]) -> Iterator[tuple[Box, bool]]:
    """Shapes that touch or nearly do, as one."""
    for group in _together(shapes, size):
        box = _around([shape.box for shape in group])
        paths = [shape for shape in group if shape.kind != "image"]
        if len(paths) < len(group):
            yield box, False
        elif _is_grid(paths, box):
            yield box, True
        elif sum(shape.segments for shape in paths if shape.kind == "path") >= LEAST_SEGMENTS:
            yield box, False


def _is_grid(paths: list[Shape], box: Box) -> bool:
    """Lines across and down, or cells in rows and columns, and nothing else of weight."""
    if sum(shape.segments for shape in paths if shape.segments > 5) >= LEAST_SEGMENTS:
        return False
    cells = [shape.box for shape in paths if shape.kind != "rule"]
    tops, lefts = (Counter(round(cell[axis] / ALIKE) for cell in cells) for axis in (1, 0))
    in_rows = sum(tops[round(cell[1] / ALIKE)] > 1 and lefts[round(cell[0] / ALIKE)] > 1 for cell in cells)
    if in_rows < 0.6 * len(cells):
        return False
    level = [shape.box for shape in paths if shape.kind == "rule" and _wide(shape.box)]
    across = {round(each[1] / ALIKE) for each in level if each[2] - each[0] > 0.6 * (box[2] - box[0])}
    return len(across) >= LEAST_RULES or in_rows >= 4


def _together(shapes: list[Shape], size: tuple[float, float]) -> list[list[Shape]]:
    """By the cells of a grid that they lie on, each with a cell around it."""
    owner: dict[tuple[int, int], int] = {}
    parents = list(range(len(shapes)))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = parents[index]
        return index

    step, left = max(CELL, max(size) / 300), MOST_CELLS
    for index, shape in enumerate(shapes):
        x1, y1, x2, y2 = (int(value // step) for value in shape.box)
        left -= (x2 - x1 + 2) * (y2 - y1 + 2)
        if left < 0:
            break
        for cell in ((x, y) for x in range(x1, x2 + 2) for y in range(y1, y2 + 2)):
            parents[root(owner.setdefault(cell, index))] = root(index)
    groups: dict[int, list[Shape]] = {}
    for index, shape in enumerate(shapes):
        groups.setdefault(root(index), []).append(shape)
    return list(groups.values())


def _wide(box: Box) -> bool:
    return box[2] - box[0] > box[3] - box[1]


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared(one: Box, other: Box) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    return max(0.0, across) * max(0.0, min(one[3], other[3]) - max(one[1], other[1]))


def _around(boxes: list[Box]) -> Box:
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    return min(x1), min(y1), max(x2), max(y2)

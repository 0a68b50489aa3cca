"""Model text -> boxes and points in the original picture's pixels. Pure, and never `eval`.

Qwen2.5-VL writes JSON, `[{"bbox_2d": [x1, y1, x2, y2], "label": "..."}]` or `point_2d`, in pixels
of the picture as it saw it (model card of Qwen2.5-VL-7B-Instruct). Text is read as it comes: in a
fence or bare, cut off, with broken objects between good ones, with anything hostile in it.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

MOST_MARKS = 500
LONGEST_LABEL = 200
# Long before that an answer is no list of boxes any more.
LONGEST_TEXT = 200_000


@dataclass(frozen=True, slots=True)
class Mark:
    """A box (x1, y1, x2, y2) or a point (x, y), in pixels."""

    coordinates: tuple[float, ...]
    label: str

    @property
    def is_box(self) -> bool:
        return len(self.coordinates) == 4


def find(text: str) -> list[Mark]:
    """All marks in `text`, in its order, in the pixels that the model writes; at most `MOST_MARKS`."""
    marks = []
    # Objects of marks hold no objects, so each is found on its own, whatever is broken around it.
    for match in re.finditer(r"\{[^{}]*\}", text[:LONGEST_TEXT]):
        if '_2d"' in match.group() and (mark := _mark(match.group())):
            marks.append(mark)
            if len(marks) == MOST_MARKS:
                break
    return marks


def _mark(text: str) -> Mark | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    for name, count in (("bbox_2d", 4), ("point_2d", 2)):
        numbers = found.get(name)
        if isinstance(numbers, list) and len(numbers) == count and all(map(_is_coordinate, numbers)):
            label = found.get("label", found.get("text_content", ""))
            return Mark(tuple(map(float, numbers)), str(label)[:LONGEST_LABEL])
    return None


def _is_coordinate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 1e7


def place(marks: Iterable[Mark], seen: tuple[int, int], original: tuple[int, int]) -> list[Mark]:
    """Scale from the size that the model saw to the original, and clip to it.

    Boxes keep x1 < x2 and y1 < y2; what lies wholly outside or has no area is left out.

    Args:
        seen, original: width and height in pixels.
    """
    (seen_w, seen_h), (width, height) = seen, original
    placed = []
    for mark in marks:
        xs = [min(max(x * width / seen_w, 0.0), float(width)) for x in mark.coordinates[0::2]]
        ys = [min(max(y * height / seen_h, 0.0), float(height)) for y in mark.coordinates[1::2]]
        if mark.is_box:
            xs, ys = sorted(xs), sorted(ys)
            if xs[0] == xs[1] or ys[0] == ys[1]:
                continue
        placed.append(replace(mark, coordinates=tuple(c for pair in zip(xs, ys, strict=True) for c in pair)))
    return placed

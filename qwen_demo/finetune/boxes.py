"""Boxes and points in what is taught, brought to the pixels that the model sees.

Qwen2.5-VL says places in pixels of the image after its own resizing (technical report, section 2.1), while people label
the image that they have. Learnt as they are, such boxes teach a scale that differs from image to image.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Literal

Size = tuple[int, int]
Boxes = Literal["original", "processed", "thousandths"]
BOXES: tuple[Boxes, ...] = ("original", "processed", "thousandths")
THOUSANDTHS = 1000
SLACK = 1.0  # pixels that a box may reach beyond its image: labels are often counted from one

_PLACES = re.compile(r"""(["'](?:bbox_2d|point_2d)["']\s{0,9}:\s{0,9})(\[[\d\s.,\-\[\]]{1,4000}\])""")

Values = tuple[float, ...]


def converted(text: str, boxes: Boxes, original: Size, seen: Size) -> str:
    """`text` with every box and point in the model's pixels, whole numbers.

    Args:
        boxes: what the numbers are: pixels of the `original` image, of the `processed` one, or thousandths of a side.
        original, seen: width and height.
    """
    if boxes == "processed":
        return text
    return rescaled(text, original if boxes == "original" else (THOUSANDTHS, THOUSANDTHS), seen)


def rescaled(text: str, source: Size, target: Size) -> str:
    """`text` with every box and point brought from an image of one size to the same in another, whole numbers."""

    def scaled(values: Values) -> Values:
        sides = (target[0] / source[0], target[1] / source[1])
        return tuple(min(max(round(v * sides[i % 2]), 0), target[i % 2]) for i, v in enumerate(values))

    return _each(text, scaled)


def outside(text: str, boxes: Boxes, original: Size, seen: Size) -> list[Values]:
    """Boxes and points that do not lie in the image, have no area, or the wrong count of numbers."""
    width, height = {"original": original, "processed": seen, "thousandths": (THOUSANDTHS, THOUSANDTHS)}[boxes]
    bad: list[Values] = []

    def look(values: Values) -> Values:
        xs, ys = values[0::2], values[1::2]
        within = all(-SLACK <= x <= width + SLACK for x in xs) and all(-SLACK <= y <= height + SLACK for y in ys)
        ordered = len(values) == 2 or (len(values) == 4 and xs[0] < xs[1] and ys[0] < ys[1])
        if not within or not ordered:
            bad.append(values)
        return values

    _each(text, look)
    return bad


def has_places(text: str) -> bool:
    return _PLACES.search(text) is not None


def _each(text: str, change: Callable[[Values], Values]) -> str:
    def replaced(found: re.Match[str]) -> str:
        try:
            return found.group(1) + json.dumps(_changed(json.loads(found.group(2)), change))
        except ValueError:
            return found.group(0)

    return _PLACES.sub(replaced, text)


def _changed(value: Any, change: Callable[[Values], Values]) -> Any:
    """Of a list of numbers, or of a list of such lists."""
    if value and all(isinstance(each, list) for each in value):
        return [_changed(each, change) for each in value]
    if all(isinstance(each, int | float) for each in value):
        return list(change(tuple(value)))
    return value

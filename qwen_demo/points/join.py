"""The same thing marked in several views is one thing: marks whose places meet in space are joined."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qwen_demo.points import places
from qwen_demo.points.places import Box3D, Found
from qwen_demo.types import Points, Vector

_MEET = 0.12  # boxes that overlap by so much of the smaller one are of one thing
_CLOSE = 0.04  # of the scene's size: so near are two points of one thing
_LEAST_VIEWED = 0.15


@dataclass(frozen=True, slots=True)
class Mark:
    """A rectangle (x1, y1, x2, y2) or a point (x, y) in the pixels of a view; views count from 0."""

    view: int
    coordinates: tuple[float, ...]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something in space that was marked in one view or more.

    Attributes:
        center: of its box, or the place that a point hits; None where nothing is drawn at its marks.
        box: None of points alone.
        marks: numbers of what was marked, in the order in which it came.
        rays: of the marks.
    """

    label: str
    center: Vector | None
    box: Box3D | None
    marks: tuple[int, ...]
    rays: tuple[places.Ray, ...]


def things(points: Points, marks: Sequence[Mark]) -> list[Thing]:
    """What was marked, in the order in which it was first; marks in views that there are not are left out."""
    kept = [(number, mark) for number, mark in enumerate(marks) if 0 <= mark.view < len(points.views)]
    groups: list[list[tuple[int, Mark, Found]]] = []
    for number, mark in kept:
        is_box = len(mark.coordinates) == 4
        found = (
            places.in_box(points, mark.view, mark.coordinates)
            if is_box
            else places.at_point(points, mark.view, *mark.coordinates)
        )
        scores = [_score(points, group, mark, found) for group in groups]
        if scores and max(scores) > 0:
            groups[int(np.argmax(scores))].append((number, mark, found))
        else:
            groups.append([(number, mark, found)])
    return [_thing(points, group) for group in groups]


def _score(points: Points, group: list[tuple[int, Mark, Found]], mark: Mark, found: Found) -> float:
    """How well a mark fits to others of one thing; 0 where it is another's."""
    first = group[0][1]
    if found.center is None or _word(first.label) != _word(mark.label):
        return 0.0
    if len(first.coordinates) != len(mark.coordinates) or any(mark.view == other.view for _, other, _ in group):
        return 0.0
    there = [each.surface for _, _, each in group if each.center is not None]
    if not there:
        return 0.0
    if len(mark.coordinates) == 2:
        apart = np.linalg.norm(np.concatenate(there).mean(0) - found.surface[0])
        size = max(high - low for low, high in zip(points.low, points.high, strict=True))
        return max(0.0, 1.0 - float(apart) / (_CLOSE * size))
    shared = _shared(points, places.box_around(points, np.concatenate(there)), found)
    return shared if shared > _MEET else 0.0


def _shared(points: Points, box: Box3D, found: Found) -> float:
    """Common part of two boxes, of the smaller one; each is given some thickness, as a view sees only one side."""
    frame = np.array(points.frame)
    other = places.box_around(points, found.surface)
    least = _LEAST_VIEWED * max(*box.size, *other.size)
    volumes, lows, highs = [], [], []
    for each in (box, other):
        half = np.maximum(np.array(each.size), least) / 2
        middle = frame @ np.array(each.center)
        lows.append(middle - half)
        highs.append(middle + half)
        volumes.append(float(np.prod(2 * half)))
    common = np.maximum(np.minimum(*highs) - np.maximum(*lows), 0)
    return float(np.prod(common)) / max(min(volumes), 1e-300)


def _thing(points: Points, group: list[tuple[int, Mark, Found]]) -> Thing:
    there = [found for _, _, found in group if found.center is not None]
    label = next((mark.label for _, mark, _ in group if mark.label), "")
    numbers, rays = tuple(number for number, _, _ in group), tuple(found.ray for _, _, found in group)
    if not there:
        return Thing(label, None, None, numbers, rays)
    surface = np.concatenate([found.surface for found in there])
    if len(group[0][1].coordinates) == 2:
        middle = surface.mean(0)
        return Thing(label, (float(middle[0]), float(middle[1]), float(middle[2])), None, numbers, rays)
    box = places.box_around(points, surface)
    return Thing(label, box.center, box, numbers, rays)


def _word(label: str) -> str:
    return " ".join(label.lower().split())

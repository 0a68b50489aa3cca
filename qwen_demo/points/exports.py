"""Things in space as JSON and as CSV."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from qwen_demo.points.join import Mark, Thing
from qwen_demo.spreadsheets import cell
from qwen_demo.types import Points

COLUMNS = (
    *("label", "x", "y", "z", "size_a", "size_b", "size_up"),
    *("low_x", "low_y", "low_z", "high_x", "high_y", "high_z", "views"),
)


def document(points: Points, things: Sequence[Thing], marks: Sequence[Mark]) -> dict[str, Any]:
    """All of it, in the data's coordinates and unit; views count from 1, as in the prompt."""
    return {
        "name": points.name,
        "points": points.points,
        "triangles": points.triangles,
        "frame": [list(axis) for axis in points.frame],
        "things": [_thing(thing, marks) for thing in things],
        "views": [
            {
                "number": number,
                "azimuth": view.azimuth,
                "elevation": view.elevation,
                "side": view.camera.side,
                "origin": list(view.camera.origin),
                "right": list(view.camera.right),
                "down": list(view.camera.down),
                "forward": list(view.camera.forward),
                "unit_per_pixel": view.camera.unit_per_pixel,
            }
            for number, view in enumerate(points.views, 1)
        ],
    }


def _thing(thing: Thing, marks: Sequence[Mark]) -> dict[str, Any]:
    box = thing.box
    return {
        "label": thing.label,
        "center": None if thing.center is None else list(thing.center),
        "box": box and {"size": list(box.size), "low": list(box.low), "high": list(box.high)},
        "marks": [
            {
                "view": marks[number].view + 1,
                "bbox_2d" if len(marks[number].coordinates) == 4 else "point_2d": list(marks[number].coordinates),
                "ray": {"origin": list(ray.origin), "direction": list(ray.direction)},
            }
            for number, ray in zip(thing.marks, thing.rays, strict=True)
        ],
    }


def as_json(points: Points, things: Sequence[Thing], marks: Sequence[Mark]) -> str:
    return json.dumps(document(points, things, marks), ensure_ascii=False, indent=1, allow_nan=False)


def as_csv(things: Sequence[Thing], marks: Sequence[Mark]) -> str:
    """One line for each thing (RFC 4180); what was hit nowhere has no numbers."""
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(COLUMNS)
    for thing in things:
        box = thing.box
        numbers: list[float | str] = ["", "", ""] if thing.center is None else list(thing.center)
        numbers += [*box.size, *box.low, *box.high] if box else [""] * 9
        views = " ".join(str(marks[number].view + 1) for number in thing.marks)
        rows.writerow([cell(thing.label), *numbers, views])
    return file.getvalue()

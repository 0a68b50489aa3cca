"""What an answer marks on the views of a point cloud or 3D model: on the sheet of all views, in words, as files.

While an answer grows its marks stand alone; once it is whole, those that meet in space are one thing, whose box is
drawn into every view. Coordinates are the data's own, or pixels of the sheet.
"""

import asyncio
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageColor
import PIL.ImageDraw

from qwen_demo.answers import places
from qwen_demo.answers.annotations import COLOURS
from qwen_demo.models.pixels import seen_views
from qwen_demo.points import camera, shell
from qwen_demo.points.exports import as_csv, as_json
from qwen_demo.points.join import Mark, Thing
from qwen_demo.points.places import Box3D
from qwen_demo.types import ModelInfo, Points, Vector
from qwen_demo.ui import attachments, gradio_internals
from qwen_demo.ui.attachments import Gallery

FORMATS = ("json", "csv", "png")
MOST_REMEMBERED = 32  # answers, of which numbers and labels alone are kept
_NOWHERE = "–"
Ends = tuple[float, float, float, float]  # x1, y1, x2, y2 of a line
# Ends of a box's edges among its corners, which are numbered by low and high along three axes.
_EDGES = [(a, b) for a, b in product(range(8), repeat=2) if a < b and (a ^ b) in (1, 2, 4)]


@dataclass(frozen=True, slots=True)
class Marked:
    """`things` is empty while the answer grows."""

    points: Points
    marks: list[Mark]
    things: list[Thing]


def marked(text: str, points: Points, model: ModelInfo, max_pixels: int | None = None, whole: bool = True) -> Marked:
    """What a text marks.

    Args:
        max_pixels: budget of the request that it answers.
        whole: it is, so what it marks is looked for in space.
    """
    seen = seen_views(points, model, max_pixels)
    if whole:
        return Marked(points, *places.places(text, points, seen))
    return Marked(points, places.marks(text, points, seen), [])


def on_sheet(found: Marked) -> list[dict[str, Any]]:
    """One for each thing: `at` and `more` are its marks, `edges` the lines of its box, `spot` its place in words."""
    things = found.things or [Thing(mark.label, None, None, (k,), ()) for k, mark in enumerate(found.marks)]
    return [
        {
            "at": _at(found, thing.marks[0]),
            "more": [_at(found, number) for number in thing.marks[1:]],
            "edges": edges(found.points, thing.box) if thing.box else [],
            "label": thing.label,
            "colour": COLOURS[index % len(COLOURS)],
            "spot": spot(found.points, thing) if found.things else "",
        }
        for index, thing in enumerate(things)
    ]


def _at(found: Marked, number: int) -> list[float]:
    mark = found.marks[number]
    corner = attachments.corner_of(found.points.views[mark.view].camera.side, len(found.points.views), mark.view)
    return [round(value + corner[k % 2], 1) for k, value in enumerate(mark.coordinates)]


def edges(points: Points, box: Box3D) -> list[Ends]:
    """The lines of a box in all views."""
    frame = np.array(points.frame)
    middle, half = frame @ np.array(box.center), np.array(box.size) / 2
    corners = np.array([middle + half * signs for signs in product((-1, 1), repeat=3)]) @ frame
    lines = []
    for number, view in enumerate(points.views):
        corner = np.array(attachments.corner_of(view.camera.side, len(points.views), number))
        seen = camera.seen_at(view.camera, corners)[:, :2].clip(0, view.camera.side)
        x, y = (seen + corner).round(1).T.tolist()
        lines += [(x[a], y[a], x[b], y[b]) for a, b in _EDGES]
    return lines


def spot(points: Points, thing: Thing) -> str:
    """Where it is and how large, with as many digits as tell a hundredth of the scene."""
    if thing.center is None:
        return _NOWHERE
    span = max(high - low for low, high in zip(points.low, points.high, strict=True))
    digits = min(12, max(0, 2 - math.floor(math.log10(span)))) if span > 0 else 2
    place = ", ".join(_number(value, digits) for value in thing.center)
    return f"{place} · {size(thing.box.size, digits)}" if thing.box else place


def size(lengths: Vector, digits: int) -> str:
    return " × ".join(_number(value, digits) for value in lengths)


def _number(value: float, digits: int) -> str:
    return f"{value + 0.0:.{digits}f}" if abs(value) < 1e15 else f"{value:.6g}"


def drawn(found: Marked) -> PIL.Image.Image:
    """The sheet with all marks and boxes; those of one thing in one colour."""
    image = attachments.sheet(found.points)
    pen = PIL.ImageDraw.Draw(image)
    for thing in on_sheet(found):
        for line in thing["edges"]:
            pen.line(line, thing["colour"], 1)
        for ends in (thing["at"], *thing["more"]):
            x, y = ends[:2]
            pen.rectangle(ends if len(ends) == 4 else (x - 4, y - 4, x + 4, y + 4), outline=thing["colour"], width=3)
    return image


def turnable(points: Points, things: Sequence[Thing] = ()) -> str | None:
    """Path of a model for browsers: what the views show, with the boxes of things in the colours of their marks.

    None where they show no surface, as of a few points far apart.
    """
    colors = [PIL.ImageColor.getrgb(COLOURS[index % len(COLOURS)])[:3] for index in range(len(things))]
    boxes = [(thing.box, color) for thing, color in zip(things, colors, strict=True) if thing.box]
    found = shell.as_glb(points, boxes)
    return gradio_internals.save_upload(found, "turn.glb") if found else None


def save(found: Marked, kind: str, stem: str = "") -> str:
    """Path of a file with what was marked; `kind` is one of `FORMATS`."""
    name = f"{stem or Path(found.points.name).stem[:60] or 'model'}.{kind}"
    if kind == "png":
        return attachments.save_png(drawn(found), name)
    if kind == "csv":
        return attachments.save_text(as_csv(found.things, found.marks), name)
    return attachments.save_text(as_json(found.points, found.things, found.marks), name)


class ViewFinder:
    """Finds what answers mark on the views of attached files, and remembers what the sheet shows of it."""

    def __init__(self, gallery: Gallery):
        self._gallery = gallery
        self._known: OrderedDict[tuple, list[dict[str, Any]]] = OrderedDict()

    async def marked(
        self, file: str, text: str, model: ModelInfo, max_pixels: int | None, whole: bool = True
    ) -> Marked | None:
        """None where the file is no point cloud or 3D model any more."""
        points = await self._gallery.points(file)
        return await asyncio.to_thread(marked, text, points, model, max_pixels, whole) if points else None

    async def on_sheet(
        self, file: str, text: str, model: ModelInfo, max_pixels: int | None, whole: bool = True
    ) -> list[dict[str, Any]]:
        """Empty where nothing is marked, or the file is gone."""
        key = (file, text, model.max_pixels, max_pixels)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        found = await self.marked(file, text, model, max_pixels, whole)
        shown = on_sheet(found) if found else []
        if found and whole:
            self._known[key] = shown
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)
        return shown

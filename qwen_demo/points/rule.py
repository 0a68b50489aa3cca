"""Axes with ticks in the data's unit, and a view's number, drawn over a view.

Lines that lie behind what is drawn are left out, so they read as part of the scene.
"""

from collections.abc import Iterator

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from qwen_demo.points.camera import DEPTHS, seen_at
from qwen_demo.points.scene import Floats, Whole
from qwen_demo.points.sides import ticks
from qwen_demo.types import Camera

_COLORS = ((196, 40, 40), (24, 128, 48), (32, 72, 200))  # x, y, z as 3D programs have them
_STEPS = 160
_FONTS: dict[int, PIL.ImageFont.ImageFont | PIL.ImageFont.FreeTypeFont] = {}


def font(size: int) -> PIL.ImageFont.ImageFont | PIL.ImageFont.FreeTypeFont:
    """Pillow's own, which needs no file."""
    if size not in _FONTS:
        _FONTS[size] = PIL.ImageFont.load_default(size)
    return _FONTS[size]


def number(image: PIL.Image.Image, value: int) -> None:
    """In the upper left corner."""
    draw = PIL.ImageDraw.Draw(image)
    size = max(14, image.width // 20)
    wide = draw.textlength(str(value), font(size)) + size * 0.8
    draw.rectangle((4, 4, 4 + wide, 4 + size * 1.4), fill=(20, 20, 20))
    draw.text((4 + wide / 2, 4 + size * 0.7), str(value), (255, 255, 255), font(size), "mm")


def axes(image: PIL.Image.Image, camera: Camera, levels: Whole, frame: Floats, bounds: tuple[Floats, Floats]) -> None:
    """The three edges of the scene's box that meet below, at the corner nearest to the viewer's left.

    Args:
        levels: [side, side] depth buffer.
        bounds: lowest and highest corner along the frame's axes, in the data's unit.
    """
    low, high = bounds
    forward = frame @ np.array(camera.forward)
    corner = low.copy()
    for k in (0, 1):
        # The near edges: nothing stands before them.
        corner[k] = low[k] if forward[k] > 0 else high[k]
    draw = PIL.ImageDraw.Draw(image)
    for k in range(3):
        if abs(frame[k] @ np.array(camera.forward)) > 0.98 or high[k] <= low[k]:
            continue
        start = corner.copy()
        if k == 2:
            start = _outermost(corner, low, high, frame, camera)
        _edge(draw, camera, levels, frame, (start, k, float(low[k]), float(high[k])))


def _outermost(corner: Floats, low: Floats, high: Floats, frame: Floats, camera: Camera) -> Floats:
    """The upright edge furthest to the left, where it hides nothing."""
    options = []
    for x in (low[0], high[0]):
        for y in (low[1], high[1]):
            place = np.array([x, y, low[2]])
            options.append((seen_at(camera, (place @ frame)[None])[0, 0], place))
    return min(options, key=lambda each: each[0])[1]


def _edge(draw, camera: Camera, levels: Whole, frame: Floats, edge: tuple) -> None:
    start, k, low, high = edge
    label, sign = label_of(frame[k])
    color = _COLORS["xyz".index(label) if label in "xyz" else k]
    along = np.linspace(low, high, _STEPS)
    places = np.repeat(start[None], _STEPS, 0)
    places[:, k] = along
    seen = seen_at(camera, places @ frame)
    line = [tuple(map(float, place[:2])) for place in seen]
    for begin, end in _runs(_visible(seen, camera, levels)):
        if end - begin > 1:
            draw.line(line[begin:end], color, 2)
    size = max(10, camera.side // 34)
    across = _across(seen, camera)
    for value in ticks(low, high, 4):
        at = seen[0, :2] + (seen[-1, :2] - seen[0, :2]) * (value - low) / (high - low)
        draw.line([tuple(at - across * 3), tuple(at + across * 3)], color, 2)
        shown = _text(value * sign, high - low)
        _write(draw, at + across * (size * 0.9 + 1.5), shown, color, size, camera.side)
    _write(draw, seen[-1, :2] - across * size * 0.9, label, color, int(size * 1.2), camera.side)


def label_of(direction: Floats) -> tuple[str, int]:
    """The data's axis that a frame's axis is, and 1 or -1; a tilted frame's own axes are a, b and h."""
    k = int(np.abs(direction).argmax())
    if abs(direction[k]) > 0.9999:
        return "xyz"[k], int(np.sign(direction[k]))
    return "", 1


def _across(seen: Floats, camera: Camera) -> Floats:
    """Unit vector in the view, at right angles to the line and away from the scene in the middle."""
    along = seen[-1, :2] - seen[0, :2]
    along = along / max(float(np.linalg.norm(along)), 1e-9)
    across = np.array([-along[1], along[0]])
    outwards = (seen[-1, :2] + seen[0, :2]) / 2 - camera.side / 2
    return across if across @ outwards >= 0 else -across


def _visible(seen: Floats, camera: Camera, levels: Whole) -> np.ndarray:
    x, y = (np.clip(seen[:, k], 0, camera.side - 1).astype(int) for k in (0, 1))
    level = (seen[:, 2] / camera.reach + 1) / 2 * (DEPTHS - 1)
    front = levels[y, x].astype(np.float64)
    visible: np.ndarray = level <= front + 0.01 * DEPTHS
    return visible


def _runs(visible: np.ndarray) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], visible.astype(int), [0]])))
    return zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def _text(value: float, span: float) -> str:
    """With no more digits than tell neighbours apart."""
    if value and (abs(value) >= 1e7 or abs(value) < 1e-4):
        return f"{value:.3g}"
    decimals = max(0, int(np.ceil(-np.log10(span))) + 1) if span > 0 else 0
    text = f"{value:.{min(decimals, 8)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _write(draw, at: Floats, text: str, color: tuple[int, int, int], size: int, side: int) -> None:
    wide = draw.textlength(text, font(size)) / 2
    x = min(max(float(at[0]), wide + 1), side - wide - 1)
    y = min(max(float(at[1]), size / 2 + 1), side - size / 2 - 1)
    draw.text((x, y), text, color, font(size), "mm", stroke_width=2, stroke_fill=(255, 255, 255))

"""A scene -> its views, with the depth of every pixel. Two at a time; numpy lets go of Python's lock meanwhile."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import PIL.Image

from qwen_demo.points import buffer, density, paint, rule, sides
from qwen_demo.points.camera import DEPTHS, axes_of, camera, camera_at
from qwen_demo.points.cut import Cut, cut
from qwen_demo.points.frame import Up, frame_of
from qwen_demo.points.scene import Floats, Scene
from qwen_demo.types import Camera

_MARGIN = 0.05
_MARGIN_OF_RULES = 0.11  # ticks and their numbers need room
_SLOPE = 3.0  # so much deeper a surface falls within a disc's radius, at most, and still counts as one with its middle


@dataclass(frozen=True, slots=True)
class Style:
    """How views are drawn.

    Attributes:
        count: how many views.
        side: of each, in pixels.
        up: an axis of the data's, or auto.
        habit: what the file's format means by up.
        cut: what is left out.
        rules: axes with ticks, and a number in each view.
        shading: surfaces by how they face the viewer; otherwise flat colours.
    """

    count: int = 6
    side: int = 448
    up: Up = "auto"
    habit: str = "z"
    cut: Cut = "none"
    rules: bool = True
    shading: bool = True


@dataclass(frozen=True, slots=True)
class Drawn:
    """One view: RGB [side, side, 3] uint8, and levels [side, side] of depth, `camera.DEPTHS` where nothing is."""

    rgb: np.ndarray
    levels: np.ndarray
    camera: Camera
    azimuth: float
    elevation: float


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What is going to be drawn: the scene as it is cut, its frame, and where the cameras stand.

    Attributes:
        low, high: bounds along the frame's axes, in the data's unit.
    """

    scene: Scene
    style: Style
    frame: Floats
    sides: list[tuple[float, float]]
    low: Floats
    high: Floats


def planned(scene: Scene, style: Style) -> Arrangement:
    frame = frame_of(scene, style.up, style.habit)
    scene = cut(scene, frame[2], style.cut)
    low, high = _reach(scene, frame)
    middle = frame @ scene.middle
    chosen = sides.chosen(scene, frame, style.count)
    return Arrangement(scene, style, frame, chosen, low * scene.span + middle, high * scene.span + middle)


def drawn(plan: Arrangement, threads: int = 2) -> Iterator[Drawn]:
    """The views in their order."""
    apart = density.spacing(plan.scene.points)
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(lambda index: _view(plan, index, apart), range(len(plan.sides)))


def _view(plan: Arrangement, index: int, apart: float) -> Drawn:
    scene, style = plan.scene, plan.style
    azimuth, elevation = plan.sides[index]
    axes = camera_at(plan.frame, azimuth, elevation)
    margin = _MARGIN_OF_RULES if style.rules else _MARGIN
    at = camera(scene, axes, *_corners(plan, axes), style.side, margin)
    to_view = _matrix(scene, at)
    keys, alone, near = buffer.empty(style.side), None, 0.0
    if len(scene.points):
        numbers = None if isinstance(scene.loose, slice) else scene.loose.astype(np.uint64)
        buffer.add_points(keys, style.side, scene.points, to_view, numbers)
        radius = density.radius(apart, scene.span / at.unit_per_pixel)
        alone, keys = keys, buffer.spread(keys, style.side, radius)
        near = _SLOPE * max(1.0, radius) * at.unit_per_pixel / (2 * at.reach) * DEPTHS
    buffer.add_triangles(keys, style.side, scene, to_view)
    tint = None
    rgb = paint.painted(keys, style.side, scene, to_view, plan.frame[2], style.shading, tint)
    levels = buffer.depths(keys, alone, near).reshape(style.side, style.side)
    if style.rules:
        image = PIL.Image.fromarray(rgb)
        rule.axes(image, at, levels, plan.frame, (plan.low, plan.high))
        rule.number(image, index + 1)
        rgb = np.asarray(image)
    return Drawn(rgb, levels, at, azimuth, elevation)


def _corners(plan: Arrangement, axes: Floats) -> tuple[Floats, Floats]:
    """Of the box around the scene's own box, along a camera's axes: so axes and ticks are in the view, too."""
    middle = plan.frame @ plan.scene.middle
    low, high = (plan.low - middle) / plan.scene.span, (plan.high - middle) / plan.scene.span
    picks = np.array([[k >> bit & 1 for bit in range(3)] for k in range(8)])
    corners = np.where(picks, high, low) @ plan.frame @ axes.T
    return corners.min(0), corners.max(0)


def _reach(scene: Scene, frame: Floats) -> tuple[Floats, Floats]:
    """Bounds along the frame's axes, in units of the span, from the scene's middle."""
    lows, highs = [], []
    parts = [scene.points] + [scene.xyz[np.unique(surface.corners)] for surface in scene.surfaces]
    for part in parts:
        for at in range(0, len(part), 1 << 18):
            local = frame.astype(np.float32) @ part[at : at + (1 << 18)].T
            lows.append(local.min(1))
            highs.append(local.max(1))
    return np.min(lows, 0).astype(np.float64), np.max(highs, 0).astype(np.float64)


def _matrix(scene: Scene, at: Camera) -> Floats:
    """[3, 4] from the scene's units to pixels and depth from 0 to 1."""
    axes = axes_of(at)
    shift = axes @ (scene.middle - np.array(at.origin))
    matrix = np.concatenate([axes * scene.span, shift[:, None]], 1)
    matrix[:2] /= at.unit_per_pixel
    matrix[:2, 3] += at.side / 2
    matrix[2] /= 2 * at.reach
    matrix[2, 3] += 0.5
    return matrix

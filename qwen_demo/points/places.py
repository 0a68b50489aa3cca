"""From a mark in a view to a place in space: the ray through a pixel, what it hits, and the box of a marked thing.

What a rectangle marks is told from what lies around, behind and before it by the depth buffer: its pixels hang together
in space, and their own rectangle is the one that was marked.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qwen_demo.points import camera
from qwen_demo.points.scene import Floats, Whole
from qwen_demo.types import Camera, Points, Vector

Mask = npt.NDArray[np.bool_]
_NEAR = 6  # pixels around a point, in which the nearest one with depth counts where there is none at it
_FLOOR = 0.012  # of the scene's height, and two pixels: what is so low is ground
_STEP = 2.5  # neighbouring pixels of one surface are less than so many pixels apart in depth, or
_STEEP = 0.02  # this part of the scene
_LAYERS = 80  # into which the heights of a scene are cut to find its ground
_GROUND_SHARE = 0.15  # of the view from above, at least
_LOW_PART = 0.35  # of all layers
_DOWN = 0.99  # how straight a view looks down that counts as from above
_ALONG = 0.9999  # how nearly a frame's axes are the data's own
_LEAST_EXACT = 12  # pixels of points themselves; where there are fewer, those of the discs around them count, too
_STANDS = 3.0  # what comes so near to the ground, in heights of what counts as ground, stands on it
_ROUND = 0.1  # of a thing's height: so much of a ball on the ground, views from above level do not show
# More of it where the surface turns away so steeply that a pixel is much of the height: a thing that narrows downwards.
_UNDER = 0.25
_LOWEST, _NARROWS = 0.1, 0.93  # of its height, and of its width both ways
_TRIM = 0.0005  # of the pixels on either side of each axis: noise, and a neighbour's edge
# Rows down, columns right: the one beside, below and across, and the next but one, as clouds of points have gaps.
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 2), (2, 0))
MOST_PLACES = 4000  # pixels of one thing that are kept, for joining


@dataclass(frozen=True, slots=True)
class Ray:
    """A straight line: `origin` on the near side of all that is drawn, `direction` a unit vector away from the viewer."""

    origin: Vector
    direction: Vector


@dataclass(frozen=True, slots=True)
class Found:
    """What a mark in a view leads to.

    Attributes:
        view: which, from 0.
        ray: through the middle of the mark.
        surface: [n, 3] places on what was marked, in the data's coordinates; empty where nothing is drawn there.
        center: of the marked thing's seen part, or the place that a point hits; None where nothing is.
    """

    view: int
    ray: Ray
    surface: Floats
    center: Vector | None


@dataclass(frozen=True, slots=True)
class Box3D:
    """A box whose edges follow the frame of its `Points`.

    Attributes:
        center: in the data's coordinates.
        size: lengths along the frame's axes, in the data's unit.
        low, high: the smallest box along the data's own axes that holds the same.
    """

    center: Vector
    size: Vector
    low: Vector
    high: Vector


def depths_of(points: Points, view: int, part: tuple[slice, slice] = (slice(None), slice(None))) -> Whole:
    """[rows, columns] levels of depth of all or some pixels; `camera.NOTHING` where nothing is."""
    parts = points.depths.array()[view][part].astype(np.int64)
    levels: Whole = parts[:, :, 0] << 16 | parts[:, :, 1] << 8 | parts[:, :, 2]
    return levels


def ground_of(points: Points) -> float:
    """Height of the ground: what most of the view from above shows, if that lies low; else the lowest of all."""
    lowest, highest = points.low[2], points.high[2]
    up, at, levels = np.array(points.frame[2]), points.views[0].camera, depths_of(points, 0)
    if abs(up @ np.array(at.forward)) < _DOWN or highest <= lowest:
        return lowest
    heights = np.array(at.origin) @ up - camera.depth_of(at, levels[levels != camera.NOTHING])
    counts, edges = np.histogram(heights, _LAYERS, (lowest, highest))
    most = int(counts.argmax())
    if counts[most] < _GROUND_SHARE * counts.sum() or most > _LOW_PART * _LAYERS:
        return lowest
    layer = heights[(heights >= edges[max(0, most - 1)]) & (heights <= edges[min(_LAYERS, most + 2)])]
    return float(np.median(layer))


def ray(at: Camera, x: float, y: float) -> Ray:
    """Through a place of a view, in pixels from the upper left corner."""
    origin = camera.places_of(at, np.array([x]), np.array([y]), np.array([-at.reach]))[0]
    return Ray(_vector(origin), at.forward)


def at_point(points: Points, view: int, x: float, y: float) -> Found:
    """What the pixel at (x, y), or the nearest one with something in it, shows."""
    at = points.views[view].camera
    column, row = (min(max(int(value), 0), at.side - 1) for value in (x, y))
    top, left = max(0, row - _NEAR), max(0, column - _NEAR)
    window = depths_of(points, view, (slice(top, row + _NEAR + 1), slice(left, column + _NEAR + 1)))
    rows, columns = np.nonzero(window != camera.NOTHING)
    if not len(rows):
        return Found(view, ray(at, x, y), np.empty((0, 3)), None)
    away = (rows + top + 0.5 - y) ** 2 + (columns + left + 0.5 - x) ** 2
    nearest = int(away.argmin())
    depth = camera.depth_of(at, window[rows[nearest], columns[nearest]])
    # Where there is something at the point itself, the place is exactly on its ray.
    exact = rows[nearest] + top == row and columns[nearest] + left == column
    spot = (x, y) if exact else (columns[nearest] + left + 0.5, rows[nearest] + top + 0.5)
    place = camera.places_of(at, np.array(spot[0]), np.array(spot[1]), depth)
    return Found(view, ray(at, x, y), place[None], _vector(place))


def in_box(points: Points, view: int, box: Sequence[float]) -> Found:
    """The thing that a rectangle (x1, y1, x2, y2, in pixels) marks."""
    at = points.views[view].camera
    x1, y1, x2, y2 = box
    middle = ray(at, (x1 + x2) / 2, (y1 + y2) / 2)
    left, top = (min(max(int(value + 0.5), 0), at.side - 1) for value in (x1, y1))
    right, bottom = max(left + 1, int(x2 + 0.5)), max(top + 1, int(y2 + 0.5))
    window = depths_of(points, view, (slice(top, bottom), slice(left, right)))
    there = window != camera.NOTHING
    if not there.any():
        return Found(view, middle, np.empty((0, 3)), None)
    rows, columns = np.indices(window.shape)
    depth = camera.depth_of(at, window)
    places = camera.places_of(at, columns + left + 0.5, rows + top + 0.5, depth)
    chosen = _thing(points, at, places, there, depth)
    exact = chosen & (window & camera.AROUND == 0)
    surface = places[exact if exact.sum() >= _LEAST_EXACT else chosen]
    surface = surface[:: max(1, len(surface) // MOST_PLACES)]
    return Found(view, middle, surface, _vector(np.median(surface, 0)))


def _thing(points: Points, at: Camera, places: Floats, there: Mask, depth: Floats) -> Mask:
    """Which pixels of a rectangle belong to what it marks."""
    height = points.high[2] - points.low[2]
    above = places @ np.array(points.frame[2]) - ground_of(points)
    raised = there & (above > max(_FLOOR * height, 1.5 * at.unit_per_pixel))
    candidates = raised if raised.sum() >= 0.05 * there.sum() else there
    step = max(_STEP * at.unit_per_pixel, _STEEP * at.reach)
    labels = components(candidates, depth, step)
    best, most = candidates, -1.0
    numbers, counts = np.unique(labels[candidates], return_counts=True)
    for number in numbers[np.argsort(-counts)[:20]]:
        part = labels == number
        rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
        share = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1) / part.size
        # That whose own rectangle fills the marked one; of two that do, the larger and so the nearer to a whole.
        score = share + 0.25 * part.sum() / candidates.sum()
        if score > most:
            best, most = part, score
    return best


def components(candidates: Mask, depth: Floats, step: float) -> Whole:
    """[h, w] labels: pixels near each other with less than `step` between their depths are one thing.

    Each pixel points to the smallest number that its neighbours know, and then to that one's own, until none changes.
    """
    labels = np.where(candidates, np.arange(candidates.size).reshape(candidates.shape), -1)
    pairs = np.concatenate([_linked(labels, depth, step, *each) for each in _NEIGHBOURS], 1)
    parent = np.arange(candidates.size)
    while pairs.size:
        a, b = parent[pairs[0]], parent[pairs[1]]
        different = a != b
        if not different.any():
            break
        pairs = pairs[:, different]
        high, low = np.maximum(a, b)[different], np.minimum(a, b)[different]
        np.minimum.at(parent, high, low)
        while True:
            shorter = parent[parent]
            if (shorter == parent).all():
                break
            parent = shorter
    return np.where(candidates, parent[np.maximum(labels, 0)], -1)


def _linked(labels: Whole, depth: Floats, step: float, down: int, right: int) -> Whole:
    """[2, n] labels of pixels and of those so many rows below and columns to the right, where they are one thing."""
    height, width = labels.shape
    left, start = max(0, -right), max(0, right)
    one = (slice(0, height - down), slice(left, width - start))
    other = (slice(down, height), slice(start, width - left))
    near = (labels[one] >= 0) & (labels[other] >= 0) & (np.abs(depth[one] - depth[other]) < step)
    return np.stack([labels[one][near], labels[other][near]])


def box_around(points: Points, surface: Floats) -> Box3D:
    """The box that holds nearly all of some places; what ends just above the ground goes down to it."""
    frame = np.array(points.frame)
    trim = _TRIM if len(surface) >= 50 else 0.0
    local = surface @ frame.T
    low, high = np.quantile(local, (trim, 1 - trim), axis=0)
    ground, at = ground_of(points), points.views[0].camera
    near = _STANDS * max(_FLOOR * (points.high[2] - ground), 1.5 * at.unit_per_pixel)
    hidden = _UNDER if _narrows(local, low, high) else _ROUND
    if -near <= low[2] - ground <= max(near, hidden * (high[2] - low[2])):
        low[2] = ground
    own_low, own_high = np.quantile(surface, (trim, 1 - trim), axis=0)
    if np.abs(frame).max(1).min() > _ALONG:
        own_low, own_high = np.sort([low @ frame, high @ frame], 0)
    return Box3D(
        _vector((low + high) / 2 @ frame),
        _vector(high - low),
        _vector(own_low),
        _vector(own_high),
    )


def _narrows(local: Floats, low: Floats, high: Floats) -> bool:
    """Whether the lowest part of places along a frame is less wide than all of them, both ways."""
    lowest = local[local[:, 2] <= low[2] + _LOWEST * (high[2] - low[2])]
    if len(lowest) < _LEAST_EXACT:
        return False
    wide = lowest[:, :2].max(0) - lowest[:, :2].min(0)
    return bool((wide < _NARROWS * (high - low)[:2]).all())


def iou(points: Points, one: Box3D, other: Box3D) -> float:
    """Of two boxes along the frame of `points`: their common volume by that of both together."""
    frame = np.array(points.frame)
    a, b = frame @ np.array(one.center), frame @ np.array(other.center)
    half_a, half_b = np.array(one.size) / 2, np.array(other.size) / 2
    common = np.minimum(a + half_a, b + half_b) - np.maximum(a - half_a, b - half_b)
    shared = float(np.prod(np.maximum(common, 0)))
    whole = float(np.prod(one.size) + np.prod(other.size)) - shared
    return shared / whole if whole > 0 else 0.0


def _vector(place: Floats) -> Vector:
    return float(place[0]), float(place[1]), float(place[2])

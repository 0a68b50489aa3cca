"""A z-buffer in numpy: points as discs, triangles by the pixel centres that they cover.

Each pixel keeps one number, depth in its upper bits and what is there in its lower ones, so that "nearest wins" is one
minimum; what colour that has is asked once for each pixel, after everything has been drawn.
"""

import numpy as np
import numpy.typing as npt

from qwen_demo.points.camera import AROUND, DEEPEST, DEPTHS
from qwen_demo.points.scene import Floats, Scene, Whole

Keys = npt.NDArray[np.uint64]
EMPTY = np.uint64(2**64 - 1)
_DEPTH_BITS = np.uint64(32)
_TRIANGLE = np.uint64(1 << 31)  # set where the number is a triangle's
_POINTS_AT_ONCE = 1 << 17  # stay in a processor's own cache
_PIXELS_AT_ONCE = 1 << 19
MOST_RADIUS = 9


def empty(side: int) -> Keys:
    return np.full(side * side, EMPTY, np.uint64)


def add_points(keys: Keys, side: int, points: Floats, to_view: Floats, numbers: Whole | None = None) -> None:
    """One pixel for each point.

    Args:
        points: [n, 3] float32.
        to_view: [3, 4]: pixels right, pixels down, depth from 0 to 1.
        numbers: of the points, if not 0 to n - 1.
    """
    turn, shift = to_view[:, :3].astype(np.float32), to_view[:, 3].astype(np.float32)
    for at in range(0, len(points), _POINTS_AT_ONCE):
        part = points[at : at + _POINTS_AT_ONCE]
        seen = turn @ part.T
        seen += shift[:, None]
        x, y = seen[0].astype(np.int32), seen[1].astype(np.int32)
        np.clip(x, 0, side - 1, out=x)
        np.clip(y, 0, side - 1, out=y)
        depth = _levels(seen[2])
        depth <<= _DEPTH_BITS
        depth |= np.arange(at, at + len(part), dtype=np.uint64) if numbers is None else numbers[at : at + len(part)]
        np.minimum.at(keys, y.astype(np.intp) * side + x, depth)


def _levels(depth: Floats) -> Keys:
    levels = depth * np.float32(DEPTHS - 1)
    np.clip(levels, 0, DEEPEST, out=levels)
    return levels.astype(np.uint64)


def spread(keys: Keys, side: int, radius: float) -> Keys:
    """Every pixel's point as a disc of this radius around it, the nearest one in front.

    The points of one pixel have one disc, so this is what drawing a disc for each of them would give.
    """
    grid = keys.reshape(side, side)
    grown = grid.copy()
    reach = min(MOST_RADIUS, int(radius))
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            if (dx or dy) and dx * dx + dy * dy <= radius * radius:
                to = grown[max(0, dy) : side + min(0, dy), max(0, dx) : side + min(0, dx)]
                of = grid[max(0, -dy) : side + min(0, -dy), max(0, -dx) : side + min(0, -dx)]
                np.minimum(to, of, out=to)
    return grown.reshape(-1)


def add_triangles(keys: Keys, side: int, scene: Scene, to_view: Floats) -> None:
    """Every triangle of the scene, from both sides, in the order of its surfaces."""
    first = 0
    for surface in scene.surfaces:
        for at in range(0, len(surface.corners), _POINTS_AT_ONCE):
            corners = surface.corners[at : at + _POINTS_AT_ONCE]
            seen = scene.xyz[corners].reshape(-1, 3) @ to_view[:, :3].T.astype(np.float32)
            seen += to_view[:, 3].astype(np.float32)
            _add(keys, side, seen.reshape(-1, 3, 3), first + at)
        first += len(surface.corners)


def _add(keys: Keys, side: int, seen: Floats, first: int) -> None:
    """Triangles by the size of the rectangle around each: those of one size are one array of pixels."""
    one, two, three = (seen[:, k, :2] for k in range(3))
    low = np.ceil(np.clip(np.minimum(np.minimum(one, two), three), 0, side) - 0.5).astype(np.int32)
    high = np.floor(np.clip(np.maximum(np.maximum(one, two), three), 0, side) - 0.5).astype(np.int32)
    size = high - low + 1
    steps = np.ceil(np.log2(np.maximum(size, 1))).astype(np.int32)
    b, c = seen[:, 1, :2] - seen[:, 0, :2], seen[:, 2, :2] - seen[:, 0, :2]
    area = b[:, 0] * c[:, 1] - b[:, 1] * c[:, 0]
    classes = np.where((size > 0).all(1) & (area != 0), steps[:, 0] * 16 + steps[:, 1], -1)
    for each in np.unique(classes[classes >= 0]):
        width, height = 1 << (each >> 4), 1 << (each & 15)
        members = np.flatnonzero(classes == each)
        at_once = max(1, _PIXELS_AT_ONCE // (width * height))
        for at in range(0, len(members), at_once):
            part = members[at : at + at_once]
            _cover(keys, side, seen[part].astype(np.float64), low[part], (int(width), int(height)), part + first)


def _cover(keys: Keys, side: int, seen: Floats, low: Whole, size: tuple[int, int], numbers: Whole) -> None:
    """The pixel centres inside of some triangles that have an area."""
    x = low[:, 0, None] + np.arange(size[0])
    y = low[:, 1, None] + np.arange(size[1])
    # Each weight is a part by column less a part by row, so whole rectangles are one operation.
    (ax, ay), (bx, by), (cx, cy) = ((seen[:, k, 0, None], seen[:, k, 1, None]) for k in range(3))
    scale = 1 / ((bx - ax) * (cy - ay) - (cx - ax) * (by - ay))
    from_a, below_a = x + 0.5 - ax, y + 0.5 - ay
    b = (from_a * ((cy - ay) * scale))[:, None, :] - (below_a * ((cx - ax) * scale))[:, :, None]
    c = (below_a * ((bx - ax) * scale))[:, :, None] - (from_a * ((by - ay) * scale))[:, None, :]
    inside = (b >= 0) & (c >= 0) & (b + c <= 1)
    inside &= (x < side)[:, None, :] & (y < side)[:, :, None]
    which, row, column = np.nonzero(inside)
    b, c = b[inside], c[inside]
    depth = (1 - b - c) * seen[which, 0, 2] + b * seen[which, 1, 2] + c * seen[which, 2, 2]
    found = _levels(depth.astype(np.float32)) << _DEPTH_BITS
    found |= numbers[which].astype(np.uint64) | _TRIANGLE
    np.minimum.at(keys, y[which, row].astype(np.intp) * side + x[which, column], found)


def weights_at(seen: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats]:
    """Barycentric coordinates of one place in each triangle; those of a triangle without area are below 0."""
    (ax, ay), (bx, by), (cx, cy) = (
        (seen[:, k, 0].astype(np.float64), seen[:, k, 1].astype(np.float64)) for k in range(3)
    )
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    scale = np.where(area == 0, 0, 1 / np.where(area == 0, 1, area))
    b = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) * scale
    c = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) * scale
    return np.where(area == 0, -1, 1 - b - c), b, c


def depths(keys: Keys, points: Keys | None = None, near: float = 0) -> npt.NDArray[np.uint32]:
    """[pixels], 0 to `DEEPEST`, and `DEPTHS` where nothing is.

    A pixel with a point of its own no further than `near` behind what is drawn there has that point's depth: on a slope
    the disc of a nearer neighbour covers nearly every point, and only the tip of a ball would be left. Every other
    pixel of a disc, its rim above all, is told by its lowest bit.

    Args:
        points: before their discs were drawn.
        near: in levels of depth.
    """
    levels = (keys >> _DEPTH_BITS).astype(np.uint32) & ~np.uint32(AROUND)
    if points is not None:
        own = (points >> _DEPTH_BITS).astype(np.uint32) & ~np.uint32(AROUND)
        of_disc = (keys & _TRIANGLE) == 0
        at_point = of_disc & (points != EMPTY) & (own <= levels.astype(np.float64) + near)
        levels = np.where(at_point, own, levels | (of_disc & ~at_point).astype(np.uint32) * np.uint32(AROUND))
    return np.where(keys == EMPTY, np.uint32(DEPTHS), levels)


def contents(keys: Keys) -> tuple[Whole, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """[pixels] each: number of the point or triangle; whether it is a triangle; whether there is anything."""
    numbers = (keys & np.uint64(0x7FFFFFFF)).astype(np.int64)
    there = keys != EMPTY
    return numbers, there & ((keys & _TRIANGLE) != 0), there

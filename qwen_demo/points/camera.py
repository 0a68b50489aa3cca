"""Cameras without perspective: a place in space, and its pixel and depth in a view. Both ways.

Lengths in a view are the same near and far, so ticks of an axis hold for all of it, and a pixel is a straight line
along one direction.
"""

import math

import numpy as np
import numpy.typing as npt

from qwen_demo.points.scene import Floats, Scene
from qwen_demo.types import Camera, Vector

# 24 bits of depth. The lowest says that a pixel belongs to a disc around a point, not to the point itself; the largest
# number, that nothing is there.
DEPTHS = (1 << 24) - 1
NOTHING = DEPTHS
AROUND = 1
DEEPEST = DEPTHS - 3


def camera_at(frame: Floats, azimuth: float, elevation: float) -> Floats:
    """Rows: right, down and forward in the data's axes.

    Args:
        azimuth: degrees around up, from the frame's first axis; where the camera stands.
        elevation: degrees above level; 90 looks straight down with the frame's second axis up in the view.
    """
    a, e = math.radians(azimuth), math.radians(elevation)
    right = np.array([-math.sin(a), math.cos(a), 0.0])
    forward = -np.array([math.cos(a) * math.cos(e), math.sin(a) * math.cos(e), math.sin(e)])
    return np.stack([right, np.cross(forward, right), forward]) @ frame


ABOVE = (-90.0, 90.0)  # from above, the frame's first axis to the right


def camera(scene: Scene, axes: Floats, low: Floats, high: Floats, side: int, margin: float) -> Camera:
    """A camera that shows all between two corners, in the data's coordinates.

    Args:
        axes: right, down, forward.
        low, high: [3] along these axes, in units of the scene's span.
        side: pixels of the view, which is square.
        margin: part of the side that stays free on each edge.
    """
    reach = max(float((high - low)[:2].max()), 1e-6)
    per_pixel = reach / (side * (1 - 2 * margin))
    center = (low + high) / 2
    depth = max(float(high[2] - low[2]) / 2, 1e-6) * 1.02
    origin = scene.middle + scene.span * (center @ axes)
    right, down, forward = (_vector(row) for row in axes)
    return Camera(
        _vector(origin),
        right,
        down,
        forward,
        float(per_pixel * scene.span),
        float(depth * scene.span),
        side,
    )


def axes_of(camera: Camera) -> Floats:
    """[3, 3]: right, down, forward."""
    return np.array([camera.right, camera.down, camera.forward])


def seen_at(camera: Camera, places: Floats) -> Floats:
    """[n, 3] data coordinates -> [n, 3] x and y in pixels from the upper left corner, and depth in the data's unit."""
    local = (np.asarray(places, np.float64) - np.array(camera.origin)) @ axes_of(camera).T
    local[:, :2] = local[:, :2] / camera.unit_per_pixel + camera.side / 2
    return local


def places_of(camera: Camera, x: npt.ArrayLike, y: npt.ArrayLike, depth: npt.ArrayLike) -> Floats:
    """The other way round: [n, 3] data coordinates of pixels at a depth."""
    local = np.stack(
        [
            (np.asarray(x, np.float64) - camera.side / 2) * camera.unit_per_pixel,
            (np.asarray(y, np.float64) - camera.side / 2) * camera.unit_per_pixel,
            np.asarray(depth, np.float64),
        ],
        -1,
    )
    return local @ axes_of(camera) + np.array(camera.origin)


def depth_of(camera: Camera, levels: npt.ArrayLike) -> Floats:
    """Levels of a depth buffer, 0 to `DEPTHS` - 1, in the data's unit from the camera's origin."""
    return (np.asarray(levels, np.float64) / (DEPTHS - 1) * 2 - 1) * camera.reach


def _vector(place: Floats) -> Vector:
    return float(place[0]), float(place[1]), float(place[2])

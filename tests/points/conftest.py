"""A drawn scene without a decoder's process: what the server would hold of it."""

import numpy as np
import pytest

from qwen_demo.media.images import make_image
from qwen_demo.points.draw import Style, drawn, planned
from qwen_demo.points.scene import Surface, scene_of
from qwen_demo.raster import Raster
from qwen_demo.types import Points, View


def points_of(xyz, rgb=None, corners=None, **style) -> Points:
    surfaces = () if corners is None else (Surface(np.asarray(corners)),)
    arrangement = planned(scene_of(np.asarray(xyz, np.float64), rgb, surfaces), Style(side=196, **style))
    made = list(drawn(arrangement))
    import PIL.Image

    views = tuple(View(make_image(PIL.Image.fromarray(d.rgb)), d.camera, d.azimuth, d.elevation) for d in made)
    depths = np.stack([d.levels.astype(">u4").view(np.uint8).reshape(196, 196, 4)[:, :, 1:] for d in made])
    first, second, up = (tuple(map(float, row)) for row in arrangement.frame)
    low, high = tuple(map(float, arrangement.low)), tuple(map(float, arrangement.high))
    count = sum(map(len, (arrangement.scene.points,)))
    return Points(views, Raster.of_array(depths), (first, second, up), low, high, count, 0, 0, "digest", "room.ply")


def box(low, high):
    """Corners of a box, and its twelve triangles."""
    places = np.array([[(low, high)[k >> axis & 1][axis] for axis in range(3)] for k in range(8)], float)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return places, [corner for a, b, c, d in sides for corner in ((a, b, c), (a, c, d))]


RED_BOX = ((2.0, 1.0, 0.0), (3.0, 2.5, 1.2))


@pytest.fixture(scope="session")
def room() -> Points:
    """A floor of 6 x 4 with a red box and a small blue one on it, far from the origin."""
    shift = np.array([500_000.0, 4_000_000.0, 100.0])
    parts, corners, colors, first = [], [], [], 0
    for (low, high), color in (
        (((0, 0, -0.05), (6, 4, 0)), (150, 150, 150)),
        (RED_BOX, (220, 40, 40)),
        (((4.5, 2.5, 0), (5, 3, 0.5)), (40, 80, 220)),
    ):
        places, sides = box(low, high)
        parts.append(places + shift)
        corners += [tuple(number + first for number in each) for each in sides]
        colors += [color] * len(places)
        first += len(places)
    return points_of(np.concatenate(parts), np.array(colors, np.uint8), corners, rules=False)

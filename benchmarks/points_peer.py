"""Draws a file with trimesh and pyrender, without a display; run by `points_speed.py` under a Python that has both.

Prints one line of JSON: seconds of reading, of drawing, and views a second.
"""

import json
import os
import sys
import time

os.environ.setdefault("PYOPENGL_PLATFORM", "egl")

import numpy as np
import pyrender
import trimesh


def pose(center: np.ndarray, reach: float, azimuth: float, elevation: float) -> np.ndarray:
    """Of a camera that looks at the centre, as OpenGL has it: it looks along its own -z."""
    away = np.array([np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0])
    made = np.eye(4)
    made[:3, 0], made[:3, 1], made[:3, 2], made[:3, 3] = right, np.cross(away, right), away, center + away * 2 * reach
    return made


def main(path: str, views: int, side: int) -> None:
    begun = time.perf_counter()
    loaded = trimesh.load(path, process=False)
    parts = list(loaded.geometry.values()) if isinstance(loaded, trimesh.Scene) else [loaded]
    read_s = time.perf_counter() - begun
    begun = time.perf_counter()
    scene = pyrender.Scene(ambient_light=(0.6, 0.6, 0.6), bg_color=(255, 255, 255))
    for part in parts:
        if isinstance(part, trimesh.PointCloud):
            scene.add(pyrender.Mesh.from_points(part.vertices, part.colors))
        else:
            scene.add(pyrender.Mesh.from_trimesh(part, smooth=False))
    low, high = scene.bounds
    center, reach = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    eye = scene.add(pyrender.OrthographicCamera(reach, reach, zfar=10 * reach))
    renderer = pyrender.OffscreenRenderer(side, side)
    for number in range(views):
        scene.set_pose(eye, pose(center, reach, 2 * np.pi * number / views, 0.5))
        color, depth = renderer.render(scene)
        assert (depth > 0).any()
    draw_s = time.perf_counter() - begun
    assert color.shape == (side, side, 3)
    print(json.dumps({"read_s": read_s, "draw_s": draw_s, "views_per_s": views / draw_s}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))

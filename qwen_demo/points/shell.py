"""What the views of a scene show, as one model that browsers turn: surfaces by their pixels' depth, and boxes in it.

Nothing of the file itself is in it, so it is the same for every format and of bounded size. Sides that no view shows
are open.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from qwen_demo.points import camera
from qwen_demo.points.places import Box3D, depths_of
from qwen_demo.points.scene import Bytes, Floats, Whole
from qwen_demo.types import Camera, Points, View

Color = tuple[int, int, int]
_CELLS = 150  # of a view's side
_STEEP = 4.0  # a surface's depth changes less than so many cells from one to the next
_BEAM = 0.004  # thickness of a box's edges, in sizes of the scene
_SIDES = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
_BOX = np.concatenate([_SIDES[:, [0, 1, 2]], _SIDES[:, [0, 2, 3]]])  # triangles of a box's corners
_SIGNS = np.array(list(product((-1, 1), repeat=3)))
_Mesh = tuple[str, Floats, Bytes, Whole]  # name, [n, 3] places, [n, 3] colours, [m, 3] corners of triangles


def as_glb(points: Points, boxes: Sequence[tuple[Box3D, Color]] = ()) -> bytes:
    """Binary glTF 2.0 with unlit colours: up is y, the scene's longest side is 1, and its middle the origin.

    Nothing where there is neither a surface nor a box: glTF has no empty scene.
    """
    meshes = [_surfaces(points)]
    if boxes:
        meshes.append(_beams(points, boxes))
    meshes = [mesh for mesh in meshes if len(mesh[3])]
    return _written(meshes) if meshes else b""


def _placed(points: Points, places: Floats) -> npt.NDArray[np.float32]:
    """Data coordinates -> glTF's."""
    low, high = np.array(points.low), np.array(points.high)
    local = (places @ np.array(points.frame).T - (low + high) / 2) / (float((high - low).max()) or 1.0)
    return np.stack([local[:, 0], local[:, 2], -local[:, 1]], 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Patch:
    """What one view shows: its pixels, a part of them.

    Attributes:
        depth: [n, n] in the data's unit from the camera's origin; NaN where nothing is.
        whole: [n - 1, n - 1] where four neighbours are one surface.
    """

    camera: Camera
    step: int
    depth: Floats
    whole: npt.NDArray[np.bool_]

    @property
    def tolerance(self) -> float:
        return _STEEP * self.step * self.camera.unit_per_pixel

    def shows(self, places: Floats) -> npt.NDArray[np.bool_]:
        """Which of [n, 3] places are on its surfaces."""
        seen = camera.seen_at(self.camera, places)
        column, row = (np.clip(seen[:, k] / self.step, 0, len(self.whole) - 1).astype(int) for k in (0, 1))
        with np.errstate(invalid="ignore"):
            near = np.abs(self.depth[row, column] - seen[:, 2]) < self.tolerance
        shown: npt.NDArray[np.bool_] = self.whole[row, column] & near
        return shown


def _surfaces(points: Points) -> _Mesh:
    """Of each view what no earlier one shows: the same surface twice would flicker."""
    places, colors, corners, first = [], [], [], 0
    patches: list[_Patch] = []
    for number, view in enumerate(points.views):
        patch = _patch(points, number, view)
        at, color, part = _triangles(patch, view, patches)
        patches.append(patch)
        places.append(at)
        colors.append(color)
        corners.append(part + first)
        first += len(at)
    return "views", _placed(points, np.concatenate(places)), np.concatenate(colors), np.concatenate(corners)


def _patch(points: Points, number: int, view: View) -> _Patch:
    at, step = view.camera, max(1, view.camera.side // _CELLS)
    levels = depths_of(points, number)[::step, ::step]
    depth = np.where(levels == camera.NOTHING, np.nan, camera.depth_of(at, levels))
    four = np.stack([depth[:-1, :-1], depth[:-1, 1:], depth[1:, 1:], depth[1:, :-1]])
    with np.errstate(invalid="ignore"):
        whole = four.max(0) - four.min(0) < _STEEP * step * at.unit_per_pixel  # false where one is nothing
    return _Patch(at, step, depth, whole)


def _triangles(patch: _Patch, view: View, earlier: Sequence[_Patch]) -> tuple[Floats, Bytes, Whole]:
    row, column = np.nonzero(patch.whole)
    wide = patch.depth.shape[1]
    a = row * wide + column
    corners = np.concatenate([np.stack([a, a + wide, a + 1], 1), np.stack([a + 1, a + wide, a + wide + 1], 1)])
    used, named = np.unique(corners, return_inverse=True)
    corners = named.reshape(-1, 3)
    rows, columns = used // wide * patch.step, used % wide * patch.step
    places = camera.places_of(patch.camera, columns + 0.5, rows + 0.5, patch.depth.reshape(-1)[used])
    shown = np.zeros(len(places), np.bool_)
    for other in earlier:
        shown |= other.shows(places)
    return places, view.image.raster.array()[0][rows, columns], corners[~shown[corners].all(1)]


def _beams(points: Points, boxes: Sequence[tuple[Box3D, Color]]) -> _Mesh:
    """Edges of boxes, each a thin box of its own."""
    frame, thick = np.array(points.frame), _BEAM * max(np.array(points.high) - np.array(points.low))
    places, colors = [], []
    for box, color in boxes:
        middle, half = frame @ np.array(box.center), np.array(box.size) / 2
        for axis, (a, b) in product(range(3), product((-1, 1), repeat=2)):
            away, reach = np.zeros(3), np.full(3, thick / 2)
            away[[k for k in range(3) if k != axis]] = a, b
            reach[axis] += half[axis]
            places.append((middle + away * half + _SIGNS * reach) @ frame)
            colors.append(np.tile(np.array(color, np.uint8), (8, 1)))
    corners = np.concatenate([_BOX + 8 * k for k in range(len(places))])
    return "boxes", _placed(points, np.concatenate(places)), np.concatenate(colors), corners


def _written(meshes: Sequence[_Mesh]) -> bytes:
    body, views, accessors = b"", [], []

    def add(array: np.ndarray, target: int, **facts: Any) -> int:
        nonlocal body
        data = np.ascontiguousarray(array).tobytes()
        views.append({"buffer": 0, "byteOffset": len(body), "byteLength": len(data), "target": target})
        accessors.append({"bufferView": len(views) - 1, "count": len(array), **facts})
        body += data
        return len(accessors) - 1

    made = []
    for name, places, colors, corners in meshes:
        low, high = places.min(0).tolist(), places.max(0).tolist()
        opaque = np.concatenate([colors, np.full((len(colors), 1), 255, np.uint8)], 1)
        primitive = {
            "attributes": {
                "POSITION": add(places, 34962, componentType=5126, type="VEC3", min=low, max=high),
                "COLOR_0": add(opaque, 34962, componentType=5121, type="VEC4", normalized=True),
            },
            "indices": add(corners.astype(np.uint32).reshape(-1), 34963, componentType=5125, type="SCALAR"),
            "material": 0,
        }
        made.append({"name": name, "primitives": [primitive]})
    material = {"doubleSided": True, "extensions": {"KHR_materials_unlit": {}}}
    tree = {
        "asset": {"version": "2.0"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": list(range(len(made)))}],
        "nodes": [{"mesh": k, "name": mesh["name"]} for k, mesh in enumerate(made)],
        "meshes": made,
        "materials": [material],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(body)}],
    }
    words = json.dumps(tree, allow_nan=False).encode()
    words += b" " * (-len(words) % 4)
    chunks = struct.pack("<I4s", len(words), b"JSON") + words + struct.pack("<I4s", len(body), b"BIN\0") + body
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

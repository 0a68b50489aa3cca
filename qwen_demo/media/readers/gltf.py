"""glTF 2.0, in one binary file or as JSON with its buffers inside, by trimesh. Its tree is walked here.

What the library would believe is checked before it reads: a scene is a tree (a node below two others, or below itself,
is none), no count is larger than its bytes, and nothing lies in other files.
"""

import base64  # noqa: F401 trimesh's modules use these at first need, when no file can be opened any more
import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from trimesh.exchange import gltf

from qwen_demo.media.exchange import Refused
from qwen_demo.media.readers.meshes import Textures, joined, part
from qwen_demo.media.readers.raw import Limits, Raw
from qwen_demo.media.structure import MeteredReader

_JSON_BYTES = 32 << 20
_MOST_NODES = 100_000
_COMPONENT_BYTES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
_TRIANGLES, _STRIP, _FAN, _POINTS = 4, 5, 6, 0
# Extensions that change how numbers are packed; those about looks may be passed over.
_PACKED = ("KHR_draco", "EXT_meshopt", "KHR_meshopt", "KHR_mesh_quantization", "EXT_mesh_gpu", "KHR_gaussian")


def read(data: memoryview, limits: Limits, *, binary: bool) -> Raw:
    """Raises `Refused` or what damaged files make trimesh raise."""
    header = _header(data, binary)
    _check(header, limits, len(data))
    load = gltf.load_glb if binary else gltf.load_gltf
    loaded = load(MeteredReader(bytes(data)), resolver=None)
    textures = Textures(limits.texture_pixels)
    parts = [part(loaded["geometry"][name], matrix, textures) for name, matrix in _placed(loaded)]
    return joined([each for each in parts if each], up="y")


def _header(data: memoryview, binary: bool) -> dict[str, Any]:
    if binary:
        length = int.from_bytes(data[12:16], "little")
        text = bytes(data[20 : 20 + length])
        if len(text) < length:
            raise Refused("short", 0)
    else:
        text = bytes(data)
    if binary and len(text) > _JSON_BYTES:
        raise Refused("damaged")
    try:
        header = json.loads(text)
    except RecursionError as exc:
        raise Refused("damaged") from exc
    if not isinstance(header, dict):
        raise Refused("damaged")
    return header


def _check(header: dict[str, Any], limits: Limits, size: int) -> None:
    for each in (*header.get("buffers", []), *header.get("images", [])):
        uri = each.get("uri")
        if uri is not None and not str(uri)[:5].lower() == "data:":
            raise Refused("elsewhere")
    if any(str(name).startswith(_PACKED) for name in header.get("extensionsUsed", [])):
        raise Refused("packed")
    accessors, views = header.get("accessors", []), header.get("bufferViews", [])
    for accessor in accessors:
        count = _whole(accessor["count"])
        nbytes = _COMPONENT_BYTES[accessor["componentType"]] * _COMPONENTS[accessor["type"]]
        if "bufferView" not in accessor:
            raise Refused("packed")
        view = views[_whole(accessor["bufferView"])]
        stride = _whole(view.get("byteStride", 0)) or nbytes
        if (count - 1) * stride + nbytes > _whole(view["byteLength"]) or _whole(view["byteLength"]) > size:
            raise Refused("short", count)
    points, triangles = _total(header, accessors)
    limits.check(points, triangles, per_point=160, per_triangle=260)


def _total(header: dict[str, Any], accessors: list[Any]) -> tuple[int, int]:
    """Vertices and triangles of the whole scene, every use of a mesh counted."""
    counts = []
    for mesh in header.get("meshes", []):
        points = triangles = 0
        for primitive in mesh["primitives"]:
            vertices = _whole(accessors[_whole(primitive["attributes"]["POSITION"])]["count"])
            corners = _whole(accessors[_whole(primitive["indices"])]["count"]) if "indices" in primitive else vertices
            mode = primitive.get("mode", _TRIANGLES)
            points += vertices
            triangles += corners // 3 if mode == _TRIANGLES else corners if mode in (_STRIP, _FAN) else 0
        counts.append((points, triangles))
    used = [counts[_whole(node["mesh"])] for node in _nodes(header) if "mesh" in node]
    return sum(each[0] for each in used), sum(each[1] for each in used)


def _nodes(header: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The nodes of the scene. Raises `Refused`: they are no tree."""
    nodes, scenes = header.get("nodes", []), header.get("scenes", [])
    if len(nodes) > _MOST_NODES or not scenes:
        raise Refused("damaged" if scenes else "nothing")
    waiting = list(scenes[_whole(header.get("scene", 0))].get("nodes", []))
    seen: set[int] = set()
    while waiting:
        number = _whole(waiting.pop())
        if number in seen:
            raise Refused("loop")
        seen.add(number)
        yield nodes[number]
        waiting += nodes[number].get("children", [])


def _placed(loaded: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Name of each geometry in the scene, and the matrix that leads from it to the whole."""
    matrices: dict[str, np.ndarray] = {loaded["base_frame"]: np.eye(4)}
    for edge in loaded["graph"]:  # a node stands behind the one above it
        matrix = matrices[edge["frame_from"]] @ np.asarray(edge["matrix"], np.float64)
        matrices[edge["frame_to"]] = matrix
        if "geometry" in edge:
            yield edge["geometry"], matrix


def _whole(value: Any) -> int:
    if type(value) is not int and not (isinstance(value, float) and value.is_integer() and math.isfinite(value)):
        raise Refused("damaged")
    if not 0 <= value < 1 << 53:
        raise Refused("damaged")
    return int(value)

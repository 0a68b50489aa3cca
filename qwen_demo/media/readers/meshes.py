"""Triangles by trimesh: STL and OBJ, and what glTF's reader gives, as arrays of this program's own."""

import base64  # noqa: F401
import json  # noqa: F401
import logging
from typing import Any

import numpy as np
import PIL.Image
import trimesh
from PIL import JpegImagePlugin, PngImagePlugin, WebPImagePlugin  # noqa: F401 what textures are
from trimesh.exchange import obj, stl

from qwen_demo.media.exchange import Refused
from qwen_demo.media.readers.raw import Limits, Raw
from qwen_demo.media.readers.tables import as_bytes
from qwen_demo.media.structure import MeteredReader
from qwen_demo.points.scene import Bytes, Floats, Surface

logging.getLogger("trimesh").setLevel(logging.CRITICAL)  # what is wrong with a file, its sender is told
DAMAGE = (stl.HeaderError,)
_TEXTURE_SIDE = 2048  # as sharp as a view can show
PIL.Image.init()  # before the files that it imports can no longer be opened


class Textures:
    """Opens each of a file's textures once, within an area for all of them."""

    def __init__(self, pixels: int):
        self._pixels_left = pixels
        self._opened: dict[int, Bytes] = {}

    def of(self, image: Any) -> Bytes | None:
        """[height, width, 3]; None where a material has none. Raises `Refused`."""
        if not isinstance(image, PIL.Image.Image):
            return None
        if id(image) not in self._opened:
            self._pixels_left -= image.width * image.height
            if self._pixels_left < 0 or min(image.size) < 1:
                raise Refused("texture", image.width, image.height)
            image.thumbnail((_TEXTURE_SIDE, _TEXTURE_SIDE))
            self._opened[id(image)] = np.asarray(image.convert("RGB"))
        return self._opened[id(image)]


def read_obj(data: memoryview, limits: Limits) -> Raw:
    """Without what other files say of its materials. Raises `Refused`, and what damaged files make trimesh raise."""
    text = bytes(data)
    points = text.count(b"\nv ") + text.count(b"\nv\t") + text.startswith(b"v ")
    faces = text.count(b"\nf ") + text.count(b"\nf\t")
    limits.check(points, faces, per_point=300, per_triangle=500)
    if not faces:
        return _vertices(text, points)
    loaded = obj.load_obj(MeteredReader(text), resolver=None, skip_materials=True, maintain_order=True)
    parts = list(loaded["geometry"].values()) if "geometry" in loaded else [loaded]
    textures = Textures(limits.texture_pixels)
    # No standard says so, but most programs that write it put y up.
    return joined([made for each in parts if (made := part(each, np.eye(4), textures))], up="y")


def _vertices(text: bytes, count: int) -> Raw:
    """A cloud of points in OBJ's words."""
    rows = [line.split()[1:] for line in text.split(b"\n") if line[:2] in (b"v ", b"v\t")]
    table = np.array([[float(word) for word in row[:6]] for row in rows if len(row) >= 3 and len(row) == len(rows[0])])
    if len(table) < count:
        raise Refused("columns")
    return Raw(table[:, :3], as_bytes(list(table[:, 3:6].T)) if table.shape[1] == 6 else None, up="y")


def read_stl(data: memoryview, limits: Limits) -> Raw:
    """Raises `Refused`, and what damaged files make trimesh raise."""
    stated = int.from_bytes(data[80:84], "little")
    text = bytes(data[:5]).lower() == b"solid" and 84 + 50 * stated != len(data)
    if not text and 84 + 50 * stated > len(data):
        raise Refused("short" if len(data) > 84 else "damaged", stated)
    count = bytes(data).count(b"endfacet") if text else stated
    limits.check(3 * count, count, per_point=120, per_triangle=200)
    loaded = (stl.load_stl_ascii if text else stl.load_stl_binary)(MeteredReader(bytes(data)))
    parts = list(loaded["geometry"].values()) if "geometry" in loaded else [loaded]
    textures = Textures(0)
    return joined([made for each in parts if (made := part(each, np.eye(4), textures))], up="z")


def part(loaded: dict[str, Any], matrix: np.ndarray, textures: Textures) -> Raw | None:
    """One piece in its place; None for lines.

    Args:
        loaded: `vertices`, perhaps `faces`, and what colours them.
    """
    vertices = np.asarray(loaded["vertices"], np.float64).reshape(-1, 3)
    with np.errstate(all="ignore"):
        xyz = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    if "entities" in loaded:
        return None
    rgb = _colors(loaded, len(xyz))
    if "faces" not in loaded:
        return Raw(xyz, rgb)
    corners = np.asarray(loaded["faces"]).astype(np.int64).reshape(-1, 3)
    if len(corners) and not 0 <= corners.min() <= corners.max() < len(xyz):
        raise Refused("damaged")
    faces = loaded.get("face_colors")
    if faces is not None and len(faces) == len(corners):
        # Each triangle gets corners of its own, which share its colour.
        rgb = np.repeat(np.asarray(faces)[:, :3], 3, 0).astype(np.uint8)
        return Raw(xyz[corners].reshape(-1, 3), rgb, (Surface(np.arange(3 * len(corners)).reshape(-1, 3)),))
    return Raw(xyz, rgb, (_surface(loaded, corners, len(xyz), textures),))


def _surface(loaded: dict[str, Any], corners: np.ndarray, vertices: int, textures: Textures) -> Surface:
    visual = loaded.get("visual")
    material = getattr(visual, "material", None)
    if not isinstance(visual, trimesh.visual.TextureVisuals) or material is None:
        return Surface(corners)
    tint = _tint(getattr(material, "baseColorFactor", None))
    texture = textures.of(getattr(material, "baseColorTexture", None))
    uv = visual.uv
    if texture is None or uv is None or len(uv) != vertices:
        return Surface(corners, tint=tint)
    return Surface(corners, texture, np.asarray(uv, np.float32)[:, :2], tint)


def _tint(factor: Any) -> tuple[int, int, int]:
    if factor is None:
        return 255, 255, 255
    values = np.asarray(factor, np.float64).reshape(-1)[:3]
    # trimesh hands over parts of 1 or bytes, by where they come from.
    values = values * (255 if values.max(initial=0) <= 1 and np.asarray(factor).dtype.kind == "f" else 1)
    red, green, blue = (int(value) for value in np.clip(np.nan_to_num(values), 0, 255))
    return red, green, blue


def _colors(loaded: dict[str, Any], count: int) -> Bytes | None:
    colors = loaded.get("vertex_colors")
    if colors is None:
        colors = getattr(loaded.get("visual"), "vertex_attributes", {}).get("color")
    if colors is None or len(colors) != count:
        return None
    return as_bytes(list(np.asarray(colors)[:, :3].T))


def joined(parts: list[Raw], up: str) -> Raw:
    """All pieces as one; where some have colours of their own, the others are white, which their tint then colours."""
    if not parts:
        raise Refused("nothing")
    colored = any(each.rgb is not None for each in parts)
    plain: list[Floats] = []
    colors: list[Bytes] = []
    surfaces: list[Surface] = []
    first = 0
    for each in parts:
        plain.append(each.xyz)
        if colored:
            colors.append(each.rgb if each.rgb is not None else np.full((len(each.xyz), 3), 255, np.uint8))
        for surface in each.surfaces:
            uv = surface.uv
            if len(uv):
                uv = np.concatenate([np.zeros((first, 2), np.float32), uv])
            surfaces.append(Surface(surface.corners + first, surface.texture, uv, surface.tint))
        first += len(each.xyz)
    return Raw(np.concatenate(plain), np.concatenate(colors) if colored else None, tuple(surfaces), up)

"""Reads a point cloud or 3D model and draws its views, in a process of its own that `zygote.py` forks.

`points.py` has the words and the checks. What leaves this process is pixels: for each view its colours, and an image
whose three bytes are the depth of a pixel. However large a file is, the server holds no more than these.
"""

import binascii
import os
import struct
from typing import Any

import numpy as np

from qwen_demo.media.exchange import Exchange, Refused, read_whole
from qwen_demo.media.readers import gltf, las, meshes, pcd, ply, text
from qwen_demo.media.readers.raw import Limits, Raw
from qwen_demo.media.structure import Suspicious
from qwen_demo.points import rule
from qwen_demo.points.draw import Arrangement, Drawn, Style, drawn, planned
from qwen_demo.points.scene import Nothing, scene_of

# What readers raise on files that do not follow their format.
DAMAGE = (
    *las.DAMAGE,
    *meshes.DAMAGE,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    NameError,
    ImportError,
    OSError,
    EOFError,
    SyntaxError,
    Warning,
    struct.error,
    binascii.Error,
    Suspicious,
)
_READERS = {
    "PLY": ply.read,
    "PCD": pcd.read,
    "LAS": las.read,
    "XYZ": text.read,
    "OBJ": meshes.read_obj,
    "STL": meshes.read_stl,
    "GLB": lambda data, limits: gltf.read(data, limits, binary=True),
    "glTF": lambda data, limits: gltf.read(data, limits, binary=False),
}
_DRAWING_BYTES = 96 << 20  # buffers of two views at once, samples, and an interpreter's own
_PER_PIXEL = 60
for _size in (10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24):
    rule.font(_size)  # its data is unpacked before anything can no longer be imported


def decode(job: dict[str, Any], file: int, exchange: Exchange) -> dict[str, Any]:
    """All views of a file.

    Args:
        job: `format`; `points`, `triangles`, `texture_pixels`, the limits; `style`, see `draw.Style`; `threads`.

    Returns:
        `width` and `height` of a view, `views` with their cameras, `frame`, `low`, `high`, `points`, `triangles`,
        `left_out`.

    Raises:
        Refused: over a limit, or of no kind that is read.
    """
    style = Style(**job["style"])
    memory: list[int] = []

    def announce(nbytes: int) -> None:
        peak = nbytes + size + _DRAWING_BYTES + _PER_PIXEL * style.side**2
        plan = {"width": style.side, "height": style.side, "count": 2 * style.count, "peak_bytes": peak}
        memory.append(exchange.memory_for(plan))
        exchange.keep_within(peak)

    size = os.lseek(file, 0, os.SEEK_END)
    limits = Limits(job["points"], job["triangles"], job["texture_pixels"], announce)
    try:
        raw = _READERS[job["format"]](memoryview(read_whole(file)), limits)
        plan = _planned(raw, style)
    except Nothing as exc:
        raise Refused("numbers") from exc
    del raw
    views = []
    for index, view in enumerate(drawn(plan, job["threads"])):
        _write(memory[0], index, view, style)
        views.append(_told(view))
    return {"width": style.side, "height": style.side, "views": views, **_facts(plan)}


def _planned(raw: Raw, style: Style) -> Arrangement:
    with np.errstate(all="ignore"):
        scene = scene_of(raw.xyz, raw.rgb, raw.surfaces)
        return planned(scene, Style(**{**_fields(style), "habit": raw.up}))


def _fields(style: Style) -> dict[str, Any]:
    return {name: getattr(style, name) for name in style.__slots__}


def _facts(plan: Arrangement) -> dict[str, Any]:
    return {
        "frame": plan.frame.tolist(),
        "low": plan.low.tolist(),
        "high": plan.high.tolist(),
        "points": len(plan.scene.xyz),
        "triangles": plan.scene.triangles,
        "left_out": plan.scene.left_out,
    }


def _write(memory: int, index: int, view: Drawn, style: Style) -> None:
    """Colours among the first images, depth among the second ones."""
    nbytes = style.side**2 * 3
    levels = view.levels.astype(">u4").view(np.uint8).reshape(style.side, style.side, 4)[:, :, 1:]
    for place, pixels in ((index, view.rgb), (style.count + index, levels)):
        data, offset = np.ascontiguousarray(pixels).data.cast("B"), place * nbytes
        while data:
            written = os.pwrite(memory, data, offset)
            data, offset = data[written:], offset + written


def _told(view: Drawn) -> dict[str, Any]:
    at = view.camera
    return {
        "origin": at.origin,
        "right": at.right,
        "down": at.down,
        "forward": at.forward,
        "unit_per_pixel": at.unit_per_pixel,
        "reach": at.reach,
        "azimuth": view.azimuth,
        "elevation": view.elevation,
    }

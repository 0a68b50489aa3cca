"""Untrusted bytes -> `Points`: its limits, its refusals in words. `points_decoder.py` does the work, unbelieved."""

import asyncio
import hashlib
import math
import os
from dataclasses import dataclass
from typing import Any

from qwen_demo.errors import InvalidRequest, MediaRefused
from qwen_demo.media.content import Content
from qwen_demo.media.decoding import Context, Plan, numbers, refused_in_words
from qwen_demo.media.images import make_image
from qwen_demo.media.jobs import Task
from qwen_demo.media.sniff import points_format
from qwen_demo.points.cut import CUTS
from qwen_demo.points.frame import UPS
from qwen_demo.points.sides import name_of
from qwen_demo.raster import Raster
from qwen_demo.sentences import Sentence
from qwen_demo.settings import MIB, Settings
from qwen_demo.types import Camera, Points, Vector, View

DECODER_MEMORY = 1536 * MIB  # address space of the libraries and for drawing
MOST_VIEWS = 12
_LEAST_SIDE = 112
_PATCH = 28
_BYTES = 600  # at most, of address space for each point or triangle
_LARGEST = 1e150  # no coordinate that a decoder may name is larger


@dataclass(frozen=True, slots=True)
class Viewing:
    """How a point cloud or 3D model is shown. None takes the setting.

    Attributes:
        up: an axis of the data's, such as z or -y; auto looks for a floor.
        views: how many; the first is from above.
        pixels: area of each.
        cut: none, floor, ceiling or both: what is left out.
        axes: with ticks in the data's unit, and a number in each view.
        shading: surfaces by how they face the viewer; otherwise flat colours.
    """

    up: str = "auto"
    views: int | None = None
    pixels: int | None = None
    cut: str = "none"
    axes: bool = True
    shading: bool = True


def check_viewing(viewing: Viewing, limits: Settings) -> None:
    """Raises `InvalidRequest`."""
    if viewing.up not in UPS:
        raise InvalidRequest(f"up is {viewing.up!r}; it may be {', '.join(UPS)}.")
    if viewing.cut not in CUTS:
        raise InvalidRequest(f"cut is {viewing.cut!r}; it may be {', '.join(CUTS)}.")
    if viewing.views is not None and not 1 <= viewing.views <= MOST_VIEWS:
        raise InvalidRequest(f"{viewing.views} views were asked for; the limits are 1 and {MOST_VIEWS}.")
    largest = limits.decoded_pixels
    if viewing.pixels is not None and not _LEAST_SIDE**2 <= viewing.pixels <= largest:
        raise InvalidRequest(
            f"Views of {viewing.pixels} pixels were asked for; the limits are {_LEAST_SIDE**2} and {largest}."
        )


def side_of(viewing: Viewing, limits: Settings) -> int:
    """Width and height of a view: a multiple of what the model cuts images into, so that it is not resized."""
    side = math.isqrt(viewing.pixels or limits.points_view_pixels)
    return max(_LEAST_SIDE, side // _PATCH * _PATCH)


async def decode_points(content: Content, context: Context, name: str, viewing: Viewing) -> Points:
    """Views of a PLY, PCD, LAS, LAZ, XYZ, glTF, GLB, OBJ or STL file, with the depth of each pixel.

    Raises:
        MediaRefused: over a limit, damaged, or too slow to read.
        InvalidRequest: `viewing` is out of bounds.
        Overloaded: what others hold leaves no room for it, or no decoder is free.
    """
    limits = context.settings
    check_viewing(viewing, limits)
    task = _task(content, viewing, limits, name)
    count, side = task.job["style"]["count"], task.job["style"]["side"]

    def plan(answer: dict[str, Any]) -> Plan:
        width, height, images, peak_bytes = numbers(answer, "width", "height", "count", "peak_bytes")
        if (width, height, images) != (side, side, 2 * count):
            raise ValueError("other views than were asked for")
        return Plan(images, width, height, min(peak_bytes, task.memory_bytes))

    with refused_in_words(lambda code, values: _refusal(code, values, limits, name)):
        decoded = await context.decode(task, content, plan)
        views = _cameras(decoded.last["views"], count, side)
        facts = _facts(decoded.last)
    return await asyncio.to_thread(_built, decoded.raster, views, facts, name)


def _task(content: Content, viewing: Viewing, limits: Settings, name: str) -> Task:
    threads = min(2, os.cpu_count() or 1)
    job = {
        "format": points_format(content.head, name) or "STL",
        "points": limits.max_points,
        "triangles": limits.max_triangles,
        "texture_pixels": limits.max_image_pixels,
        "threads": threads,
        "style": {
            "count": viewing.views or limits.points_views,
            "side": side_of(viewing, limits),
            "up": viewing.up,
            "cut": viewing.cut,
            "rules": viewing.axes,
            "shading": viewing.shading,
        },
    }
    memory_bytes = DECODER_MEMORY + 4 * content.size + _BYTES * max(limits.max_points // 4, limits.max_triangles)
    return Task("points", job, limits.points_timeout_s, memory_bytes, threads)


_Facts = tuple[tuple[Vector, Vector, Vector], Vector, Vector, int, int, int]
_Side = tuple[Camera, float, float]


def _cameras(told: Any, count: int, side: int) -> list[_Side]:
    """Raises `ValueError` and its like: they cannot be right."""
    if not isinstance(told, list) or len(told) != count:
        raise ValueError("another number of views")
    return [
        (
            Camera(
                _vector(each["origin"]),
                _vector(each["right"]),
                _vector(each["down"]),
                _vector(each["forward"]),
                _length(each["unit_per_pixel"]),
                _length(each["reach"]),
                side,
            ),
            _number(each["azimuth"]),
            _number(each["elevation"]),
        )
        for each in told
    ]


def _facts(told: dict[str, Any]) -> _Facts:
    first, second, up = (_vector(row) for row in told["frame"])
    counts = [told[name] for name in ("points", "triangles", "left_out")]
    if not all(type(value) is int and 0 <= value < 1 << 40 for value in counts):
        raise ValueError("not whole numbers")
    return (first, second, up), _vector(told["low"]), _vector(told["high"]), counts[0], counts[1], counts[2]


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > _LARGEST:
        raise ValueError("not a number")
    return float(value)


def _length(value: Any) -> float:
    if (number := _number(value)) <= 0:
        raise ValueError("not a length")
    return number


def _vector(values: Any) -> Vector:
    x, y, z = (_number(value) for value in values)
    return x, y, z


def _built(raster: Raster, sides: list[_Side], facts: _Facts, name: str) -> Points:
    count = len(sides)
    views = tuple(
        View(make_image(raster.image(index), name=f"{name}, {name_of(azimuth, elevation)}"), camera, azimuth, elevation)
        for index, (camera, azimuth, elevation) in enumerate(sides)
    )
    depths = Raster.of_array(raster.array()[count:])
    digest = hashlib.sha256("".join(view.image.digest for view in views).encode())
    digest.update(depths.array().data)
    return Points(views, depths, *facts, digest.hexdigest(), name)


_REFUSALS = {
    "nothing": "{name} has no points in it.",
    "numbers": "{name} has no point with three finite coordinates.",
    "memory": "{name} needs more memory to read than is allowed. Send fewer points.",
    "points": "{name} has {value:,.0f} points; the limit is {points:,}. "
    "Thin it out, or start the server with a higher --max-points.",
    "triangles": "{name} has {value:,.0f} triangles; the limit is {triangles:,}. "
    "Simplify it, or start the server with a higher --max-triangles.",
    "texture": "{name} has textures of more than {pixels:,} pixels (--max-image-pixels). Scale them down.",
    "short": "{name} is cut short, or states more than it holds. Save it again.",
    "columns": "{name} is not made of x, y and z as this kind of file has them. Save it again, as PLY or GLB.",
    "elsewhere": "{name} refers to other files, which are not opened. Save it as one file, GLB for instance.",
    "packed": "{name} is packed by an extension that is not read (Draco, meshopt, quantised or sparse data). "
    "Save it without.",
    "loop": "{name} has a node below itself or below two others, which glTF does not allow.",
    "late": "Reading and drawing {name} took longer than {limit_s:g} s (--points-timeout-s). Send fewer points.",
    "failed": "{name} made the reader fail: it is damaged or needs too much memory.",
}


def _refusal(code: str, values: list[float], limits: Settings, name: str) -> MediaRefused:
    template = _REFUSALS.get(code, "{name} cannot be read: the file is damaged or cut short.")
    return MediaRefused(
        Sentence(
            template,
            name=name,
            value=values[0] if values and math.isfinite(values[0]) else 0.0,
            points=limits.max_points,
            triangles=limits.max_triangles,
            pixels=limits.max_image_pixels,
            limit_s=limits.points_timeout_s,
        )
    )

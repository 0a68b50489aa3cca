"""Colours of what a z-buffer holds: vertex colours, textures, shading; a cloud without colours by its height."""

import numpy as np

from qwen_demo.points import buffer
from qwen_demo.points.buffer import Keys
from qwen_demo.points.scene import Bytes, Floats, Scene, Surface, Whole

BACKGROUND = (255, 255, 255)
_PLAIN = (176, 180, 188)  # of triangles without a colour
# Low to high: dark blue, teal, green, yellow. Told apart by people who see no red, too.
_HEIGHTS = np.array([(48, 56, 128), (40, 112, 142), (32, 164, 134), (130, 204, 80), (253, 224, 60)], np.float32)


def painted(
    keys: Keys, side: int, scene: Scene, to_view: Floats, up: Floats, shading: bool, tint: tuple[int, int, int] | None
) -> Bytes:
    """[side, side, 3] RGB.

    Args:
        to_view: as in `buffer.add_points`.
        up: unit vector, for the colours by height.
        shading: surfaces that face the viewer are lighter; otherwise colours are the data's own, flat.
        tint: one colour for what has none.
    """
    image = np.empty((side * side, 3), np.uint8)
    image[:] = BACKGROUND
    numbers, triangle, there = buffer.contents(keys)
    points = np.flatnonzero(there & ~triangle)
    image[points] = _of_points(scene, numbers[points], up, tint)
    pixels = np.flatnonzero(triangle)
    first = 0
    for surface in scene.surfaces:
        own = pixels[(numbers[pixels] >= first) & (numbers[pixels] < first + len(surface.corners))]
        if len(own):
            corners = surface.corners[numbers[own] - first]
            image[own] = _of_triangles(scene, surface, corners, own, (side, to_view, shading, tint or _PLAIN))
        first += len(surface.corners)
    return image.reshape(side, side, 3)


def _of_points(scene: Scene, numbers: Whole, up: Floats, tint: tuple[int, int, int] | None) -> Bytes | Floats:
    if scene.rgb is not None:
        return scene.rgb[numbers]
    if tint:
        return np.array(tint, np.uint8)
    low, high = _heights(scene, up)
    share = np.clip((scene.xyz[numbers] @ up.astype(np.float32) - low) / max(high - low, 1e-6), 0, 1)
    at = share * (len(_HEIGHTS) - 1)
    below = np.minimum(at.astype(int), len(_HEIGHTS) - 2)
    part = (at - below)[:, None]
    return (_HEIGHTS[below] * (1 - part) + _HEIGHTS[below + 1] * part).astype(np.uint8)


def _heights(scene: Scene, up: Floats) -> tuple[float, float]:
    heights = scene.sample(20_000) @ up.astype(np.float32)
    return float(np.quantile(heights, 0.01)), float(np.quantile(heights, 0.99))


def _of_triangles(scene: Scene, surface: Surface, corners: Whole, pixels: Whole, how: tuple) -> Bytes:
    side, to_view, shading, plain = how
    places = scene.xyz[corners]
    seen = places @ to_view[:, :3].T.astype(np.float32) + to_view[:, 3].astype(np.float32)
    weights = np.stack(buffer.weights_at(seen, pixels % side + 0.5, pixels // side + 0.5), -1)
    if surface.texture is not None:
        uv = (surface.uv[corners] * weights[:, :, None]).sum(1)
        color = _texels(surface.texture, uv)
    elif scene.rgb is not None:
        color = (scene.rgb[corners] * weights[:, :, None]).sum(1)
    else:
        color = np.broadcast_to(np.array(plain, np.float64), (len(pixels), 3))
    color = color * (np.array(surface.tint) / 255)
    if shading:
        color = color * _light(places, to_view)[:, None]
    return np.clip(color + 0.5, 0, 255).astype(np.uint8)


def _texels(texture: Bytes, uv: Floats) -> Floats:
    """Nearest ones; a texture repeats itself."""
    height, width = texture.shape[:2]
    uv = np.nan_to_num(uv, nan=0.0, posinf=0.0, neginf=0.0)
    x = np.minimum((uv[:, 0] % 1.0 * width).astype(int), width - 1)
    y = np.minimum(((1 - uv[:, 1]) % 1.0 * height).astype(int), height - 1)
    return texture[y, x].astype(np.float64)


def _light(places: Floats, to_view: Floats) -> Floats:
    """0 to 1: from the viewer's upper left shoulder, the same on both sides of a triangle."""
    normals = np.cross(places[:, 1] - places[:, 0], places[:, 2] - places[:, 0])
    turn = to_view[:, :3] / np.linalg.norm(to_view[:, :3], axis=1, keepdims=True)
    normals = normals @ turn.T
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    normals *= np.where(normals[:, 2:] > 0, -1, 1)
    lamp = np.array([-0.35, -0.5, -0.79])
    return 0.42 + 0.58 * np.clip(normals @ lamp, 0, 1)

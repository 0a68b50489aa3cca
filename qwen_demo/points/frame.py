"""Which way is up, and the frame in which the sides of a scene are chosen."""

from typing import Literal

import numpy as np

from qwen_demo.points.scene import Floats, Scene

Up = Literal["auto", "x", "y", "z", "-x", "-y", "-z"]
UPS: tuple[Up, ...] = ("auto", "x", "y", "z", "-x", "-y", "-z")

_SAMPLE = 3000
_TRIES = 160
_THICKNESS = 0.006  # of a floor, in spans of the scene
_LEAST_FLOOR = 0.12  # of all points
_HABIT = 1.5  # how much more a floor must hold than the one that the format's own axis gives
_SNAP = np.cos(np.radians(0.7))


def frame_of(scene: Scene, up: Up = "auto", habit: str = "z") -> Floats:
    """Rows are the frame's axes in the data's: two level ones and the one that points up; right-handed.

    Args:
        up: an axis of the data's; `auto` looks for a floor.
        habit: the axis that the file's format means by up.
    """
    direction = _found(scene, axis(habit)) if up == "auto" else axis(up)
    first = axis("x") if abs(direction[0]) < 0.9 else axis("y")
    first = first - direction * (first @ direction)
    first /= np.linalg.norm(first)
    return np.stack([first, np.cross(direction, first), direction])


def axis(name: str) -> Floats:
    vector = np.zeros(3)
    vector["xyz".index(name[-1])] = -1 if name.startswith("-") else 1
    return vector


def _found(scene: Scene, habit: Floats) -> Floats:
    """The normal of the plane that holds most of all that is drawn, with the rest on one side of it."""
    sample = scene.sample(_SAMPLE).astype(np.float64)
    if len(sample) < 50:
        return habit
    random = np.random.default_rng(0)
    sample = sample[random.permutation(len(sample))[:_SAMPLE]]
    a, b, c = (sample[random.integers(0, len(sample), _TRIES)] for _ in range(3))
    normals = np.cross(b - a, c - a)
    lengths = np.linalg.norm(normals, axis=1)
    normals = normals[lengths > 1e-6] / lengths[lengths > 1e-6, None]
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    candidates = np.concatenate([axes, normals, -normals])
    shares = np.array([_floor(sample @ normal) for normal in candidates])
    best, usual = int(shares.argmax()), _floor(sample @ habit)
    if shares[best] < max(_LEAST_FLOOR, _HABIT * usual):
        return habit
    return _snapped(_refined(sample, candidates[best]))


def _floor(heights: Floats) -> float:
    """Share of the points in the thin layer over the lowest ones, if that is a floor."""
    lowest = np.quantile(heights, 0.01)
    return float(((heights >= lowest - _THICKNESS) & (heights <= lowest + 2 * _THICKNESS)).mean())


def _refined(sample: Floats, normal: Floats) -> Floats:
    """The plane of least squares through the floor."""
    for _ in range(2):
        heights = sample @ normal
        lowest = np.quantile(heights, 0.01)
        floor = sample[np.abs(heights - lowest) <= 2 * _THICKNESS]
        if len(floor) < 10:
            return normal
        least = np.linalg.svd(floor - floor.mean(0), full_matrices=False)[2][2]
        normal = least if least @ normal > 0 else -least
    return normal


def _snapped(normal: Floats) -> Floats:
    """The data's own axis, if the normal is nearly that."""
    k = int(np.abs(normal).argmax())
    if abs(normal[k]) < _SNAP:
        return normal
    own = np.zeros(3)
    own[k] = np.sign(normal[k])
    return own

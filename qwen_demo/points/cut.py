"""A scene without its floor or its ceiling, so that a room can be looked into."""

from dataclasses import replace
from typing import Literal

import numpy as np

from qwen_demo.points.scene import Floats, Scene

Cut = Literal["none", "floor", "ceiling", "both"]
CUTS: tuple[Cut, ...] = ("none", "floor", "ceiling", "both")
_BINS = 100
_LAYER = 0.06  # part of everything that makes a bin a floor or a ceiling
_OUTER = 0.35  # part of the height in which one is looked for
_SLICE = 0.1  # is cut off where there is none


def cut(scene: Scene, up: Floats, what: Cut) -> Scene:
    """Without what lies at or beyond the floor, the ceiling or both. If nothing would be left, as it was."""
    if what == "none":
        return scene
    heights = scene.xyz @ up.astype(np.float32)
    lowest, highest = _limits(scene.sample(50_000) @ up.astype(np.float32))
    kept = np.ones(len(heights), np.bool_)
    if what in ("floor", "both"):
        kept &= heights > lowest
    if what in ("ceiling", "both"):
        kept &= heights < highest
    surfaces = tuple(
        replace(surface, corners=surface.corners[kept[surface.corners].any(1)]) for surface in scene.surfaces
    )
    surfaces = tuple(surface for surface in surfaces if len(surface.corners))
    loose = np.arange(len(heights))[scene.loose]
    loose = loose[kept[loose]]
    if not len(loose) and not surfaces:
        return scene
    return replace(scene, surfaces=surfaces, loose=loose)


def _limits(heights: Floats) -> tuple[float, float]:
    """Upper edge of the floor, lower edge of the ceiling."""
    low, high = float(np.quantile(heights, 0.001)), float(np.quantile(heights, 0.999))
    counts, edges = np.histogram(heights, _BINS, (low, max(high, low + 1e-6)))
    dense = counts >= _LAYER * len(heights)
    outer = int(_BINS * _OUTER)
    lower, upper = np.flatnonzero(dense[:outer]), np.flatnonzero(dense[-outer:])
    floor = edges[lower[-1] + 1] if len(lower) else low + _SLICE * (high - low)
    ceiling = edges[_BINS - outer + upper[0]] if len(upper) else high - _SLICE * (high - low)
    return float(floor + 0.2 * (edges[1] - edges[0])), float(ceiling - 0.2 * (edges[1] - edges[0]))

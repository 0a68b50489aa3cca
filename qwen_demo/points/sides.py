"""Which sides of a scene are shown: one from above, and others around it that together show most.

Coarse depth buffers of a sample say what each candidate would show; candidates are taken one after the other, each for
what it adds (a greedy cover, which is never far from the best).
"""

import math

import numpy as np

from qwen_demo.points import buffer, density
from qwen_demo.points.camera import ABOVE, camera_at
from qwen_demo.points.scene import Floats, Scene

_SAMPLE = 12_000
_COARSE = 96  # pixels of a side
_CANDIDATES = 12
_ELEVATIONS = (28.0,)
_TOLERANCE = 0.03  # of the scene: how far behind the nearest point another still counts as seen
# A view that adds nothing is still another side: far from those that there are.
_APART = 0.02


def chosen(scene: Scene, frame: Floats, count: int) -> list[tuple[float, float]]:
    """(azimuth, elevation) in degrees of `count` views; the first is from above, the others go around."""
    sides = [ABOVE]
    if count > 1:
        sample = scene.sample(_SAMPLE)
        candidates = [(360.0 * (k + 0.5) / _CANDIDATES, e) for k in range(_CANDIDATES) for e in _ELEVATIONS]
        shown = np.array([_shown(sample, camera_at(frame, *each)) for each in candidates])
        seen = _shown(sample, camera_at(frame, *ABOVE))
        picked: list[int] = []
        for _ in range(min(count - 1, len(candidates))):
            gains = (shown & ~seen).mean(1)
            for index, (azimuth, _e) in enumerate(candidates):
                gains[index] += _APART * _distance(azimuth, [candidates[k][0] for k in picked])
                gains[index] -= 2 * (index in picked)
            best = int(gains.argmax())
            picked.append(best)
            seen = seen | shown[best]
        sides += [candidates[k] for k in sorted(picked)]
    return sides


def _distance(azimuth: float, others: list[float]) -> float:
    """To the nearest other, 0 to 1."""
    return min((abs((azimuth - other + 180) % 360 - 180) / 180 for other in others), default=1.0)


def _shown(sample: Floats, axes: Floats) -> np.ndarray:
    """Which points of the sample a camera sees."""
    local = sample @ axes.T.astype(np.float32)
    low, high = local.min(0), local.max(0)
    scale = (_COARSE - 1) / max(float((high - low)[:2].max()), 1e-6)
    depth = max(float((high - low)[2]), 1e-6)
    to_view = np.zeros((3, 4))
    to_view[0, 0] = to_view[1, 1] = scale
    to_view[:2, 3] = -low[:2] * scale
    to_view[2, 2], to_view[2, 3] = 1 / depth, -low[2] / depth
    keys = buffer.empty(_COARSE)
    buffer.add_points(keys, _COARSE, local, to_view)
    keys = buffer.spread(keys, _COARSE, max(1.0, min(4.0, density.spacing(sample) * scale)))
    x, y = ((local[:, k] - low[k]) * scale for k in (0, 1))
    front = buffer.depths(keys)[y.astype(int) * _COARSE + x.astype(int)] / buffer.DEPTHS
    seen: np.ndarray = (local[:, 2] - low[2]) / depth <= front + _TOLERANCE / depth
    return seen


def name_of(azimuth: float, elevation: float) -> str:
    """For people and the model."""
    if elevation > 89:
        return "from above"
    return f"from the side at {round(azimuth) % 360}°, {round(elevation)}° above level"


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers between two others, a few of them: 1, 2 or 5 times a power of ten apart."""
    span = high - low
    if not (span > 0 and math.isfinite(span)):
        return []
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 1e-300 else rough
    step = next((k * power for k in (1, 2, 5, 10) if k * power >= rough * 0.999), 10 * power)
    first = math.ceil(low / step - 1e-9)
    return [step * k for k in range(first, first + most + 2) if step * k <= high + step * 1e-9]

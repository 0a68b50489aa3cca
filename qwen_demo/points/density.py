"""How far apart the points of a cloud are, and so how large each is drawn."""

import numpy as np

from qwen_demo.points.scene import Floats

_SAMPLE = 2500
# Of the distance to the nearest neighbour. Points that lie at random are on average twice as far from each other, and
# discs of this size then cover 19 parts of 20: what is behind hardly shows between them.
_REACH = 2.0


def spacing(points: Floats) -> float:
    """Typical distance between neighbours, in the unit of the points.

    That of a sample, taken closer by what the others add: points of a scan lie on surfaces, so four times as many are
    half as far apart.
    """
    if len(points) < 2:
        return 0.0
    step = max(1, len(points) // _SAMPLE)
    sample = points[::step].astype(np.float64)[:_SAMPLE]
    squares = (sample**2).sum(1)
    apart = squares[:, None] + squares[None] - 2 * sample @ sample.T
    np.fill_diagonal(apart, np.inf)
    nearest = np.sqrt(np.maximum(apart.min(1), 0))
    return float(np.median(nearest)) / float(np.sqrt(len(points) / len(sample)))


def radius(apart: float, pixels_per_unit: float) -> float:
    """Of a disc, in pixels."""
    return min(9.0, max(0.0, _REACH * apart * pixels_per_unit))

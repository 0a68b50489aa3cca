"""How far apart the points of a cloud are, and so how large each is drawn."""

import numpy as np

from qwen_demo.points.scene import Floats

_SAMPLE = 2500
_SPARSE = 0.75  # of all distances: the sparser parts of a scan count, or what is behind shows between their points
# Of that distance. Of points that lie at random three in four have a neighbour within two thirds of the mean distance
# between them, and discs of this size leave less than one part in a hundred open.
_REACH = 2.0
# Pixels. Points further apart than this leave some pixels of their surface without one, however small their discs.
_DENSE = 0.3


def spacing(points: Floats) -> float:
    """Typical distance between neighbours in the sparser parts, in the unit of the points.

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
    return float(np.quantile(nearest, _SPARSE)) / float(np.sqrt(len(points) / len(sample)))


def radius(apart: float, pixels_per_unit: float) -> float:
    """Of a disc, in pixels; below 1 it is the pixel that its middle lies in."""
    distance = apart * pixels_per_unit
    reach = min(9.0, max(0.0, _REACH * distance))
    return 1.0 if reach < 1 and distance > _DENSE else reach

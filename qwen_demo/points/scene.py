"""What is drawn: points and triangles around a middle, in a frame whose third axis points up."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Bytes = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.integer]

# Coordinates are divided by the scene's size, so the largest that can be is no matter of taste: its square is finite.
MOST_COORDINATE = 1e100
_STRAY_SHARE = 0.002  # of the points on either side of each axis
_STRAY_REACH = 4.0  # spans of all others: what lies further out is a reader's or a laser's mistake


@dataclass(frozen=True, slots=True)
class Surface:
    """Triangles with what colours them.

    Attributes:
        corners: [n, 3] numbers of vertices.
        texture: [height, width, 3] uint8, or None.
        uv: [vertices, 2], places in the texture, its lower left corner at (0, 0); empty without one.
        tint: RGB that everything is multiplied with, 255 being 1.
    """

    corners: Whole
    texture: Bytes | None = None
    uv: Floats = field(default_factory=lambda: np.empty((0, 2), np.float32))
    tint: tuple[int, int, int] = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Scene:
    """Vertices in a frame of unit size, and the way back to the data's coordinates.

    Attributes:
        xyz: [n, 3] float32, column by column, about within -0.5 to 0.5; a data coordinate is `middle + span * xyz`.
        rgb: [n, 3] uint8, or None.
        surfaces: triangles; empty for a cloud of points.
        middle: of the data, [3] float64.
        span: longest side of the data's bounds; never 0.
        left_out: points that were no numbers, or strayed far from all others.
        loose: numbers of the vertices that are drawn as points.
    """

    xyz: Floats
    rgb: Bytes | None
    surfaces: tuple[Surface, ...]
    middle: Floats
    span: float
    left_out: int
    loose: Whole | slice

    @property
    def triangles(self) -> int:
        return sum(len(surface.corners) for surface in self.surfaces)

    @property
    def points(self) -> Floats:
        """[n, 3], those that are drawn as points."""
        return self.xyz[self.loose]

    def sample(self, most: int) -> Floats:
        """[about `most`, 3] points of all that is drawn: places on triangles by their area, some corners, points."""
        loose = self.points
        if not self.surfaces:
            return loose[:: max(1, len(loose) // most)]
        corners = np.concatenate([surface.corners for surface in self.surfaces])
        a, b, c = (self.xyz[corners[:, k]] for k in range(3))
        areas = np.linalg.norm(np.cross(b - a, c - a), axis=1).astype(np.float64)
        total = areas.cumsum()
        random = np.random.default_rng(0)
        # A finely cut ball must not outweigh the two triangles of a floor.
        count = most - most // 4 if not len(loose) else most // 2
        picked = np.minimum(np.searchsorted(total, random.random(count) * total[-1]), len(corners) - 1)
        u, v = random.random((2, count), np.float32)
        flip = u + v > 1
        u, v = np.where(flip, 1 - u, u)[:, None], np.where(flip, 1 - v, v)[:, None]
        on = a[picked] + u * (b - a)[picked] + v * (c - a)[picked]
        ends = a[:: max(1, 4 * len(a) // most)]
        return np.concatenate([on, ends, loose[:: max(1, 2 * len(loose) // most)]])


class Nothing(ValueError):
    """There is nothing to draw: no point has three numbers."""


def scene_of(xyz: Floats, rgb: Bytes | None = None, surfaces: tuple[Surface, ...] = ()) -> Scene:
    """Centred and scaled; points that are no numbers are left out, and so are those that lie absurdly far away.

    Args:
        xyz: [n, 3] of any float type, in the data's coordinates. It is not kept.
        surfaces: triangles that name one of the points left out go with it.

    Raises:
        Nothing: no point is left.
    """
    good = _numbers(xyz)
    if not good.any():
        raise Nothing
    low, high = _span(xyz, good)
    inner = _inner(xyz, good)
    # In half units, as the whole span of two finite numbers need not be one.
    reach = max(float((inner[1] / 2 - inner[0] / 2).max()), 0.0) * 2 * _STRAY_REACH
    if reach and float((high / 2 - low / 2).max()) * 2 > reach * 2:
        for k in range(3):
            good &= (xyz[:, k] >= inner[0][k] - reach) & (xyz[:, k] <= inner[1][k] + reach)
        low, high = _span(xyz, good)
    middle = low / 2 + high / 2
    span = float((high - low).max()) or 1.0
    kept = np.empty((3, len(xyz)), np.float32).T  # column by column, as products with them want it
    for k in range(3):
        np.divide(xyz[:, k] - middle[k], span, out=kept[:, k], casting="same_kind")
    left_out = int(len(good) - good.sum())
    if left_out:
        kept[~good] = 0
    if not surfaces:
        if left_out:
            kept, rgb = np.asfortranarray(kept[good]), None if rgb is None else rgb[good]
        return Scene(kept, rgb, (), middle, span, left_out, slice(None))
    whole = tuple(_whole(surface, good) for surface in surfaces)
    loose = good.copy()
    for surface in surfaces:
        loose[surface.corners] = False
    return Scene(kept, rgb, tuple(s for s in whole if len(s.corners)), middle, span, left_out, np.flatnonzero(loose))


def _whole(surface: Surface, good: npt.NDArray[np.bool_]) -> Surface:
    kept = good[surface.corners].all(1)
    return surface if kept.all() else Surface(surface.corners[kept], surface.texture, surface.uv, surface.tint)


def _numbers(xyz: Floats) -> npt.NDArray[np.bool_]:
    if xyz.dtype == np.float32:  # none of it is too large
        return np.isfinite(xyz[:, 0]) & np.isfinite(xyz[:, 1]) & np.isfinite(xyz[:, 2])
    good = np.ones(len(xyz), np.bool_)
    for k in range(3):
        good &= np.abs(xyz[:, k]) < MOST_COORDINATE  # false for what is no number, too
    return good


def _span(xyz: Floats, good: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Lowest and highest corner, float64."""
    kept = xyz if good.all() else xyz[good]
    return np.array([kept[:, k].min() for k in range(3)], np.float64), np.array(
        [kept[:, k].max() for k in range(3)], np.float64
    )


def _inner(xyz: Floats, good: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Bounds of nearly all points, by a sample."""
    sample = xyz[:: max(1, len(xyz) // 20_000)].astype(np.float64)
    sample = sample[_numbers(sample)]
    if not len(sample):
        sample = xyz[good].astype(np.float64)
    low, high = np.quantile(sample, (_STRAY_SHARE, 1 - _STRAY_SHARE), axis=0)
    return low, high

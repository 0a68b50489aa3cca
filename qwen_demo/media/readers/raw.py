"""What a reader gives, and the limits that it keeps to."""

from collections.abc import Callable
from dataclasses import dataclass, field

from qwen_demo.media.exchange import Refused
from qwen_demo.points.scene import Bytes, Floats, Surface


@dataclass(frozen=True, slots=True)
class Raw:
    """Vertices as the file has them, with nothing left out.

    Attributes:
        xyz: [n, 3] of a float type.
        rgb: [n, 3] uint8, or None.
        up: the axis that the format means by up.
    """

    xyz: Floats
    rgb: Bytes | None = None
    surfaces: tuple[Surface, ...] = ()
    up: str = "z"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one file.

    Attributes:
        announce: is told how many bytes reading and drawing will take, before they are taken.
    """

    points: int
    triangles: int
    texture_pixels: int
    announce: Callable[[int], None] = field(default=lambda nbytes: None)

    def check(self, points: int, triangles: int = 0, *, per_point: int = 64, per_triangle: int = 160) -> None:
        """Raises `Refused`: more than allowed, or none. Else the memory is announced."""
        if points < 1:
            raise Refused("nothing")
        if points > self.points:
            raise Refused("points", points)
        if triangles > self.triangles:
            raise Refused("triangles", triangles)
        self.announce(points * per_point + triangles * per_triangle)

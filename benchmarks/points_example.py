"""Draws the 3D examples of the page: `python -m benchmarks.points_example examples`. A room in GLB, a few kilobytes."""

import asyncio
import sys
from contextlib import aclosing
from pathlib import Path

import numpy as np
import trimesh

from qwen_demo.media import MediaLoader, Viewing
from qwen_demo.settings import Settings
from qwen_demo.types import Points

FLOOR, WOOD, RED, BLUE, GREEN = (205, 205, 198), (150, 105, 60), (214, 40, 40), (40, 80, 220), (40, 160, 60)


def box(low, high, color) -> trimesh.Trimesh:
    made = trimesh.creation.box(bounds=[low, high])
    made.visual.vertex_colors = (*color, 255)
    return made


def room() -> trimesh.Scene:
    """A floor of 5 x 4 metres with two walls, a table, a red ball on it, a blue box and a green cone."""
    parts = [box((0, 0, -0.05), (5, 4, 0), FLOOR), box((0, 4, 0), (5, 4.05, 1.6), (225, 225, 235))]
    parts += [box((-0.05, 0, 0), (0, 4, 1.6), (235, 228, 225)), box((1.4, 1.2, 0.7), (3.0, 2.2, 0.76), WOOD)]
    parts += [box((x, y, 0), (x + 0.08, y + 0.08, 0.7), WOOD) for x in (1.42, 2.9) for y in (1.22, 2.1)]
    ball = trimesh.creation.icosphere(3, 0.2)
    ball.apply_translation((2.1, 1.7, 0.96))
    ball.visual.vertex_colors = (*RED, 255)
    cone = trimesh.creation.cone(0.35, 0.9, sections=24)
    cone.apply_translation((4.2, 1.0, 0))
    cone.visual.vertex_colors = (*GREEN, 255)
    parts += [ball, cone, box((3.8, 2.8, 0), (4.5, 3.5, 0.6), BLUE)]
    scene = trimesh.Scene(parts)
    scene.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, (1, 0, 0)))  # y is up in glTF
    return scene


async def main(folder: Path) -> None:
    data = room().export(file_type="glb")
    (folder / "room.glb").write_bytes(data)
    async with aclosing(MediaLoader.of(Settings(_env_file=None))) as loader:
        points = await loader.load_bytes(data, kind="points", clip=Viewing(views=2))
    assert isinstance(points, Points)
    points.views[1].image.pixels.quantize(64).save(folder / "room.png", optimize=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

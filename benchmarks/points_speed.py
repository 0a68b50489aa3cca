"""Views a second of large clouds and meshes; `python -m benchmarks.points speed [--peer PYTHON]`.

Each is read from a file and drawn in six views of 448 x 448 pixels. Ours is read and drawn in a confined decoder, told apart
in reading and drawing by what runs in this process. A peer, pyrender (Mesa's software renderer) under a Python of its
own that `--peer` names, gets the same file and the same number of views, its reading by trimesh.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

import numpy as np
import trimesh

from qwen_demo.media import MediaLoader, Viewing
from qwen_demo.media.readers import gltf, ply
from qwen_demo.media.readers.raw import Limits, Raw
from qwen_demo.points.draw import Style, drawn, planned
from qwen_demo.points.scene import scene_of
from qwen_demo.settings import MIB, Settings
from qwen_demo.types import Points

VIEWS, SIDE = 6, 448
LIMITS = Limits(12_000_000, 2_000_000, 1 << 24)
PEER_S = 120
PEER = Path(__file__).parent / "points_peer.py"


def cloud(count: int) -> bytes:
    """Binary PLY of a floor and a tower on it, float32 and colours."""
    random = np.random.default_rng(0)
    table = np.empty(count, [("xyz", "<f4", 3), ("rgb", "u1", 3)])
    half, angle = count // 2, random.random(count - count // 2, np.float32) * 6.2832
    table["xyz"][:half] = random.random((half, 3), np.float32) * np.array([10, 6, 0], np.float32)
    table["xyz"][half:, 0], table["xyz"][half:, 1] = 5 + 2 * np.cos(angle), 3 + 2 * np.sin(angle)
    table["xyz"][half:, 2] = random.random(count - half, np.float32) * 3
    table["rgb"] = random.integers(0, 255, (count, 3), np.uint8)
    names = [f"property float {name}" for name in "xyz"] + [f"property uchar {c}" for c in ("red", "green", "blue")]
    head = "\n".join(["ply", "format binary_little_endian 1.0", f"element vertex {count}", *names, "end_header\n"])
    return head.encode() + table.tobytes()


def mesh(subdivisions: int) -> bytes:
    """GLB of a bumpy ball: 20 * 4 ** subdivisions triangles."""
    ball = trimesh.creation.icosphere(subdivisions)
    ball.vertices *= 1 + 0.1 * np.sin(8 * ball.vertices[:, :1]) * np.cos(6 * ball.vertices[:, 1:2])
    ball.visual.vertex_colors = (200, 90, 60, 255)
    data: bytes = trimesh.Scene([ball]).export(file_type="glb")
    return data


def here(data: bytes, kind: str) -> dict:
    """Seconds of reading and of drawing, in this process."""
    begun = time.perf_counter()
    view = memoryview(data)
    raw: Raw = ply.read(view, LIMITS) if kind == "ply" else gltf.read(view, LIMITS, binary=True)
    read_s = time.perf_counter() - begun
    scene = scene_of(raw.xyz, raw.rgb, raw.surfaces)
    views = list(drawn(planned(scene, Style(count=VIEWS, side=SIDE, habit=raw.up)), os.cpu_count() or 1))
    total_s = time.perf_counter() - begun
    assert len(views) == VIEWS
    return {"read_s": read_s, "draw_s": total_s - read_s, "views_per_s": VIEWS / (total_s - read_s)}


async def decoded(path: Path) -> tuple[float, float]:
    """Seconds in a decoder from file to views, and the most memory that decoders took, in MiB."""
    settings = Settings(_env_file=None, max_points_bytes=1 << 30, cache_seconds=0)
    async with aclosing(MediaLoader.of(settings)) as loader:
        await loader.decoders.start("points")
        begun = time.perf_counter()
        found = await loader.load_path(path, allowed_roots=[path.parent], clip=Viewing(pixels=SIDE**2))
        taken_s = time.perf_counter() - begun
    assert isinstance(found, Points)
    return taken_s, _children_mib()


def _children_mib() -> float:
    """The most that any process of this one's had, itself excluded."""
    import resource

    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / MIB


def peer(python: str, path: Path) -> dict:
    """What `points_peer.py` prints, or why it did not."""
    command = [python, str(PEER), str(path), str(VIEWS), str(SIDE)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=PEER_S, check=False)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {PEER_S} s"}
    lines = run.stdout.strip().splitlines()
    if run.returncode or not lines:
        return {"failed": (run.stderr.strip().splitlines() or ["no answer"])[-1][:200]}
    found: dict = json.loads(lines[-1])
    return found


async def rows(python: str | None, points: int, subdivisions: int) -> list[dict]:
    made, peers = [], []
    with tempfile.TemporaryDirectory() as folder:
        for name, kind, data in (
            (f"{points:,} points", "ply", cloud(points)),
            (f"{20 * 4**subdivisions:,} triangles", "glb", mesh(subdivisions)),
        ):
            path = Path(folder) / f"scene.{kind}"
            path.write_bytes(data)
            confined_s, most_mib = await decoded(path)
            row = {
                "scene": name,
                "by": "qwen_demo",
                **here(data, kind),
                "decoder_s": confined_s,
                "decoder_mib": most_mib,
            }
            print(row, file=sys.stderr, flush=True)
            made.append(row)
            peers.append((name, path))
        # Last: the most memory that a child took is told of all children together.
        made += [{"scene": name, "by": "pyrender", **peer(python, path)} for name, path in peers if python]
    return made

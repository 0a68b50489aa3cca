"""Scenes of the benchmark of 3D, one of points and one of triangles: marks lead back to their places and boxes."""

import numpy as np
import pytest
import trimesh

from benchmarks import points_scenes
from qwen_demo.points import camera
from qwen_demo.points.join import Mark, things
from qwen_demo.types import Points
from qwen_demo.ui.examples import FOLDER


@pytest.mark.parametrize(
    ("seed", "how"),
    [
        pytest.param(5001, {"off": 3.0}, id="points, tilted, marks off by up to three pixels"),
        pytest.param(5000, {"mesh": True}, id="triangles"),
    ],
)
async def test_marks_in_views_lead_back_to_solids(seed, how, loader):
    rows = [row for row in await points_scenes.scene_figures(seed, loader, **how) if row["views"]]
    assert rows
    assert [row["label"] for row in rows if row["joined"] != 1 or row["iou"] < 0.8] == []
    errors = sorted(error for row in rows for error in row["away"])
    assert errors[int(0.99 * len(errors))] < 0.01
    assert errors[-1] < 0.03  # nothing behind shows between the points in front


async def test_a_ball_on_a_table_is_told_from_the_table(loader):
    """In the example: a ball of 0.4 m on a table, in a corner of two walls. glTF has y up."""
    points = await loader.load_path(FOLDER / "room.glb", allowed_roots=[FOLDER])
    assert isinstance(points, Points)
    ball = trimesh.creation.icosphere(3, 0.2).apply_translation((2.1, 0.96, -1.7))
    marks = []
    for number, view in enumerate(points.views):
        seen = camera.seen_at(view.camera, ball.vertices)[:, :2]
        marks.append(Mark(number, (*map(float, seen.min(0)), *map(float, seen.max(0))), "ball"))
    (thing,) = things(points, marks)
    assert thing.box is not None
    assert np.allclose([thing.box.low, thing.box.high], ball.bounds, atol=0.05)

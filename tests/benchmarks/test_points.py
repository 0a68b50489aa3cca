"""Scenes of the benchmark of 3D, one of points and one of triangles: marks lead back to their places and boxes."""

import pytest

from benchmarks import points_scenes


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

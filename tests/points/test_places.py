"""What is marked in a view is a place in the data's coordinates; marks of one thing in several views are joined."""

import csv
import io
import json

import numpy as np
import pytest
import trimesh

from qwen_demo.answers.places import marks, places
from qwen_demo.points import camera, exports
from qwen_demo.points.join import Mark, things
from qwen_demo.points.places import Box3D, at_point, in_box, ray
from qwen_demo.points.shell import as_glb
from tests.points.conftest import RED_BOX, box, points_of

SHIFT = np.array([500_000.0, 4_000_000.0, 100.0])
SEEN = [(196, 196)] * 6


def rectangle(room, view: int, low=RED_BOX[0], high=RED_BOX[1]) -> tuple[float, ...]:
    seen = camera.seen_at(room.views[view].camera, box(low, high)[0] + SHIFT)
    (x1, y1), (x2, y2) = seen[:, :2].min(0), seen[:, :2].max(0)
    return float(x1), float(y1), float(x2), float(y2)


def answer(room, views, label="red box") -> str:
    return json.dumps(
        [{"view": view + 1, "bbox_2d": [round(v, 1) for v in rectangle(room, view)], "label": label} for view in views]
    )


@pytest.mark.parametrize("view", range(6))
def test_a_marked_place_comes_back(room, view):
    """Within one part in a hundred of the scene's size."""
    place = np.array([2.5, 1.8, 1.2]) + SHIFT  # on top of the red box: every view sees it
    x, y, _ = camera.seen_at(room.views[view].camera, place[None])[0]
    found = at_point(room, view, x, y)
    assert np.linalg.norm(np.array(found.center) - place) < 0.06


@pytest.mark.parametrize("view", range(6))
def test_a_ray_leads_through_its_place(room, view):
    place = np.array([1.0, 3.0, 0.4]) + SHIFT
    x, y, _ = camera.seen_at(room.views[view].camera, place[None])[0]
    line = ray(room.views[view].camera, x, y)
    along = place - np.array(line.origin)
    assert np.linalg.norm(along - (along @ np.array(line.direction)) * np.array(line.direction)) < 1e-6
    assert along @ np.array(line.direction) > 0


def test_marks_of_one_thing_are_one_box_in_space(room):
    _, found = places(answer(room, range(6)), room, SEEN)
    (thing,) = found
    assert thing.label == "red box"
    assert len(thing.marks) == 6
    assert np.allclose(np.array(thing.box.low) - SHIFT, RED_BOX[0], atol=0.06)
    assert np.allclose(np.array(thing.box.high) - SHIFT, RED_BOX[1], atol=0.06)


def test_marks_of_other_things_are_others(room):
    small = rectangle(room, 0, (4.5, 2.5, 0), (5, 3, 0.5))
    found = things(
        room,
        [Mark(0, rectangle(room, 0), "box"), Mark(0, small, "box"), Mark(2, rectangle(room, 2), "box")],
    )
    assert [thing.marks for thing in found] == [(0, 2), (1,)]
    found = things(room, [Mark(0, rectangle(room, 0), "box"), Mark(2, rectangle(room, 2), "ball")])
    assert len(found) == 2


def test_points_that_meet_are_one_thing(room):
    place = (np.array([2.5, 1.8, 1.2]) + SHIFT)[None]
    spots = [tuple(map(float, camera.seen_at(room.views[k].camera, place)[0, :2])) for k in (0, 1, 3)]
    (thing,) = things(room, [Mark(k, spot, "it") for k, spot in zip((0, 1, 3), spots, strict=True)])
    assert thing.box is None
    assert np.allclose(thing.center, place, atol=0.06)


def test_a_mark_beside_everything_has_a_ray_and_no_place(room):
    (thing,) = things(room, [Mark(0, (0.0, 0.0, 3.0, 3.0), "nothing")])
    assert (thing.center, thing.box) == (None, None)
    assert len(thing.rays) == 1


def test_marks_outside_of_a_view_or_in_none_do_no_harm(room):
    odd = [Mark(9, (1, 1, 5, 5)), Mark(-1, (1, 1)), Mark(0, (-50.0, -50.0, 900.0, 900.0)), Mark(0, (500.0, -3.0))]
    assert len(things(room, odd)) == 2


@pytest.mark.parametrize(
    ("text", "view"),
    [
        ('{"view": 3, "bbox_2d": [9, 9, 50, 50], "label": "a"}', 2),
        ('{"bbox_2d": [9, 9, 50, 50], "label": "a", "view": "View 4"}', 3),
        ('In view 5: {"bbox_2d": [9, 9, 50, 50], "label": "a"}', 4),
        ('View 2 shows it. View 6: {"bbox_2d": [9, 9, 50, 50]}', 5),
        ('在视图 3 中：{"bbox_2d": [9, 9, 50, 50]}', 2),
        ('{"bbox_2d": [9, 9, 50, 50]}', 0),
        ('{"view": 40, "bbox_2d": [9, 9, 50, 50]}', 0),
    ],
)
def test_an_answer_says_which_view_it_means(room, text, view):
    (mark,) = marks(text, room, SEEN)
    assert mark.view == view


def test_marks_are_scaled_from_what_the_model_saw(room):
    (mark,) = marks('{"view": 1, "bbox_2d": [28, 28, 56, 56]}', room, [(392, 392)] * 6)
    assert mark.coordinates == (14, 14, 28, 28)


def test_things_are_written_as_json_and_csv(room):
    found = places(answer(room, (0, 1), '=HYPERLINK("x")'), room, SEEN)
    document = json.loads(exports.as_json(room, found[1], found[0]))
    assert document["things"][0]["marks"][1]["view"] == 2
    assert len(document["views"]) == 6
    (row,) = csv.DictReader(io.StringIO(exports.as_csv(found[1], found[0])))
    assert float(row["x"]) == pytest.approx(500_002.5, abs=0.1)
    assert row["views"] == "1 2"
    assert row["label"].startswith("'=")  # no spreadsheet runs it


def test_a_view_of_a_ball_of_points_shows_all_of_its_near_side():
    """The discs of nearer neighbours cover nearly every point of a slope; these points are places all the same."""
    random = np.random.default_rng(0)
    ball = random.normal(size=(6000, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    ground = np.column_stack([random.uniform(-4, 4, (9000, 2)), np.full(9000, -1.0)])
    found = points_of(np.concatenate([ground, ball]), None, up="z", rules=False)
    at = found.views[1].camera
    (x, y, _), reach = camera.seen_at(at, np.zeros((1, 3)))[0], 1 / at.unit_per_pixel
    surface = in_box(found, 1, (x - reach, y - reach, x + reach, y + reach)).surface
    away = np.linalg.norm(surface, axis=1)
    seen = surface @ -np.array(at.forward)
    assert np.abs(away - 1).max() < 0.1
    assert seen.min() < 0.35  # nearly to where the surface turns away
    for axis in (at.right, at.down):
        assert np.abs(surface @ np.array(axis)).max() == pytest.approx(1, abs=0.1)


def test_a_ball_on_the_ground_reaches_it_and_a_box_above_it_floats():
    """Of neither does a view from above level show the underside; a ball narrows towards it."""
    ball = trimesh.creation.icosphere(4, 0.5).apply_translation((1.5, 1.5, 0.5))
    board = trimesh.creation.box(bounds=[(3.5, 2, 0.22), (4.5, 3, 1.2)])
    ground = trimesh.creation.box(bounds=[(0, 0, -0.05), (6, 4, 0)])
    whole = trimesh.util.concatenate([ground, ball, board])
    found = points_of(whole.vertices, None, whole.faces, rules=False)
    for solid, low in ((ball, 0.0), (board, 0.22)):
        marks = []
        for view, each in enumerate(found.views):
            seen = camera.seen_at(each.camera, solid.vertices)[:, :2]
            marks.append(Mark(view, (*map(float, seen.min(0)), *map(float, seen.max(0))), "it"))
        (thing,) = things(found, marks)
        assert thing.box.low[2] == pytest.approx(low, abs=0.03)
        assert thing.box.high[2] == pytest.approx(solid.bounds[1][2], abs=0.03)


def test_a_lone_point_has_no_surface_to_turn_and_its_box_has():
    one = points_of(np.zeros((1, 3)))
    assert as_glb(one) == b""
    low, high = (-0.5,) * 3, (0.5,) * 3
    found = Box3D((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), low, high)
    assert as_glb(one, [(found, (255, 0, 0))])[:4] == b"glTF"

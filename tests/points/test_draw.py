"""A z-buffer in numpy: nearest wins, discs close a cloud, triangles are covered once, axes carry the data's numbers."""

import numpy as np
import pytest
import trimesh

from qwen_demo.points import buffer, camera, sides
from qwen_demo.points.frame import frame_of
from qwen_demo.points.places import depths_of
from qwen_demo.points.rule import label_of
from qwen_demo.points.scene import Nothing, Surface, scene_of
from qwen_demo.points.words import parts_of
from qwen_demo.types import Image, Text
from tests.points.conftest import box, points_of


def test_the_nearest_point_of_a_pixel_is_shown():
    keys = buffer.empty(8)
    to_view = np.hstack([np.eye(3), np.zeros((3, 1))])
    buffer.add_points(keys, 8, np.array([[3, 3, 0.9], [3, 3, 0.2], [3, 3, 0.5]], np.float32), to_view)
    numbers, _, there = buffer.contents(keys)
    assert there.sum() == 1
    assert numbers[there] == [1]


def test_a_disc_is_round_and_keeps_the_nearest_in_front():
    keys = buffer.empty(16)
    to_view = np.hstack([np.eye(3), np.zeros((3, 1))])
    buffer.add_points(keys, 16, np.array([[5, 5, 0.5], [8, 5, 0.1]], np.float32), to_view)
    numbers, _, there = buffer.contents(buffer.spread(keys, 16, 2.0))
    assert there.reshape(16, 16)[5, 3:11].all()
    assert not there.reshape(16, 16)[3, 3]  # a corner of the square around
    assert numbers.reshape(16, 16)[5, 6:11].tolist() == [1] * 5


def test_two_triangles_cover_a_square_without_a_gap():
    scene = scene_of(np.array([[0, 0, 0], [4.3, 0, 0], [4.3, 4.3, 0], [0, 4.3, 0]]), None)
    seen = scene.xyz[None, [0, 1, 2]] * 40 + 32, scene.xyz[None, [0, 2, 3]] * 40 + 32
    keys = buffer.empty(64)
    for each in seen:
        buffer._add(keys, 64, each, 0)
    there = (keys != buffer.EMPTY).reshape(64, 64)
    assert there.sum() == 40 * 40
    assert there[12:52, 12:52].all()


def test_a_triangle_without_an_area_is_left_out():
    keys = buffer.empty(8)
    buffer._add(keys, 8, np.array([[[1, 1, 0], [5, 5, 0], [3, 3, 0]]], np.float32), 0)
    assert (keys == buffer.EMPTY).all()


def test_a_cloud_looks_closed():
    """Behind a wall of scattered points nothing shows."""
    random = np.random.default_rng(0)
    wall = np.column_stack([random.uniform(0, 4, 6000), np.zeros(6000), random.uniform(0, 3, 6000)])
    found = points_of(wall, np.full((6000, 3), 80, np.uint8), count=6, up="z", rules=False)
    inner = np.column_stack([random.uniform(0.1, 3.9, 2000), np.zeros(2000), random.uniform(0.1, 2.9, 2000)])
    for view in range(1, 6):
        x, y, _ = camera.seen_at(found.views[view].camera, inner).astype(int).T
        assert (depths_of(found, view)[y, x] != camera.NOTHING).mean() > 0.985


@pytest.mark.parametrize("count", [6000, 60_000, 240_000])
def test_nothing_shows_through_a_cloud_that_is_half_as_dense_in_parts(count):
    """The near side of a wall hides the far one, at whatever number of points in a pixel."""
    random = np.random.default_rng(0)
    walls = [
        np.column_stack([random.uniform(0, 4, n), np.full(n, y), random.uniform(0, 3, n)])
        for y, n in ((0, count // 2), (2, count // 2), (2.5, count))
    ]
    found = points_of(np.concatenate(walls), None, count=6, up="z", rules=False)
    inner = np.column_stack([random.uniform(0.6, 3.4, 2000), np.zeros(2000), random.uniform(0.1, 2.4, 2000)])
    for view in range(1, 6):
        at = found.views[view].camera
        if at.forward[1] > 0.5:  # it looks at the first wall
            x, y, depth = camera.seen_at(at, inner).T
            shown = camera.depth_of(at, depths_of(found, view)[y.astype(int), x.astype(int)])
            assert (np.abs(shown - depth) < 0.3).mean() > 0.985


def test_a_floor_tells_which_way_is_up():
    random = np.random.default_rng(0)
    floor = np.column_stack([random.uniform(0, 5, 3000), random.uniform(0, 4, 3000), np.zeros(3000)])
    above = random.uniform((1, 1, 0), (2, 2, 2), (1500, 3))
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    frame = frame_of(scene_of(np.concatenate([floor, above]) @ turn.T))
    assert frame[2] @ turn[:, 2] > 0.9995
    assert np.allclose(frame @ frame.T, np.eye(3))
    assert np.linalg.det(frame) == pytest.approx(1)


def test_a_finely_cut_thing_does_not_outweigh_the_floor():
    """Of a model's triangles nearly all are a small ball's."""
    ball = trimesh.creation.icosphere(4, 0.2)
    floor, sides_of_it = box((0, -0.05, 0), (5, 0, 4))
    wall, sides_of_wall = box((0, 0, 4), (5, 1.6, 4.05))
    xyz = np.concatenate([floor, wall, ball.vertices + np.array([2, 1, 2])])
    corners = np.concatenate([sides_of_it, np.array(sides_of_wall) + 8, ball.faces + 16])
    assert frame_of(scene_of(xyz, None, (Surface(corners),)), habit="z")[2].tolist() == [0, 1, 0]


def test_without_a_floor_the_formats_own_axis_is_up():
    ball = np.random.default_rng(0).normal(size=(2000, 3))
    assert frame_of(scene_of(ball), habit="y")[2].tolist() == [0, 1, 0]
    assert label_of(frame_of(scene_of(ball), habit="y")[1]) == ("z", -1)


def test_the_sides_chosen_show_most():
    """A wall hides one half of what is behind it: no view but those from its other side adds that."""
    random = np.random.default_rng(0)
    wall = np.column_stack([random.uniform(-3, 3, 4000), np.zeros(4000), random.uniform(0, 3, 4000)])
    behind = random.uniform((-1, 0.3, 0), (1, 0.5, 1), (2000, 3))
    roof = random.uniform((-3, 0, 3), (3, 0.8, 3.01), (2000, 3))
    picked = sides.chosen(scene_of(np.concatenate([wall, behind, roof])), np.eye(3), 2)
    azimuth = picked[1][0]
    assert 0 < azimuth < 180


def test_ticks_are_round_numbers():
    assert sides.ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert sides.ticks(500_000.3, 500_001.2, 4) == pytest.approx([500_000.5, 500_001.0])
    assert sides.ticks(3, 3) == []


def test_nothing_is_told_from_something():
    with pytest.raises(Nothing):
        scene_of(np.full((5, 3), np.nan))


def test_the_prompt_names_the_views(room):
    parts = parts_of(room)
    images = [part for part in parts if isinstance(part, Image)]
    words = "".join(part.text for part in parts if isinstance(part, Text))
    assert images == [view.image for view in room.views]
    assert "View 1, from above:" in words
    assert "View 6, from the side at" in words
    assert '"view": 2' in words


def test_a_single_view_needs_no_words():
    places, corners = box((0, 0, 0), (1, 1, 1))
    found = points_of(places, None, corners, count=1)
    assert parts_of(found) == (found.views[0].image,)

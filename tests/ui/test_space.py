"""In the chat, what an answer marks on the views of a 3D file is things in space: on the sheet, in words, in files."""

import csv
import json
from pathlib import Path

import gradio as gr
import numpy as np
import PIL.Image
import pytest
import trimesh

from qwen_demo.engines.scripted import ScriptedEngine
from qwen_demo.points import camera
from qwen_demo.service.service import Service
from qwen_demo.types import Finished, Timing, Usage
from qwen_demo.ui import chat, render, space
from qwen_demo.ui.attachments import Gallery
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.panels.preview import preview
from tests.conftest import draw

LOW, HIGH = np.array([2.0, 1, 0]), np.array([3.0, 2.5, 1.2])
DONE = Finished("stop", Usage(5, 0, 2), Timing(ttft_s=0.1, decode_s=0.1, total_s=0.2))


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))


@pytest.fixture
def room(tmp_path) -> str:
    """A floor of 6 x 4 with a box on it, z up."""
    floor = trimesh.creation.box(bounds=[(0, 0, -0.05), (6, 4, 0)])
    box = trimesh.creation.box(bounds=[LOW, HIGH])
    (tmp_path / "room.stl").write_bytes(trimesh.util.concatenate([floor, box]).export(file_type="stl"))
    return str(tmp_path / "room.stl")


@pytest.fixture
def gallery(loader, tmp_path):
    return Gallery(Reader(loader, [tmp_path]))


@pytest.fixture
def views(settings, gallery):
    return preview.Preview(Service(settings, ScriptedEngine()), gallery)


@pytest.fixture
async def answer(gallery, room) -> str:
    """The box, marked in three views."""
    points = await gallery.points(room)
    corners = np.array([[(LOW, HIGH)[k >> axis & 1][axis] for axis in range(3)] for k in range(8)])
    marks = []
    for view in (0, 2, 4):
        seen = camera.seen_at(points.views[view].camera, corners)[:, :2]
        marks.append({"view": view + 1, "bbox_2d": [*seen.min(0).round(), *seen.max(0).round()], "label": "=box"})
    return json.dumps(marks)


def history_of(files, *texts) -> list[dict]:
    history = chat.ask([], {"text": "Where is the box?", "files": files})
    return [*history, *(render.answer(text) for text in texts)]


def text_of(download: dict) -> str:
    return Path(download["file"]).read_text("utf-8")


async def test_the_viewer_shows_one_thing_in_all_its_views_and_its_box_in_every_view(views, room, answer):
    image, context = await views.values(history_of([room], answer), "[]", 0, None, None)
    assert (image["image"]["views"], image["image"]["size"]) == (6, (3 * 448, 2 * 448))
    (thing,) = image["detections"]
    assert (thing["label"], len(thing["more"]), len(thing["edges"])) == ("=box", 2, 6 * 12)
    # Rectangle and box in space are the same in each view: the third is the last of the first row.
    left, top, right, bottom = thing["more"][0]
    assert 2 * 448 < left < right < 3 * 448 and 0 < top < bottom < 448
    ends = np.array(thing["edges"][2 * 12 : 3 * 12]).reshape(-1, 2)
    assert np.allclose([*ends.min(0), *ends.max(0)], (left, top, right, bottom), atol=4)
    place, size = ([float(v) for v in part.split(sign)] for part, sign in zip(
        thing["spot"].split(" · "), (",", "×"), strict=True))  # fmt: skip
    assert np.allclose(place, (LOW + HIGH) / 2, atol=0.06)
    assert np.allclose(size, HIGH - LOW, atol=0.1)
    assert context["items"][0]["name"] == "room.stl"


@pytest.mark.slow
async def test_marks_show_while_the_answer_grows_and_meet_in_space_at_its_end(views, room, answer):
    following = views.of_answer(history_of([room]), 0, None)
    part = answer[: answer.index("}", answer.index("}") + 1) + 1]
    growing, _ = await following.update(part, None)
    assert [(len(each["more"]), each["edges"], each["spot"]) for each in growing["detections"]] == [(0, [], "")] * 2
    whole, _ = await following.update(answer, DONE)
    assert len(whole["detections"]) == 1 and whole["detections"][0]["spot"]


async def test_what_was_marked_is_saved_in_the_datas_own_coordinates(views, room, answer):
    history = history_of([room], answer)
    view, _ = await views.values(history, "[]", 0, None, None)
    saved = {kind: (await views.export(history, "[]", None, view, kind))["download"] for kind in space.FORMATS}
    assert {file["name"] for file in saved.values()} == {"room-places.json", "room-places.csv", "room-places.png"}
    (thing,) = json.loads(text_of(saved["json"]))["things"]
    assert np.allclose(thing["box"]["low"], LOW, atol=0.06) and len(thing["marks"]) == 3
    (row,) = csv.DictReader(text_of(saved["csv"]).splitlines())
    assert (row["views"], row["label"]) == ("1 3 5", "'=box")  # no spreadsheet runs it
    with PIL.Image.open(saved["png"]["file"]) as image:
        assert image.size == (3 * 448, 2 * 448)
    with pytest.raises(gr.Error):
        await views.export(history, "[]", None, view, "coco")


async def test_a_newer_image_has_the_viewer_and_a_newer_model_has_no_old_boxes(views, room, answer, tmp_path):
    draw("red").save(tmp_path / "red.png")
    history = history_of([room], answer)
    image, _ = await views.values(history, json.dumps([str(tmp_path / "red.png")]), 0, None, None)
    assert image["image"]["name"] == "red.png" and "views" not in image["image"]
    image, _ = await views.values(history, json.dumps([room]), 0, None, None)
    assert (image["image"]["views"], image["detections"]) == (6, [])
    both, _ = await views.values(history_of([str(tmp_path / "red.png"), room], "It is red."), "[]", 0, None, None)
    assert [choice["name"] for choice in both["choices"]] == ["red.png", "room.stl"]


def test_numbers_tell_a_hundredth_of_the_scene_at_every_scale():
    assert space._number(-0.0, 2) == "0.00"
    assert space.size((1.23456, 0.5, 2), 2) == "1.23 × 0.50 × 2.00"
    assert space._number(1e20, 0) == "1e+20"

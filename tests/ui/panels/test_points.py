"""The 3D panel without a browser: views and what they cost, what an answer marks in space, files of it."""

import csv
import json
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
import trimesh

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.service.service import Service
from qwen_demo.types import Image, Sampling
from qwen_demo.ui.attachments import Gallery
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.examples import FOLDER
from qwen_demo.ui.i18n import catalogues, texts
from qwen_demo.ui.panels import answering
from qwen_demo.ui.panels.points import points
from tests.media import models3d

ROOM = str(FOLDER / "room.glb")
ANSWER = (
    '[{"view": 1, "bbox_2d": [0, 0, 448, 448], "label": "=all"}, {"view": 2, "point_2d": [224, 224], "label": "it"}]'
)


@pytest.fixture
async def service(settings):
    service = Service(settings.model_copy(update={"warmup": False}), ScriptedEngine(Script([ANSWER[:30], ANSWER[30:]])))
    service.start()
    await service.loaded()
    yield service
    await service.close()


@pytest.fixture
def reader(loader, tmp_path):
    return Reader(loader, [tmp_path, FOLDER])


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))


async def test_the_preview_shows_the_views_and_what_they_cost(service, reader):
    shown = await points.preview(ROOM, points.viewing_of("auto", "none", 4, 224), service, reader)
    assert shown.sheet.size == (3 * 224, 2 * 224)
    assert "triangles" in shown.note and "tokens" in shown.note
    assert shown.model == ROOM
    shown = await points.preview(
        ROOM, points.viewing_of("auto", "none", 4, 224), service, reader, catalogues.words("zh")
    )
    assert "三角形" in shown.note


async def test_a_file_that_is_refused_never_reaches_the_browser(service, reader, tmp_path):
    (tmp_path / "<b>.gltf").write_bytes(b'{"asset": {}, "buffers": [{"uri": "https://example.org/x"}], "scenes": [{}]}')
    shown = await points.preview(str(tmp_path / "<b>.gltf"), points.viewing_of("auto", "none", 2, 224), service, reader)
    assert (shown.sheet, shown.model) == (None, None)
    assert "other files" in shown.note and "<b>" not in shown.note


@pytest.mark.parametrize("name", ["scan.las", "little.ply"])
async def test_a_scan_is_turned_as_its_views_show_it(service, reader, tmp_path, name):
    (tmp_path / name).write_bytes(models3d.FILES[name]())
    shown = await points.preview(str(tmp_path / name), points.viewing_of("z", "none", 2, 224), service, reader)
    assert shown.sheet.size == (448, 224)
    model = trimesh.load(shown.model, file_type="glb")
    assert np.allclose(model.extents, (1, 0.25, 0.75), atol=0.12)  # 4 x 3 x 1, y up; few points, wide discs
    assert list(model.geometry) == ["views"]


async def test_what_an_answer_marks_is_a_table_boxes_and_files(service, reader):
    viewing = points.viewing_of("auto", "none", 2, 448)
    async with aclosing(points.answers(ROOM, "where?", viewing, Sampling(), service, reader)) as steps:
        last = [step async for step in steps][-1]
    assert [row[0] for row in last.things] == ["=all", "it"]
    assert all(isinstance(value, float) for value in last.things[0][1:])
    asked = service._engine.requests[-1].messages[0].parts
    assert sum(isinstance(part, Image) for part in asked) == 2
    turned = trimesh.load(last.model, file_type="glb")
    assert set(turned.geometry) == {"views", "boxes"}
    assert turned.geometry["boxes"].extents.max() == pytest.approx(1, abs=0.1)  # all of it was marked
    document, table = (Path(path) for path in last.files)
    assert json.loads(document.read_text("utf-8"))["things"][1]["label"] == "it"
    with table.open(encoding="utf-8", newline="") as file:
        assert [row["views"] for row in csv.DictReader(file)] == ["1", "2"]


def test_an_answer_that_broke_off_says_so_and_a_stopped_one_waits_no_longer():
    step = answering.PanelStep("There is a ch", problem="The engine has ended.")
    assert points.told(step) == "There is a ch\n\nThe engine has ended."
    assert points.told(answering.PanelStep("There")) == "There"
    assert points.told(answering.PanelStep("", "In line.")) == "In line."
    assert points.note_stop(texts.LOOKING) == texts.STOPPED_HERE
    assert points.note_stop("There is") == f"There is\n\n{texts.STOPPED_HERE}"


async def test_a_model_in_the_chat_is_its_views(service, reader):
    history = [{"role": "user", "content": [{"type": "file", "file": {"path": ROOM}}, "what?"]}]
    (message,) = await reader.messages(history)
    assert sum(isinstance(part, Image) for part in message.parts) == 6
    attachment = await Gallery(reader).look(ROOM)
    assert (attachment.views, attachment.is_image, attachment.problem) == (6, False, None)
    assert attachment.view.endswith(".jpg")

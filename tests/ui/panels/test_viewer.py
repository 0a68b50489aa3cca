"""The viewer without a browser: which image, where the detections go, what a drawn region becomes."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_demo.answers import detections
from qwen_demo.engines.scripted import ScriptedEngine
from qwen_demo.service.service import Service
from qwen_demo.types import Finished, ModelInfo, Sampling, Timing, Usage
from qwen_demo.ui import chat, render
from qwen_demo.ui.attachments import Attachment, Gallery
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.history import generation_params
from qwen_demo.ui.panels.context.context import Item
from qwen_demo.ui.panels.preview import preview
from qwen_demo.ui.panels.viewer import viewer
from qwen_demo.ui.panels.viewer.viewer import LastAnswer
from tests.conftest import draw

MODEL = ModelInfo("test", min_pixels=28 * 28 * 64, max_pixels=28 * 28 * 256)
DONE = Finished("stop", Usage(5, 0, 2), Timing(ttft_s=0.1, decode_s=0.1, total_s=0.2))
HALF = '[{"bbox_2d": [0, 0, 266, 182], "label": "disc"}]'


def item(name="p.png", turn=0, size=(600, 400), **more) -> Item:
    return Item(Attachment(name, size, view=f"view of {name}"), turn, **more)


def drawn(items, answer=HALF, question="", **more) -> dict:
    budget = more.pop("answered_with", None)
    return viewer.value_of(items, LastAnswer(answer, question, budget), MODEL, **more)


def test_boxes_are_scaled_from_what_the_model_saw():
    # 600 x 400 fits the largest size after shrinking to 532 x 364.
    value = drawn([item()])
    assert value["image"]["seen"] == (532, 364)
    assert value["detections"] == [{"at": [0, 0, 300, 200], "label": "disc", "colour": "#E69F00"}]


def test_the_pixel_budget_of_the_answer_counts_not_that_of_the_next_question():
    # 64 tokens make 252 x 168 of it.
    value = drawn([item()], '[{"bbox_2d": [0, 0, 126, 84], "label": "disc"}]', answered_with=28 * 28 * 64)
    assert value["detections"][0]["at"] == [0, 0, 300, 200]
    assert value["image"]["seen"] == (532, 364)


def test_boxes_belong_to_the_newest_turn_with_images_and_the_question_chooses_among_them():
    items = [item("old.png", 0), item("first.png", 2), item("second.png", 2)]
    assert drawn(items)["image"]["id"] == "first.png"
    assert drawn(items, question="Detect all in the second image")["image"]["id"] == "second.png"
    assert [choice["id"] for choice in drawn(items)["choices"]] == ["first.png", "second.png"]
    assert drawn(items, picked="old.png")["image"]["id"] == "old.png"
    assert drawn(items, picked="gone.png")["image"]["id"] == "first.png"


def test_images_that_are_off_or_refused_and_clips_are_not_pointed_at():
    items = [item("on.png"), item("off.png", 1, on=False), Item(Attachment("bad.png", problem="damaged"), 2)]
    items.append(Item(Attachment("clip.mp4", (64, 64), frames=4, view="v"), 3))
    assert drawn(items[:3])["image"]["id"] == drawn(items, picked="on.png")["image"]["id"] == "on.png"
    assert drawn(items[1:3]) == viewer.EMPTY


def test_the_newest_clip_is_shown_where_no_image_is_newer():
    film = Item(Attachment("clip.mp4", (64, 64), frames=4, view="v"), 3)
    assert drawn([item("on.png"), film])["clip"]["id"] == "clip.mp4"
    assert drawn([film, item("on.png", 4)])["image"]["id"] == "on.png"


def test_an_image_that_is_not_sent_yet_is_shown_without_the_last_answers_boxes():
    value = drawn([item("old.png"), item("new.png", 2, pending=True)])
    assert (value["image"]["id"], value["detections"]) == ("new.png", [])


def test_too_many_and_misplaced_marks_are_told():
    value = drawn([item()], '{"bbox_2d": [1, 2, 30, 40]} {"bbox_2d": [9000, 9000, 9001, 9001]}' * 400)
    assert (value["found"], value["capped"], len(value["detections"])) == (500, True, 250)


def test_the_last_answer_keeps_its_budget_and_question():
    history = chat.ask([], {"text": "where?", "files": ["/p.png"]})
    history += [render.answer(HALF), render.statistics(DONE, 28 * 28 * 64)]
    assert viewer.last_answer(history) == LastAnswer(HALF, "where?", 28 * 28 * 64)
    history[-1] = render.statistics(DONE)
    assert viewer.last_answer(history).max_pixels is None
    assert viewer.last_answer([*history, *chat.ask([], {"text": "and?"})]) == LastAnswer("", "and?", None)


numbers = st.floats(allow_nan=True) | st.integers() | st.booleans() | st.text(max_size=3) | st.none()


@given(st.lists(numbers, max_size=5) | st.none(), st.tuples(st.integers(28, 5000), st.integers(28, 5000)))
def test_a_region_is_cut_out_within_the_image_whatever_the_browser_sends(at, size):
    region = viewer.region_of({"at": at}, size)
    if region is not None:
        left, top, right, bottom = viewer.crop_box(region, size)
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]


def test_boxes_of_another_model_are_placed_by_its_sizes_and_not_at_all_where_they_are_unknown():
    whole = generation_params.encode(Sampling(), "", None, MODEL)
    without = re.sub(r',"sees":\[.*?\]', "", whole)
    assert without != whole
    larger = replace(MODEL, model_id="another", max_pixels=16 * MODEL.max_pixels)
    for params, here, there in ((whole, 1, 1), (without, 1, 0)):
        answer = viewer.last_answer(pointed(params))
        values = [viewer.value_of([item()], answer, model) for model in (MODEL, larger)]
        assert [len(value["detections"]) for value in values] == [here, there]
        assert not there or values[0]["detections"] == values[1]["detections"]


def pointed(params: str) -> list[dict]:
    note = {"role": "assistant", "content": "", "metadata": {"title": "x", "id": f"max_pixels=0;{params}"}}
    return [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": HALF}, note]


def test_a_region_is_cut_with_a_margin_and_a_point_with_its_surroundings():
    assert viewer.crop_box(detections.Detection((100, 100, 200, 150), ""), (600, 400)) == (85, 85, 215, 165)
    assert viewer.crop_box(detections.Detection((10, 200), ""), (600, 400)) == (0, 140, 70, 260)


@pytest.fixture
def gallery(loader, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return Gallery(Reader(loader, [tmp_path]))


async def test_the_crop_shows_what_was_drawn(gallery, tmp_path):
    draw("red", (600, 400)).save(tmp_path / "p.png")
    path = await viewer.crop(str(tmp_path / "p.png"), {"at": [120, 80, 360, 320]}, gallery)
    with PIL.Image.open(path) as cut:
        assert cut.size == (312, 312)
        assert cut.getpixel((76, 116)) == (255, 0, 0)
    assert await viewer.crop(str(tmp_path / "p.png"), {"at": [9e6, 9e6, 9e6, 9e6]}, gallery) is None
    assert await viewer.crop("/etc/passwd", {"at": [1, 1, 9, 9]}, gallery) is None


@pytest.mark.parametrize("kind", viewer.FORMATS)
async def test_every_export_is_a_file_with_the_marks(gallery, tmp_path, kind):
    draw("red", (600, 400)).save(tmp_path / "p.png")
    attachment = await gallery.look(str(tmp_path / "p.png"))
    found = [detections.Detection((120.0, 80.0, 360.0, 320.0), "disc")]
    file = await viewer.export(kind, found, attachment, gallery)
    assert file["name"].startswith("p-boxes.")
    if kind == "png":
        with PIL.Image.open(file["file"]) as image:
            assert image.size == (600, 400)
            assert image.getpixel((120, 200)) == (0xE6, 0x9F, 0x00)
    else:
        assert "disc" in await asyncio.to_thread(Path(file["file"]).read_text, encoding="utf-8")


async def test_what_cannot_be_read_is_told_and_asked_once(gallery, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"junk" * 9)
    attachment = await gallery.look(str(tmp_path / "bad.png"))
    assert "damaged" in attachment.problem.message
    assert not attachment.is_image
    assert await gallery.look(str(tmp_path / "bad.png")) is attachment
    outside = await gallery.look("/etc/hosts")
    assert outside.problem.code == "invalid_media"
    assert not outside.view


def test_the_value_is_json_of_moderate_size():
    text = '{"bbox_2d": [1, 2, 300, 200], "label": "' + "界" * 300 + '"}'
    assert len(json.dumps(drawn([item()], text * 2000))) < 1_000_000


async def test_boxes_appear_while_the_answer_grows(gallery, settings, tmp_path):
    draw("red", (600, 400)).save(tmp_path / "p.png")
    service = Service(settings, ScriptedEngine())
    history = chat.ask([], {"text": "where?", "files": [str(tmp_path / "p.png")]})
    following = preview.Preview(service, gallery).of_answer(history, 0, None)
    text = '```json\n[{"bbox_2d": [0, 0, 266, 182], "label": "di'
    views = [await following.update(text[:end], None) for end in (0, 8, 30, 40, 41, len(text))]
    counts = [len(viewer["detections"]) if "detections" in viewer else None for viewer, _ in views]
    # Nothing before the first word, the image with it, the box once its numbers are closed, then its label.
    assert counts == [None, 0, None, 1, None, 1]
    assert views[-1][0]["detections"][0]["label"] == "di"
    viewer, items = await following.update(text + 'sc"}]\n```', DONE)
    assert viewer["detections"][0] == {"at": [0, 0, 300, 200], "label": "disc", "colour": "#E69F00"}
    assert items["prompt"] == DONE.usage.prompt_tokens


def test_boxes_stay_through_follow_ups_until_other_images_are_asked_about():
    file = {"type": "file", "file": {"path": "p.png"}}
    first = [{"role": "user", "content": [file, {"type": "text", "text": "where?"}]}, render.answer(HALF)]
    follow_up = [*first, {"role": "user", "content": "which colour?"}, render.answer("Red.")]
    assert viewer.pointing(follow_up, viewer.last_answer(follow_up)).text == HALF
    newer = [
        *follow_up,
        {"role": "user", "content": [{"type": "file", "file": {"path": "q.png"}}]},
        render.answer("A cat."),
    ]
    assert viewer.pointing(newer, viewer.last_answer(newer)).text == "A cat."
    again = [*follow_up, {"role": "user", "content": "and the other?"}, render.answer(HALF.replace("disc", "box"))]
    assert "box" in viewer.pointing(again, viewer.last_answer(again)).text


async def test_any_earlier_answer_is_shown_again_with_its_own_image_and_boxes(gallery, settings, tmp_path):
    for colour in ("red", "blue"):
        draw(colour, (600, 400)).save(tmp_path / f"{colour}.png")
    history = chat.ask([], {"text": "where is red?", "files": [str(tmp_path / "red.png")]})
    history = chat.ask([*history, render.answer(HALF)], {"text": "and blue?", "files": [str(tmp_path / "blue.png")]})
    history = [*history, render.answer(HALF.replace("disc", "ball"))]
    service = Service(settings, ScriptedEngine())
    service.start()
    await service.loaded()
    previews = preview.Preview(service, gallery)
    # It was left out of later questions, which changes nothing of what was answered.
    off = {"items": [{"id": str(tmp_path / "red.png"), "on": False}]}
    looked = await previews.look(history, "[]", 0, off, 0)
    assert (looked["image"]["name"], looked["detections"][0]["label"]) == ("red.png", "disc")
    assert (looked["turn"], looked["asked"]) == (0, "where is red?")
    assert (await previews.values(history, "[]", 0, off, looked, keep=True))[0] == looked
    saved = (await previews.export(history, "[]", off, looked, "json"))["download"]["file"]
    assert "disc" in await asyncio.to_thread(Path(saved).read_text, encoding="utf-8")
    for newest in (1, 2, -1, None, "0"):
        value = await previews.look(history, "[]", 0, off, newest)
        assert (value["image"]["name"], value["detections"][0]["label"]) == ("blue.png", "ball")
        assert "turn" not in value
    await service.close()

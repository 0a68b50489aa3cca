"""Context, pixel budget and waterfall without a browser."""

import re

import pytest

from qwen_demo.service.estimates import Rates
from qwen_demo.types import Finished, ModelInfo, Timing, Usage
from qwen_demo.ui import chat, render, waterfall
from qwen_demo.ui.attachments import Attachment, Gallery
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.panels.context import context
from qwen_demo.ui.panels.context.context import Item
from tests.conftest import draw

MODEL = ModelInfo("test", context_tokens=1000, min_pixels=784 * 64, max_pixels=784 * 256, kv_bytes_per_token=100)
DONE = Finished(
    "stop",
    Usage(300, 247, 11, cached_tokens=50),
    Timing(media_s=0.1, preprocess_s=0.2, vision_s=0.3, prefill_s=0.25, ttft_s=0.75, decode_s=0.5, total_s=1.25),
)


def item(name="p.png", **more) -> Item:
    return Item(Attachment(name, (600, 400), view="v"), 0, **more)


def test_files_are_listed_in_the_order_of_sending_with_their_turns():
    history = chat.ask([], {"text": "a", "files": ["/1.png", "/2.png"]})
    history += [render.answer("x"), render.note("note")]
    history += chat.ask([], {"text": "b", "files": ["/3.png"]})
    assert context.files_of(history, ["/4.png"]) == [(0, "/1.png"), (0, "/2.png"), (2, "/3.png"), (3, "/4.png")]


def test_what_is_off_costs_nothing_and_what_is_cached_takes_no_time():
    rates = Rates()
    rates.add(DONE)
    # 0.5 s of looking for 247 tokens, 0.25 s of reading for 250.
    whole = context.value_of([item()], MODEL, None, rates)
    assert (whole["tokens"], whole["bytes"]) == (247, 24_700)
    assert whole["seconds"] == pytest.approx(0.5 + 0.247)
    assert context.value_of([item(cached=True), item(cached=False)], MODEL, None, rates)["fresh"] == 0
    assert context.value_of([item(on=False)], MODEL, None, rates)["tokens"] == 0
    assert context.value_of([item()], MODEL, 784 * 64, rates)["items"][0]["seen"] == (252, 168)


def test_no_time_is_told_before_one_was_measured():
    rates = Rates()
    assert context.value_of([item()], MODEL, None, rates)["seconds"] is None
    rates.add(Finished("stop", Usage(30, 0, 5), Timing(prefill_s=0.1)))
    assert rates.seconds_until_read(100) is None


def test_images_from_the_encoders_cache_do_not_count_as_measured():
    rates = Rates()
    rates.add(Finished("stop", Usage(300, 247, 5), Timing(prefill_s=0.1, vision_s=0.001, encoder_hits=1)))
    assert rates.seconds_until_read(100) is None


def test_a_clips_frames_share_one_images_budget():
    clip = Attachment("clip.mp4", (640, 480), frames=8, view="v")
    assert clip.tokens(MODEL, None) <= 256
    assert clip.tokens(MODEL, None) == 4 * clip.seen(MODEL, None)[0] * clip.seen(MODEL, None)[1] // 784


def test_the_cache_marks_follow_what_was_sent():
    timing = Timing(encoder_hit=(True, False))
    items = context.after_answer(
        [item("a"), item("off", on=False), item("b")], Finished("stop", Usage(9, 8, 1), timing)
    )
    assert [row.cached for row in items] == [True, None, False]
    untold = context.after_answer([item("a")], Finished("stop", Usage(9, 8, 1), Timing()))
    assert untold[0].cached is None


@pytest.mark.parametrize("value", [None, 3, [], {"items": 5}, {"items": [1, {"id": 5, "on": False}, {"on": False}]}])
def test_whatever_the_browser_sends_switches_nothing_off(value):
    assert context.off_files(value) == frozenset()


async def test_switches_survive_a_new_look(loader, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    paths = []
    for name in ("a.png", "b.png"):
        draw("red").save(tmp_path / name)
        paths.append(str(tmp_path / name))
    gallery = Gallery(Reader(loader, [tmp_path]))
    value = {"items": [{"id": paths[0], "on": False, "cached": True}]}
    items = await context.survey([], paths, value, gallery)
    assert [(row.on, row.cached, row.pending) for row in items] == [(False, True, True), (True, None, True)]
    assert await context.survey([], context.attached_paths('["/x", 5, {"path": 1}]'), value, gallery) != items


@pytest.mark.parametrize("attached", ["", "null", "[", "5", "[" * 100_000])
def test_a_broken_list_of_attached_files_is_empty(attached):
    assert context.attached_paths(attached) == []


def test_without_takes_files_out_and_keeps_the_question():
    history = chat.ask([], {"text": "", "files": ["/1.png"]})
    history += [render.answer("x"), *chat.ask([], {"text": "b", "files": ["/2.png"]})]
    left = chat.without_files(history, frozenset(["/1.png", "/2.png"]))
    assert [message["role"] for message in left] == ["assistant", "user"]
    assert left[-1]["content"] == [{"type": "text", "text": "b"}]
    assert chat.without_files(history, frozenset()) is history


def test_the_waterfalls_bars_stand_one_after_the_other():
    table = waterfall.table(DONE)
    bars = [tuple(map(float, found)) for found in re.findall(r"margin-left: ([\d.]+)%; width: ([\d.]+)%", table)]
    assert len(bars) == len(texts.STAGES)
    ends = [begin + width for begin, width in bars]
    assert [begin for begin, _ in bars[1:]] == pytest.approx(ends[:-1], abs=0.02)
    assert ends[-1] == pytest.approx(100, abs=0.02)
    # The first token is told as the visitor waited for it, opening files included.
    assert f"{texts.STAGES['first']}</th>" in table
    assert "850 ms" in table
    assert "<dd>20</dd>" in table


def test_an_answer_that_took_no_time_has_a_waterfall():
    assert "0 ms" in waterfall.table(Finished("stop", Usage(1, 0, 1), Timing()))


def test_an_image_is_left_out_of_the_question_about_its_region_alone():
    value = context.switched_off({"items": [{"id": "whole", "on": True}, {"id": "other", "on": False}]}, "region")
    asked = [{"role": "user", "content": [{"type": "file", "file": {"path": "region"}}]}]
    answered = [*asked, {"role": "assistant", "content": "a dog"}]
    followed = [*answered, {"role": "user", "content": "and its colour?"}]
    # While it is written, asked and asked again; not in the next question, nor where the region was taken out again.
    assert context.off_files(value, [], ["region"]) == context.off_files(value, asked) == {"whole", "other"}
    assert context.off_files(value, answered) == context.off_files(value, followed) == {"other"}
    assert context.off_files(value, []) == {"other"}

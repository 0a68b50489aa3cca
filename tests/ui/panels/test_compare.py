"""Two settings on one question, without a browser: both answers, what differs, and the times."""

import json
from contextlib import aclosing
from dataclasses import replace

import pytest

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import EngineFailed
from qwen_demo.service.service import Service
from qwen_demo.types import Finished, Timing, Usage
from qwen_demo.ui import waterfall
from qwen_demo.ui.attachments import Gallery
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.difference import MAX_PIECES, difference
from qwen_demo.ui.panels.compare import compare, timings
from qwen_demo.ui.panels.compare.compare import SideChoice
from tests.conftest import draw

HOSTILE = '</p><script>alert(1)</script> <img src=x onerror="alert(2)"> &amp; <ins>not ours</ins>'
QUESTION = {"text": "what is it?", "files": []}


async def started(settings, script: Script, **changes) -> Service:
    settings = settings.model_copy(update={"warmup": False, **changes})
    service = Service(settings, ScriptedEngine(script, settings.max_running))
    service.start()
    await service.loaded()
    return service


@pytest.fixture
def reader(loader, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return Reader(loader, [tmp_path])


async def all_of(values) -> list[dict]:
    async with aclosing(values):
        return [value async for value in values]


def finished(first_s=0.5, decode_s=1.0, tokens=11) -> Finished:
    timing = Timing(queue_s=first_s, ttft_s=first_s, decode_s=decode_s, total_s=first_s + decode_s)
    return Finished("stop", Usage(20, 0, tokens, 5), timing)


def test_words_that_differ_are_marked_and_put_together_again_are_both_texts():
    before, after = "a red square and a circle", f"a blue square {HOSTILE} and a circle"
    pieces = difference(before, after)
    assert ["gone", "red "] in pieces and ["new", "blue "] in pieces
    assert "".join(text for kind, text in pieces if kind != "new") == before
    assert "".join(text for kind, text in pieces if kind != "gone") == after


def test_chinese_differs_by_characters():
    assert difference("红色圆", "蓝色圆") == [["gone", "红"], ["new", "蓝"], ["same", "色圆"]]


def test_a_thousand_differences_are_few_pieces_and_no_word_is_lost():
    before, after = (" ".join(f"{word} same{number}" for number in range(1000)) for word in ("old", "new"))
    pieces = difference(before, after)
    assert len(pieces) <= MAX_PIECES
    assert "".join(text for kind, text in pieces if kind != "gone") == after


def test_the_table_has_every_stage_and_says_who_was_faster():
    found = timings.compare(finished(0.5, 1.0), finished(0.25, 2.0))
    rows = {row["key"]: row for row in found["rows"]}
    stages = [key for key, _ in waterfall.stages(finished())]
    assert [row["key"] for row in found["rows"]] == [
        *stages[:-1], "first", "decode", "whole", *(key for key, _ in waterfall.counts(finished())),
    ]  # fmt: skip
    assert rows["first"] == {"key": "first", "values": ["500 ms", "250 ms"], "better": 1}
    assert rows["whole"] == {"key": "whole", "values": ["1.50 s", "2.25 s"], "better": 0}
    assert rows["speed"] == {"key": "speed", "values": ["10", "5"], "better": 0}
    assert rows["cached"]["values"] == ["5", "5"] and rows["queue"]["better"] is None
    assert (found["sooner"], found["by"], found["quicker"], found["speeds"]) == (0, "750 ms", 0, ["10", "5"])
    assert max(sum(share for _, share in bar) for bar in found["bars"]) == pytest.approx(1)


def test_where_nobody_was_faster_nobody_is_said_to_be():
    found = timings.compare(finished(tokens=1), finished(tokens=1))
    assert found["sooner"] is found["quicker"] is None
    assert timings.compare(finished(0.5), finished(0.5004))["sooner"] is None  # by 0 ms
    assert all(row["better"] is None for row in found["rows"])


async def test_both_are_asked_at_once_each_with_its_own_settings(settings, reader, tmp_path):
    draw("red").save(tmp_path / "a.png")
    service = await started(settings, Script(["one ", "two ", "three"], gap_s=0.15))
    question = {"text": "what?", "files": [str(tmp_path / "a.png")]}
    choices = [SideChoice(), SideChoice(temperature=0.7, budget=64, length=32, seed=-1)]
    values = await all_of(compare.answers(question, choices, [service], reader))
    assert any(all(side.get("text") and side["running"] for side in value["sides"]) for value in values)
    assert not any("difference" in value for value in values[:-1])
    last = values[-1]
    assert [side["text"] for side in last["sides"]] == ["one two three"] * 2
    assert last["same"] and last["difference"] == [["same", "one two three"]] and last["timings"]["rows"]
    first, second = sorted(service._engine.requests, key=lambda request: request.sampling.temperature)
    assert (first.max_pixels, first.sampling.seed) == (None, 0)
    assert (second.max_pixels, second.sampling.max_new_tokens, second.sampling.seed) == (64 * 28 * 28, 32, None)
    assert first.messages[0].parts[0].digest == second.messages[0].parts[0].digest


async def test_what_a_model_says_reaches_the_view_as_it_is(settings, reader):
    first, second = await started(settings, Script([HOSTILE])), await started(settings, Script(["harmless"]))
    last = (await all_of(compare.answers(QUESTION, [SideChoice(), SideChoice("second")], [first, second], reader)))[-1]
    assert [side["text"] for side in last["sides"]] == [HOSTILE, "harmless"]
    assert not last["same"] and last["difference"] == [["gone", HOSTILE], ["new", "harmless"]]


async def test_an_error_on_one_side_is_shown_there_and_the_other_goes_on(settings, reader):
    first = await started(settings, Script(["fine ", "to the end"], gap_s=0.2))
    second = await started(settings, Script(["half", "never"], error=EngineFailed("It broke."), error_after=1))
    values = await all_of(compare.answers(QUESTION, [SideChoice(), SideChoice("second")], [first, second], reader))
    good, bad = values[-1]["sides"]
    assert good["text"] == "fine to the end" and not good["problem"]
    assert bad["text"] == "half" and bad["problem"] == "It broke." and not bad["running"]
    assert "timings" not in values[-1]


async def test_a_full_queue_says_so_on_the_side_that_had_no_room(settings, reader):
    service = await started(settings, Script(["answer"], first_s=0.2), max_running=1, max_waiting=0)
    sides = (await all_of(compare.answers(QUESTION, [SideChoice(), SideChoice()], [service], reader)))[-1]["sides"]
    assert sides[0]["text"] == "answer"
    assert "all that this server takes" in sides[1]["problem"]


async def test_leaving_ends_both_answers(settings, reader):
    service = await started(settings, Script(["a "] * 100, gap_s=0.05))
    values = compare.answers(QUESTION, [SideChoice(), SideChoice()], [service], reader)
    async for value in values:
        if all(side.get("text") for side in value["sides"]):
            break
    assert service.status().running == 2
    await values.aclose()
    assert service.status().running == 0


async def test_there_is_no_second_engine_where_one_is_loaded(settings, reader):
    service = await started(settings, Script(["only"]))
    last = (await all_of(compare.answers(QUESTION, [SideChoice("second"), SideChoice("/etc")], [service], reader)))[-1]
    assert [side["text"] for side in last["sides"]] == ["only", "only"]


async def test_the_preview_follows_the_pixel_budget_of_its_side(settings, reader, tmp_path):
    draw("red", (448, 336)).save(tmp_path / "a.png")
    service = await started(settings, Script())
    files = json.dumps([str(tmp_path / "a.png")])
    full, small = [
        await compare.preview_inputs(files, "first", budget, [service], Gallery(reader)) for budget in (0, 64)
    ]
    assert (full["tokens"], full["items"][0]["size"]) == (16 * 12, (448, 336))
    assert small["tokens"] <= 64


async def test_the_choice_says_what_each_engine_is(settings):
    service = await started(settings, Script())
    service._engine.info = replace(
        service._engine.info, engine="generate", quantization="nf4", device="CPU", dtype="float32"
    )
    assert compare.label(service.status()) == "generate, float32, NF4, CPU"
    loading = Service(settings, ScriptedEngine())
    assert "not ready" in compare.label(loading.status())


def test_stop_keeps_what_was_written_and_leaves_an_answer_that_had_ended():
    stopped = compare.note_stop(
        {"sides": [{"text": "half", "running": True}, {"text": "whole", "running": False, "note": "1 s"}]}
    )
    half, whole = stopped["sides"]
    assert (half["text"], half["running"]) == ("half", False) and "Stopped" in half["note"]
    assert whole == {"text": "whole", "running": False, "note": "1 s"}


@pytest.mark.parametrize("value", [None, [], "x", {"sides": 5}, {"sides": [None, {"running": 1}, {}, {}]}])
def test_a_view_that_comes_back_changed_is_no_error(value):
    assert len(compare.note_stop(value)["sides"]) <= 2

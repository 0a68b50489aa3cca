"""Conversations and bundles without a browser: what is kept, what is refused, what the files hold."""

import base64
import hashlib
import json
import re
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import InvalidRequest
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import Sampling
from qwen_demo.ui import chat, gradio_internals, render
from qwen_demo.ui.attachments import Gallery
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.doubt import doubt
from qwen_demo.ui.history import bundles, conversations, export, generation_params, go_on, transcript
from qwen_demo.ui.history.share import ShareHandlers
from qwen_demo.ui.history.transcript import File, Turn
from tests.conftest import draw

HOSTILE = '</title><script>alert(1)</script><img src=x onerror="alert(2)"> & "quotes"'


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def red(uploads) -> str:
    (uploads / "abc").mkdir()
    draw("red", (140, 84)).save(uploads / "abc" / "red.png")
    return str(uploads / "abc" / "red.png")


@pytest.fixture
async def service():
    service = Service(Settings(warmup=False), ScriptedEngine(Script(["It is ", "<b>red</b>."])))
    service.start()
    await service.loaded()
    yield service
    await service.close()


@pytest.fixture
def reader(loader, uploads) -> Reader:
    return Reader(loader, [uploads])


async def answered(service, reader, question: dict, history=(), **choices) -> list[dict]:
    asked = chat.ask(list(history), question)
    async with aclosing(chat.answer(asked, chat.Choices(**choices), service, reader)) as steps:
        return [step.history async for step in steps][-1]


async def test_a_conversation_comes_back_as_it_was_kept(service, reader, red):
    sampling = Sampling(64, temperature=0.5)
    history = await answered(service, reader, {"text": HOSTILE, "files": [red]}, sampling=sampling, max_pixels=78400)
    kept = json.loads(json.dumps(conversations.for_browser(history)))
    assert kept["name"] == " ".join(HOSTILE.split())[:59] + "…"
    found = conversations.reopen(conversations.read(kept["messages"]))
    assert found.gone == 0
    assert chat.question_of(found.history, 0) == {"text": HOSTILE, "files": [red]}
    assert transcript.of_history(found.history) == transcript.of_history(history)
    assert render.budget_of(found.history[-1]) == 78400
    known = generation_params.decode(found.history[-1]["metadata"]["id"])
    assert (known.model, known.sampling) == ("scripted", sampling)


def buttons(history) -> list[str]:
    return [option["value"] for message in history for option in message.get("options") or ()]


async def test_what_the_browser_keeps_of_an_answer_that_was_cut_lets_it_go_on_as_it_was_asked(service):
    choices = chat.Choices(Sampling(64, temperature=0.5), "Be short.", 78400, adapter="forms")
    params = go_on.params_of(choices, service)
    history = [*chat.ask([], {"text": "count"}), render.answer("one ")]
    kept = conversations.Saver(history, params).update(chat.ChatStep(history, ""))["save"]
    assert kept["asking"] == params and [message.get("whole", True) for message in kept["messages"]] == [True, False]
    kept["messages"][-1]["params"] = params  # as the browser puts them
    found = conversations.reopen(conversations.read(kept["messages"])).history
    assert buttons(found) == [go_on.GO_ON + params]
    assert chat.begun(chat.without_notes(found)) == "one "
    assert go_on.controls_of(buttons(found)[0], service) == [100, 0.5, 64, 1.0, 1.0, -1, "Be short.", "", "forms"]
    assert "asking" not in conversations.save(history)["save"]


def test_an_answer_without_what_it_was_asked_with_can_only_be_asked_again():
    turns = [Turn("user", ("count",)), Turn("assistant", ("one ",), whole=False)]
    assert buttons(conversations.reopen(turns).history) == []
    assert buttons(go_on.with_button(chat.note_stop(chat.ask([], {"text": "count"})))) == []


@pytest.mark.parametrize("params", ["", ";", ";{}x", ';{"temperature": 9}', "go-on;[]"])
async def test_what_a_browser_makes_up_as_parameters_changes_no_control(service, params):
    assert [value.get("__type__") for value in go_on.controls_of(params, service)] == ["update"] * 9


def test_the_mark_of_an_unsure_answer_stays_with_it():
    history = [*chat.ask([], {"text": "what?"}), render.answer("A cat."), doubt.mark(), render.note("later")]
    kept = conversations.for_browser(history)["messages"]
    assert [message.get("unsure", False) for message in kept] == [False, True]
    assert doubt.is_mark(conversations.reopen(conversations.read(kept)).history[2])


def test_an_image_that_is_gone_is_told(uploads):
    turns = [Turn("user", (File(str(uploads / "abc" / "gone.png")), "what is it?")), Turn("assistant", ("A cat.",))]
    found = conversations.reopen(turns)
    assert found.gone == 1
    asked = chat.question_of(found.history, 0)
    assert asked["files"] == [] and "gone.png: no longer on the server" in asked["text"]


async def test_a_question_without_an_answer_stays_unsent_when_its_conversation_comes_back(service, reader, uploads):
    turns = [Turn("user", ("refused",)), Turn("user", ("hi",)), Turn("assistant", ("hello",))]
    history = conversations.reopen(turns).history
    assert [message.text for message in await reader.messages(history)] == ["hi", "hello"]
    assert [turn.text for turn in transcript.of_history(history)] == ["refused", "hi", "hello"]


FOREIGN = [
    "/etc/passwd",
    "{uploads}/../../etc/passwd",
    "https://example.org/x.png",
    "data:image/png;base64,AA==",
    "a\0b",
]


@pytest.mark.parametrize("path", FOREIGN)
def test_a_kept_conversation_names_uploads_of_this_server_only(uploads, path):
    path = path.replace("{uploads}", str(uploads))
    assert not gradio_internals.is_upload(path)
    with pytest.raises(gr.Error, match="not uploaded here"):
        conversations.read([{"role": "user", "parts": [{"file": path}]}])


@pytest.mark.parametrize(
    "value",
    [
        None,
        "x",
        {"role": "user"},
        [{"role": "system", "parts": []}],
        [{"role": "user", "parts": [{"text": 5}]}],
        [{"role": "user", "parts": [{"text": "a", "file": "b"}]}],
        [{"role": "user", "parts": [{}]}],
        [{"role": "user", "parts": [], "metadata": {"title": "x"}}],
        [{"role": "user", "parts": [{"text": "x" * (conversations.MAX_CHARACTERS + 1)}]}],
        [{"role": "user", "parts": []}] * (conversations.MAX_MESSAGES + 1),
    ],
)
def test_a_damaged_conversation_is_refused(value):
    with pytest.raises(gr.Error, match="damaged"):
        conversations.read(value)


def test_what_is_kept_of_a_long_conversation_with_a_long_prompt_can_be_opened_again():
    params = ';{"system_prompt": "' + "s" * 8000 + '"}'
    answer = render.answer("a")
    note = {**render.note("first token"), "metadata": {"title": "first token", "id": params}}
    history = [message for i in range(250) for message in (*chat.ask([], {"text": f"q{i}"}), answer, note)]
    kept = conversations.for_browser(history)["messages"]
    assert len(conversations.reopen(conversations.read(kept)).history) == len(history)


def test_a_note_of_another_hand_says_nothing():
    for note in ("", "x", 'max_pixels=0;{"temperature": NaN}', 'max_pixels=0;{"model": "' + "x" * 400 + '"}'):
        turns = [Turn("user", ("a",)), Turn("assistant", ("b",), note)]
        assert len(conversations.reopen(turns).history) == 2


async def test_files_hold_the_words_and_the_page_has_no_way_to_run_them(service, reader, red):
    history = await answered(service, reader, {"text": HOSTILE, "files": [red]})
    turns, gallery = transcript.of_history(history), Gallery(reader)
    page = await export.write("html", HOSTILE, turns, gallery, service.status().model)
    assert "<script" not in page and "<img src=x" not in page and "&lt;script&gt;" in page and "<b>" not in page
    assert "default-src 'none'" in page and page.count("data:image/jpeg;base64,") == 1
    markdown = await export.write("markdown", HOSTILE, turns, gallery, service.status().model)
    assert "<" not in markdown and "*red.png*" in markdown and "## Model" in markdown
    read = json.loads(await export.write("json", HOSTILE, turns, gallery, service.status().model))
    assert read["messages"][0]["parts"] == [{"file": "red.png"}, {"text": HOSTILE}]
    assert read["messages"][1]["params"]["model"] == "scripted"


async def test_a_conversation_is_data_that_a_model_learns_once_its_answer_is_corrected(service, reader, red, tmp_path):
    from qwen_demo.finetune.reading import Images, read
    from qwen_demo.settings import Settings

    history = await answered(service, reader, {"text": "what?", "files": [red]})
    line = await export.write("training", "x", transcript.of_history(history), Gallery(reader), service.status().model)
    row = json.loads(line)
    assert row["messages"][1]["corrected"] == ""
    row["messages"][1]["corrected"] = "A red square."
    path = tmp_path / "taught.jsonl"
    path.write_text(json.dumps(row) + "\n" + line)
    corrected, as_it_was = read([path], Images(Settings(), [tmp_path], tmp_path / "kept"))
    assert (corrected.question, corrected.answer) == ("what?", "A red square.")
    assert as_it_was.answer == transcript.of_history(history)[1].text
    assert corrected.images[0].path.read_bytes() == Path(red).read_bytes()  # noqa: ASYNC240 a small file


async def test_boxes_that_were_answered_are_learnt_in_the_pixels_of_their_image(service, reader, red):
    model, own = service.status().model, (140, 84)
    seen = (await Gallery(reader).look(red)).seen(model, 50176)
    assert seen[0] > own[0]
    box = '[{"bbox_2d": [%d, 0, %d, %d], "label": "a"}]'
    asked = Turn("user", (transcript.File(red), "where?"))
    history = await answered(service, reader, {"text": "where?", "files": [red]}, max_pixels=50176)
    params = transcript.of_history(history)[1].params
    told = Turn("assistant", (box % (seen[0] // 2, *seen),), params, corrected=box % (0, *seen))
    gallery = Gallery(reader)
    answer = json.loads(await export.write("training", "x", [asked, told], gallery, model))["messages"][1]
    assert answer == {"role": "assistant", "content": box % (70, *own), "corrected": box % (0, *own)}
    unseen = re.sub(r',"sees":\[.*?\]', "", params.replace('"scripted"', '"another"'))
    assert unseen != params
    for unknown in (replace(told, params=""), replace(told, params=unseen)):
        answer = json.loads(await export.write("training", "x", [asked, unknown], gallery, model))["messages"][1]
        assert answer["weight"] == 0
    words = json.loads(await export.write("training", "x", [asked, Turn("assistant", ("red",))], gallery, model))
    assert "weight" not in words["messages"][1]


async def test_what_is_learnt_is_what_was_asked_and_no_answer_that_was_cut(service, reader, red):
    told = {"text": 'what is in {"bbox_2d": [0, 0, 252, 140]}?', "files": [red]}
    history = await answered(service, reader, told, max_pixels=50176, system_prompt="Be brief.")
    turns, gallery, model = transcript.of_history(history), Gallery(reader), service.status().model
    seen = (await gallery.look(red)).seen(model, 50176)

    async def exported(*turns) -> list[dict]:
        return json.loads(await export.write("training", "x", turns, gallery, model))["messages"]

    system, question, answer = await exported(*turns)
    assert system == {"role": "system", "content": "Be brief."} and "weight" not in answer
    box = [round(252 * 140 / seen[0]), round(140 * 84 / seen[1])]
    assert question["content"][1]["text"] == f'what is in {{"bbox_2d": [0, 0, {box[0]}, {box[1]}]}}?'
    cut = replace(turns[1], whole=False)
    assert (await exported(turns[0], cut))[2]["weight"] == 0
    assert "weight" not in (await exported(turns[0], replace(cut, corrected="A red square.")))[2]


async def test_boxes_of_an_answer_are_those_of_the_newest_image(service, reader, red, uploads):
    draw("blue", (448, 336)).save(uploads / "abc" / "blue.png")
    blue, model = str(uploads / "abc" / "blue.png"), service.status().model
    params = ";" + generation_params.encode(Sampling(), "", None, model)
    box = '[{"bbox_2d": [280, 210, 440, 300], "label": "a"}]'
    turns = [
        Turn("user", (transcript.File(red), "what?")),
        Turn("assistant", ("red",), params),
        Turn("user", (transcript.File(blue), "where?")),
        Turn("assistant", (box,), params),
    ]
    assert (await Gallery(reader).look(blue)).seen(model, None) == (448, 336)
    line = json.loads(await export.write("training", "x", turns, Gallery(reader), model))
    assert line["messages"][3]["content"] == box


async def test_what_was_corrected_in_the_browser_is_in_every_file(service, reader):
    kept = [
        {"role": "user", "parts": [{"text": "what?"}]},
        {"role": "assistant", "parts": [{"text": "blue"}], "corrected": " <i>red</i> "},
    ]
    turns, gallery = conversations.read(kept), Gallery(reader)
    assert [turn.corrected for turn in turns] == ["", "<i>red</i>"]
    answer = {"role": "assistant", "content": "blue", "corrected": "<i>red</i>"}
    assert (
        json.loads(await export.write("training", "x", turns, gallery, service.status().model))["messages"][1] == answer
    )
    assert (
        json.loads(await export.write("json", "x", turns, gallery, service.status().model))["messages"][1]["corrected"]
        == "<i>red</i>"
    )
    assert "**Corrected**\n\n&lt;i>red&lt;/i>" in await export.write(
        "markdown", "x", turns, gallery, service.status().model
    )
    assert "<strong>Corrected</strong></p><p>&lt;i&gt;red&lt;/i&gt;" in await export.write(
        "html", "x", turns, gallery, service.status().model
    )
    assert chat.begun(conversations.reopen(turns).history) == "blue"
    with pytest.raises(gr.Error, match="damaged"):
        conversations.read([{**kept[1], "corrected": "x" * (conversations.MAX_CHARACTERS + 1)}])


def test_data_to_learn_from_holds_images_and_names_what_is_none(red, tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"a clip")
    asked = Turn("user", (transcript.File(red), transcript.File(str(clip)), "what?"))
    parts = json.loads(export.as_training([(asked, True)]))["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["image_url", "image_url", "text"]
    image, named = (part["image_url"]["url"] for part in parts[:2])
    assert image.startswith("data:image/png;base64,") and named == "clip.mp4"


async def shared(service, reader, red) -> dict:
    history = await answered(
        service, reader, {"text": "what?", "files": [red]}, max_pixels=50176, system_prompt="Be brief."
    )
    return json.loads((await ShareHandlers(service, reader, Gallery(reader)).pack(history, None))["file"])


async def test_a_bundle_asks_the_same_again_and_tells_whether_the_answer_is_the_same(service, reader, red, uploads):
    packed = await shared(service, reader, red)
    (image,) = packed["images"]
    assert image["sha256"] == hashlib.sha256((uploads / "abc" / "red.png").read_bytes()).hexdigest()
    assert (
        packed["generation_params"].items()
        >= {"model": "scripted", "max_pixels": 50176, "system_prompt": "Be brief."}.items()
    )
    assert image["seen"][0] % 28 == 0 and packed["answer"] == "It is <b>red</b>."
    file = uploads / "bundle.json"
    file.write_text(json.dumps(packed))
    share = ShareHandlers(service, reader, Gallery(reader))
    history, known, value = await share.open(str(file))
    choices = {"sampling": known.sampling, "max_pixels": known.max_pixels, "system_prompt": known.system_prompt}
    asked = chat.question_of(history, 0)
    assert asked["files"][0].endswith("shared-1.png")
    again = await answered(service, reader, asked, **choices)
    first, second = list(service._engine.requests)[-2:]
    assert [[getattr(part, "digest", part) for part in m.parts] for m in first.messages] == [
        [getattr(part, "digest", part) for part in m.parts] for m in second.messages
    ]
    found = (await share.verdict(again, value))["verdict"]
    assert found["same"] and found["same_model"] and found["same_sizes"]
    service._engine.script = Script(["It is ", "blue."])
    found = (await share.verdict(await answered(service, reader, asked, **choices), value))["verdict"]
    assert not found["same"]
    assert found["difference"] == [["same", "It is "], ["gone", "<b>red</b>."], ["new", "blue."]]
    value["expected"]["model"] = "another"
    assert not (await share.verdict(again, value))["verdict"]["same_model"]
    assert (await share.verdict(again, "nonsense"))["verdict"] is None


def changed(packed: dict, how: str) -> dict:
    image = packed["images"][0]
    if how == "another image":
        image["data"] = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
    if how == "no base64":
        image["data"] = "*"
    if how == "no image":
        data = b"<svg onload=alert(1)>" * 9
        image |= {"data": base64.b64encode(data).decode(), "sha256": hashlib.sha256(data).hexdigest()}
    if how == "missing image":
        packed["messages"][0]["parts"].append({"image": 7})
    if how == "path":
        packed["messages"][0]["parts"].append({"file": "/etc/passwd"})
    if how == "temperature":
        packed["generation_params"]["temperature"] = 1e9
    if how == "length":
        packed["generation_params"]["max_new_tokens"] = 1 << 20
    if how == "no question":
        packed["messages"].append({"role": "assistant", "parts": []})
    if how == "name":
        image["name"] = "../../x" * 100
    return packed


HOWS = [
    "another image",
    "no base64",
    "no image",
    "missing image",
    "path",
    "temperature",
    "length",
    "no question",
    "name",
]


@pytest.mark.parametrize("how", HOWS)
async def test_a_bundle_that_was_changed_is_refused_and_leaves_nothing(service, reader, red, uploads, how):
    file = uploads / "bundle.json"
    file.write_text(json.dumps(changed(await shared(service, reader, red), how)))
    before = {path for path in uploads.rglob("*") if path.is_file()}
    with pytest.raises(gr.Error):
        await ShareHandlers(service, reader, Gallery(reader)).open(str(file))
    assert {path for path in uploads.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, "{}", "\0", '{"a": NaN}'])
def test_other_files_are_no_bundles(uploads, text):
    (uploads / "x.json").write_text(text)
    with pytest.raises(InvalidRequest, match="no share bundle"):
        bundles.parse(uploads / "x.json")


async def test_there_is_no_bundle_of_an_answer_that_did_not_end_well(service, reader, red):
    share = ShareHandlers(service, reader, Gallery(reader))
    for history in ([], chat.ask([], {"text": "a"}), [*chat.ask([], {"text": "a"}), render.answer("half")]):
        with pytest.raises(gr.Error, match="no whole answer"):
            await share.pack(history, None)

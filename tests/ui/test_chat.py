"""The page's behaviour without a browser: histories in, histories out."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import EngineFailed
from qwen_demo.service.service import Service
from qwen_demo.ui import chat, render
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.panels import answering
from tests.conftest import draw, question, until


@pytest.fixture
async def service(settings):
    service = Service(settings.model_copy(update={"warmup": False}), ScriptedEngine(Script(["one ", "two"])))
    service.start()
    await service.loaded()
    yield service
    await service.close()


@pytest.fixture
def reader(loader, tmp_path):
    return Reader(loader, [tmp_path])


def user(text):
    return {"role": "user", "content": [{"type": "text", "text": text}]}


def assistant(text):
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def words(message) -> str:
    return "".join(part["text"] for part in message["content"] if part["type"] == "text")


async def histories(service, reader, history, **choices) -> list[list[dict]]:
    async with aclosing(chat.answer(history, chat.Choices(**choices), service, reader)) as grown:
        return [step.history async for step in grown]


@pytest.fixture
def fallen(service, monkeypatch):
    """The engine has ended; each string that is taken out of the list is what it says next, and with the last it is back."""
    healthy, said = service.engine.health, ["It ended; it is being started again", "reading weights"]
    down = {"ready": False, "restarting": True}
    monkeypatch.setattr(
        service.engine, "health", lambda: replace(healthy(), **down, detail=said[0]) if said else healthy()
    )
    monkeypatch.setattr(chat, "HEARTBEAT_S", 0.02)
    return said


async def test_a_question_that_is_asked_while_the_engine_is_started_again_waits_and_is_answered(
    service, reader, fallen
):
    shown = []
    async with aclosing(chat.answer([user("say it")], chat.Choices(), service, reader)) as grown:
        async for step in grown:
            assert service.status().state == ("restarting" if fallen else "ready")
            shown.append(str(step.history))
            del fallen[:1]
    assert "is being started again" in shown[0] and "reading weights" in shown[1]
    assert "one two" in shown[-1] and "⚠" not in shown[-1]


async def test_so_does_a_panel_and_what_is_closed_meanwhile_asks_nothing(service, fallen):
    async def request():
        return question("say it")

    async with aclosing(answering.answer(request(), service)) as steps:
        assert "is being started again" in (await anext(steps)).note
    async with aclosing(answering.answer(request(), service)) as steps:
        last = [(fallen.clear(), step) async for step in steps][-1][1]
    assert (last.text, len(service.engine.requests)) == ("one two", 1)


async def test_an_engine_that_is_not_started_again_is_told_with_the_reason(service, reader, fallen, monkeypatch):
    ended = replace(service.engine.health(), restarting=False, failed=True, detail="It failed 3 times in a row")
    monkeypatch.setattr(service.engine, "health", lambda: ended)
    last = (await histories(service, reader, [user("say it")]))[-1]
    assert "3 times in a row" in str(last[-1]) and "⚠" in str(last[-1])


async def test_an_answer_grows_and_ends_with_its_statistics(service, reader):
    service._engine.script = Script(["one ", "two ", "three"], gap_s=0.15)
    steps = await histories(service, reader, [user("count")])
    grown = [words(step[1]) for step in steps[1:]]
    assert grown[0] == "one "
    assert words(steps[-1][1]) == "one two three"
    title = steps[-1][2]["metadata"]["title"]
    assert "first token" in title
    assert "tokens/s" in title


async def test_an_answer_that_was_cut_goes_on_from_its_last_word(service, reader):
    service._engine.script = Script(["two ", "three"])
    steps = await histories(service, reader, [user("count"), assistant("one $5 ")])
    asked = service._engine.requests[-1]
    assert asked.continue_final_message
    assert [message.text for message in asked.messages] == ["count", "one $5 "]
    assert all(words(step[1]).startswith("one $5 ") for step in steps)
    assert words(steps[-1][1]) == "one $5 two three"
    assert [message["role"] for message in steps[-1]] == ["user", "assistant", "assistant"]  # question, answer, note


async def test_an_answer_that_goes_on_and_fails_keeps_its_words(service, reader):
    service._engine.script = Script([], error=EngineFailed("It fell."))
    last = (await histories(service, reader, [user("count"), assistant("one ")]))[-1]
    assert words(last[1]) == "one " and "It fell." in last[2]["metadata"]["title"]


async def test_the_length_limit_is_told_under_the_answer(service, reader):
    service._engine.script = Script(["a "] * 5, reason="length")
    steps = await histories(service, reader, [user("count")])
    assert texts.LENGTH in steps[-1][-1]["metadata"]["title"]


async def test_the_model_sees_the_conversation_without_the_pages_notes(service, reader):
    history = (await histories(service, reader, [user("first")]))[-1]
    await histories(service, reader, [*history, user("second")])
    seen = service._engine.requests[-1].messages
    assert [(m.role, m.text) for m in seen] == [("user", "first"), ("assistant", "one two"), ("user", "second")]


async def test_images_of_earlier_turns_stay_visible_to_the_model(service, reader, tmp_path):
    draw("red").save(tmp_path / "red.png")
    asked = chat.ask([], {"text": "what?", "files": [str(tmp_path / "red.png")]})
    history = (await histories(service, reader, asked))[-1]
    await histories(service, reader, [*history, user("and now?")])
    first = service._engine.requests[-1].messages[0]
    assert first.parts[0].pixels.size == (336, 336)


async def test_a_refused_image_is_told_and_does_not_spoil_later_turns(service, reader, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"nothing")
    history = (await histories(service, reader, chat.ask([], {"text": "x", "files": [str(tmp_path / "bad.png")]})))[-1]
    assert history[-1]["metadata"]["title"].startswith("⚠")
    assert not service._engine.requests
    steps = await histories(service, reader, [*history, user("hello")])
    assert words(steps[-1][-2]) == "one two"
    assert [m.text for m in service._engine.requests[-1].messages] == ["hello"]


async def test_an_error_in_the_middle_keeps_what_was_written(service, reader):
    service._engine.script = Script(["half ", "x"], error=EngineFailed("The model failed."), error_after=1)
    last = (await histories(service, reader, [user("go")]))[-1]
    assert words(last[1]) == "half "
    assert "failed" in last[2]["metadata"]["title"]


async def test_while_nothing_comes_the_reader_is_asked_whether_it_is_there(service, reader, monkeypatch):
    monkeypatch.setattr(chat, "HEARTBEAT_S", 0.01)
    service._engine.script = Script(["slow"], first_s=0.2)
    assert len(await histories(service, reader, [user("hi")])) > 5


async def test_leaving_frees_the_engine(service, reader):
    service._engine.script = Script(["a"] * 100, gap_s=0.05)
    steps = chat.answer([user("hi")], chat.Choices(), service, reader)
    for _ in range(3):
        await anext(steps)
    assert service.status().running == 1
    await steps.aclose()
    assert service.status().running == 0


async def test_a_cancelled_handler_frees_the_engine(service, reader):
    service._engine.script = Script(["a"] * 100, gap_s=0.05)
    task = asyncio.create_task(histories(service, reader, [user("hi")]))
    await until(lambda: service.status().running == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: service.status().running == 0)


def test_retry_undo_and_edit_cut_where_they_should():
    history = [user("a"), assistant("1"), {**assistant(""), "metadata": {"title": "note"}}, user("b"), assistant("2")]
    assert chat.again(history, 4) == history[:4]
    assert chat.again(history, 2) == history[:1]
    assert chat.before(history, 4) == history[:3]
    assert chat.question_of(history, 4) == {"text": "b", "files": []}
    assert [words(m) for m in chat.edit(history, 0, "new")] == ["new"]


def test_an_edited_question_keeps_its_images(tmp_path):
    history = chat.ask([], {"text": "old", "files": [str(tmp_path / "a.png")]})
    assert chat.question_of(chat.edit(history, 0, "new"), 0) == {"text": "new", "files": [str(tmp_path / "a.png")]}


def test_stop_keeps_what_was_written_and_says_so():
    pending = {**assistant(""), "metadata": {"title": "Looking", "status": "pending"}}
    assert [words(m) for m in chat.note_stop([user("a"), assistant("half")])][:2] == ["a", "half"]
    assert chat.note_stop([user("a"), assistant("half")])[-1]["metadata"]["title"] == texts.STOPPED
    assert chat.note_stop([user("a"), pending])[0] == user("a")
    assert pending not in chat.note_stop([user("a"), pending])


def test_an_empty_question_changes_nothing():
    assert chat.ask([], {"text": "  ", "files": []}) == []


async def test_files_that_are_switched_off_are_not_sent(service, reader, tmp_path):
    for colour in ("red", "blue"):
        draw(colour).save(tmp_path / f"{colour}.png")
    paths = [str(tmp_path / "red.png"), str(tmp_path / "blue.png")]
    asked = chat.ask([], {"text": "what?", "files": paths})
    steps = await histories(service, reader, asked, off=frozenset(paths[:1]))
    sent = service._engine.requests[-1].messages[0].parts
    assert len(sent) == 2
    assert sent[0].pixels.getpixel((150, 150)) == (0, 0, 255)
    assert len(steps[-1][0]["content"]) == 3, "the conversation keeps what was not sent"


async def test_opening_files_is_timed_and_the_note_keeps_the_budget(service, reader, tmp_path):
    draw("red", (2000, 2000)).save(tmp_path / "red.png")
    asked = chat.ask([], {"text": "what?", "files": [str(tmp_path / "red.png")]})
    async with aclosing(chat.answer(asked, chat.Choices(max_pixels=784 * 8), service, reader)) as grown:
        last = [step async for step in grown][-1]
    assert last.finished.timing.media_s > 0
    assert render.budget_of(last.history[-1]) == 784 * 8
    assert render.budget_of(last.history[0]) is None

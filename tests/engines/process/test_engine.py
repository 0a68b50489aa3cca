"""What goes to the engine's process and what comes back, while nothing breaks."""

import asyncio
import json
import os
from dataclasses import replace

import pytest

from qwen_demo import errors
from qwen_demo.engines.process import engine as engines
from qwen_demo.errors import EngineFailed, InvalidRequest, ModelLoadError, NotReady, Overloaded, SettingsError
from qwen_demo.raster import Raster
from qwen_demo.sentences import Sentence
from qwen_demo.types import ChatRequest, Finished, Message, Text, TextDelta, TokenLogprob, Video, collect
from tests.conftest import draw, image, question, until
from tests.engines.process.conftest import made, started

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def said(engine, words: str, *images, **more) -> str:
    return (await collect(engine.stream(question(words, *images, **more)))).text


async def test_it_answers_from_another_process(engine):
    assert int(await said(engine, "pid")) not in (0, os.getpid())


async def test_what_the_engine_says_of_itself_arrives_whole():
    async with started("Obedient", "clay") as engine:
        reason = engine.info.reason
        assert (engine.info.model_id, reason) == ("scripted", "made of clay")
        assert (reason.template, reason.values) == ("made of {note}", {"note": "clay"})
        assert engine.health().slots == 16
        assert await said(engine, "note") == "clay"


async def test_log_probabilities_arrive():
    async with started("Telling") as engine:
        answer = await collect(engine.stream(question("Hello")))
    assert answer.logprobs == (TokenLogprob("a", -0.5, (("a", -0.5), ("b", -1.5))),)


async def test_sixteen_at_once_get_each_its_own_answer(engine):
    questions = [question("Count", image(), max_new_tokens=n + 1) for n in range(16)]
    answers = await asyncio.gather(*[collect(engine.stream(each)) for each in questions])
    assert [a.text.split() for a in answers] == [[str(k) for k in range(n + 1)] for n in range(16)]
    assert [a.finished.usage.completion_tokens for a in answers] == list(range(1, 17))
    assert (engine.health().running, engine.health().waiting) == (0, 0)


async def test_images_are_mapped_not_copied(engine):
    images = [image(colour) for colour in ("red", "blue", "green", "black")]
    inodes = [str(os.fstat(each.raster.fd).st_ino) for each in images]
    assert (await said(engine, "memory", *images)).split() == inodes
    assert len(set(inodes)) == 4


async def test_pixels_arrive_as_they_are_also_of_one_image_twice_and_of_a_clip(engine):
    red, blue = image("red", (64, 32)), image("blue", (32, 64))
    frames = [draw(colour, (28, 28)) for colour in ("red", "blue")]
    for number, frame in enumerate(frames):
        frame.putpixel((0, 0), (number, 7, 9))
    clip = Video(Raster.of(*frames), (0.0, 0.5), 2.0, 1.0, "clip")
    request = ChatRequest((Message("user", (red, clip, blue, red, Text("corners"))),))
    answer = await collect(engine.stream(request))
    assert answer.text == "255.255.255 0.7.9 255.255.255 255.255.255"
    request = ChatRequest((Message("user", (red, clip, blue, red, Text("memory"))),))
    inodes = (await collect(engine.stream(request))).text.split()
    assert inodes[0] == inodes[3] and len(set(inodes)) == 3


async def test_descriptors_go_when_their_request_goes(engine):
    before = len(os.listdir("/proc/self/fd"))
    open_there = int(await said(engine, "open"))
    for _ in range(20):
        await said(engine, "corners", *[image(c) for c in ("red", "blue")])
    assert int(await said(engine, "open")) == open_there
    assert len(os.listdir("/proc/self/fd")) == before


async def test_closing_a_stream_frees_its_slot_there():
    async with started(max_running=1) as engine:
        stream = engine.stream(question("Count", max_new_tokens=400))
        await anext(stream)
        assert engine.health().running == 1
        await stream.aclose()
        assert engine.health().running == 0
        assert await said(engine, "Count", max_new_tokens=1) == "0 "


async def test_a_request_cancelled_before_it_began_leaves_nothing(engine):
    stream = engine.stream(question("Count", image()))
    first = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)  # the request is on its way, and no more
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (engine.health().running, engine.health().waiting) == (0, 0)
    assert await said(engine, "Count", max_new_tokens=1) == "0 "


@pytest.mark.parametrize(
    ("name", "field"),
    [("InvalidRequest", "messages"), ("ContextTooLong", "messages"), ("OutOfMemory", None), ("DeadlineExceeded", None)],
)
async def test_errors_keep_their_kind_and_what_they_know(engine, name, field):
    with pytest.raises(errors.QwenDemoError) as raised:
        await said(engine, f"raise {name}", image())
    assert type(raised.value) is getattr(errors, name)
    assert str(raised.value) == "no"
    assert getattr(raised.value, "field", None) == field


async def test_an_overload_keeps_its_time_and_its_sentence(engine):
    with pytest.raises(Overloaded) as raised:
        await said(engine, "raise Overloaded")
    assert raised.value.retry_after_s == 4.5
    sentence = raised.value.args[0]
    assert isinstance(sentence, Sentence) and str(sentence) == "3 of them wait"
    assert sentence.values["count"].template == "{n} of them"


@pytest.mark.parametrize(("name", "kind"), [("KeyError", EngineFailed), ("MemoryError", errors.OutOfMemory)])
async def test_foreign_errors_become_ours_and_tell_nothing_internal(engine, name, kind):
    with pytest.raises(kind) as raised:
        await said(engine, f"raise {name}")
    assert "0x7f" not in str(raised.value)
    assert await said(engine, "Count", max_new_tokens=1) == "0 "


async def test_a_stream_without_a_last_event_is_a_failure_not_a_hang():
    async with started("Wordless") as engine:
        stream = engine.stream(question("Hello"))
        assert await anext(stream) == TextDelta("a")
        with pytest.raises(EngineFailed):
            await anext(stream)


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        ("unbuildable", SettingsError, "--quantization cannot work"),
        ("Unloadable", ModelLoadError, "it could not be loaded"),
        ("broken", ModelLoadError, "ZeroDivisionError"),
        ("dying", ModelLoadError, "exit code 7"),
        ("missing", ModelLoadError, "AttributeError"),
    ],
)
async def test_an_engine_that_cannot_start_says_why(script, kind, words):
    engine = made(script)
    with pytest.raises(kind, match=words) as raised:
        await engine.start()
    assert "0x7f" not in str(raised.value)
    assert not engine.health().ready and words in engine.health().detail
    await engine.close()


async def test_before_start_and_after_close_a_request_is_refused():
    engine = made()
    with pytest.raises(NotReady):
        await said(engine, "Hello")
    await engine.start()
    await engine.close()
    with pytest.raises(NotReady):
        await said(engine, "Hello")


async def test_while_it_loads_it_is_not_ready_and_can_be_closed():
    engine = made("Slow")
    starting = asyncio.create_task(engine.start())
    await until(lambda: engine.health().detail == "loading")
    assert not engine.health().ready
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await engine.close()


async def test_closing_ends_every_answer_with_not_ready():
    async with started() as engine:
        pid = int(await said(engine, "pid"))
        streams = [engine.stream(question("Count", max_new_tokens=400)) for _ in range(3)]
        for stream in streams:
            await anext(stream)
        rest = [asyncio.create_task(collect(stream)) for stream in streams]
        await engine.close()
        ends = await asyncio.gather(*rest, return_exceptions=True)
    assert [type(end) for end in ends] == [NotReady] * 3
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_secrets_travel_but_are_on_no_command_line():
    async with started(remote_key="hush-hush") as engine:
        assert await said(engine, "secret") == "hush-hush"
        assert "hush" not in await said(engine, "arguments")


async def test_its_memory_and_its_restarts_are_among_the_numbers(engine):
    await until(lambda: "process_resident_bytes" in engine.health().stats)
    assert engine.health().stats["process_resident_bytes"] > 1 << 20
    assert engine.health().stats["restarts"] == 0


async def test_more_images_than_the_process_may_open_are_turned_away(engine, monkeypatch):
    monkeypatch.setattr(engine, "_most_images", 3)
    stream = engine.stream(question("Count", image("red"), image("blue"), max_new_tokens=400))
    await anext(stream)
    with pytest.raises(Overloaded, match="2 images"):
        await said(engine, "Count", image("green"), image("black"))
    await stream.aclose()
    assert await said(engine, "Count", image("green"), image("black"), max_new_tokens=1) == "0 "


async def test_more_images_than_one_message_carries_are_refused(engine, monkeypatch):
    monkeypatch.setattr(engines, "MAX_DESCRIPTORS", 1)
    with pytest.raises(InvalidRequest, match="2 images") as raised:
        await said(engine, "Count", image("green"), image("black"))
    assert raised.value.field == "messages"


async def test_a_hundred_images_of_one_request_arrive(engine):
    images = [image("red", (28 + n, 28)) for n in range(100)]
    assert len(set((await said(engine, "memory", *images)).split())) == 100


async def test_a_caller_that_reads_nothing_holds_nobody_up(engine):
    idle = engine.stream(question("Count", max_new_tokens=400))
    await anext(idle)
    assert len((await said(engine, "Count", max_new_tokens=50)).split()) == 50
    await idle.aclose()


async def test_its_log_lines_come_to_our_log_in_the_same_format_with_their_request(capfd):
    async with started("logging_as_json", log_json=True) as engine:
        capfd.readouterr()
        await collect(engine.stream(replace(question("log something happened"), request_id="r-1")))
    line = json.loads(capfd.readouterr().err.splitlines()[0])
    assert (line["message"], line["request"], line["level"]) == ("something happened", "r-1", "WARNING")


async def test_the_last_event_is_the_finished_of_the_engine(engine):
    events = [event async for event in engine.stream(question("Count", image(), max_new_tokens=3))]
    assert [type(event) for event in events] == [TextDelta] * 3 + [Finished]
    assert events[-1].reason == "length" and events[-1].usage.image_tokens == 64


async def test_an_answer_that_has_ended_is_let_go_without_a_disturbance():
    async with started("Careful") as engine:
        assert await said(engine, "Hello") == "a"
        assert await said(engine, "Hello") == "a undisturbed"

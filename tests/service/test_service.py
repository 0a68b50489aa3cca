import asyncio

import pytest

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import (
    DeadlineExceeded,
    EngineFailed,
    InvalidRequest,
    ModelLoadError,
    NotReady,
    Overloaded,
    QwenDemoError,
)
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Message, Text, collect
from tests.conftest import image, question, until


async def started(settings: Settings, script: Script = Script(), **engine) -> tuple[Service, ScriptedEngine]:  # noqa: B008
    scripted = ScriptedEngine(script, **engine)
    service = Service(settings.model_copy(update={"warmup": False}), scripted)
    service.start()
    await service.loaded()
    return service, scripted


async def test_an_answer_streams_and_ends(settings):
    service, _ = await started(settings, Script(["one ", "two"]))
    answer = await collect(service.answer(question("count")))
    assert answer.text == "one two"
    assert answer.finished.reason == "stop"
    assert answer.finished.usage.completion_tokens == 2


async def test_while_the_model_loads_a_request_is_turned_away_with_the_reason(settings):
    service = Service(settings, ScriptedEngine(load_s=60))
    service.start()
    with pytest.raises(NotReady, match="loading"):
        await collect(service.answer(question("hello")))
    assert service.status().state == "loading"
    await service.close()


async def test_a_model_that_cannot_be_loaded_is_told(settings):
    class Broken(ScriptedEngine):
        async def start(self):
            raise ModelLoadError("no such file; give another folder")

    service = Service(settings, Broken())
    service.start()
    await service.loaded()
    assert service.status().state == "failed"
    with pytest.raises(NotReady, match="give another folder"):
        await collect(service.answer(question("hello")))


async def test_a_second_engine_waits_for_the_first_and_does_not_load_without_it(settings):
    first, second = (Service(settings, ScriptedEngine(load_s=0.1 * (number + 1))) for number in range(2))
    first.start()
    second.start(after=first)
    await first.loaded()
    assert second.status().state == "loading" and not second._engine.health().ready
    await second.loaded()
    assert second.status().state == "ready"

    class Broken(ScriptedEngine):
        async def start(self):
            raise ModelLoadError("no such file")

    first, second = Service(settings, Broken()), Service(settings, ScriptedEngine())
    first.start()
    second.start(after=first)
    await second.loaded()
    assert str(second.failure) == "no such file" and not second._engine.health().ready


async def test_the_warm_up_is_over_before_the_first_visitor(settings):
    scripted = ScriptedEngine()
    service = Service(settings, scripted)
    service.start()
    await service.loaded()
    assert len(scripted.requests) == 1
    assert service.status().state == "ready"


async def test_over_capacity_is_answered_at_once_and_room_comes_back():
    settings = Settings(max_running=2, max_waiting=1)
    service, scripted = await started(settings, Script(["a"], first_s=60), max_running=2)
    tasks = [asyncio.create_task(collect(service.answer(question("hello")))) for _ in range(3)]
    await until(lambda: scripted.health().running == 2 and scripted.health().waiting == 1)
    with pytest.raises(Overloaded, match="Try again") as refused:
        await collect(service.answer(question("hello")))
    assert refused.value.retry_after_s >= 1
    tasks[0].cancel()
    await until(lambda: scripted.health().waiting == 0)
    scripted.script = Script(["b"])
    tasks[1].cancel()
    assert (await collect(service.answer(question("hello")))).text == "b"
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert scripted.health().running == 0


async def test_closing_the_stream_frees_the_engine(settings):
    service, scripted = await started(settings, Script(["a"] * 1000, gap_s=0.01))
    stream = service.answer(question("hello", max_new_tokens=1000))
    await anext(stream)
    assert scripted.health().running == 1
    await stream.aclose()
    assert scripted.health().running == 0


async def test_an_answer_that_takes_too_long_is_ended():
    service, scripted = await started(Settings(request_timeout_s=0.05), Script(["a", "b"], gap_s=60))
    with pytest.raises(DeadlineExceeded, match=r"0\.05 s"):
        await collect(service.answer(question("hello")))
    assert scripted.health().running == 0


async def test_an_error_of_the_engine_reaches_its_caller_only(settings):
    service, scripted = await started(settings, Script(["a", "b"], error=EngineFailed("broken"), error_after=1))
    with pytest.raises(EngineFailed, match="broken"):
        await collect(service.answer(question("hello")))
    scripted.script = Script(["fine"])
    assert (await collect(service.answer(question("hello")))).text == "fine"


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ChatRequest(()), "last message"),
        (ChatRequest((Message("assistant", (Text("hi"),)),)), "last message"),
        (ChatRequest((Message("user", ()),)), "empty"),
        (question("hi", max_new_tokens=0), "max_new_tokens is 0"),
        (question("hi", max_new_tokens=10**9), "--max-new-tokens"),
        (question("hi", *[image()] * 9), "--max-images"),
        (question("hi", temperature=-1), "temperature is -1"),
        (question("hi", temperature=float("nan")), "temperature is nan"),
        (question("hi", top_p=0), "top_p"),
        (question("hi", seed=-5), "seed"),
        (question("hi", repetition_penalty=0), "repetition_penalty"),
    ],
)
async def test_a_bad_request_is_refused_with_the_limit(settings, request_, message):
    service, scripted = await started(settings)
    with pytest.raises(InvalidRequest, match=message):
        await collect(service.answer(request_))
    assert not scripted.requests


async def test_every_error_has_a_stable_code():
    codes = [cls.code for cls in _tree(QwenDemoError)]
    assert len(codes) == len(set(codes))


def _tree(cls):
    return [cls, *(leaf for sub in cls.__subclasses__() for leaf in _tree(sub))]


async def test_answers_that_outlast_the_grace_end_with_the_reason(settings):
    service, scripted = await started(
        settings.model_copy(update={"grace_s": 0.1}), Script(["slow "] * 1000, gap_s=0.05)
    )
    running = asyncio.ensure_future(collect(service.answer(question("tell me all"))))
    await until(lambda: scripted.health().running)
    await service.drain()
    with pytest.raises(NotReady, match="shutting down"):
        await running
    assert scripted.health().running == 0

import asyncio
import itertools
import time
from dataclasses import replace

import pytest

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import (
    DeadlineExceeded,
    EngineFailed,
    EngineRestarting,
    InvalidRequest,
    ModelLoadError,
    NotFound,
    NotReady,
    Overloaded,
    QwenDemoError,
)
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import Adapter, ChatRequest, Finished, Message, Text, Timing, Tool, ToolCall, Usage, collect
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
    service, scripted = await started(settings, Script(["a"], first_s=600), max_running=2)
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
        (ChatRequest(()), "no message"),
        (ChatRequest((Message("assistant", (Text("hi"),)),)), "last message"),
        (replace(question("hi"), continue_final_message=True), "last message"),
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
    codes = [cls.code for cls in _tree(QwenDemoError) if cls.__module__ == QwenDemoError.__module__]
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


async def test_an_engine_that_starts_with_an_unforeseen_error_has_failed(settings):
    class Broken(ScriptedEngine):
        async def start(self):
            raise LookupError("no such thing")

    service = Service(settings, Broken())
    service.start()
    await service.loaded()
    assert (service.status().state, service.is_lost) == ("failed", True)
    assert "no such thing" in str(service.failure)
    await service.close()


async def test_who_asked_for_a_model_by_name_is_not_answered_by_the_one_that_took_its_place(settings, monkeypatch):
    service, scripted = await started(settings, Script(["one"]))
    named, unnamed = replace(question("hi"), adapter=Adapter("scripted")), question("hi")
    take = service._admission.turns.take

    async def changed_meanwhile(account):
        await take(account)
        scripted.info = replace(scripted.info, model_id="another")

    monkeypatch.setattr(service._admission.turns, "take", changed_meanwhile)
    with pytest.raises(NotFound, match="another"):
        await collect(service.answer(named))
    assert (await collect(service.answer(unnamed))).text == "one"
    await service.close()


async def test_a_model_that_answers_is_not_called_lost(settings):
    service, _ = await started(settings, Script(["a ", "b"]))
    service._watchdog.trouble = "asked in vain"
    assert service.status().state == "failed"
    service._watchdog.saw_event()
    assert service.status().state == "ready"
    await service.close()


async def test_the_watchdog_outlasts_an_unforeseen_error_tells_it_and_the_engine_is_closed(settings):
    service, scripted = await started(settings.model_copy(update={"canary_s": 0.05}), Script(error=LookupError("odd")))
    await until(lambda: service.status().state == "failed")
    assert not service._health().ready and not service.is_lost
    scripted.script = Script(["fine"])
    await until(lambda: service.status().state == "ready")
    await service.close()
    assert not scripted.health().ready


async def test_a_task_that_broke_does_not_keep_the_engine_open(settings):
    service, scripted = await started(settings)

    async def broken():
        raise LookupError("odd")

    service._tasks.append(asyncio.create_task(broken()))
    await asyncio.sleep(0)
    await service.close()
    assert not scripted.health().ready


async def test_an_engine_that_comes_back_by_itself_is_restarting_and_one_that_does_not_is_lost(settings):
    service, scripted = await started(settings)
    scripted._ready = False
    assert (service.status().state, service.is_lost) == ("restarting", False)
    scripted._ready = True
    assert service.status().state == "ready"
    health = scripted.health()
    scripted.health = lambda: replace(health, ready=False, failed=True)
    assert (service.status().state, service.is_lost) == ("failed", True)


async def test_the_estimate_counts_work_and_no_idle_hours(settings, monkeypatch):
    service, _ = await started(settings, max_running=2)
    hours = itertools.count(step=3600)
    for seconds in (2.0, 4.0):
        monkeypatch.setattr(time, "monotonic", lambda now=next(hours): now)  # noqa: B008 each call its own hour
        service.rates.add(Finished("stop", Usage(1, 0, 1), Timing(queue_s=100.0, total_s=100.0 + seconds)))
    monkeypatch.undo()
    assert service.eta_s(ahead=1) == pytest.approx(3.0 / 2)
    assert service.eta_s(ahead=10) == pytest.approx(10 * 3.0 / 2)
    assert service.eta_s() == 0


@pytest.mark.parametrize(("least", "tokens"), [(None, 64), (28 * 28 * 200, 196), (1 << 40, 256)])
async def test_what_a_request_asks_of_its_images_is_charged_at_the_door(settings, least, tokens):
    service, scripted = await started(settings, Script(["a"], first_s=600))
    request = replace(question("hi", image(size=(224, 224))), min_pixels=least)
    waiting = asyncio.create_task(collect(service.answer(request)))
    await until(lambda: scripted.health().running == 1)
    assert service._admission.prompt_tokens == pytest.approx(tokens, abs=30) and service._admission.prompt_tokens > 64
    waiting.cancel()
    await asyncio.wait({waiting})
    assert (service._admission.requests, service._admission.prompt_tokens) == (0, 0)


async def test_an_engine_that_ends_under_the_watchdogs_own_question_is_ready_as_soon_as_it_is_back(settings):
    ended = Script(error=EngineRestarting("it ended"))
    service, scripted = await started(settings.model_copy(update={"canary_s": 0.05}), ended)
    await until(lambda: len(scripted.requests) >= 2)
    assert service.status().state == "ready" and service._health().ready
    await service.close()


async def test_tools_and_calls_are_charged_at_the_door(settings):
    service, scripted = await started(settings, Script(["a"], first_s=600))
    called = Message("assistant", (), (ToolCall("a", "f", "x" * 3000),))
    told = Message("tool", (Text("y"),), tool_call_id="a")
    asked = replace(question("hello"), tools=(Tool("f", "d" * 3000, "{" + " " * 3000 + "}"),))
    request = replace(asked, messages=(*asked.messages, called, told))
    waiting = asyncio.create_task(collect(service.answer(request)))
    await until(lambda: scripted.health().running == 1)
    assert service._admission.prompt_tokens == pytest.approx(3000, abs=30)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert (service._admission.requests, service._admission.prompt_tokens) == (0, 0)

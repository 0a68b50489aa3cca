"""What happens to requests when callers leave, memory ends, steps fail or hang."""

import asyncio
import contextlib
import json
import threading
import time
from dataclasses import replace

import pytest
import torch

from qwen_demo.engines.batching import memory_plan as planning
from qwen_demo.engines.batching.engine import BatchingEngine
from qwen_demo.engines.batching.job import Job
from qwen_demo.errors import (
    ContextTooLong,
    DeadlineExceeded,
    EngineFailed,
    InvalidRequest,
    NotReady,
    OutOfMemory,
    SettingsError,
)
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Engine, Finished, TextDelta, collect
from tests.conftest import image, question, until
from tests.engines.batching.conftest import alone
from tests.engines.test_grammar import ENDLESS


def long_question(words: str = "Tell me about it.", **sampling) -> ChatRequest:
    return replace(question(words, **{"max_new_tokens": 900, **sampling}), repetition_guard=False)


@contextlib.contextmanager
def failing(target, name: str, error: Exception, when=lambda *args: True, times: int = 1):
    """`target.name` raises for the first `times` calls for which `when` holds; gives how often it did."""
    real = getattr(target, name)
    left = times

    def sometimes(*args, **kwargs):
        nonlocal left
        if left and when(*args):
            left -= 1
            raise error
        return real(*args, **kwargs)

    setattr(target, name, sometimes)
    try:
        yield lambda: times - left
    finally:
        setattr(target, name, real)


async def test_it_keeps_the_contract_of_an_engine(engine):
    assert isinstance(engine, Engine)
    events = [event async for event in engine.stream(question("What is this?", image()))]
    assert {type(event) for event in events[:-1]} == {TextDelta} and isinstance(events[-1], Finished)
    timing, usage = events[-1].timing, events[-1].usage
    assert timing.preprocess_s > 0 and timing.vision_s > 0 and timing.prefill_s > 0
    parts = timing.queue_s + timing.preprocess_s + timing.vision_s + timing.prefill_s
    assert timing.ttft_s == pytest.approx(parts, rel=0.2, abs=0.02)
    assert 0 < usage.image_tokens < usage.prompt_tokens


@pytest.mark.usefixtures("endless")
async def test_closing_a_stream_frees_its_slot_within_one_step(engine):
    others = [asyncio.create_task(collect(engine.stream(long_question()))) for _ in range(2)]
    stream = engine.stream(long_question("And this?"))
    await anext(stream)
    await until(lambda: engine.health().running == 3)
    steps = engine.loop.steps
    await stream.aclose()
    assert engine.health().running == 2
    # The step under way ends, then one lets it go.
    assert engine.loop.steps - steps <= 3
    for task in others:
        task.cancel()
    await asyncio.wait(others)
    assert engine.health().running == 0


@pytest.mark.usefixtures("endless")
async def test_health_tells_what_the_engine_does(engine):
    streams = [
        engine.stream(replace(question("What is it?", image(c), max_new_tokens=900), repetition_guard=False))
        for c in ("red", "blue")
    ]
    for stream in streams:
        await anext(stream)
    await until(lambda: engine.health().stats["batch_size"] == 2)
    health = engine.health()
    assert health.running == 2 <= health.slots == health.stats["slots"]
    assert 0 < health.stats["reserved_tokens"] <= health.stats["budget_tokens"]
    assert health.stats["step_seconds"] > 0
    assert health.stats["encoder_cache_images"] == 2
    assert health.stats["encoder_cache_bytes"] > 0
    for stream in streams:
        await stream.aclose()
    await until(lambda: engine.health().stats["batch_size"] == 0)


@pytest.mark.usefixtures("endless")
async def test_who_waits_is_admitted_when_somebody_leaves(started):
    async with started(slots=1) as engine:
        first = engine.stream(long_question())
        await anext(first)
        second = asyncio.create_task(collect(engine.stream(question("Hello?", max_new_tokens=2))))
        await until(lambda: engine.health().waiting == 1)
        assert not second.done()
        await first.aclose()
        assert (await second).finished.reason == "length"


async def test_leaving_while_waiting_leaves_no_trace(started, endless):
    async with started(slots=1) as engine:
        first = engine.stream(long_question())
        await anext(first)
        waiting = [asyncio.create_task(collect(engine.stream(long_question(f"{n}?")))) for n in range(12)]
        await until(lambda: engine.health().waiting == 12)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        assert (engine.health().running, engine.health().waiting) == (1, 0)
        await first.aclose()
        await until(lambda: not engine.preprocessor._ahead)


@pytest.mark.usefixtures("endless")
async def test_a_deadline_ends_running_waiting_and_unprepared_requests(started):
    async with started(slots=1, request_timeout_s=0.4) as engine:
        results = await asyncio.gather(
            *(collect(engine.stream(long_question())) for _ in range(15)), return_exceptions=True
        )
        assert [type(result) for result in results] == [DeadlineExceeded] * 15
        await until(lambda: engine.health().running == 0)


async def test_no_memory_on_a_cpu_is_told_in_words_and_fails_one_request(started):
    bad = question("What is this?", image("red", (364, 364)), max_new_tokens=4)
    words = RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: 9 bytes.")
    async with started() as engine:
        with (
            failing(engine.loop.runner.decoder, "embed", words),
            pytest.raises(OutOfMemory, match="fewer or smaller images"),
        ):
            await collect(engine.stream(bad))
        assert engine.health().ready
        assert (await collect(engine.stream(bad))).finished


@pytest.mark.parametrize("where", ["prefill", "encode", "decode"])
async def test_out_of_memory_fails_one_request_and_no_other(endless, started, loaded, answer_ids, where):
    good = replace(long_question("Describe it.", max_new_tokens=48), request_id="good")
    bad = question("What is this?", *([image("red", (364, 364))] if where != "decode" else []), max_new_tokens=64)
    length = loaded.prompts.build(bad).length
    async with started() as engine:
        target, when = {
            "prefill": (engine.loop.runner, lambda chunks: any(c.sequence.prompt.length == length for c in chunks)),
            "encode": (
                engine.preprocessor.encoder.vision,
                lambda images: any(grid == (1, 26, 26) for _, grid in images),
            ),
            "decode": (engine.loop.runner, lambda running: running == 2),
        }[where]
        with failing(target, where, torch.OutOfMemoryError("injected"), when):
            first = asyncio.create_task(collect(engine.stream(good)))
            await until(lambda: answer_ids["good"])
            with pytest.raises(OutOfMemory, match="fewer or smaller images"):
                await collect(engine.stream(bad))
            await first
        assert answer_ids["good"] == alone(loaded, good)
        assert engine.health().ready and engine.health().running == 0
        assert (await collect(engine.stream(bad))).finished


@pytest.mark.usefixtures("endless")
async def test_a_failed_step_fails_what_runs_and_the_engine_recovers(engine, loaded, answer_ids):
    running = [asyncio.create_task(collect(engine.stream(long_question(f"{n}?")))) for n in range(3)]
    await until(lambda: engine.health().running == 3)
    with failing(engine.loop.runner, "decode", RuntimeError("injected")):
        results = await asyncio.gather(*running, return_exceptions=True)
    assert [type(result) for result in results] == [EngineFailed] * 3
    assert all(isinstance(result.__cause__, RuntimeError) for result in results)
    after = replace(question("Are you well?", max_new_tokens=8), request_id="after")
    await collect(engine.stream(after))
    assert engine.health().ready and engine.health().running == 0
    assert answer_ids["after"] == alone(loaded, after)


async def test_tokens_that_cannot_be_turned_into_text_fail_their_request_alone(engine, answer_ids, loaded, monkeypatch):
    good = replace(question("Describe it.", max_new_tokens=24), request_id="good")
    push = Job.push

    def picky(job, token, logprob):
        if job.request.request_id == "bad":
            raise UnicodeError("injected")
        return push(job, token, logprob)

    monkeypatch.setattr(Job, "push", picky)
    first = asyncio.create_task(collect(engine.stream(good)))
    with pytest.raises(EngineFailed):
        await collect(engine.stream(replace(question("And this?"), request_id="bad")))
    await first
    assert answer_ids["good"] == alone(loaded, good)
    assert engine.health().ready and engine.health().running == 0


async def test_an_engine_that_cannot_recover_says_so_and_refuses(engine):
    broken = RuntimeError("injected")
    runner = engine.loop.runner
    with failing(runner, "prefill", broken, times=99), failing(runner, "probe", broken, times=99):
        with pytest.raises(EngineFailed):
            await collect(engine.stream(question("Hello?")))
        await until(lambda: engine.health().failed)
        health = engine.health()
        assert not health.ready and "3 times in a row (RuntimeError)" in health.detail
        with pytest.raises(NotReady, match="3 times in a row"):
            await collect(engine.stream(question("Hello?")))


async def test_a_step_that_hangs_fails_its_callers_and_the_engine_comes_back(started):
    async with started(step_timeout_s=0.4) as engine:
        released = threading.Event()
        real = engine.loop.runner.decode

        def hanging(running):
            released.wait(20)
            return real(running)

        engine.loop.runner.decode = hanging
        with pytest.raises(EngineFailed, match="does not answer"):
            await collect(engine.stream(long_question()))
        health = engine.health()
        assert (health.ready, health.failed) == (False, False) and "hangs" in health.detail
        with pytest.raises(NotReady):
            await collect(engine.stream(question("Hello?")))
        engine.loop.runner.decode = real
        released.set()
        await until(lambda: engine.health().ready and engine.health().running == 0)
        assert (await collect(engine.stream(question("Hello?", max_new_tokens=4)))).finished


async def test_a_request_that_never_fits_is_refused_with_the_numbers(started):
    async with started(slot_tokens=128) as engine:
        assert engine.info.context_tokens == 128
        with pytest.raises(ContextTooLong, match=r"memory holds 128 for one request") as refused:
            await collect(engine.stream(question("word " * 300)))
        assert refused.value.field == "messages"
        answer = await collect(engine.stream(replace(long_question("Hello?"), repetition_guard=False)))
        assert answer.finished.usage.prompt_tokens + answer.finished.usage.completion_tokens <= 128


async def test_memory_too_small_for_one_request_is_an_error_at_start(started):
    with pytest.raises(SettingsError, match=r"raise --memory-limit-gib or --kv-cache-mib"):
        async with started(slot_tokens=1024, kv_cache_mib=1):
            pass


@pytest.mark.usefixtures("endless")
async def test_closing_the_engine_ends_every_stream(started):
    async with started(slots=1) as engine:
        tasks = [asyncio.create_task(collect(engine.stream(long_question()))) for _ in range(3)]
        await until(lambda: engine.health().running == 1)
        await engine.close()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
        assert [type(result) for result in results] == [NotReady] * 3
        with pytest.raises(NotReady):
            await collect(engine.stream(question("Hello?")))


async def test_a_seed_gives_the_same_answer_alone_and_among_others(engine, answer_ids):
    request = question("Tell me a story.", temperature=1.2, top_p=0.95, seed=7, max_new_tokens=24)
    await collect(engine.stream(replace(request, request_id="alone")))
    crowd = [question(f"{n}?", temperature=1.0, max_new_tokens=24) for n in range(5)]
    among = replace(request, request_id="among")
    await asyncio.gather(*(collect(engine.stream(r)) for r in [*crowd[:3], among, *crowd[3:]]))
    assert answer_ids["among"] == answer_ids["alone"]


async def test_stop_strings_and_logprobs_reach_the_caller(engine):
    plain = await collect(engine.stream(question("Tell me a story.", max_new_tokens=24)))
    stop = plain.text.split()[3]
    request = question("Tell me a story.", max_new_tokens=24, stop=(stop,), top_logprobs=2)
    answer = await collect(engine.stream(request))
    assert answer.finished.reason == "stop" and stop not in answer.text
    assert plain.text.startswith(answer.text)
    assert all(len(p.top) == 2 and p.logprob <= 0 and p.token == p.top[0][0] for p in answer.logprobs)
    assert "".join(p.token for p in answer.logprobs).startswith(answer.text.rstrip())


COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}, "count": {"enum": [1, 2, 30]}},
    "required": ["colour", "count"],
    "additionalProperties": False,
}


async def test_answers_follow_their_own_schema_among_others_that_have_none(engine, answer_ids, loaded):
    free = replace(question("Describe it.", max_new_tokens=24), request_id="free")
    asked = {"json_schema": json.dumps(COLOUR), "max_new_tokens": 200}
    held = [question("What is it?", temperature=t, seed=3, **asked) for t in (0.0, 2.0, 0.0)]
    _, *answers = await asyncio.gather(*(collect(engine.stream(request)) for request in [free, *held]))
    for answer in answers:
        parsed = json.loads(answer.text)
        assert set(parsed) == {"colour", "count"} and parsed["colour"] in ("red", "blue")
    assert answers[0].text == answers[2].text
    assert answer_ids["free"] == alone(loaded, free)


async def test_a_grammar_without_an_end_is_an_error_of_its_own_answer_alone(engine, answer_ids, loaded):
    free = replace(question("Describe it.", max_new_tokens=24), request_id="beside")
    endless = question("What is it?", json_schema=ENDLESS, max_new_tokens=200)
    answer, failure = await asyncio.gather(
        collect(engine.stream(free)), collect(engine.stream(endless)), return_exceptions=True
    )
    assert isinstance(failure, InvalidRequest) and "dead end" in str(failure)
    assert answer.finished.reason
    assert answer_ids["beside"] == alone(loaded, free)


async def test_a_stop_string_cuts_an_answer_under_a_schema(engine):
    asked = question("What is it?", json_schema=json.dumps(COLOUR), stop=(":",), max_new_tokens=200)
    answer = await collect(engine.stream(asked))
    assert (answer.text, answer.finished.reason) == ('{"colour"', "length")


async def test_a_schema_that_cannot_be_used_is_refused(engine):
    with pytest.raises(InvalidRequest, match="schema"):
        await collect(engine.stream(question("What is it?", json_schema='{"type": "nope"}')))


@contextlib.contextmanager
def held(target, name: str):
    """`target.name` is held until the second of the two events that this gives; the first tells that it is."""
    real, reached, released = getattr(target, name), threading.Event(), threading.Event()

    def holding(*args, **kwargs):
        reached.set()
        assert released.wait(20), f"nobody let {name} go"
        return real(*args, **kwargs)

    setattr(target, name, holding)
    try:
        yield reached, released
    finally:
        released.set()
        setattr(target, name, real)


@pytest.mark.parametrize("stage", ["build", "encode", "prefill", "decode"])
async def test_the_event_loop_never_waits_for_the_model(engine, stage):
    """It is the loop that lets the held stage go: if it waited for that, the request would fail."""
    target = {"build": engine.preprocessor.prompts, "encode": engine.preprocessor.encoder.vision}
    with held(target.get(stage, engine.loop.runner), stage) as (reached, released):
        task = asyncio.create_task(collect(engine.stream(question("What?", image(), max_new_tokens=4))))
        await until(reached.is_set)
        assert engine.health().ready and not task.done()
        released.set()
        assert (await task).finished


async def test_weights_that_leave_no_room_end_the_start_with_what_to_do(started, monkeypatch):
    def too_large(*args, **kwargs):
        raise torch.OutOfMemoryError("injected")

    monkeypatch.setattr("qwen_demo.engines.batching.build.ModelRunner", too_large)
    with pytest.raises(SettingsError, match="nf4-vision, or raise --memory-limit-gib"):
        async with started():
            pass


async def together(engine, requests) -> list:
    return await asyncio.gather(*(collect(engine.stream(r)) for r in requests), return_exceptions=True)


@pytest.fixture
def three(loaded) -> list[ChatRequest]:
    """Requests with an image each, of sizes that go through the encoder together."""
    sizes = [(56, 84), (364, 364), (112, 56)]
    return [
        replace(question("What is this?", image("red", size), max_new_tokens=12), request_id=str(n))
        for n, size in enumerate(sizes)
    ]


@pytest.mark.parametrize("where", ["prefill", "encode"])
async def test_what_is_too_much_for_one_pass_is_done_one_by_one(started, loaded, answer_ids, three, where):
    async with started(prefill_tokens=512) as engine:
        engine.preprocessor.encoder.patches_at_once = 4096
        target = engine.loop.runner if where == "prefill" else engine.preprocessor.encoder.vision
        with failing(target, where, torch.OutOfMemoryError("injected"), lambda many: len(many) > 1, times=99) as fired:
            answers = await together(engine, three)
            assert fired()
        assert all(answer.finished for answer in answers)
        assert [answer_ids[r.request_id] for r in three] == [alone(loaded, r) for r in three]


@pytest.mark.parametrize("where", ["prefill", "encode"])
async def test_in_a_pass_over_several_only_the_one_that_is_too_large_fails(started, loaded, answer_ids, three, where):
    length = loaded.prompts.build(three[1]).length
    async with started(prefill_tokens=512) as engine:
        engine.preprocessor.encoder.patches_at_once = 4096
        target, when = {
            "prefill": (engine.loop.runner, lambda chunks: any(c.sequence.prompt.length == length for c in chunks)),
            "encode": (
                engine.preprocessor.encoder.vision,
                lambda images: any(grid == (1, 26, 26) for _, grid in images),
            ),
        }[where]
        with failing(target, where, torch.OutOfMemoryError("injected"), when, times=99):
            answers = await together(engine, three)
        assert isinstance(answers[1], OutOfMemory)
        assert answer_ids["0"] == alone(loaded, three[0]) and answer_ids["2"] == alone(loaded, three[2])
        assert engine.health().ready and engine.health().running == 0


async def test_the_same_image_of_two_callers_is_encoded_once_in_a_pass(started, three):
    async with started() as engine:
        encoder, passes = engine.preprocessor.encoder, []
        encoder.patches_at_once = 4096
        encode = encoder.vision.encode
        encoder.vision.encode = lambda images: passes.append(len(images)) or encode(images)
        jobs = [Job(request, 0.0, time.perf_counter() + 60) for request in (three[0], three[2], three[0])]
        for job in jobs:
            job.prompt = engine.preprocessor.prompts.build(job.request)
        encoder.encode(jobs)
        assert passes == [2]
        assert [job.encoder_hits for job in jobs] == [0, 0, 1]
        assert torch.equal(jobs[0].features[0], jobs[2].features[0])


async def test_a_closed_engine_has_no_thread_that_holds_the_model(started):
    async with started() as engine:
        threads = [engine.loop._thread, *engine.preprocessor._threads]
        with held(engine.preprocessor.encoder.vision, "encode") as (reached, released):
            task = asyncio.create_task(collect(engine.stream(question("What?", image()))))
            await until(reached.is_set)
            closing = asyncio.create_task(engine.close())
            await until(lambda: not threads[0].is_alive())
            assert not closing.done()
            released.set()
            await closing
        assert not any(thread.is_alive() for thread in threads)
        with pytest.raises(NotReady):
            await task


async def test_a_limit_holds_from_before_the_weights_are_loaded(loaded, monkeypatch):
    order = []
    monkeypatch.setattr(planning, "cap_allocator", lambda gib: order.append(gib))
    engine = BatchingEngine(Settings(model="embedded", memory_limit_gib=6), lambda *_: order.append("loaded") or loaded)
    await engine.start()
    await engine.close()
    assert order == [6, "loaded"]

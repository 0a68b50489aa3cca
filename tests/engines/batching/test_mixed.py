"""Passes over answers and prompts that are queued before the last one's tokens are read: the same answers, and every end.

On a CPU by the plain way; `model/test_kernels.py` compares the recorded way with it.
"""

import asyncio
import json
from dataclasses import replace

import pytest
import torch

from qwen_demo.engines.batching import sampler
from qwen_demo.engines.batching.runner import ModelRunner
from qwen_demo.errors import EngineFailed
from qwen_demo.types import Finished, collect
from tests.conftest import image, question, until
from tests.engines.batching.conftest import alone
from tests.engines.batching.test_engine import COLOUR, failing
from tests.engines.batching.test_exactness import first_turns


@pytest.fixture(autouse=True)
def mixing(monkeypatch):
    """Every runner mixes, as it does on CUDA."""
    build = ModelRunner.__init__

    def mixed(runner, model, decoder, plan, **how):
        build(runner, model, decoder, plan, **how)
        runner.mix(plan.prefill_tokens, 512)

    monkeypatch.setattr(ModelRunner, "__init__", mixed)


@pytest.fixture
def queued(monkeypatch) -> list[tuple[int, int]]:
    """Prompt tokens and slots of every pass."""
    seen = []
    queue = ModelRunner.queue

    def listening(runner, chunks, batch):
        seen.append((sum(chunk.tokens for chunk in chunks), batch))
        return queue(runner, chunks, batch)

    monkeypatch.setattr(ModelRunner, "queue", listening)
    return seen


@pytest.mark.slow
async def test_requests_in_shared_passes_answer_as_they_do_alone(loaded, started, answer_ids, queued):
    requests = first_turns()[::2]
    async with started(slots=4, prefill_tokens=40) as engine:
        await asyncio.gather(*(collect(engine.stream(request)) for request in requests))
        health = engine.health()
    assert {r.request_id: answer_ids[r.request_id] for r in requests} == {
        r.request_id: alone(loaded, r) for r in requests
    }
    assert any(tokens and batch > 1 for tokens, batch in queued), "nothing was mixed"
    assert (health.running, health.waiting) == (0, 0)


async def test_no_pass_is_queued_for_an_answer_that_has_all_its_tokens(started, queued, answer_ids):
    async with started() as engine:
        request = replace(question("Tell me a story.", max_new_tokens=9), repetition_guard=False)
        answer = await collect(engine.stream(request))
    assert answer.finished.reason == "length" and len(answer_ids[request.request_id]) == 9
    assert len(queued) == 9


async def test_an_answer_that_ends_by_itself_leaves_nothing_of_the_pass_behind_it(started, loaded, answer_ids, queued):
    short = replace(question("What colour is it?", image("red"), max_new_tokens=64), request_id="short")
    long = replace(question("Describe it.", max_new_tokens=40), request_id="long")
    async with started(slots=2) as engine:
        answers = await asyncio.gather(*(collect(engine.stream(request)) for request in (long, short)))
        after = replace(short, request_id="after")
        await collect(engine.stream(after))
        await until(lambda: engine.health().running == 0)
    assert answers[1].finished.reason == "stop"
    for request in (short, long):
        assert answer_ids[request.request_id] == alone(loaded, request)
    assert answer_ids["after"] == answer_ids["short"]


async def test_seeds_and_schemas_hold_among_each_other(started, answer_ids, loaded):
    drawn = question("Tell me a story.", temperature=1.2, top_p=0.95, seed=7, max_new_tokens=24)
    held = question("What is it?", json_schema=json.dumps(COLOUR), temperature=1.0, seed=3, max_new_tokens=100)
    free = replace(question("Describe it.", max_new_tokens=24), request_id="free")
    async with started() as engine:
        await collect(engine.stream(replace(drawn, request_id="alone")))
        _, answer, _ = await asyncio.gather(
            *(collect(engine.stream(r)) for r in (replace(drawn, request_id="among"), held, free))
        )
    assert answer_ids["among"] == answer_ids["alone"]
    assert set(json.loads(answer.text)) == {"colour", "count"}
    assert answer_ids["free"] == alone(loaded, free)


async def test_log_probabilities_come_with_their_tokens(started):
    async with started() as engine:
        asked = replace(question("Tell me a story.", max_new_tokens=12, top_logprobs=2), repetition_guard=False)
        answer = await collect(engine.stream(asked))
    assert len(answer.logprobs) == 12
    assert all(each.token == each.top[0][0] for each in answer.logprobs)


async def test_a_caller_who_leaves_frees_the_slot_though_a_pass_is_queued(started):
    async with started(slots=1) as engine:
        stream = engine.stream(replace(question("Tell me a story.", max_new_tokens=900), repetition_guard=False))
        await anext(stream)
        await stream.aclose()
        assert engine.health().running == 0
        assert (await collect(engine.stream(question("Hello?", max_new_tokens=2)))).finished.reason == "length"


async def test_without_memory_for_a_pass_its_parts_are_computed_one_after_another(started, loaded, answer_ids):
    request = question("What is this?", image("red"), max_new_tokens=12)
    async with started() as engine:
        error = torch.OutOfMemoryError("injected")
        with failing(engine.loop.runner, "queue", error, times=3) as failures:
            await collect(engine.stream(request))
        assert failures() == 3
    assert answer_ids[request.request_id] == alone(loaded, request)


@pytest.mark.parametrize("asked", [{}, {"temperature": 1.2, "seed": 7, "frequency_penalty": 0.5, "top_logprobs": 2}])
@pytest.mark.parametrize("where", ["choose", "_logprobs"])
async def test_without_memory_for_choosing_tokens_no_token_of_an_answer_is_lost(
    started, answer_ids, monkeypatch, asked, where
):
    request = replace(question("Tell me a story.", max_new_tokens=12, **asked), repetition_guard=False)
    async with started() as engine:
        await collect(engine.stream(replace(request, request_id="whole")))
        target = engine.loop.runner.sampler if where == "choose" else sampler
        error = torch.OutOfMemoryError("injected")
        seen = iter(range(99))
        with failing(target, where, error, lambda *_: next(seen) in (4, 7), times=2) as failures:
            answer = await collect(engine.stream(replace(request, request_id="torn")))
        if not failures():
            assert where == "_logprobs" and not asked.get("top_logprobs")
    assert answer_ids["torn"] == answer_ids["whole"] and len(answer_ids["torn"]) == 12
    assert answer.finished


async def test_a_pass_that_fails_ends_what_runs_and_nothing_of_it_comes_later(started, loaded, answer_ids):
    endless = [replace(question(f"{n}?", max_new_tokens=900), repetition_guard=False) for n in range(3)]
    async with started() as engine:
        running = [asyncio.create_task(collect(engine.stream(request))) for request in endless]
        await until(lambda: engine.health().running == 3)
        with failing(engine.loop.runner, "queue", RuntimeError("injected")):
            results = await asyncio.gather(*running, return_exceptions=True)
        assert all(isinstance(result, EngineFailed | type(None)) or result.finished for result in results)
        assert any(isinstance(result, EngineFailed) for result in results)
        after = replace(question("Are you well?", max_new_tokens=8), request_id="after")
        events = [event async for event in engine.stream(after)]
        assert isinstance(events[-1], Finished) and engine.health().ready
    assert answer_ids["after"] == alone(loaded, after)

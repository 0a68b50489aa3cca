"""Who else is served changes nothing: greedy answers equal stock `generate`'s, token for token."""

import asyncio
import copy
import random
from dataclasses import replace

import pytest
import torch

from qwen_demo.engines.batching import build, memory_plan, runner
from qwen_demo.engines.batching.model.decoder import LeanDecoder
from qwen_demo.engines.batching.model.stages import StagedDecoder
from qwen_demo.models import fp8
from qwen_demo.models.load import load
from qwen_demo.raster import Raster
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Image, Message, Sampling, Text, Video, collect
from tests.conftest import draw, until
from tests.engines.batching.conftest import alone, generate_alone

COLOURS = ("red", "green", "blue", "orange", "purple", "black", "teal", "brown")
QUESTIONS = (
    "What colour is the disc?",
    "Describe what you see.",
    "How many shapes are there?",
    "Where is it? Answer with a box.",
    "你好，这是什么？",
    "Tell me a short story about two cats and a bicycle, please.",
)


def still(number: int) -> Image:
    size = ((140, 196), (196, 140), (224, 224))[number % 3]
    return Image(Raster.of(draw(COLOURS[number % len(COLOURS)], size)), f"still-{number}")


def clip(number: int) -> Video:
    frames = tuple(draw(colour, (112, 112)) for colour in COLOURS[number : number + 4])
    return Video(Raster.of(*frames), (0.0, 0.5, 1.0, 1.5), 2.0, 2.0, f"clip-{number}")


def ask(name: str, *parts, before: tuple[Message, ...] = ()) -> ChatRequest:
    sampling = Sampling(max_new_tokens=16)
    return ChatRequest((*before, Message("user", parts)), sampling, request_id=name, repetition_guard=False)


def first_turns() -> list[ChatRequest]:
    """26 conversations: words, one image, three images, clips."""
    text = [ask(f"text {n}", Text(QUESTIONS[n % 6] * (1 + n % 4))) for n in range(9)]
    one = [ask(f"one {n}", still(n), Text(QUESTIONS[n % 6])) for n in range(9)]
    three = [ask(f"three {n}", still(n), still(n + 3), Text(QUESTIONS[n]), still(n + 1)) for n in range(4)]
    video = [ask(f"video {n}", clip(n), Text(QUESTIONS[n])) for n in range(4)]
    return [*text, *one, *three, *video]


@pytest.mark.slow
async def test_32_mixed_requests_among_each_other_answer_as_they_do_alone(loaded, started, answer_ids):
    dice = random.Random(4)
    async with started(slots=6, prefill_tokens=40) as engine:

        async def tokens_given(number: int) -> None:
            """Requests come while others are answered: after a while that is the model's, not the clock's."""
            await until(lambda: sum(map(len, answer_ids.values())) >= number, timeout_s=120)

        async def conversation(number: int, request: ChatRequest, goes_on: bool):
            # At most as many as there were requests before: each gives at least one.
            await tokens_given(dice.randint(0, number))
            first = await collect(engine.stream(request))
            if not goes_on:
                return [request], []
            before = (*request.messages, Message("assistant", (Text(first.text),)))
            followed = ask(f"{request.request_id}, then", Text("And why is that?"), before=before)
            return [request, followed], [await collect(engine.stream(followed))]

        async def leave_early(number: int):
            stream = engine.stream(ask(f"gone {number}", Text("Count to a hundred.")))
            await tokens_given(dice.randint(0, 20))
            await anext(stream)
            await stream.aclose()

        turns = first_turns()
        talks = [conversation(number, request, goes_on=number % 4 == 1) for number, request in enumerate(turns)]
        done = await asyncio.gather(*talks, *(leave_early(n) for n in range(4)))
        asked = [request for talk in done[: len(turns)] for request in talk[0]]
        followed = [answer.finished for talk in done[: len(turns)] for answer in talk[1]]
        health = engine.health()
    assert len(asked) >= 32
    assert any(finished.usage.cached_tokens for finished in followed)
    assert any(finished.timing.encoder_hits for finished in followed)
    assert {r.request_id: answer_ids[r.request_id] for r in asked} == {r.request_id: alone(loaded, r) for r in asked}
    assert (health.running, health.waiting) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [pytest.param({"fast_path": False}, marks=pytest.mark.slow), {"reuse": False}, {"prefill_tokens": 7}],
    ids=str,
)
async def test_every_way_to_run_it_gives_the_same_answers(loaded, started, answer_ids, changes):
    requests = [*first_turns()[6:12], *first_turns()[-5:]]
    # The stock path replaces the attention function of the model it runs.
    async with started(model=copy.deepcopy(loaded.model), **changes) as engine:
        await asyncio.gather(*(collect(engine.stream(request)) for request in requests))
    for request in requests:
        assert answer_ids[request.request_id] == alone(loaded, request), request.request_id


async def test_an_engine_in_stages_gives_the_same_answers(loaded, started, answer_ids, monkeypatch):
    """As if the layers were on two devices; both are this CPU."""
    split = [torch.device("cpu", 0)] * 3 + [torch.device("cpu")] * 5
    for module in (build, memory_plan, runner):
        monkeypatch.setattr(module, "layer_devices", lambda model: split)
    monkeypatch.setattr(LeanDecoder, "fits", lambda model: False)
    monkeypatch.setattr(StagedDecoder, "fits", lambda model, devices: devices == split)
    requests = [*first_turns()[7:11], *first_turns()[-3:]]
    async with started(model=copy.deepcopy(loaded.model), slots=4, prefill_tokens=40) as engine:
        assert isinstance(engine.loop.runner.decoder, StagedDecoder)
        assert [len(bank) for bank in engine.loop.runner.cache.banks.values()] == [3, 5]
        await asyncio.gather(*(collect(engine.stream(request)) for request in requests))
        hit = await collect(engine.stream(replace(requests[0], request_id="hit")))
    assert hit.finished.usage.cached_tokens
    for request in requests:
        assert answer_ids[request.request_id] == alone(loaded, request), request.request_id
    assert answer_ids["hit"] == answer_ids[requests[0].request_id]


async def test_a_hit_answers_as_a_miss_does(started, answer_ids):
    async with started() as engine:
        request = ask("miss", still(1), Text("What colour is the disc?"))
        missed = await collect(engine.stream(request))
        hit = await collect(engine.stream(replace(request, request_id="hit")))
    assert (missed.finished.usage.cached_tokens, missed.finished.timing.encoder_hits) == (0, 0)
    assert hit.finished.usage.cached_tokens == hit.finished.usage.prompt_tokens - 1
    assert hit.finished.timing.encoder_hits == 1 and hit.finished.timing.vision_s == 0
    assert answer_ids["hit"] == answer_ids["miss"]


async def test_a_seed_draws_the_same_answer_in_either_engine(started, loaded, answer_ids):
    drawn = Sampling(temperature=0.9, top_p=0.9, top_k=50, repetition_penalty=1.1, seed=11, max_new_tokens=16)
    requests = [replace(ask(f"drawn {n}", Text(QUESTIONS[n])), sampling=replace(drawn, seed=n)) for n in range(5)]
    async with started() as engine:
        await asyncio.gather(*(collect(engine.stream(request)) for request in requests))
    for request in requests:
        assert answer_ids[request.request_id] == alone(loaded, request), request.request_id


async def test_equal_words_about_another_image_are_no_hit(started, loaded, answer_ids):
    async with started() as engine:
        requests = [ask(f"{n}", still(n), Text("What colour is the disc?")) for n in (0, 3)]
        answers = [await collect(engine.stream(request)) for request in requests]
    assert answers[1].finished.timing.encoder_hits == 0
    # Before the image the prompts are the same; the cached tokens end there at the latest.
    assert answers[1].finished.usage.cached_tokens < loaded.prompts.build(requests[1]).media[0].start + 1
    assert answer_ids["3"] == alone(loaded, requests[1])


@pytest.mark.parametrize("quantization", ["nf4", "nf4-vision", "int8"])
async def test_a_quantised_model_answers_among_others_as_it_does_alone(started, answer_ids, quantization):
    quantised = load(Settings(model="embedded", quantization=quantization, threads=1))
    requests = [ask(f"{quantization} {n}", *parts) for n, parts in enumerate(QUANTISED_QUESTIONS)]
    async with started(loaded=quantised) as engine:
        await asyncio.gather(*(collect(engine.stream(request)) for request in requests))
    for request in requests:
        assert answer_ids[request.request_id] == generate_alone(quantised, request), request.request_id


@pytest.mark.slow
async def test_eight_bit_floats_answer_among_others_as_they_do_alone(loaded, started, answer_ids):
    """On cards that have them; here their arithmetic, in the plain way."""
    model = copy.deepcopy(loaded.model)
    fp8.quantise(model)
    requests = [ask(f"fp8 {n}", *parts) for n, parts in enumerate(QUANTISED_QUESTIONS)]
    async with started(model=model) as engine:
        await asyncio.gather(*(collect(engine.stream(request)) for request in requests))
    for request in requests:
        own = replace(loaded, model=model)
        assert answer_ids[request.request_id] == generate_alone(own, request), request.request_id


QUANTISED_QUESTIONS = [(Text(QUESTIONS[1]),), (Text(QUESTIONS[5] * 2),), (still(2), Text(QUESTIONS[0]))]

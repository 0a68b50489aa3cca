"""One batching engine on the embedded model, what it says token by token, and the reference."""

import contextlib
from collections import defaultdict
from dataclasses import replace

import pytest

from qwen_demo.engines import tokens
from qwen_demo.engines.batching.engine import BatchingEngine
from qwen_demo.engines.batching.job import Job
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Text


@pytest.fixture
def answer_ids(monkeypatch) -> dict[str, list[int]]:
    """Token ids of every answer, by request id."""
    heard = defaultdict(list)
    push = Job.push

    def listening(job, token, logprob):
        heard[job.request.request_id].append(token)
        return push(job, token, logprob)

    monkeypatch.setattr(Job, "push", listening)
    return heard


@pytest.fixture
def started(loaded):
    """`async with started(slots=2) as engine` on the shared weights."""

    @contextlib.asynccontextmanager
    async def start(model=None, loaded=loaded, **changes):
        own = replace(loaded, model=model) if model is not None else loaded
        settings = Settings(**{"model": "embedded", "slots": 8, "slot_tokens": 1024, "threads": 1, **changes})
        engine = BatchingEngine(settings, loader=lambda *_: own)
        await engine.start()
        try:
            yield engine
        finally:
            await engine.close()

    return start


@pytest.fixture
async def engine(started):
    async with started() as engine:
        yield engine


@pytest.fixture
def endless(loaded, monkeypatch):
    """Answers end at the length limit only: the end token is one that the model never says."""
    monkeypatch.setattr(loaded.model.generation_config, "eos_token_id", [loaded.prompts.processor.video_token_id])


_references: dict[tuple, list[int]] = {}


def alone(loaded, request: ChatRequest) -> list[int]:
    """What stock `generate` answers to this request, as token ids."""
    parts = [part for message in request.messages for part in message.parts]
    answer_ids = tuple(part.text if isinstance(part, Text) else part.digest for part in parts)
    known = (answer_ids, request.sampling, str(loaded.model.generation_config.eos_token_id))
    if known not in _references:
        _references[known] = generate_alone(loaded, request)
    return _references[known]


def generate_alone(loaded, request: ChatRequest) -> list[int]:
    """As `alone`, for a model of the test's own."""
    prompt = loaded.prompts.build(request)
    ids: list[int] = []
    tokens.run(
        loaded.model,
        loaded.device,
        None,
        prompt,
        request.sampling,
        streamer=tokens.TokenStreamer(ids.append),
        should_stop=lambda: False,
    )
    return ids

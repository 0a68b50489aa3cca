"""The batching engine with the embedded model in a process of its own answers as it does here."""

import asyncio

import pytest
import pytest_asyncio

from qwen_demo.engines.batching.engine import BatchingEngine
from qwen_demo.engines.process.engine import ProcessEngine
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Message, Sampling, Text, collect
from tests.conftest import image, question, until
from tests.engines.test_contract import mixed_questions

SETTINGS = {"model": "embedded", "slots": 8, "slot_tokens": 1024, "threads": 1}


def long_question() -> ChatRequest:
    return ChatRequest(
        (Message("user", (image(), Text("Describe the image."))),), Sampling(max_new_tokens=900), repetition_guard=False
    )


pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine():
    engine = ProcessEngine(Settings(**SETTINGS), "qwen_demo.engines.batching.engine:BatchingEngine")
    await engine.start()
    yield engine
    await engine.close()


async def test_eight_at_once_answer_as_in_one_process(engine, loaded):
    here = BatchingEngine(Settings(**SETTINGS), loader=lambda *_: loaded)
    await here.start()
    requests = mixed_questions()
    expected = [(await collect(here.stream(request))).text for request in requests]
    await here.close()
    answers = await asyncio.gather(*[collect(engine.stream(request)) for request in requests])
    assert [answer.text for answer in answers] == expected
    assert len(set(expected)) > 4, "the questions should differ enough to notice a mix-up"
    assert engine.info.model_id == "embedded" and engine.info.context_tokens == 1024
    assert engine.health().slots == 8
    assert set(engine.health().stats) > {"restarts", "process_resident_bytes"}


async def test_stop_frees_the_slot_of_the_batch(engine):
    stream = engine.stream(long_question())
    await anext(stream)
    await stream.aclose()
    assert engine.health().running == 0
    await until(lambda: engine._snapshot.running == 0)
    assert (await collect(engine.stream(question("Who are you?", max_new_tokens=4)))).text

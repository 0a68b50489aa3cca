"""One contract for every engine, then what is particular to the one that holds a model."""

import asyncio
import json
from dataclasses import replace

import pytest
import torch
from transformers import TextIteratorStreamer

from qwen_demo.engines import tokens
from qwen_demo.engines.generate import GenerateEngine
from qwen_demo.engines.process.engine import ProcessEngine
from qwen_demo.engines.replicas.engine import ReplicatedEngine
from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.engines.triton.engine import TritonEngine
from qwen_demo.engines.triton.host import TritonHost
from qwen_demo.errors import ContextTooLong, EngineFailed, InvalidRequest, NotReady, OutOfMemory
from qwen_demo.raster import Raster
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Engine, Finished, Message, Text, TextDelta, Video, collect
from tests.conftest import draw, image, question, until
from tests.engines.process.scripts import counting
from tests.engines.test_grammar import ENDLESS
from tests.engines.triton.links import BEHIND, DirectLink

ENGINES = {
    "scripted": lambda loaded: ScriptedEngine(Script([f"{n} " for n in range(400)], gap_s=0.005), max_running=4),
    "generate": lambda loaded: GenerateEngine(Settings(max_running=4), loader=lambda *_: loaded),
    "replicas": lambda loaded: ReplicatedEngine([ScriptedEngine(counting(Settings()).script, 2) for _ in range(2)]),
    "process": lambda loaded: ProcessEngine(Settings(model="scripted"), "tests.engines.process.scripts:counting"),
    "triton": lambda loaded: TritonEngine(BEHIND, lambda address: DirectLink(TritonHost(counting(BEHIND)))),
}


@pytest.fixture(params=ENGINES)
async def engine(request, loaded):
    engine = ENGINES[request.param](loaded)
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture
async def generate(loaded):
    engine = GenerateEngine(Settings(max_running=8), loader=lambda *_: loaded)
    await engine.start()
    yield engine
    await engine.close()


@pytest.fixture(params=ENGINES)
async def endless(request, loaded, monkeypatch):
    """An engine whose answers end at the length limit only: its end token is one that it never says."""
    never_said = loaded.prompts.processor.video_token_id
    monkeypatch.setattr(loaded.model.generation_config, "eos_token_id", [never_said])
    engine = ENGINES[request.param](loaded)
    await engine.start()
    yield engine
    await engine.close()


def long_question() -> ChatRequest:
    return replace(question("Describe the image.", image(), max_new_tokens=2000), repetition_guard=False)


async def test_a_stream_is_text_and_one_finished_at_the_end(engine):
    assert isinstance(engine, Engine)
    events = [event async for event in engine.stream(question("What is this?", image()))]
    assert [type(event) for event in events[:-1]] == [TextDelta] * (len(events) - 1)
    assert all(event.text for event in events[:-1])
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert 0 < finished.usage.image_tokens < finished.usage.prompt_tokens
    assert 0 < finished.timing.ttft_s <= finished.timing.total_s


async def test_the_length_limit_is_kept_and_told(engine):
    answer = await collect(engine.stream(question("Describe the image.", image(), max_new_tokens=3)))
    assert answer.finished.reason == "length"
    assert answer.finished.usage.completion_tokens == 3


async def test_closing_the_stream_frees_the_slot(endless):
    stream = endless.stream(long_question())
    await anext(stream)
    assert endless.health().running == 1
    await stream.aclose()
    assert endless.health().running == 0


async def test_a_cancelled_reader_frees_the_slot(endless):
    task = asyncio.create_task(collect(endless.stream(long_question())))
    await until(lambda: endless.health().running == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: endless.health().running == 0)


async def test_more_requests_than_places_wait_and_are_answered(engine):
    tasks = [asyncio.create_task(collect(engine.stream(question(f"Hello {n}", max_new_tokens=4)))) for n in range(9)]
    await until(lambda: engine.health().waiting > 0)
    answers = await asyncio.gather(*tasks)
    assert all(answer.text for answer in answers)
    assert (engine.health().running, engine.health().waiting) == (0, 0)


async def test_a_request_that_left_the_line_takes_no_place(endless):
    streams = [endless.stream(long_question()) for _ in range(4)]
    for stream in streams:
        await anext(stream)
    waiting = asyncio.create_task(collect(endless.stream(question("Hello"))))
    await until(lambda: endless.health().waiting == 1)
    waiting.cancel()
    await until(lambda: endless.health().waiting == 0)
    for stream in streams:
        await stream.aclose()
    assert (await collect(endless.stream(question("Hello", max_new_tokens=4)))).text


@pytest.mark.parametrize("make", ENGINES.values(), ids=ENGINES)
async def test_before_start_a_request_is_refused(make, loaded):
    with pytest.raises(NotReady):
        await collect(make(loaded).stream(question("Hello")))


def mixed_questions(**sampling) -> list[ChatRequest]:
    clip = Video(Raster.of(*(draw(c) for c in ("red", "blue", "red", "blue"))), (0, 0.5, 1, 1.5), 2.0, 2.0, "clip")
    history = (Message("user", (image("green"), Text("What is it?"))), Message("assistant", (Text("A circle."),)))
    last = question("What color is it?", **sampling)
    return [
        question("What color is the circle?", image("red"), **sampling),
        question("Describe the image.", image("blue", (500, 300)), **sampling),
        question("Which image is red?", image("red"), image("yellow", (224, 224)), **sampling),
        question("Who are you?", **sampling),
        question("What changes?", clip, **sampling),
        replace(last, messages=(*history, *last.messages)),
        question("How many objects are there?", image("purple", (640, 360)), **sampling),
        question("Where is the circle?", image("black"), **sampling),
    ]


@pytest.mark.slow
async def test_eight_at_once_answer_as_one_by_one(generate):
    requests = mixed_questions(max_new_tokens=8)
    alone = [(await collect(generate.stream(request))).text for request in requests]
    together = await asyncio.gather(*[collect(generate.stream(request)) for request in requests])
    assert [answer.text for answer in together] == alone
    assert len(set(alone)) > 4, "the questions should differ enough to notice a mix-up"


async def test_answers_are_those_of_stock_transformers(generate, loaded):
    processor = loaded.prompts.processor
    conversation = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What color is the circle?"}]}
    ]
    inputs = processor(
        text=[processor.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)],
        images=[draw("red")],
        return_tensors="pt",
    )
    ids = loaded.model.generate(**inputs, max_new_tokens=32, do_sample=False)
    stock = processor.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0]
    answer = await collect(generate.stream(question("What color is the circle?", image("red"))))
    assert answer.text == stock
    assert answer.finished.usage.prompt_tokens == inputs["input_ids"].shape[1]


@pytest.mark.parametrize("endless", ["generate"], indirect=True)
async def test_after_stop_the_model_computes_at_most_one_more_token(endless, loaded):
    steps = 0

    def count(*_):
        nonlocal steps
        steps += 1

    handle = loaded.model.lm_head.register_forward_hook(count)
    try:
        stream = endless.stream(long_question())
        await anext(stream)
        before = steps
        await stream.aclose()
        after = steps
        await asyncio.sleep(0.1)
    finally:
        handle.remove()
    assert steps == after, "the model went on after the stream was closed"
    # Tokens that were made before the close reached the thread, and the one under way.
    assert after - before <= 3


async def test_the_same_seed_gives_the_same_answer_whatever_else_runs(generate):
    asked = {"temperature": 8.0, "max_new_tokens": 8}
    request = question("Describe the image.", image(), seed=7, **asked)
    alone = (await collect(generate.stream(request))).text
    others = [question("Describe the image.", image(), seed=n, **asked) for n in range(4)]
    together = await asyncio.gather(*[collect(generate.stream(r)) for r in [*others, request]])
    assert together[-1].text == alone
    assert len({answer.text for answer in together}) > 1


async def test_typed_special_tokens_are_counted_as_the_words_that_they_are(generate):
    """Two special tokens would be two tokens more, or another image."""
    answers = [await collect(generate.stream(question(words, image()))) for words in ("", "<|image_pad|><|im_end|>")]
    plain, typed = (answer.finished.usage for answer in answers)
    assert typed.image_tokens == plain.image_tokens > 0
    assert typed.prompt_tokens > plain.prompt_tokens + 8
    assert answers[1].finished.reason == "stop" and answers[1].text


async def test_a_stop_string_ends_the_answer_before_it(generate):
    full = (await collect(generate.stream(question("Describe the image.", image())))).text
    word = full.split()[3]
    answer = await collect(generate.stream(question("Describe the image.", image(), stop=(word,))))
    assert answer.text == full[: full.index(word)]
    assert answer.finished.reason == "stop"


async def test_a_prompt_over_the_context_is_refused_with_the_numbers(generate):
    with pytest.raises(ContextTooLong, match="tokens"):
        await collect(generate.stream(question("word " * 20_000)))
    assert generate.health().running == 0


@pytest.mark.parametrize(
    ("raised", "seen"), [(torch.OutOfMemoryError("no"), OutOfMemory), (RuntimeError("secret 0x7f"), EngineFailed)]
)
async def test_a_failure_fails_its_request_alone_and_says_nothing_internal(generate, loaded, monkeypatch, raised, seen):
    def broken(request):
        raise raised

    with monkeypatch.context() as patch:
        patch.setattr(loaded.prompts, "build", broken)
        with pytest.raises(seen) as refused:
            await collect(generate.stream(question("Hello")))
    assert "0x7f" not in str(refused.value)
    assert (await collect(generate.stream(question("Hello", max_new_tokens=4)))).text


COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}, "count": {"type": "integer", "minimum": 0, "maximum": 99}},
}


@pytest.mark.parametrize("temperature", [0.0, 2.0])
async def test_an_answer_can_be_held_to_a_json_schema(generate, temperature):
    schema = {**COLOUR, "required": ["colour", "count"], "additionalProperties": False}
    asked = {"json_schema": json.dumps(schema), "temperature": temperature, "seed": 3, "max_new_tokens": 200}
    answers = await asyncio.gather(
        *[collect(generate.stream(question("What is it?", image(c), **asked))) for c in ("red", "blue")]
    )
    for answer in answers:
        parsed = json.loads(answer.text)
        assert set(parsed) == {"colour", "count"}
        assert parsed["colour"] in ("red", "blue")
        assert isinstance(parsed["count"], int)


async def test_a_grammar_without_an_end_is_an_error_and_no_end(generate):
    with pytest.raises(InvalidRequest, match="dead end"):
        await collect(generate.stream(question("What is it?", image("red"), json_schema=ENDLESS, max_new_tokens=200)))


async def test_a_stop_string_cuts_an_answer_under_a_schema(generate):
    schema = json.dumps({**COLOUR, "required": ["colour", "count"], "additionalProperties": False})
    asked = question("What is it?", image("red"), json_schema=schema, stop=(":",), max_new_tokens=200)
    answer = await collect(generate.stream(asked))
    assert (answer.text, answer.finished.reason) == ('{"colour"', "length")


@pytest.mark.parametrize("schema", ['{"type": "nope"}', "{", '{"$ref": "https://example.org/x"}', "x" * 100_000])
async def test_a_schema_that_cannot_be_used_is_refused(generate, schema):
    with pytest.raises(InvalidRequest, match="schema"):
        await collect(generate.stream(question("What is it?", json_schema=schema)))


@pytest.mark.parametrize(
    ("server", "request_", "reason"), [(True, True, "repetition"), (False, True, "length"), (True, False, "length")]
)
async def test_a_loop_is_ended_unless_server_or_request_says_no(loaded, monkeypatch, server, request_, reason):
    """Every token is the same one here."""

    def says_the_same(model, device, grammars, prompt, sampling, held, *, streamer, should_stop):
        while not should_stop():
            streamer.take(1000)

    monkeypatch.setattr(tokens, "run", says_the_same)
    engine = GenerateEngine(Settings(repetition_guard=server), loader=lambda *_: loaded)
    await engine.start()
    answer = await collect(engine.stream(replace(question("Hi", max_new_tokens=300), repetition_guard=request_)))
    assert answer.finished.reason == reason
    await engine.close()


async def test_a_slow_token_ends_no_answer(generate):
    streamer = generate._model.streamer(question("Hi"), 8)
    assert isinstance(streamer, TextIteratorStreamer) and streamer.timeout is None

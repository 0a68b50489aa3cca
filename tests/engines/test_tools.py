"""Calls that must come are held by a grammar in every engine that holds a model, and go through the others."""

import asyncio
import copy
import json
from dataclasses import replace

import pytest
from tokenizers import AddedToken

from qwen_demo.engines.batching.engine import BatchingEngine
from qwen_demo.engines.generate import GenerateEngine
from qwen_demo.engines.grammar import Grammars
from qwen_demo.engines.scripted import Script
from qwen_demo.engines.tokens import end_ids
from qwen_demo.errors import InvalidRequest
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import (
    ChatRequest,
    Held,
    Message,
    Sampling,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    collect,
)
from tests.api.conftest import start  # noqa: F401 a fixture
from tests.conftest import question
from tests.engines.test_grammar import ENDLESS, write
from tests.engines.test_remote import HELLO, other_program, remote

COUNT = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}, "colour": {"enum": ["red", "blue"]}},
    "required": ["n", "colour"],
}
TOOLS = (Tool("count", "Counts.", json.dumps(COUNT)), Tool("count_all"))
MUST, NAMED = ToolChoice(True), ToolChoice(True, ("count",))


@pytest.fixture(params=[GenerateEngine, BatchingEngine])
async def service(request, loaded):
    about = {"slots": 4, "slot_tokens": 1024, "threads": 1}
    settings = Settings(max_running=4, warmup=False, canary_s=0, **about)
    service = Service(settings, request.param(settings, lambda *_: loaded))
    service.start()
    await service.loaded()
    yield service
    await service.close()


def check(calls: tuple[ToolCall, ...]) -> None:
    for call in calls:
        arguments = json.loads(call.arguments)
        if call.name == "count_all":
            assert arguments == {}
        else:
            assert call.name == "count"
            assert set(arguments) == {"n", "colour"}
            assert arguments["n"] in range(1, 10) and arguments["colour"] in ("red", "blue")


@pytest.mark.parametrize("temperature", [0.0, 2.0])
async def test_calls_that_must_come_follow_their_schemas(service, temperature):
    asked = question("How many?", temperature=temperature, seed=3, max_new_tokens=300)
    fields = [{"tool_choice": MUST}, {"tool_choice": MUST, "parallel_tool_calls": False}, {"tool_choice": NAMED}]
    fields[2]["parallel_tool_calls"] = False
    answers = await asyncio.gather(*[collect(service.answer(replace(asked, tools=TOOLS, **each))) for each in fields])
    for answer in answers:
        assert (answer.text, answer.finished.reason) == ("", "tool_calls")
        check(answer.tool_calls)
    assert [len(answer.tool_calls) for answer in answers[1:]] == [1, 1]
    assert answers[2].tool_calls[0].name == "count"


async def test_with_a_schema_for_the_answer_it_is_that_or_calls(service):
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    held = json.dumps(schema | {"additionalProperties": False})
    asked = question("How many?", json_schema=held, max_new_tokens=200)
    answer = await collect(service.answer(replace(asked, tools=TOOLS)))
    if answer.tool_calls:
        check(answer.tool_calls)
    else:
        assert answer.finished.reason == "stop" and set(json.loads(answer.text)) == {"ok"}
    must = await collect(service.answer(replace(asked, tools=TOOLS, tool_choice=NAMED, parallel_tool_calls=False)))
    check(must.tool_calls)
    assert must.tool_calls


async def test_a_schema_that_cannot_be_held_names_its_tool(service):
    bad = Tool("bad", parameters=json.dumps({"type": "object", "properties": {"a": {"$ref": "https://example.org"}}}))
    with pytest.raises(InvalidRequest, match="tool bad cannot be used") as refused:
        await collect(service.answer(replace(question("How many?"), tools=(*TOOLS, bad), tool_choice=MUST)))
    assert refused.value.field == "tools"
    free = replace(question("How many?", max_new_tokens=4), tools=(*TOOLS, bad))
    assert (await collect(service.answer(free))).finished.reason


async def test_a_grammar_without_an_end_is_an_error_of_the_tools(service):
    endless = Tool("endless", parameters=json.dumps(json.loads(ENDLESS) | {"type": "object"}))
    with pytest.raises(InvalidRequest, match="dead end") as refused:
        await collect(service.answer(replace(question("?", max_new_tokens=300), tools=(endless,), tool_choice=MUST)))
    assert refused.value.field == "tools"


async def test_what_comes_before_a_call_and_after_is_counted(service):
    plain = await collect(service.answer(question("How many?", max_new_tokens=1)))
    told = await collect(service.answer(replace(question("How many?", max_new_tokens=1), tools=TOOLS)))
    assert told.finished.usage.prompt_tokens > plain.finished.usage.prompt_tokens + 100
    assert told.finished.usage.completion_tokens == 1


async def test_the_turn_after_a_call_finds_the_one_before_it_in_the_cache(service):
    asked = replace(question("How many?", max_new_tokens=100), tools=TOOLS)
    first = await collect(service.answer(replace(asked, tool_choice=NAMED, parallel_tool_calls=False)))
    told = Message("tool", (Text("three"),), tool_call_id=first.tool_calls[0].id)
    messages = (*asked.messages, Message("assistant", (), first.tool_calls), told)
    usage = (await collect(service.answer(replace(asked, messages=messages)))).finished.usage
    assert usage.prompt_tokens > first.finished.usage.prompt_tokens + first.finished.usage.completion_tokens
    if service.status().model.engine == "batching":
        assert usage.cached_tokens >= first.finished.usage.prompt_tokens


@pytest.fixture(scope="module")
def with_marks(loaded) -> Grammars:
    """As with Qwen2.5's own vocabulary, where each tag is one token."""
    tokenizer = copy.deepcopy(loaded.prompts.tokenizer)
    marks = [AddedToken(tag, special=False, normalized=False) for tag in ("<tool_call>", "</tool_call>")]
    tokenizer.add_tokens(marks)
    return Grammars(tokenizer, len(tokenizer), end_ids(loaded.model))


@pytest.mark.parametrize("most", [1, 3])
def test_a_vocabulary_with_tokens_for_the_tags_uses_them(with_marks, loaded, most):
    tokenizer = with_marks._tokenizer
    ids = write(with_marks.of(Held(None, TOOLS, most), 400), end_ids(loaded.model))
    assert ids[0] == tokenizer.get_added_vocab()["<tool_call>"]
    assert 1 <= ids.count(ids[0]) == ids.count(tokenizer.get_added_vocab()["</tool_call>"]) <= most
    assert tokenizer.decode(ids).startswith('<tool_call>\n{"name": "count')


def test_the_librarys_own_options_are_not_the_callers_to_say(loaded):
    grammars = Grammars(loaded.prompts.tokenizer, loaded.model.config.text_config.vocab_size, end_ids(loaded.model))
    loose = {"x-guidance": {"key_separator": "=", "lenient": True}, **COUNT, "additionalProperties": False}
    for constraint in (
        grammars.constraint(json.dumps(loose)),
        grammars.of(Held(None, (Tool("count", parameters=json.dumps(loose)),), 1), 400),
    ):
        text = loaded.prompts.tokenizer.decode(write(constraint, end_ids(loaded.model))[:-1])
        inside = text.removeprefix('<tool_call>\n{"name": "count", "arguments": ').removesuffix("}\n</tool_call>")
        assert set(json.loads(inside)) == {"n", "colour"}


def test_what_programs_write_into_schemas_and_what_holds_nothing_is_taken(loaded):
    grammars = Grammars(loaded.prompts.tokenizer, loaded.model.config.text_config.vocab_size, end_ids(loaded.model))
    count = {"type": "integer", "format": "int32", "minimum": 1, "maximum": 3, "default": 1, "title": "N"}
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": ["object", "null"],
        "properties": {"format": count, "map": {"const": {"format": "int32", "propertyNames": {"type": "string"}}}},
        "propertyNames": {"type": "string"},
        "required": ["format", "map"],
    }
    constraint = grammars.of(Held(None, (Tool("f", parameters=json.dumps(schema)),), 1), 300)
    text = loaded.prompts.tokenizer.decode(write(constraint, end_ids(loaded.model))[:-1])
    inside = json.loads(text.removeprefix("<tool_call>").removesuffix("</tool_call>"))
    assert inside["arguments"]["format"] in (1, 2, 3)
    assert inside["arguments"]["map"] == schema["properties"]["map"]["const"]


WHOLE = [
    ({"type": "integer"}, 0),
    ({"type": ["integer", "null"], "minimum": 3}, 3),
    ({"anyOf": [{"type": "integer", "exclusiveMaximum": -5}]}, -6),
    ({"enum": [2**60]}, 2**60),
]


@pytest.mark.parametrize(("schema", "fits"), WHOLE, ids=range(len(WHOLE)))
def test_whole_numbers_have_an_end_and_say_all_that_they_may(loaded, schema, fits):
    grammars = Grammars(loaded.prompts.tokenizer, loaded.model.config.text_config.vocab_size, end_ids(loaded.model))
    of = {"type": "object", "properties": {"type": schema}, "required": ["type"]}
    for text, constraint in (
        (f'{{"type":{fits}}}', grammars.constraint(json.dumps(of))),
        (
            f'<tool_call>\n{{"name": "f", "arguments": {{"type": {fits}}}}}\n</tool_call>',
            grammars.of(Held(None, (Tool("f", parameters=json.dumps(of)),), 1), 400),
        ),
    ):
        for token in loaded.prompts.tokenizer.encode(text):
            constraint.accept(token)
        assert constraint.failure is None
    endless = grammars.constraint(json.dumps(of))
    for token in loaded.prompts.tokenizer.encode('{"type":' + "1" * 40):
        endless.accept(token)
    assert endless.failure


HOSTILE = [
    {"type": "string", "pattern": "^((a{1,1000}){1,1000}b)*$"},
    {"type": "string", "minLength": 10**9},
    {"type": "array", "items": {"type": "integer"}, "minItems": 10**9},
    {"enum": [f"v{n}" for n in range(5_000)]},
    {"type": "integer", "multipleOf": 999_999_937},
    {"type": "integer", "minimum": -(10**300)},
    {"not": {}},
    {"$ref": "#"},
    {"$ref": "#/$defs/none"},
    {"anyOf": [{"properties": {f"k{n}": {"type": "string"} for n in range(40)}} for _ in range(40)]},
    {"const": "\ud800"},
    {"const": '} | start: "x" %json {'},
]


@pytest.mark.parametrize("schema", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_schema_ends_in_a_call_or_in_an_error_that_says_little(loaded, schema):
    grammars = Grammars(loaded.prompts.tokenizer, loaded.model.config.text_config.vocab_size, end_ids(loaded.model))
    parameters = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    try:
        constraint = grammars.of(Held(None, (Tool("f", parameters=json.dumps(parameters)),), 1), 100)
    except InvalidRequest as refused:
        assert str(refused).startswith("The parameters of the tool f cannot be used: ")
        assert "tool_call" not in str(refused) and len(str(refused)) < 500
        return
    text = loaded.prompts.tokenizer.decode(write(constraint, end_ids(loaded.model), 100))
    assert constraint.failure or text.startswith('<tool_call>\n{"name": "f", "arguments": {"a": ')


def asked(**fields) -> ChatRequest:
    calls = Message("assistant", (), (ToolCall("a", "count", '{"n": 1}'),))
    messages = (*question("How many?").messages, calls, Message("tool", (Text("3"),), tool_call_id="a"))
    return ChatRequest(messages, Sampling(), **{"tools": TOOLS, **fields})


async def test_tools_and_calls_go_through_another_server(start):  # noqa: F811
    upstream = start(Script(["I look.", "<tool_call>", '{"name": "count", "arguments": {"n": 1}}', "</tool_call>"]))
    engine = await remote(upstream.url + "/v1")
    answer = await collect(engine.stream(asked(parallel_tool_calls=False)))
    await engine.close()
    assert (answer.text, answer.finished.reason) == ("I look.", "tool_calls")
    (call,) = answer.tool_calls
    assert (call.name, call.arguments, call.id != "") == ("count", '{"n": 1}', True)
    (seen,) = upstream.engine.requests
    assert (seen.tools, seen.messages, seen.parallel_tool_calls) == (TOOLS, asked().messages, False)


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({}, {"tool_choice": "auto"}),
        ({"tool_choice": MUST}, {"tool_choice": "required"}),
        ({"tool_choice": NAMED}, {"tool_choice": {"type": "function", "function": {"name": "count"}}}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
    ],
)
def test_the_other_server_is_told_the_choice(fields, sent):
    from qwen_demo.engines.remote.request import chat_body

    body = chat_body(asked(**fields), "x", lambda image: image.pixels)
    assert sent.items() <= body.items()
    assert next(tool["function"]["name"] for tool in body["tools"]) == "count"
    assert body["messages"][-1] == {"role": "tool", "content": "3", "tool_call_id": "a"}
    assert "tools" not in chat_body(asked(tools=()), "x", lambda image: image.pixels)


def piece(function: dict | None, **fields) -> dict:
    delta = {"tool_calls": [{**fields, "function": function}]}
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def end(reason: str = "tool_calls") -> dict:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


WHOLE = piece({"arguments": "{}"}, index=0)
ODD = [
    [piece({"name": "f", "arguments": ""}, index=0, id="a"), WHOLE],
    [piece({"name": "f"}, id="a"), piece({"arguments": "{"}), piece({"arguments": "}"})],
    [piece({"name": "f", "arguments": {}}, index=1, id="a")],
    [piece({"name": "f", "arguments": None}, index=0, id="a"), piece(None, index=0, id=None), WHOLE],
]


@pytest.mark.parametrize("pieces", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("reason", ["tool_calls", "function_call"])
async def test_pieces_of_calls_are_read_as_servers_send_them(pieces, reason):
    async with other_program(HELLO, *pieces, end(reason), b"data: [DONE]") as url:
        engine = await remote(url)
        events = [event async for event in engine.stream(asked())]
        await engine.close()
    assert isinstance(events[0], TextDelta)
    assert {event.index for event in events if isinstance(event, ToolCallDelta)} == {0}

    async def again():
        for event in events:
            yield event

    answer = await collect(again())
    assert answer.tool_calls == (ToolCall("a", "f", "{}"),)
    assert answer.finished.reason == "tool_calls"

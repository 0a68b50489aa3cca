"""Functions in `/v1/responses`: stated, called, answered; whole and in events, named as the caller wrote them."""

import json
from dataclasses import replace

import pytest

from qwen_demo.engines.scripted import Script
from qwen_demo.types import Image, ToolCall, ToolChoice
from tests.api.responses.test_responses import IMAGE, answer, events, refusal

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [
    {"type": "function", "name": "weather", "description": "Of a city.", "parameters": SCHEMA, "strict": True},
    {"type": "function", "name": "time"},
]
ASKED = {"role": "user", "content": "hello"}
WEATHER, TIME = '{"name": "weather", "arguments": {"city": "Rome"}}', '{"name": "time", "arguments": {}}'


@pytest.fixture
def calling(app):
    """The application, whose model says something and calls both functions."""
    app.engine.script = Script(
        ["Let me see. <tool_", f"call>\n{WEATHER}\n</tool_call>\n<tool_call>\n{TIME}\n</tool_", "call>"]
    )
    return app


def told(output: list[dict]) -> list[tuple]:
    return [(item["type"], item.get("name"), item.get("arguments"), item["status"]) for item in output]


CALLED = [
    ("message", None, None, "completed"),
    ("function_call", "weather", '{"city": "Rome"}', "completed"),
    ("function_call", "time", "{}", "completed"),
]


def test_calls_are_items_beside_what_was_said(calling):
    got = answer(calling, tools=TOOLS)
    assert (got["status"], told(got["output"])) == ("completed", CALLED)
    assert len({item["id"] for item in got["output"]} | {item.get("call_id") for item in got["output"]}) == 6
    assert [tool["name"] for tool in got["tools"]] == ["weather", "time"]
    (request,) = calling.engine.requests
    assert [(tool.name, tool.description, tool.strict) for tool in request.tools] == [
        ("weather", "Of a city.", True),
        ("time", "", False),
    ]
    assert json.loads(request.tools[0].parameters) == SCHEMA


def test_events_tell_each_item_from_its_begin_to_its_end(calling):
    found = events(calling, tools=TOOLS)
    assert told(found[-1]["response"]["output"]) == CALLED
    for place, item in enumerate(found[-1]["response"]["output"]):
        of_item = [event for event in found if event.get("output_index") == place]
        assert of_item[0]["type"] == "response.output_item.added"
        assert of_item[0]["item"]["status"] == "in_progress"
        assert of_item[-1] == of_item[-1] | {"type": "response.output_item.done", "item": item}
        assert {event["item_id"] for event in of_item if "item_id" in event} == {item["id"]}
        if item["type"] == "function_call":
            pieces = [event for event in of_item if event["type"] == "response.function_call_arguments.delta"]
            (done,) = [event for event in of_item if event["type"] == "response.function_call_arguments.done"]
            assert "".join(event["delta"] for event in pieces) == done["arguments"] == item["arguments"]
    places = [event["output_index"] for event in found if "output_index" in event]
    assert places == sorted(places)


def test_an_answers_items_go_back_as_they_came(calling):
    output = answer(calling, tools=TOOLS)["output"]
    calls = [item for item in output if item["type"] == "function_call"]
    calling.engine.requests.clear()
    results = [{"type": "function_call_output", "call_id": call["call_id"], "output": "sun"} for call in calls]
    results[0]["output"] = [{"type": "input_text", "text": "see:"}, {"type": "input_image", "image_url": IMAGE}]
    answer(calling, input=[ASKED, {"type": "reasoning", "summary": []}, *output, *reversed(results)], tools=TOOLS)
    (request,) = calling.engine.requests
    assert [message.role for message in request.messages] == ["user", "assistant", "tool", "tool"]
    said, *given = request.messages[1:]
    assert said.text == "Let me see."
    assert said.tool_calls == tuple(ToolCall(call["call_id"], call["name"], call["arguments"]) for call in calls)
    assert [message.tool_call_id for message in given] == [call["call_id"] for call in calls]
    assert isinstance(given[0].parts[1], Image)
    assert given[1].text == "sun"


def test_a_second_round_of_calls_is_a_turn_of_its_own(calling):
    def called(number: int) -> list[dict]:
        call = {
            "type": "function_call",
            "call_id": f"c{number}",
            "name": "time",
            "arguments": "{}",
            "status": "completed",
        }
        return [call, {"type": "function_call_output", "call_id": f"c{number}", "output": "noon"}]

    answer(calling, input=[ASKED, *called(1), *called(2)], tools=TOOLS)
    roles = [message.role for message in calling.engine.requests[0].messages]
    assert roles == ["user", "assistant", "tool", "assistant", "tool"]


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ("auto", ToolChoice()),
        ("required", ToolChoice(required=True)),
        ({"type": "function", "name": "time"}, ToolChoice(required=True, names=("time",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "time"}]},
            ToolChoice(names=("time",)),
        ),
    ],
    ids=["auto", "required", "named", "allowed"],
)
def test_a_choice_reaches_the_engine_and_is_repeated(calling, monkeypatch, choice, wanted):
    monkeypatch.setattr(calling.engine, "info", replace(calling.engine.info, json_schema=True))
    got = answer(calling, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    assert calling.engine.requests[0].tool_choice == wanted
    assert calling.engine.requests[0].parallel_tool_calls is False
    assert (got["tool_choice"], got["parallel_tool_calls"]) == (choice, False)


def test_none_states_no_tools(calling):
    got = answer(calling, tools=TOOLS, tool_choice="none")
    assert calling.engine.requests[0].tools == ()
    assert [item["type"] for item in got["output"]] == ["message"]


def test_what_is_said_between_calls_stays_between_them(calling):
    calling.engine.script = Script(
        [f"<tool_call>\n{WEATHER}\n</tool_call>", " And ", f"<tool_call>\n{TIME}\n</tool_call>"]
    )
    wanted = ["function_call", "message", "function_call"]
    assert [item["type"] for item in answer(calling, tools=TOOLS)["output"]] == wanted
    assert [item["type"] for item in events(calling, tools=TOOLS)[-1]["response"]["output"]] == wanted


def test_a_call_that_is_cut_is_incomplete(calling):
    calling.engine.script = Script([f"<tool_call>\n{WEATHER}\n</tool_call>"], reason="length")
    assert answer(calling, tools=TOOLS)["status"] == "incomplete"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools.0.type"),
        ({"tools": [TOOLS[1], {"type": "mcp", "server_label": "x"}]}, "tools.1.type"),
        ({"tools": [{"type": "function"}]}, "tools.0.name"),
        ({"tools": [TOOLS[1] | {"name": "a b"}]}, "tools.0.name"),
        ({"tools": [TOOLS[1] | {"parameters": {"type": "string"}}]}, "tools.0.parameters.type"),
        ({"tools": [TOOLS[1] | {"defer_loading": True}]}, "tools.0.defer_loading"),
        ({"tools": [TOOLS[1], TOOLS[1]]}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": "any"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "name": "x"}}, "tool_choice.name"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "x"}]}},
            "tool_choice.tools",
        ),
        ({"input": [ASKED, {"type": "function_call_output", "call_id": "x", "output": "y"}]}, "input.1.call_id"),
        ({"input": [ASKED, {"type": "function_call", "call_id": "x", "name": "time", "arguments": "{}"}]}, "input"),
        ({"input": [ASKED, {"type": "function_call", "name": "time", "arguments": "{}"}]}, "input.1.call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "x"}]}, "input.0.output"),
        (
            {
                "input": [
                    ASKED,
                    {"role": "assistant", "content": "wait"},
                    {"type": "function_call", "call_id": "x", "name": "time", "arguments": "{}"},
                    {
                        "type": "function_call_output",
                        "call_id": "x",
                        "output": [{"type": "input_image", "image_url": "x"}],
                    },
                ]
            },
            "input.3.output.0.image_url",
        ),
    ],
)
def test_a_fault_of_tools_is_told_at_its_place(app, fields, name):
    error = refusal(app, **fields)
    assert error["param"] == name, error
    assert ".function" not in error["message"]

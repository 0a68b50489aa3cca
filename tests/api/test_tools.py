"""Tools through HTTP: what callers may state, what they are told, and two turns with the clients that they have."""

import json

import openai
import pytest

from qwen_demo.api import tools as tools_
from qwen_demo.engines.scripted import Script
from qwen_demo.types import Message, Text, ToolCall, ToolChoice
from tests.api.test_chat_completions import HELLO, data_url, events

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"type": "function", "function": {"name": "weather", "description": "Now.", "parameters": PARAMETERS}}
TIME = {"type": "function", "function": {"name": "time"}}
ASKING = HELLO | {"tools": [WEATHER, TIME]}


def call(name: str = "weather", arguments: str = '{"city": "Rome"}') -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def saying(text: str, size: int = 3) -> Script:
    return Script([text[at : at + size] for at in range(0, len(text), size)])


def post(app, body: dict):
    with app.client() as client:
        return client.post("/v1/chat/completions", content=json.dumps(body))


def refusal(app, body: dict) -> dict:
    response = post(app, body)
    assert response.status_code == 400, response.text
    return response.json()["error"]


def test_calls_are_told_beside_the_text(app):
    app.engine.script = saying(f"I look.\n{call()}\n{call('time', '{}')}")
    answer = post(app, ASKING).json()
    (choice,) = answer["choices"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] == "I look."
    first, second = choice["message"]["tool_calls"]
    assert first == {
        "id": first["id"],
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Rome"}'},
    }
    assert second["function"] == {"name": "time", "arguments": "{}"}
    assert first["id"] != second["id"]
    assert answer["usage"]["completion_tokens"] == len(app.engine.script.words)


def test_an_answer_of_calls_alone_has_no_content(app):
    app.engine.script = saying(call())
    message = post(app, ASKING).json()["choices"][0]["message"]
    assert (message["content"], len(message["tool_calls"])) == (None, 1)


def test_a_stream_tells_each_call_with_its_index_id_and_name_first(app):
    app.engine.script = saying(f"I look.\n{call()}\n{call('time', '{}')}")
    chunks = events(post(app, ASKING | {"stream": True, "stream_options": {"include_usage": True}}))
    choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    assert "".join(choice["delta"].get("content", "") for choice in choices) == "I look."
    pieces = [piece for choice in choices for piece in choice["delta"].get("tool_calls", [])]
    assert [(piece["index"], piece["type"], piece["function"]["name"]) for piece in pieces] == [
        (0, "function", "weather"),
        (1, "function", "time"),
    ]
    assert [piece["function"]["arguments"] for piece in pieces] == ['{"city": "Rome"}', "{}"]
    assert len({piece["id"] for piece in pieces}) == 2
    assert choices[-1]["finish_reason"] == "tool_calls"
    assert chunks[-1]["usage"]["completion_tokens"] == len(app.engine.script.words)


@pytest.mark.parametrize("stream", [False, True])
def test_wrong_json_of_a_free_call_is_given_as_text(app, stream):
    wrong = call(arguments='{"city": Rome}')
    app.engine.script = saying(wrong)
    response = post(app, ASKING | {"stream": stream})
    if stream:
        choices = [chunk["choices"][0] for chunk in events(response)]
        text, reason = "".join(c["delta"].get("content", "") for c in choices), choices[-1]["finish_reason"]
    else:
        (choice,) = response.json()["choices"]
        text, reason = choice["message"]["content"], choice["finish_reason"]
        assert "tool_calls" not in choice["message"]
    assert (text, reason) == (wrong, "stop")


def test_one_call_at_most_where_several_are_not_wanted(app):
    app.engine.script = saying(f"{call()}\n{call()}")
    assert len(post(app, ASKING | {"parallel_tool_calls": False}).json()["choices"][0]["message"]["tool_calls"]) == 1


def test_the_choice_of_none_calls_nothing_and_states_nothing(app):
    app.engine.script = saying(call())
    (choice,) = post(app, ASKING | {"tool_choice": "none"}).json()["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == (call(), "stop")
    assert app.engine.requests[-1].tools == ()


def test_tools_reach_the_engine_as_they_were_stated(app):
    inside = {"type": "function", "function": {**WEATHER["function"], "strict": True}, "cache_control": {"type": "x"}}
    for strict in (inside, {**WEATHER, "strict": True}):
        assert post(app, HELLO | {"tools": [strict, TIME], "tool_choice": None}).status_code == 200
        weather, time = app.engine.requests[-1].tools
        assert (weather.name, weather.description, weather.strict) == ("weather", "Now.", True)
    assert json.loads(weather.parameters) == PARAMETERS
    assert json.loads(time.parameters) == {"type": "object", "properties": {}}


NAMED = {"type": "function", "function": {"name": "time"}}
ALLOWED = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}}


def test_a_tool_that_is_not_among_the_allowed_is_not_called(app):
    app.engine.script = saying(f"{call()}{call('time', '{}')}")
    message = post(app, ASKING | {"tool_choice": ALLOWED}).json()["choices"][0]["message"]
    assert (message["content"], [each["function"]["name"] for each in message["tool_calls"]]) == (call(), ["time"])
    assert app.engine.requests[-1].tool_choice == ToolChoice(names=("time",))


@pytest.mark.parametrize("choice", ["required", NAMED])
def test_an_engine_without_a_grammar_refuses_what_it_cannot_hold(app, choice):
    error = refusal(app, ASKING | {"tool_choice": choice})
    assert (error["param"], "scripted" in error["message"]) == ("tool_choice", True)


def deep(levels: int) -> dict:
    schema: dict = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return {"type": "object", "properties": {"a": schema}}


def with_parameters(parameters) -> dict:
    return {"tools": [WEATHER, {"type": "function", "function": {"name": "f", "parameters": parameters}}]}


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools.0.type", "function"),
        ({"tools": [{"type": "function"}]}, "tools.0.function", "needed"),
        ({"tools": [{"type": "function", "name": "f"}]}, "tools.0.function", "needed"),
        ({"tools": [{"function": {"name": "f", "schema": {}}}]}, "tools.0.function.schema", "support"),
        ({"tools": [{"function": {"name": "get weather"}}]}, "tools.0.function.name", "letters"),
        ({"tools": [{"function": {"name": ""}}]}, "tools.0.function.name", "letters"),
        ({"tools": [{"function": {"name": "a" * 129}}]}, "tools.0.function.name", "128"),
        ({"tools": [TIME, TIME]}, "tools", "'time'"),
        ({"tools": [{"function": {"name": f"f{n}"}} for n in range(129)]}, "tools", "128"),
        (
            {"tools": [{"function": {"name": "f", "description": "x" * 16_385}}]},
            "tools.0.function.description",
            "16384",
        ),
        (with_parameters({"type": "string"}), "tools.1.function.parameters.type", "object"),
        (with_parameters([]), "tools.1.function.parameters", "dict"),
        (with_parameters(deep(40)), "tools.1.function.parameters", "32 deep"),
        (with_parameters(deep(400)), "tools.1.function.parameters", "32 deep"),
        (with_parameters({"enum": [1] * 10_001}), "tools.1.function.parameters", "10000 values"),
        (with_parameters({"enum": ["x" * 70_000]}), "tools.1.function.parameters", "65536"),
        (
            {"tools": [{"function": {"name": f"f{n}", "description": "x" * 16_000}} for n in range(17)]},
            "tools",
            "262144",
        ),
        ({"tools": [{"function": {"name": "f", "description": "\ud800"}}]}, "tools", "surrogate"),
        ({"tool_choice": "required"}, "tool_choice", "tools"),
        ({"tools": [], "tool_choice": NAMED}, "tool_choice", "tools"),
        ({"tools": [WEATHER], "tool_choice": NAMED}, "tool_choice.function.name", "weather"),
        ({"tools": [WEATHER], "tool_choice": ALLOWED}, "tool_choice.allowed_tools.tools", "weather"),
        ({"tools": [WEATHER], "tool_choice": "any"}, "tool_choice", "required"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function"}}, "tool_choice.function", "needed"),
        ({"tools": [WEATHER], "tool_choice": {"type": "custom"}}, "tool_choice.type", "function"),
        ({"tools": [WEATHER], "tool_choice": 5}, "tool_choice", "auto"),
        ({"functions": [{"name": "f"}]}, "functions", "tools"),
        ({"function_call": {"name": "f"}}, "function_call", "tool_choice"),
        ({"tools": "f"}, "tools", "list"),
    ],
)
def test_what_cannot_be_stated_is_refused_at_its_place(app, change, field, words):
    error = refusal(app, HELLO | change)
    assert error["param"] == field
    assert words in error["message"]
    assert len(error["message"]) < 600


def test_what_asks_for_nothing_is_taken(app):
    for change in (
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
        {"tools": None, "tool_choice": "none", "parallel_tool_calls": False},
        {"functions": [], "function_call": "auto"},
    ):
        assert post(app, HELLO | change).status_code == 200
        assert app.engine.requests[-1].tools == ()


CALLED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Rome"}'}},
        {"id": "b", "type": "function", "function": {"name": "time", "arguments": {}}, "index": 1},
    ],
}


def told(call_id: str, content="sunny") -> dict:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def test_calls_and_what_tools_told_come_back_in_the_order_of_the_calls(app):
    image = {"type": "image_url", "image_url": {"url": data_url()}}
    turns = [*HELLO["messages"], CALLED, told("b", [{"type": "text", "text": "noon"}, image]), told("a")]
    assert post(app, {"messages": turns}).status_code == 200
    _, called, first, second = app.engine.requests[-1].messages
    assert called.tool_calls == (ToolCall("a", "weather", '{"city": "Rome"}'), ToolCall("b", "time", "{}"))
    assert [each.tool_call_id for each in (first, second)] == ["a", "b"]
    assert (first.role, first.text, len(second.parts)) == ("tool", "sunny", 2)


def test_the_older_words_of_the_api_are_understood_in_a_conversation(app):
    called = {"role": "assistant", "content": None, "function_call": {"name": "time", "arguments": "{}"}}
    turns = [*HELLO["messages"], called, {"role": "function", "name": "time", "content": "noon"}]
    assert post(app, {"messages": turns}).status_code == 200
    _, call_, result = app.engine.requests[-1].messages
    assert (call_.tool_calls[0].name, result.role, result.text) == ("time", "tool", "noon")


@pytest.mark.parametrize(
    ("turn", "field"),
    [
        (told("c"), "messages.2.tool_call_id"),
        ({"role": "user", "content": "x", "tool_call_id": "a"}, "messages.2.tool_call_id"),
        ({**CALLED, "role": "user"}, "messages.2.tool_calls"),
        ({**CALLED, "function_call": {"name": "time"}}, "messages.2.function_call"),
        ({"role": "assistant", "tool_calls": [{"id": "1", "type": "custom"}]}, "messages.2.tool_calls.0.type"),
        ({"role": "assistant", "tool_calls": [{"id": "1"}]}, "messages.2.tool_calls.0.function"),
        ({"role": "assistant", "tool_calls": [{"function": {"name": 5}}]}, "messages.2.tool_calls.0.function.name"),
    ],
)
def test_a_turn_that_nobody_could_follow_is_refused_at_its_place(app, turn, field):
    error = refusal(app, {"messages": [*HELLO["messages"], CALLED, turn, *HELLO["messages"]]})
    assert error["param"] == field


@pytest.mark.parametrize(
    "change", [{"messages": [*HELLO["messages"], CALLED]}, {"tools": [WEATHER], "tool_choice": "required"}]
)
def test_a_message_to_continue_goes_with_no_calls(app, change):
    turns = [*HELLO["messages"], {"role": "assistant", "content": "I"}]
    body = {"messages": turns, "continue_final_message": True, **change}
    assert refusal(app, body)["param"] == "continue_final_message"


def test_ten_thousand_answers_of_tools_are_put_in_order_at_once():
    calls = tuple(ToolCall(str(n), "f", "{}") for n in range(10_000))
    answers = [Message("tool", (Text("x"),), tool_call_id=str(n)) for n in reversed(range(10_000))]
    ordered = tools_.in_order([Message("assistant", (), calls), *answers])
    assert [message.tool_call_id for message in ordered[1:]] == [call.id for call in calls]


def test_an_id_that_is_used_in_every_turn_is_the_newest_calls():
    calls = Message("assistant", (), (ToolCall("0", "f", "{}"), ToolCall("1", "g", "{}")))
    answers = [Message("tool", (Text(f"of {n}"),), tool_call_id=n) for n in "10"]
    ordered = tools_.in_order([calls, *answers, calls, *answers])
    assert [message.tool_call_id for message in ordered if message.role == "tool"] == ["0", "1", "0", "1"]


@pytest.fixture
def client(app):
    with openai.OpenAI(base_url=f"{app.url}/v1", api_key="unused", max_retries=0) as client:
        yield client


def test_openai_holds_two_turns_with_a_tool(app, client):
    turns = [{"role": "user", "content": "Rome?"}]
    app.engine.script = saying(f"I look.\n{call()}")
    message = client.chat.completions.create(model="scripted", messages=turns, tools=[WEATHER]).choices[0].message
    turns += [message, told(message.tool_calls[0].id)]
    app.engine.script = saying("It is sunny.")
    answer = client.chat.completions.create(model="scripted", messages=turns, tools=[WEATHER])
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("It is sunny.", "stop")
    _, called, result = app.engine.requests[-1].messages
    assert (called.text, called.tool_calls[0].name, result.text) == ("I look.", "weather", "sunny")


def test_openai_holds_two_turns_with_a_tool_in_streams(app, client):
    turns = [{"role": "user", "content": "Rome?"}]
    app.engine.script = saying(call())
    with client.chat.completions.stream(model="scripted", messages=turns, tools=[WEATHER]) as stream:
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls[0].function.arguments == '{"city": "Rome"}'
    turns += [message.model_dump(exclude_none=True), told(message.tool_calls[0].id)]
    app.engine.script = saying("It is sunny.")
    with client.chat.completions.stream(model="scripted", messages=turns, tools=[WEATHER]) as stream:
        assert stream.get_final_completion().choices[0].message.content == "It is sunny."


COUNT = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}, "colour": {"enum": ["red", "blue"]}},
    "required": ["n", "colour"],
}
TOOLS = {
    "count": {"type": "function", "function": {"name": "count", "parameters": COUNT}},
    "stop": {"type": "function", "function": {"name": "stop"}},
}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "count"}}])
@pytest.mark.parametrize("stream", [False, True])
def test_the_embedded_model_calls_what_must_be_called_by_its_schema(embedded, choice, stream):
    with openai.OpenAI(base_url=f"{embedded.url}/v1", api_key="unused", max_retries=0) as client:
        asked = {
            "model": "embedded",
            "messages": [{"role": "user", "content": "How many red circles are there?"}],
            "tools": list(TOOLS.values()),
            "tool_choice": choice,
            "max_tokens": 200,
        }
        if stream:
            with client.chat.completions.stream(**asked) as chunks:
                made = chunks.get_final_completion().choices[0]
        else:
            made = client.chat.completions.create(**asked).choices[0]
    assert made.finish_reason == "tool_calls"
    assert not made.message.content
    for each in made.message.tool_calls:
        arguments = json.loads(each.function.arguments)
        if each.function.name == "stop":
            assert arguments == {}
        else:
            assert set(arguments) == {"n", "colour"}
            assert arguments["n"] in range(1, 10) and arguments["colour"] in ("red", "blue")
    if choice != "required":
        assert [each.function.name for each in made.message.tool_calls] == ["count"]

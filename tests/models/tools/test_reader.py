"""Calls are read out of an answer, however it was cut into pieces, and what is no call stays text."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_demo.models.tools.hermes import CLOSE, OPEN
from qwen_demo.models.tools.reader import CallReader
from qwen_demo.types import (
    ChatRequest,
    Finished,
    Message,
    Sampling,
    Text,
    TextDelta,
    Timing,
    TokenLogprob,
    Tool,
    ToolCallDelta,
    ToolChoice,
    Usage,
)

TOOLS = (Tool("weather"), Tool("time"))


def request(**fields) -> ChatRequest:
    return ChatRequest((Message("user", (Text("hi"),)),), **{"tools": TOOLS, **fields})


FREE, HELD = request(), request(tool_choice=ToolChoice(required=True))
JSON = request(sampling=Sampling(json_schema="{}"))
ONE = request(parallel_tool_calls=False)


def call(name: str = "weather", arguments: str = '{"city": "Rome"}') -> str:
    return f'{OPEN}\n{{"name": "{name}", "arguments": {arguments}}}\n{CLOSE}'


def heard(asked: ChatRequest, *pieces: str, reason: str = "stop") -> tuple[str, list[tuple[str, str]], str]:
    """Text, (name, arguments) of each call, and the reason."""
    numbers = itertools.count()
    reader = CallReader(asked, lambda: f"call-{next(numbers)}")
    text, calls = "", {}
    events = [TextDelta(piece) for piece in pieces] + [Finished(reason, Usage(1, 0, 1), Timing())]
    for event in [told for made in events for told in reader.read(made)]:
        if isinstance(event, TextDelta):
            assert event.text
            text += event.text
        elif isinstance(event, ToolCallDelta):
            name, arguments = calls.get(event.index, (event.name, ""))
            assert event.id == ("" if event.index in calls else f"call-{event.index}")
            calls[event.index] = (name, arguments + event.arguments)
        else:
            reason = event.reason
    assert list(calls) == list(range(len(calls)))
    return text, list(calls.values()), reason


@pytest.mark.parametrize("asked", [FREE, HELD, JSON])
def test_a_call_is_no_text_and_ends_the_answer_with_its_own_reason(asked):
    assert heard(asked, call()) == ("", [("weather", '{"city": "Rome"}')], "tool_calls")


@pytest.mark.parametrize("asked", [FREE, HELD])
def test_text_before_between_and_after_calls_is_told_without_the_spaces_around_calls(asked):
    answer = f"Let me see.\n\n{call()}\n{call('time', '{}')}\nDone."
    text, calls, reason = heard(asked, answer)
    assert (text, [name for name, _ in calls], reason) == ("Let me see.\nDone.", ["weather", "time"], "tool_calls")


def test_text_before_a_call_is_told_at_once():
    reader = CallReader(FREE)
    assert reader.push("Let me") == [TextDelta("Let me")]
    assert reader.push(" see <") == [TextDelta(" see")]
    assert reader.push("b>") == [TextDelta(" <b>")]
    assert reader.push(" <tool_") == []
    assert reader.push("call>") == []


def test_arguments_under_a_grammar_are_told_as_they_are_written():
    reader = CallReader(HELD, lambda: "x")
    assert reader.push(f'{OPEN}\n{{"name": "weather", "arguments": {{"ci') == [
        ToolCallDelta(0, "x", "weather"),
        ToolCallDelta(0, arguments='{"ci'),
    ]
    assert reader.push('ty": "}"') == [ToolCallDelta(0, arguments='ty": "}"')]
    assert reader.push("}}") == [ToolCallDelta(0, arguments="}")]
    assert reader.push(f"\n{CLOSE}") == []


WRONG = [
    f'{OPEN}\n{{"name": "weather", "arguments": {{"city": }}}}\n{CLOSE}',
    f'{OPEN}\n{{"name": "weather", "arguments": {{"city": "Rome"}}\n{CLOSE}',
    f'{OPEN}\n{{"name": "weather", "arguments": {{"city": "Rome}}}}\n{CLOSE}',
    f'{OPEN}\n{{"name": "nobody", "arguments": {{}}}}\n{CLOSE}',
    f'{OPEN}\n{{"name": "weather", "arguments": [1]}}\n{CLOSE}',
    f'{OPEN}\n{{"name": "weather", "arguments": {{"n": NaN, "m": 1e999}}}}\n{CLOSE}',
    f'{OPEN}\n{{"name": ["weather"], "arguments": {{}}}}\n{CLOSE}',
    f"{OPEN}weather(Rome){CLOSE}",
    f"{OPEN}\n{{]",
    f'{OPEN}\n{{"name": "weather", "arguments": {{"a": {"[" * 5000}{"]" * 5000}}}}}\n{CLOSE}',
    f"Write {OPEN} and {CLOSE} around it.",
    "a < b <tool_c",
    f"{OPEN}",
    f" {OPEN} ",
    "<tool_call",
]


@pytest.mark.parametrize("answer", WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("reason", ["stop", "length"])
def test_what_is_no_call_is_told_to_the_letter(answer, reason):
    assert heard(FREE, answer, reason=reason) == (answer, [], reason)


def test_a_call_that_was_cut_short_is_text_where_it_is_free_and_nothing_of_the_form_where_it_is_held():
    whole = call()
    for end in range(1, whole.index("}}")):
        assert heard(FREE, whole[:end], reason="length") == (whole[:end], [], "length")
        text, calls, reason = heard(HELD, whole[:end], reason="length")
        assert (text, reason) == ("", "length")
        assert all('{"city": "Rome"}'.startswith(arguments) for _, arguments in calls)


@pytest.mark.parametrize(
    ("ending", "text"), [("", ""), ("\n", ""), ("}\n</tool_call>", ""), ("\n</tool", ""), ("\nSo.", "\nSo.")]
)
def test_an_end_that_the_model_forgot_or_doubled_is_forgiven(ending, text):
    whole = call().removesuffix(f"\n{CLOSE}") + ending
    assert heard(FREE, whole) == (text, [("weather", '{"city": "Rome"}')], "tool_calls")


@pytest.mark.parametrize(
    ("inside", "arguments"),
    [
        ('{"arguments": {"b": 1,"a":[ ]}, "name": "time"}', '{"b": 1, "a": []}'),
        ('{"name": "time"}', "{}"),
        ('{"name": "time", "arguments": null}', "{}"),
        ('{"name": "time", "arguments": "{\\"a\\": 1}"}', '{"a": 1}'),
        ('{"name": "time", "arguments": {"a": "x\ny"}}', '{"a": "x\\ny"}'),
        (
            '{"name": "time", "arguments": {"a": "</tool_call> } \\" <tool_call>"}}',
            '{"a": "</tool_call> } \\" <tool_call>"}',
        ),
        ('{"name": "time", "arguments": {"a": "\\ud800"}}', '{"a": "\\ud800"}'),
        ('{"name": "time", "arguments": {"a": "城"}}', '{"a": "城"}'),
    ],
)
def test_a_free_call_is_read_in_every_plain_spelling(inside, arguments):
    text, calls, _ = heard(FREE, f"{OPEN}{inside}{CLOSE}")
    assert (text, calls) == ("", [("time", arguments)])
    calls[0][1].encode()


def test_what_the_strings_of_an_answer_of_json_hold_is_no_call():
    answer = json.dumps({"text": call()})
    assert heard(JSON, answer) == (answer, [], "stop")


def test_one_call_at_most_is_told_where_that_is_asked_for():
    text, calls, _ = heard(ONE, f"{call()}\n{call('time', '{}')}")
    assert (text, [name for name, _ in calls]) == ("", ["weather"])


def test_only_an_allowed_tool_is_called():
    asked = request(tool_choice=ToolChoice(names=("time",)))
    assert heard(asked, call())[:2] == (call(), [])
    assert heard(asked, call("time", "{}"))[1] == [("time", "{}")]


def test_an_answer_without_tools_is_left_alone():
    assert heard(request(tools=()), call()) == (call(), [], "stop")


def test_calls_that_another_server_has_read_pass_with_a_true_reason():
    reader = CallReader(ONE)
    told = [*reader.read(ToolCallDelta(0, "a", "weather", "{}")), *reader.read(ToolCallDelta(1, "b", "time", "{}"))]
    assert [delta.id for delta in told] == ["a"]
    (end,) = reader.read(Finished("stop", Usage(1, 0, 1), Timing()))
    assert end.reason == "tool_calls"
    (end,) = CallReader(FREE).read(Finished("tool_calls", Usage(1, 0, 1), Timing()))
    assert end.reason == "stop"


def test_no_log_probability_of_a_call_is_lost_before_its_end():
    reader = CallReader(FREE)
    pieces = ["a", " <tool_call>", '{"name": "time"}', CLOSE]
    events = [TextDelta(piece, (TokenLogprob(piece, -1.0),)) for piece in pieces]
    told = [each for event in events for each in reader.read(event)]
    assert [[token.token for token in each.logprobs] for each in told] == [pieces[:1], pieces[1:3]]


ANSWERS = st.lists(
    st.sampled_from(
        [
            OPEN,
            CLOSE,
            call(),
            call("time", '{"a": {"b": ["}", "\\\\"]}}'),
            *WRONG[:6],
            '{"name": "time"',
            "}",
            '"',
            "\\",
            *["\n", " ", "<", "<tool", "hello ", "城 <b>", '{"name": "weather", "arguments": {', "[", "]"],
        ]
    ),
    max_size=8,
).map("".join)


@given(ANSWERS, st.data(), st.sampled_from([FREE, HELD, JSON, ONE]))
def test_how_an_answer_is_cut_makes_no_difference(answer, data, asked):
    cuts = sorted(data.draw(st.sets(st.integers(0, len(answer)), max_size=12)))
    pieces = [answer[a:b] for a, b in itertools.pairwise([0, *cuts, len(answer)]) if b > a]
    whole = heard(asked, answer) if answer else ("", [], "stop")
    assert heard(asked, *pieces) == whole
    assert heard(asked, *answer) == whole

"""What clients from npm sent when they held their two turns (`npm/turns.mjs`) is answered, and reaches the model."""

import json

import pytest

from qwen_demo.types import Image
from tests.api.npm.record import RECORDED, call_then_tell
from tests.api.test_chat_completions import data_url
from tests.api.test_two_turns import ARGUMENTS, ASKED, RESULT, TOLD

SENT = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
TALKS = sorted({each["talk"] for each in SENT})


def filled(sent):
    return json.loads(json.dumps(sent).replace('"IMAGE"', json.dumps(data_url())))


def said(response) -> str:
    """All that an answer or its stream says, whatever its form."""
    if response.headers["content-type"].startswith("text/event-stream"):
        events = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: {")]
        return "".join(_delta(json.loads(each)) for each in events)
    got = response.json()
    if "choices" in got:
        return got["choices"][0]["message"]["content"]
    return got["output"][0]["content"][0]["text"]


def _delta(event: dict) -> str:
    if "choices" in event:
        return "".join(choice["delta"].get("content") or "" for choice in event["choices"])
    return event["delta"] if event["type"] == "response.output_text.delta" else ""


def test_each_client_asks_twice_in_each_way():
    assert len(TALKS) == 10
    assert [sum(each["talk"] == talk for each in SENT) for talk in TALKS] == [2] * 10
    assert {each["path"] for each in SENT} == {"/v1/chat/completions", "/v1/responses"}


@pytest.mark.parametrize("talk", TALKS)
def test_both_turns_are_answered(app, monkeypatch, talk):
    for name in ("info", "stream"):
        monkeypatch.setattr(app.engine, name, getattr(app.engine, name))
    call_then_tell(app)
    with app.client() as client:
        for each in (each for each in SENT if each["talk"] == talk):
            response = client.post(each["path"], json=filled(each["sent"]))
            assert response.status_code == 200, response.text
    assert json.loads(said(response)) == TOLD.model_dump()
    first, second = app.engine.requests
    assert [tool.name for tool in first.tools] == ["weather"]
    assert [message.role for message in second.messages] == ["user", "assistant", "tool"]
    assert {Image} <= {type(part) for part in second.messages[0].parts}
    assert second.messages[0].text == ASKED
    (call,) = second.messages[1].tool_calls
    assert json.loads(call.arguments) == ARGUMENTS
    assert (second.messages[2].text, second.messages[2].tool_call_id) == (RESULT, call.id)
    assert set(json.loads(second.sampling.json_schema)["properties"]) == {"city", "degrees"}

"""What it takes to read a body is paid for by who sent it."""

import json

import pytest

from qwen_demo.errors import Overloaded
from qwen_demo.fairness import current_account
from qwen_demo.http import effort
from qwen_demo.http.effort import Effort, of_event, of_form, of_json

SMALL = json.dumps({"messages": [{"role": "user", "content": "hello"}]}).encode()
WIDE = b'{"x":[' + b"[]," * 9000 + b"[]]}"


@pytest.fixture
def slept(monkeypatch):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)

    monkeypatch.setattr(effort.asyncio, "sleep", sleep)
    return waits


def test_values_cost_more_than_bytes_and_events_more_than_requests():
    assert of_json(SMALL) < 0.002
    assert of_json(WIDE) > 20 * of_json(SMALL)
    assert of_event(WIDE, "/gradio_api/queue/join") > of_json(WIDE)
    assert of_event(SMALL, "/gradio_api/mcp/") > of_event(SMALL, "/gradio_api/queue/join")
    assert of_json(bytes(64 << 20)) < 0.5
    assert of_form(b"\r\n--" * (1 << 20)) > 1
    # Any number of commas costs as the most that are read.
    assert of_json(b"," * (1 << 20)) < 0.1


def test_what_stands_in_a_text_costs_its_bytes_alone():
    boxes = '[{"bbox_2d": [1, 2, 30, 40], "label": "a \\\\"}, ' * 500
    conversation = {"data": [[{"role": "assistant", "content": [{"type": "text", "text": boxes}]}]]}
    assert of_event(json.dumps(conversation).encode(), "/gradio_api/queue/join") < 0.004
    assert of_json(json.dumps({"messages": [{"role": "user", "content": boxes}]}).encode()) < 0.002


async def test_a_caller_with_large_bodies_waits_and_another_does_not(slept):
    paid = Effort()
    token = current_account.set(("alice",))
    for _ in range(8):
        await paid.spend(0.1)
    assert len(slept) == 3
    assert slept == sorted(slept)
    current_account.set(("bob",))
    await paid.spend(0.1)
    assert len(slept) == 3
    current_account.reset(token)


async def test_who_would_wait_for_long_is_told_so(slept):
    paid = Effort()
    token = current_account.set(("alice",))
    await paid.spend(10.0)
    with pytest.raises(Overloaded, match="more than this server can read") as told:
        await paid.spend(0.1)
    assert told.value.retry_after_s > effort.MAX_WAIT_S
    current_account.reset(token)


async def test_where_one_caller_may_have_everything_nobody_waits(slept):
    token = current_account.set(("alice",))
    for _ in range(10):
        await Effort(bounded=False).spend(10.0)
    current_account.reset(token)
    for _ in range(10):
        await Effort().spend(10.0)
    assert slept == []

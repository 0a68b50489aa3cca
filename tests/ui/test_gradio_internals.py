"""What Gradio keeps of callers is forgotten when they are over, and open pages are left alone."""

import time

import pytest

from qwen_demo.ui import gradio_internals
from tests.api.conftest import start

__all__ = ["start"]

ARGUMENTS = ["hi", None, 0, 8, 1, 1, None, None, ""]


@pytest.fixture
def sweeper(monkeypatch):
    """The sweeper of the application that is started next."""
    made = []

    class Watched(gradio_internals.Sweeper):
        def __init__(self, demo):
            super().__init__(demo)
            made.append(self)

    monkeypatch.setattr(gradio_internals, "Sweeper", Watched)
    monkeypatch.setattr(gradio_internals, "SWEEP_EVERY_S", 3600.0)
    return made


def call(http) -> str:
    event = http.post("/gradio_api/call/ask", json={"data": ARGUMENTS}).json()["event_id"]
    assert "event: complete" in http.get(f"/gradio_api/call/ask/{event}").text
    return event


def eventually(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_calls_that_are_over_are_forgotten_and_open_pages_are_not(start, sweeper, monkeypatch):
    app = start()
    with app.client() as http:
        calls = {call(http) for _ in range(3)}
        page = {"data": ARGUMENTS, "session_hash": "openpage", "api_name": "ask", "fn_index": 0}
        config = http.get("/config").json()
        page["fn_index"] = next(d["id"] for d in config["dependencies"] if d["api_name"] == "ask")
        assert http.post("/gradio_api/queue/join", json=page).status_code == 200
        (sweeper,) = sweeper
        states, pending = sweeper._states.session_data, sweeper._queue.pending_event_ids_session
        eventually(lambda: calls | {"openpage"} <= set(states) and not sweeper._queue.event_ids_to_events)
        assert sweeper.sweep() == 0, "too soon: somebody may still read the answer"
        monkeypatch.setattr(gradio_internals, "CALL_KEPT_S", 0.0)
        assert sweeper.sweep() == 3
        assert set(states) == {"openpage"}
        assert not calls & set(pending)
        call(http)


def test_a_page_that_was_closed_is_forgotten_later(start, sweeper, monkeypatch):
    app = start()
    with app.client() as http:
        config = http.get("/config").json()
        number = next(d["id"] for d in config["dependencies"] if d["api_name"] == "ask")
        http.post("/gradio_api/queue/join", json={"data": ARGUMENTS, "session_hash": "closed", "fn_index": number})
        (sweeper,) = sweeper
        states = sweeper._states.session_data
        eventually(lambda: "closed" in states and not sweeper._queue.event_ids_to_events)
        states["closed"].is_closed = True
        assert sweeper.sweep() == 0
        monkeypatch.setattr(gradio_internals, "CLOSED_PAGE_KEPT_S", 0.0)
        assert sweeper.sweep() == 1
        assert not states


def test_a_session_copies_no_configuration_but_what_it_changed(start, sweeper):
    app = start()
    with app.client() as http:
        event = call(http)
        (sweeper,) = sweeper
        state = sweeper._states.session_data[event]
        assert len(state.blocks_config.blocks) > 50
        assert len(list(state.components)) < len(state.blocks_config.blocks) / 2

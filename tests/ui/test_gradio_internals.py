"""What Gradio keeps of callers is forgotten when they are over, and open pages are left alone."""

import asyncio
import time

import pytest
from gradio.routes import App

from qwen_demo.ui import gradio_internals
from tests.api.conftest import start

__all__ = ["start"]

ARGUMENTS = ["hi", None, 0, 8, 1, 1, None, None, ""]


def test_of_a_page_gradio_makes_the_two_applications_that_are_used(start, monkeypatch):
    """Each takes as long as the page, so a third would be the longer start of the program."""
    made, make = [], App.create_app

    def create_app(*args, **kwargs):
        made.append(make(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(App, "create_app", create_app)
    app = start()
    page = app.server.config.app.state.page
    assert len(made) == 2 and page.app is made[0]
    with app.client() as http:
        call(http)


# What a second one of would be too many: questions, all pages, the state of the models, words that go on.
ONE_AT_A_TIME = {"read_all", "edit", "look", "changed", "go_on", "back", "restarted"}


def test_what_a_view_tells_counts_however_quickly_it_comes(start):
    """Gradio drops an event while the same one is answered, unless it is told that each counts."""
    config = start().server.config.app.state.page.config
    views = {each["id"] for each in config["components"] if each["type"] == "html"}
    dropped = {
        event
        for each in config["dependencies"]
        if each["backend_fn"] and each["trigger_mode"] != "multiple"
        for target, event in each["targets"]
        if target in views and event != "change"
    }
    assert dropped <= ONE_AT_A_TIME


def test_what_ends_an_answer_does_so_before_anything_that_takes_time(start):
    """What one event sets off goes one after the other: the last would end a question that was asked meanwhile."""
    seen, late = set(), []
    for each in start().server.config.app.state.page.config["dependencies"]:
        # Stop ends what runs, and nothing can be asked before it has.
        late += [at for at in map(tuple, each["targets"]) if each["cancels"] and at in seen and at[1] != "click"]
        seen |= set(map(tuple, each["targets"])) if each["backend_fn"] else set()
    assert seen and not late


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
    deadline = time.monotonic() + 60
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


def test_names_of_sessions_are_short(start, sweeper):
    app = start()
    long = "L" * 4000
    with app.client() as http:
        for path, body in (
            ("queue/join", {"data": [], "fn_index": 0, "session_hash": long}),
            ("run/predict", {"data": [], "fn_index": 0, "session_hash": long}),
        ):
            assert http.post(f"/gradio_api/{path}", json=body).status_code == 400
        http.post("/gradio_api/cancel", json={"session_hash": long, "fn_index": 0, "event_id": long})
        (sweeper,) = sweeper
        assert not sweeper._states.session_data and not sweeper._queue.pending_event_ids_session


def test_the_progress_of_uploads_that_nobody_asks_for_is_forgotten(start, monkeypatch):
    monkeypatch.setattr(gradio_internals, "UPLOADS_TRACKED", 3)
    tracked = gradio_internals.routes.file_upload_statuses
    assert isinstance(tracked, gradio_internals._UploadProgress)
    app = start()
    with app.client() as http:
        for number in range(6):
            sent = http.post(f"/gradio_api/upload?upload_id=id{number}", files={"files": ("a.png", b"x")})
            assert sent.status_code == 200
        assert "done" in http.get("/gradio_api/upload_progress?upload_id=id5").text
        long = "y" * 4000
        for path in ("upload", "upload_progress"):
            assert (
                http.request("POST" if path == "upload" else "GET", f"/gradio_api/{path}?upload_id={long}").status_code
                == 414
            )
    eventually(lambda: not {"id0", "id1", "id2", "id5"} & set(tracked._statuses))
    assert len(tracked._statuses) <= 3 and set(tracked._signals) <= set(tracked._statuses)


async def test_who_asks_for_an_upload_that_is_not_there_leaves_nothing(monkeypatch):
    progress = gradio_internals._UploadProgress()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await progress.is_tracked("never")
    assert not progress._signals

"""When parts break: who waits gets an answer or a clear error, `/ready` tells the truth, the process goes on."""

import asyncio
import concurrent.futures
import errno
import gc
import threading
import time

import httpx
import psutil
import pytest

from qwen_demo.engines.scripted import Script
from qwen_demo.errors import EngineFailed, OutOfMemory
from qwen_demo.http import uploads
from tests.api.conftest import start
from tests.conftest import until

__all__ = ["start"]

HELLO = {"messages": [{"role": "user", "content": "hello"}]}
PATIENCE_S = 120


def eventually(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def ask(app, **more) -> httpx.Response:
    with app.client() as http:
        return http.post("/v1/chat/completions", json=HELLO | more)


def is_ready(app) -> bool:
    with app.client() as http:
        return http.get("/ready").status_code == 200


def at_rest(app) -> None:
    """Every slot, place and token of the waiting room is free again."""
    service = app.service
    eventually(lambda: (app.engine.health().running, app.engine.health().waiting) == (0, 0), "slots were not freed")
    eventually(
        lambda: (service._admission.requests, service._admission.prompt_tokens) == (0, 0), "places were not freed"
    )


class Sabotage:
    """Lets the engine fail for the requests whose question holds a word."""

    def __init__(self, app, error: Exception, word: str = "large"):
        self._play, self._error, self._word = app.engine._play, error, word
        app.engine._play = self.play

    async def play(self, request, arrived):
        hit = self._word in request.messages[-1].text
        async for event in self._play(request, arrived):
            yield event
            if hit:
                raise self._error


def test_out_of_memory_ends_one_request_and_no_other(start):
    app = start(Script(["a "] * 40, gap_s=0.01), max_running=8)
    Sabotage(app, OutOfMemory("The image needs more memory than is free."))
    large = {"messages": [{"role": "user", "content": "large"}]}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: ask(app, **(large if number % 4 == 0 else {})), range(8)))
    assert [answer.status_code for answer in answers] == [500, 200, 200, 200] * 2
    assert {answer.json()["error"]["code"] for answer in answers[::4]} == {"out_of_memory"}
    assert {answer.json()["choices"][0]["message"]["content"] for answer in answers if answer.is_success} == {"a " * 40}
    stream = ask(app, stream=True, **large).text
    assert '"out_of_memory"' in stream
    assert "[DONE]" not in stream
    at_rest(app)
    assert is_ready(app)


def test_an_unforeseen_error_ends_one_request_and_no_other(start):
    app = start(Script(["a "] * 20, gap_s=0.01), max_running=4)
    Sabotage(app, MemoryError("0xdeadbeef"))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        broken = {"messages": [{"role": "user", "content": "large"}]}
        answers = list(pool.map(lambda number: ask(app, **(broken if number == 0 else {})), range(4)))
    assert [answer.status_code for answer in answers] == [500, 200, 200, 200]
    assert "0xdeadbeef" not in answers[0].text
    at_rest(app)
    assert is_ready(app)
    assert ask(app).status_code == 200


@pytest.mark.slow
def test_a_stall_is_seen_told_and_forgiven(start, monkeypatch):
    monkeypatch.setattr("qwen_demo.service.watchdog.CANARY_TIMEOUT_S", 0.2)
    app = start(Script(["a"]), canary_s=0.2, request_timeout_s=5, max_running=4)
    assert ask(app).status_code == 200
    app.service._watchdog._idle_s = 3600  # it looks away until all three are in work
    app.engine.script = Script(["a"], first_s=3600)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(ask, app) for _ in range(3)]
        eventually(lambda: app.engine.health().running == 3, "they did not begin")
        app.service._watchdog._idle_s = 0.2
        eventually(lambda: not is_ready(app), "/ready did not notice the stall")
        with app.client() as http:
            assert "no token" in http.get("/ready").json()["detail"]
            assert http.get("/health").status_code == 200
            assert "qwen_ready 0.0" in http.get("/metrics").text
        refused = ask(app)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
        assert refused.headers["retry-after"]
        assert [each.result(PATIENCE_S).status_code for each in waiting] == [504] * 3
    app.engine.script = Script(["a"])
    eventually(lambda: is_ready(app), "/ready did not forgive")
    assert ask(app).status_code == 200
    at_rest(app)


def test_a_dead_engine_is_told_at_once_and_a_live_one_serves_again(start):
    app = start(Script(["a "] * 2000, gap_s=0.02))
    with app.client() as http, http.stream("POST", "/v1/chat/completions", json=HELLO | {"stream": True}) as stream:
        lines = stream.iter_lines()
        next(lines)
        app.engine._ready = False
        answers = [ask(app), ask(app, stream=True)]
        assert [answer.status_code for answer in answers] == [503, 503]
        assert not is_ready(app)
        with app.client() as other:
            assert other.get("/health").json()["state"] == "restarting"
    app.engine._ready = True
    app.engine.script = Script(["a"])
    assert is_ready(app)
    assert ask(app).status_code == 200
    at_rest(app)


def test_an_engine_that_dies_under_running_streams_ends_each_with_the_reason(start):
    app = start(Script(["a "] * 1000, gap_s=0.05), max_running=8)
    died = threading.Event()
    play = app.engine._play

    async def mortal(request, arrived):
        async for event in play(request, arrived):
            if died.is_set():
                raise EngineFailed("The model's thread died.")
            yield event

    app.engine._play = mortal
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        streams = [pool.submit(ask, app, stream=True) for _ in range(8)]
        eventually(lambda: app.engine.health().running == 8, "not all began")
        died.set()
        texts = [each.result(PATIENCE_S).text for each in streams]
    assert all('"engine_failed"' in text and "[DONE]" not in text for text in texts)
    at_rest(app)
    app.engine._play = play
    app.engine.script = Script(["a"])
    assert ask(app).status_code == 200


def test_a_full_disk_refuses_uploads_and_nothing_else(start, monkeypatch):
    app = start()
    writing = uploads.shutil.disk_usage
    image = {"files": ("a.png", b"x" * 100_000)}

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with app.client(headers={"connection": "close"}) as http:
        with monkeypatch.context() as disk:
            disk.setattr("gradio.route_utils.NamedTemporaryFile", full)
            answer = http.post("/gradio_api/upload", files=image)
            assert (answer.status_code, answer.json()["error"]["code"]) == (507, "disk_full")
            assert "space" not in answer.text
            assert "Traceback" not in answer.text
            assert http.post("/v1/chat/completions", json=HELLO).status_code == 200
        with monkeypatch.context() as disk:
            disk.setattr(uploads.shutil, "disk_usage", lambda _: writing("/")._replace(free=0))
            assert http.post("/gradio_api/upload", files=image).status_code == 507
            assert http.post("/inference", json={"prompt": "hi"}).status_code == 200
            assert is_ready(app)
        assert http.post("/gradio_api/upload", files=image).status_code == 200


@pytest.mark.parametrize("stream", [True, False])
def test_100_clients_that_drop_leave_nothing_behind(start, stream):
    app = start(Script(["a "] * 2000, gap_s=0.02), max_running=16, max_waiting=200)
    connections = app.server.server_state.connections

    async def drop_all() -> list[str]:
        endings = []
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=app.url, timeout=PATIENCE_S, limits=limits) as http:

            async def one() -> None:
                body = HELLO | {"stream": stream, "max_tokens": 2000}
                async with http.stream("POST", "/v1/chat/completions", json=body) as answer:
                    async for _ in answer.aiter_bytes():
                        pass
                endings.append("ended by itself")

            tasks = [asyncio.create_task(one()) for _ in range(100)]
            await until(lambda: app.engine.health().running == 16 and app.service.status().waiting == 84, PATIENCE_S)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return endings

    assert asyncio.run(asyncio.wait_for(drop_all(), 2 * PATIENCE_S)) == []
    at_rest(app)
    eventually(lambda: len(connections) == 0, "connections stayed")
    app.engine.script = Script(["a"])
    assert ask(app).status_code == 200
    assert is_ready(app)


@pytest.mark.slow
def test_dropping_clients_over_and_over_costs_no_memory_and_no_file(start):
    app = start(Script(["a "] * 2000, gap_s=0.01), max_running=8, max_waiting=100)
    process = psutil.Process()

    def drop(times: int) -> None:
        for _ in range(times):
            asked = HELLO | {"stream": True}
            with app.client() as http, http.stream("POST", "/v1/chat/completions", json=asked) as answer:
                next(answer.iter_lines())

    def held() -> tuple[int, int]:
        at_rest(app)
        eventually(lambda: not app.server.server_state.connections, "connections stayed")
        gc.collect()
        return process.num_fds(), process.memory_info().rss

    drop(100)
    files, memory = held()
    drop(100)
    more_files, more_memory = held()
    assert more_files <= files + 5
    assert more_memory - memory < 30 << 20

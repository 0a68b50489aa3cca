"""The batching engine behind HTTP when parts of it break: who waits is told, who can be served is, nothing hangs."""

import asyncio
import concurrent.futures
import contextlib
import gc
import io
import socket
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import httpx
import PIL.Image
import psutil
import pytest
import torch
import uvicorn

from qwen_demo.engines.batching.engine import BatchingEngine
from qwen_demo.server.app import build_app
from qwen_demo.settings import Settings
from tests.conftest import draw, until

PATIENCE_S = 120


class App:
    """The application on a real port, with the embedded model behind the batching engine."""

    def __init__(self, loaded, **changes):
        given = {"model": "embedded", "slots": 4, "slot_tokens": 1024, "threads": 1, "canary_s": 0, "grace_s": 1}
        settings = Settings(**{**given, "warmup": False, "max_waiting": 128, "caller_share": 1.0, **changes})
        self.engine = BatchingEngine(settings, loader=lambda *_: loaded)
        self.server = self.service = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(settings)), daemon=True)
        self._thread.start()
        eventually(lambda: self.server and self.server.started, "it did not start")
        eventually(lambda: self.service.status().state == "ready", "it was not ready")
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    async def _serve(self, settings: Settings) -> None:
        app = build_app(settings, self.engine)
        self.service = app.state.service
        config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1, lifespan="on")
        self.server = uvicorn.Server(config)
        await self.server.serve()

    @property
    def runner(self):
        return self.engine.loop.runner

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=PATIENCE_S)

    def ask(self, words: str = "Tell me about it.", tokens: int = 16, **more) -> httpx.Response:
        body = {"messages": [{"role": "user", "content": words}], "max_tokens": tokens, **more}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=PATIENCE_S)

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server did not end"


def eventually(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture(scope="module")
def open_apps():
    """Programs that tests share, by their settings, and what stops them."""
    with contextlib.ExitStack() as stack:
        yield stack, {}


@pytest.fixture
def start(loaded, monkeypatch, open_apps):
    """Answers end at the length limit only: the end token is one that the model never says."""
    monkeypatch.setattr(loaded.model.generation_config, "eos_token_id", [loaded.prompts.processor.video_token_id])

    def start(**changes) -> App:
        app = App(replace(loaded), **changes)
        open_apps[0].callback(app.stop)
        return app

    return start


@pytest.fixture
def app(start, open_apps, tmp_path_factory):
    """One program for all tests that leave it as they found it; that they do is looked at after each."""
    apps = open_apps[1]
    if "shared" not in apps:
        apps["shared"] = start(upload_dir=tmp_path_factory.mktemp("uploads"))
    app = apps["shared"]
    yield app
    at_rest(app)
    assert app.get("/ready").status_code == 200


def files_in(app: App) -> list[Path]:
    return [path for path in app.engine._settings.upload_dir.rglob("*") if path.is_file()]


def at_rest(app: App) -> None:
    health = app.engine.health
    eventually(lambda: (health().running, health().waiting) == (0, 0), "slots were not freed")
    all_gone(app)


def all_gone(app: App) -> None:
    places = app.service._admission
    eventually(lambda: (places.requests, places.prompt_tokens) == (0, 0), "places were not freed")


def code_of(answer: httpx.Response) -> str:
    return answer.json()["error"]["code"]


@pytest.mark.slow
def test_a_killed_engine_loop_is_told_to_all_and_nothing_hangs(start, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    app = start()
    real, asked_to_die = app.runner.decode, threading.Event()

    def deadly(running):
        if asked_to_die.is_set():
            raise SystemExit  # ends the thread without a word, as nothing that the loop catches
        return real(running)

    app.runner.decode = deadly
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        streams = [pool.submit(app.ask, f"Question {n}", 900, stream=n % 2 == 0) for n in range(8)]
        eventually(lambda: app.engine.health().running == 4, "not all began")
        asked_to_die.set()
        answers = [each.result(PATIENCE_S) for each in streams]
    for answer in answers:
        assert "[DONE]" not in answer.text
        assert "engine_failed" in answer.text or answer.status_code == 503, answer.text[-300:]
    assert app.get("/ready").status_code == 503
    assert "thread" in app.get("/ready").json()["detail"]
    assert app.engine.health().failed
    refused = app.ask()
    assert (refused.status_code, code_of(refused)) == (503, "not_ready")
    all_gone(app)


def test_out_of_memory_in_a_step_ends_one_request_and_the_others_finish(app, monkeypatch):
    real, left = app.runner.decode, [1]

    def tight(running):
        if left[0] and running == 4:
            left[0] -= 1
            raise torch.OutOfMemoryError("injected")
        return real(running)

    monkeypatch.setattr(app.runner, "decode", tight)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda n: app.ask(f"Question {n}", 60), range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [500]
    assert [code_of(answer) for answer in answers if answer.status_code == 500] == ["out_of_memory"]
    assert all(a.json()["usage"]["completion_tokens"] == 60 for a in answers if a.is_success)
    assert app.get("/ready").status_code == 200
    assert 'outcome="out_of_memory"} 1.0' in app.get("/metrics").text


def test_a_stalled_step_is_told_to_its_callers_and_forgiven(app, monkeypatch):
    patient = app.engine._settings
    monkeypatch.setattr(app.engine, "_settings", patient.model_copy(update={"step_timeout_s": 0.5}))
    released, real = threading.Event(), app.runner.decode

    def stalled(running):
        released.wait(PATIENCE_S)
        return real(running)

    app.runner.decode = stalled
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(app.ask, f"Question {n}", 900) for n in range(6)]
        eventually(lambda: app.get("/ready").status_code == 503, "/ready did not notice")
        assert "hangs" in app.get("/ready").json()["detail"]
        answers = [each.result(PATIENCE_S) for each in waiting]
        assert {answer.status_code for answer in answers} <= {500, 503}
        assert "engine_failed" in {code_of(answer) for answer in answers}
    assert not app.engine.health().failed
    app.runner.decode = real
    app.engine._settings = patient
    released.set()
    eventually(lambda: app.get("/ready").status_code == 200, "/ready did not forgive")
    assert app.ask().status_code == 200


@pytest.mark.slow
def test_100_clients_that_drop_free_the_batch_and_the_memory(app):
    process = psutil.Process()

    async def drop_all() -> None:
        async with httpx.AsyncClient(base_url=app.url, timeout=PATIENCE_S, limits=httpx.Limits()) as http:

            async def one(number: int) -> None:
                content = [{"role": "user", "content": f"Question {number}"}]
                body = {"messages": content, "max_tokens": 900, "stream": True}
                async with http.stream("POST", "/v1/chat/completions", json=body) as answer:
                    async for _ in answer.aiter_bytes():
                        pass

            tasks = [asyncio.create_task(one(number)) for number in range(100)]
            status = app.service.status
            await until(lambda: status().running == 4 and status().running + status().waiting == 100, PATIENCE_S)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    asyncio.run(asyncio.wait_for(drop_all(), PATIENCE_S))
    at_rest(app)
    gc.collect()
    files, memory = process.num_fds(), process.memory_info().rss
    asyncio.run(asyncio.wait_for(drop_all(), PATIENCE_S))
    at_rest(app)
    eventually(lambda: not app.server.server_state.connections, "connections stayed")
    gc.collect()
    assert process.num_fds() <= files + 5
    assert process.memory_info().rss - memory < 40 << 20
    assert app.ask().status_code == 200


@pytest.fixture
def full_disk(monkeypatch):
    """`with full_disk():` every file of an upload lies on a device that has no room: the system itself says so."""

    @contextlib.contextmanager
    def full():
        named = tempfile.NamedTemporaryFile
        with contextlib.ExitStack() as files, monkeypatch.context() as disk:

            def device(*_, **__):
                return files.enter_context(open("/dev/full", "w+b", buffering=0))

            def with_a_name(*args, **options):
                made = named(*args, **options)
                made.file.close()
                made.file = device()
                return made

            disk.setattr("gradio.route_utils.NamedTemporaryFile", with_a_name)
            disk.setattr("tempfile.TemporaryFile", device)
            yield

    return full


def test_a_full_disk_is_told_to_who_uploads_and_to_nobody_else(app, full_disk):
    image = io.BytesIO()
    PIL.Image.effect_noise((1200, 1200), 90).save(image, "PNG")
    assert len(image.getvalue()) > 1 << 20  # smaller ones stay in memory
    form = {"data": {"prompt": "What is it?", "max_tokens": 4}, "files": {"file": ("a.png", image.getvalue())}}
    files = {"files": ("a.png", image.getvalue())}

    def post(path: str, **body) -> httpx.Response:
        return httpx.post(app.url + path, timeout=PATIENCE_S, **body)

    before = files_in(app)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        others = [pool.submit(app.ask, f"Question {n}", 128) for n in range(3)]
        eventually(lambda: app.engine.health().running == 3, "not all began")
        with full_disk():
            for path, body in (("/gradio_api/upload", {"files": files}), ("/inference", form)):
                refused = post(path, **body)
                assert (refused.status_code, code_of(refused)) == (507, "disk_full"), path
                assert "full. Try again" in refused.json()["error"]["message"]
            assert files_in(app) == before
            draw("red").save(small := io.BytesIO(), "PNG")
            fits = {"data": form["data"], "files": {"file": ("a.png", small.getvalue())}}
            assert post("/inference", **fits).status_code == 200
            assert app.ask().status_code == 200
            assert app.get("/ready").status_code == 200
        answers = [each.result(PATIENCE_S) for each in others]
    assert {(answer.status_code, answer.json()["usage"]["completion_tokens"]) for answer in answers} == {(200, 128)}
    assert 'front="inference",outcome="disk_full"} 1.0' in app.get("/metrics").text
    (path,) = post("/gradio_api/upload", files=files).json()
    assert Path(path).read_bytes() == image.getvalue()
    assert post("/inference", **form).status_code == 200


def test_an_upload_that_breaks_off_leaves_nothing_on_the_disk(app):
    before = files_in(app)
    host, port = app.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(b"POST /gradio_api/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n")
        raw.sendall(b"Content-Type: multipart/form-data; boundary=b\r\n\r\n")
        raw.sendall(b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n' + bytes(50_000))
        eventually(lambda: files_in(app) != before, "the upload did not begin")
    eventually(lambda: files_in(app) == before, "the remains stayed")


def test_the_engine_tells_the_gpus_memory_where_there_is_one(app, monkeypatch):
    assert "gpu_memory" not in app.get("/metrics").text
    memory = app.engine.loop.memory
    for name, value in (("memory_reserved", 30), ("memory_allocated", 20)):
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value + device)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=80))
    memory.read_at_s = float("-inf")
    text = app.get("/metrics").text
    for line in ("bytes 61.0", "used_bytes 41.0", "total_bytes 160.0"):
        assert f"\nqwen_engine_gpu_memory_{line}\n" in text

"""The application on the scripted engine, in this process and on a real port."""

import asyncio
import contextlib
import functools
import threading
import time

import httpx
import pytest
import uvicorn

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.server.app import build_app
from qwen_demo.settings import Settings

TWO_WORDS = Script(["one ", "two"])


class App:
    """A running application and the engine behind it.

    Args:
        loaded: how long the engine loads; None does not wait.
        engine: another than a scripted one with `script`.
    """

    def __init__(self, settings: Settings, script: Script, loaded: threading.Event | None = None, engine=None):
        self.engine = engine or ScriptedEngine(script, settings.max_running)
        if loaded:
            self._load_until(loaded)
        self.server = self.service = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(settings)), daemon=True)
        self._thread.start()
        while not (self.server and self.server.started and (loaded or self.service.status().state != "loading")):
            assert self._thread.is_alive(), "the server ended at start"
            time.sleep(0.005)
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    def _load_until(self, loaded: threading.Event) -> None:
        start = self.engine.start

        async def start_late() -> None:
            await asyncio.to_thread(loaded.wait)
            await start()

        self.engine.start = start_late

    async def _serve(self, settings: Settings) -> None:
        app = build_app(settings, self.engine)
        self.service = app.state.service
        config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1, lifespan="on")
        self.server = uvicorn.Server(config)
        await self.server.serve()

    def client(self, **options) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, **options)

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(60)
        assert not self._thread.is_alive(), "the server did not end"


# All of a test's callers have one address.
PLAIN = {"warmup": False, "canary_s": 0, "grace_s": 1, "caller_share": 1.0}


@pytest.fixture(scope="module")
def plain_app():
    app = App(Settings(**PLAIN), TWO_WORDS)
    yield app
    app.stop()


@pytest.fixture
def app(plain_app):
    """An application without settings of its own, shared by the tests of a file: building one takes half a second."""
    plain_app.engine.script = TWO_WORDS
    plain_app.engine.requests.clear()
    return plain_app


@pytest.fixture
def start():
    """Start an application: `start(Script(...), max_waiting=3)`; with `loaded` its engine loads until that is set."""
    with contextlib.ExitStack() as stack:

        def start_(script: Script = TWO_WORDS, loaded: threading.Event | None = None, **settings) -> App:
            app = App(Settings(**{**PLAIN, **settings}), script, loaded)
            stack.callback(app.stop)
            if loaded:
                stack.callback(loaded.set)
            return app

        yield start_


@pytest.fixture
def litellm(monkeypatch):
    """The library, on an event loop that is closed afterwards: it asks for one and would leave it open."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it asks the internet at import
    import litellm

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield litellm
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def chat_openai(monkeypatch):
    """LangChain's `ChatOpenAI` on connections that are closed afterwards."""
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    from langchain_openai import ChatOpenAI

    with httpx.Client() as http:
        yield functools.partial(ChatOpenAI, api_key="unused", max_retries=0, http_client=http)

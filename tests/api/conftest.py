"""The application on the fake engine, in this process and on a real port."""

import asyncio
import contextlib
import threading
import time

import httpx
import pytest
import uvicorn

from qwen_demo.engines.fake import FakeEngine, Script
from qwen_demo.server import build_app
from qwen_demo.settings import Settings


class App:
    """A running application and the engine behind it."""

    def __init__(self, settings: Settings, script: Script, load_s: float = 0.0):
        self.engine = FakeEngine(script, settings.max_running, load_s)
        self.server = self.service = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(settings)), daemon=True)
        self._thread.start()
        while not (self.server and self.server.started and (load_s or self.service.status().state != "loading")):
            assert self._thread.is_alive(), "the server ended at start"
            time.sleep(0.005)
        self.url = f"http://127.0.0.1:{self.server.servers[0].sockets[0].getsockname()[1]}"

    async def _serve(self, settings: Settings) -> None:
        app = build_app(settings, self.engine)
        self.service = app.state.service
        config = uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1, lifespan="on")
        self.server = uvicorn.Server(config)
        await self.server.serve()

    def client(self, **options) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30, **options)

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the server did not end"


@pytest.fixture
def start():
    """Start an application: `start(Script(...), max_waiting=3)`."""
    with contextlib.ExitStack() as stack:

        def start_(script: Script = Script(["one ", "two"]), **settings) -> App:  # noqa: B008 frozen
            app = App(Settings(**{"warmup": False, "canary_s": 0, "grace_s": 1, **settings}), script)
            stack.callback(app.stop)
            return app

        yield start_

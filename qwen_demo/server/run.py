"""Runs the application on its socket until a signal.

The page is there at once and says how far the model is; a model that cannot be loaded ends the program with
the reason.
"""

import asyncio
import gc
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI
from uvicorn.loops.auto import auto_loop_factory

from qwen_demo.engines import zerogpu
from qwen_demo.errors import SettingsError
from qwen_demo.http.arrival import Proxies
from qwen_demo.http.connections import Connections, quiet_at_the_limit
from qwen_demo.http.timeout_protocol import bounded
from qwen_demo.server.app import Front, build_app, page_options
from qwen_demo.server.listening import own_address
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.ui import gradio_internals

if TYPE_CHECKING:
    from gradio.routes import App


def serve(settings: Settings, listening: socket.socket) -> int:
    """Run on a socket that listens (`listening_socket`) until a signal; returns the exit code."""
    _open_many_files()
    if zerogpu.is_active():
        return _launch_on_zerogpu(settings, listening)
    # uvicorn knows whether uvloop is there, which moves each token for a fifth less of the processor's time.
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        return runner.run(_serve(settings, listening))


def _open_many_files() -> None:
    """As many as the system lets this user: each connection and each image in work is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # macOS names no limit and does not take that either.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class _Server(uvicorn.Server):
    """Uvicorn, with the signals left to `_serve`.

    Attributes:
        draining: waits for the running answers; kept here so that nobody collects it.
        on_started: called once it takes requests.
    """

    draining: asyncio.Task[None] | None = None
    on_started: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.on_started:
            self.on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(settings: Settings, listening: socket.socket) -> int:
    began = time.perf_counter()
    quiet_at_the_limit(asyncio.get_running_loop())
    app = build_app(settings, own_address=own_address(listening))
    services: list[Service] = app.state.services
    server = _Server(uvicorn_config(app, settings))
    serving = asyncio.create_task(server.serve([listening]))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _shut_down, services, server)
    while not server.started and not serving.done():  # noqa: ASYNC110 uvicorn has no event for it
        await asyncio.sleep(0.02)
    if serving.done():
        await serving
        return 1
    port = listening.getsockname()[1]
    host = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host
    host = f"[{host}]" if ":" in host else host
    _say(f"Qwen2.5-VL demo: http://{host}:{port}{settings.root_path} (the model is loading)")
    for service, which in zip(services, ("", "the second engine, to compare with: "), strict=False):
        await service.loaded()
        if service.failure:
            server.should_exit = True
            await serving
            print(f"error: {which}{service.failure}", file=sys.stderr)
            return 1
        if service.status().state == "closing":  # it was told to end while it loaded
            await serving
            return 0
        _tell(service, time.perf_counter() - began, "To compare with" if which else "Ready")
    # What was made until here stays: each full collection would look through all of it, for a tenth of a second.
    gc.collect()
    gc.freeze()
    await serving
    return 0


def _tell(service: Service, seconds: float, what: str) -> None:
    model = service.status().model
    _say(
        f"{what} after {seconds:.1f} s: {model.model_id} on {model.device}, {model.dtype}, "
        f"quantisation {model.quantization} ({model.reason})"
    )


def _say(line: str) -> None:
    """On standard output; a full disk or a closed pipe behind it is no reason to end."""
    try:
        print(line, flush=True)
    except OSError:
        # Else Python would try to write it once more at its end, and give that failure's code.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def uvicorn_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    connections = Connections(settings.caller_connections, settings.caller_share, Proxies(settings.trusted_proxies))
    # Open pages hold a connection for ever; after the drain they need not be waited for.
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,  # `http/arrival.py` judges them
        timeout_graceful_shutdown=1,
        timeout_keep_alive=settings.keep_alive_s,
        http=bounded(connections),
        ws="none",
    )


def _shut_down(services: Sequence[Service], server: _Server) -> None:
    """First signal: drain, then exit. Second: exit at once."""

    async def drain_and_exit() -> None:
        await asyncio.gather(*(service.drain() for service in services))
        server.should_exit = True

    if services[0].status().state == "closing":
        server.force_exit = server.should_exit = True
    else:
        server.draining = asyncio.create_task(drain_and_exit())


def _launch_on_zerogpu(settings: Settings, listening: socket.socket) -> int:
    """ZeroGPU prepares itself inside Gradio's `launch`, with the model already loaded. The front is the same."""
    from qwen_demo.engines.generate import GenerateEngine

    if settings.compares:
        raise SettingsError(
            "--compare-engine and --compare-quantization cannot be used here: ZeroGPU lends its GPU to one engine."
        )
    began = time.perf_counter()
    engine = GenerateEngine(settings)
    engine.load()
    service = Service(settings, engine)
    service.ready_without_warmup()
    front = Front(settings, [service], loaded=True)
    page = front.page()
    # Gradio ends its server when it is interrupted, and knows no other way to be told.
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def whole(gradio: "App") -> uvicorn.Server:
        server = _Server(uvicorn_config(front.mount(page, gradio, own_address(listening)), settings))
        server.on_started = lambda: _tell(service, time.perf_counter() - began, "Ready")
        return server

    port = listening.getsockname()[1]
    _say(f"Qwen2.5-VL demo: http://{settings.host}:{port}{settings.root_path}")
    gradio_internals.launch(
        page,
        whole,
        lambda server: server.run(sockets=[listening]),
        server_name=settings.host,
        server_port=port,
        **page_options(settings, page),
    )
    return 0

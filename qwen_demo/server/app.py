"""Puts the parts together: engine -> service -> page, in one process.

The only module that builds an engine. The page is there at once and says how far the model is;
a model that cannot be loaded ends the process with the reason.
"""

import asyncio
import gc
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Mount
from uvicorn.loops.auto import auto_loop_factory

from qwen_demo import __version__
from qwen_demo.api.openapi import correct as correct_openapi
from qwen_demo.api.routes import build_router
from qwen_demo.engines import zerogpu
from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import SettingsError
from qwen_demo.http.access import Access
from qwen_demo.http.credentials import Login
from qwen_demo.http.errors import install as install_errors
from qwen_demo.http.middleware import BoundedBody, CompressedPage, RequestId, SecurityHeaders
from qwen_demo.http.route_guard import RouteGuard
from qwen_demo.http.timeout_protocol import TimeoutProtocol
from qwen_demo.http.uploads import keep_trimmed
from qwen_demo.models.load import load_beside
from qwen_demo.service.service import Service
from qwen_demo.service.telemetry import set_up_logging
from qwen_demo.settings import MIB, Settings, tell_gradio_upload_dir
from qwen_demo.types import Engine
from qwen_demo.ui.mcp import give_pass
from qwen_demo.ui.sessions import keep_swept, make_lean, put_calls_first

# Gradio holds this many events beyond those that may wait (an engine has 64 slots at most), so that the
# one to turn people away is the service, which knows why.
PAGE_SLACK = 128
SESSIONS_KEPT = 1000
# Gradio looks a thousand times a second whether somebody has asked, and a hundred times whether a progress bar
# moved, of which this page has none. That takes 5 % of a core, asked or not.
QUEUE_LOOKS_S, PROGRESS_LOOKS_S = 0.02, 1.0


def build_engine(settings: Settings, **options) -> Engine:
    """The engine that `--engine` names; `options` are for engines that load a model."""
    if settings.engine == "scripted":
        return ScriptedEngine(Script(first_s=0.2, gap_s=0.02), settings.max_running)
    if settings.engine == "remote":
        from qwen_demo.engines.remote import RemoteEngine

        return RemoteEngine(settings)
    # ZeroGPU lends its GPU to one call at a time; there is nothing to batch.
    if settings.engine == "generate" or zerogpu.is_active():
        from qwen_demo.engines.generate import GenerateEngine

        return GenerateEngine(settings, **options)
    from qwen_demo.engines.batching.engine import BatchingEngine

    return BatchingEngine(settings, **options)


def build_second(settings: Settings, first: Engine) -> Service | None:
    """What the page can compare `first` with, see `--compare-engine`. It loads the model that `first` has loaded."""
    if not settings.compares:
        return None
    first_kind = "batching" if settings.engine == "auto" else settings.engine
    changes = {
        "engine": settings.compare_engine or first_kind,
        "quantization": settings.compare_quantization or settings.quantization,
        "compare_engine": None,
        "compare_quantization": None,
    }
    changed = settings.model_copy(update=changes)
    return Service(changed, build_engine(changed, loader=load_beside(lambda: first.info)))


def build_app(settings: Settings, engine: Engine | None = None, second: Service | None = None) -> FastAPI:
    """The whole application. `app.state.service` is the service behind it.

    `app.state.services` are it and, if there is one, the second one, which the page compares it with.
    """
    engine = engine or build_engine(settings)
    service = Service(settings, engine)
    second = second or build_second(settings, engine)
    services = [service, second] if second else [service]
    uploads = _upload_dir(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        if second:
            second.start(after=service)
        tidying = [
            asyncio.create_task(keep_trimmed(uploads, settings.max_upload_bytes)),
            asyncio.create_task(keep_swept(app.state.page)),
        ]
        yield
        for task in tidying:
            task.cancel()
        for each in reversed(services):
            await each.close()
        if settings.upload_dir is None:
            shutil.rmtree(uploads, ignore_errors=True)

    app = FastAPI(title="Qwen2.5-VL", version=__version__, lifespan=lifespan)
    app.state.service, app.state.services = service, services
    install_errors(app)
    access = Access(settings)
    app.include_router(build_router(service, access))
    correct_openapi(app)
    app.add_middleware(
        BoundedBody,
        paths=("/v1/", "/inference", "/gradio_api/", "/login"),
        streamed=("/gradio_api/upload",),
        max_bytes=settings.max_request_bytes,
        timeout_s=settings.body_timeout_s,
        held_bytes=settings.memory_budget_mib * MIB,
    )
    app.add_middleware(
        RouteGuard,
        origins=settings.cors_origins,
        uploads=uploads,
        max_upload_bytes=settings.max_images * _largest_file(settings),
        timeout_s=settings.body_timeout_s,
        mcp_access=access if settings.page_users_file else None,
    )
    # Also with no origins: where it is missing, Gradio allows every one, with credentials.
    app.add_middleware(
        CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["GET", "POST"], allow_headers=["*"]
    )
    app.add_middleware(CompressedPage)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestId)
    return _mount_page(app, services, uploads)


def _upload_dir(settings: Settings) -> Path:
    folder = settings.upload_dir or Path(tempfile.mkdtemp(prefix="qwen-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    tell_gradio_upload_dir(folder.resolve())
    return folder.resolve()


def _mount_page(app: FastAPI, services: Sequence[Service], uploads: Path) -> FastAPI:
    import gradio as gr

    from qwen_demo.ui.languages import LocaleMiddleware

    app.add_middleware(LocaleMiddleware)
    settings = services[0].settings
    page = app.state.page = _page(services, uploads)
    gr.mount_gradio_app(app, page, path="/", **_page_options(settings, page))
    make_lean(page)
    mounted = next(route.app for route in app.routes if isinstance(route, Mount))
    put_calls_first(mounted)
    if settings.page_users_file:
        give_pass(page, mounted)
    return app


def _page(services: Sequence[Service], uploads: Path):
    from qwen_demo.ui.blocks import build_page
    from qwen_demo.ui.conversation import Reader

    settings = services[0].settings
    demo = build_page(services, Reader(settings, [uploads]))
    capacity = settings.max_waiting + PAGE_SLACK
    demo.max_threads = capacity
    # Gradio keeps a session for each page and each call of its API; its own bound is 10,000 of them.
    demo.state_session_capacity = SESSIONS_KEPT
    # "auto" tells all who wait about each one that begins; nobody waits long in this queue.
    demo.queue(status_update_rate=1, max_size=capacity, default_concurrency_limit=capacity)
    demo._queue.sleep_when_free, demo._queue.progress_update_sleep_when_free = QUEUE_LOOKS_S, PROGRESS_LOOKS_S
    return demo


def _largest_file(settings: Settings) -> int:
    return max(settings.max_image_bytes, settings.max_video_bytes)


def _page_options(settings: Settings, page) -> dict:
    """Shared by the mounted page and the launched one of ZeroGPU."""
    from qwen_demo.ui.blocks import CSS, HEAD, THEME
    from qwen_demo.ui.examples import FOLDER
    from qwen_demo.ui.languages import Translations

    return {
        "head": HEAD,
        "i18n": Translations(page),
        "theme": THEME,
        "css": CSS,
        "show_error": False,
        "max_file_size": _largest_file(settings),
        "allowed_paths": [str(FOLDER)],
        "root_path": settings.root_path or None,
        "run_history": False,
        "ssr_mode": False,
        "mcp_server": True,
        "auth": Login(settings.page_users_file).check if settings.page_users_file else None,
    }


def serve(settings: Settings) -> int:
    """Run until a signal; returns the exit code."""
    set_up_logging(as_json=settings.log_json)
    _refuse_open_door(settings)
    if zerogpu.is_active():
        return _launch_on_zerogpu(settings)
    # uvicorn knows whether uvloop is there, which moves each token for a fifth less of the processor's time.
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        return runner.run(_serve(settings))


def _refuse_open_door(settings: Settings) -> None:
    protected = settings.api_keys_file and settings.page_users_file
    if not (settings.on_loopback or settings.open or protected):
        raise SettingsError(
            f"--host {settings.host} can be reached by others. Give --api-keys-file and --page-users-file, or say "
            "--open (QWEN_DEMO_OPEN=true) if anybody may use it, as behind a proxy that asks for itself."
        )


class _Server(uvicorn.Server):
    """Uvicorn, with the signals left to `_serve`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(settings: Settings) -> int:
    began = time.perf_counter()
    app = build_app(settings)
    services: list[Service] = app.state.services
    server = _Server(_uvicorn_config(app, settings))
    serving = asyncio.create_task(server.serve())
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _shut_down, services, server)
    while not server.started and not serving.done():  # noqa: ASYNC110 uvicorn has no event for it
        await asyncio.sleep(0.02)
    if serving.done():
        await serving
        return 1
    port = server.servers[0].sockets[0].getsockname()[1]
    host = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host
    print(f"Qwen2.5-VL demo: http://{host}:{port}{settings.root_path} (the model is loading)", flush=True)
    for service, which in zip(services, ("", "the second engine, to compare with: "), strict=False):
        await service.loaded()
        if service.failure:
            server.should_exit = True
            await serving
            print(f"error: {which}{service.failure}", file=sys.stderr)
            return 1
        _tell(service, time.perf_counter() - began, "To compare with" if which else "Ready")
    # What was made until here stays: each full collection would look through all of it, for a tenth of a second.
    gc.collect()
    gc.freeze()
    await serving
    return 0


def _tell(service: Service, seconds: float, what: str) -> None:
    model = service.status().model
    print(
        f"{what} after {seconds:.1f} s: {model.model_id} on {model.device}, {model.dtype}, "
        f"quantisation {model.quantization} ({model.reason})",
        flush=True,
    )


def _uvicorn_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    # Open pages hold a connection for ever; after the drain they need not be waited for.
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        proxy_headers=True,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=1,
        http=TimeoutProtocol,
        ws="none",
    )


def _shut_down(services: Sequence[Service], server: uvicorn.Server) -> None:
    """First signal: drain, then exit. Second: exit at once."""

    async def drain_and_exit() -> None:
        await asyncio.gather(*(service.drain() for service in services))
        server.should_exit = True

    if services[0].status().state == "closing":
        server.force_exit = server.should_exit = True
    else:
        server.draining = asyncio.create_task(drain_and_exit())


def _launch_on_zerogpu(settings: Settings) -> int:
    """ZeroGPU prepares itself inside Gradio's `launch`, with the model already loaded."""
    from qwen_demo.engines.generate import GenerateEngine

    if settings.compares:
        raise SettingsError(
            "--compare-engine and --compare-quantization cannot be used here: ZeroGPU lends its GPU to one engine."
        )
    engine = GenerateEngine(settings)
    engine.load()
    service = Service(settings, engine)
    service.ready_without_warmup()
    page = _page([service], _upload_dir(settings))
    page.launch(server_name=settings.host, server_port=settings.port, **_page_options(settings, page))
    return 0

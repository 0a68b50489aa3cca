"""Puts the parts together: engine -> service -> page, in one process.

The only module that builds an engine. The page is there at once and says how far the model is;
a model that cannot be loaded ends the process with the reason.
"""

import asyncio
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from qwen_demo import __version__
from qwen_demo.engines import zerogpu
from qwen_demo.engines.fake import FakeEngine, Script
from qwen_demo.service import Service
from qwen_demo.settings import Settings, tell_gradio_upload_dir
from qwen_demo.types import Engine

log = logging.getLogger(__name__)

# Gradio holds these many events beyond what the service takes, so that the service, which
# knows why, is the one to turn people away.
PAGE_SLACK = 64


def build_engine(settings: Settings) -> Engine:
    """The engine that `--engine` names."""
    if settings.engine == "fake":
        return FakeEngine(Script(first_s=0.2, gap_s=0.02), settings.max_running)
    from qwen_demo.engines.generate import GenerateEngine

    return GenerateEngine(settings)


def build_app(settings: Settings, engine: Engine | None = None) -> FastAPI:
    """The whole application. `app.state.service` is the service behind it."""
    service = Service(settings, engine or build_engine(settings))
    uploads = _upload_dir(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await service.close()
        if settings.upload_dir is None:
            shutil.rmtree(uploads, ignore_errors=True)

    app = FastAPI(title="Qwen2.5-VL", version=__version__, lifespan=lifespan)
    app.state.service = service

    @app.get("/health")
    async def health() -> dict:
        status = service.status()
        return {"status": "ok", "state": status.state, "model": status.model.model_id, "version": __version__}

    return _mount_page(app, service, uploads)


def _upload_dir(settings: Settings) -> Path:
    folder = settings.upload_dir or Path(tempfile.mkdtemp(prefix="qwen-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    tell_gradio_upload_dir(folder.resolve())
    return folder.resolve()


def _mount_page(app: FastAPI, service: Service, uploads: Path) -> FastAPI:
    import gradio as gr

    return gr.mount_gradio_app(app, _page(service, uploads), path="/", **_page_options(service.settings))


def _page(service: Service, uploads: Path):
    from qwen_demo.ui.blocks import build_page
    from qwen_demo.ui.conversation import Reader

    settings = service.settings
    demo = build_page(service, Reader(settings, [uploads]))
    capacity = settings.max_running + settings.max_waiting + PAGE_SLACK
    demo.max_threads = capacity
    demo.queue(max_size=capacity, default_concurrency_limit=capacity)
    return demo


def _page_options(settings: Settings) -> dict:
    """Shared by the mounted page and the launched one of ZeroGPU."""
    from qwen_demo.ui.blocks import CSS, THEME
    from qwen_demo.ui.examples import FOLDER

    return {
        "theme": THEME,
        "css": CSS,
        "show_error": False,
        "max_file_size": max(settings.max_image_bytes, settings.max_video_bytes),
        "allowed_paths": [str(FOLDER)],
        "root_path": settings.root_path or None,
        "run_history": False,
        "ssr_mode": False,
        "mcp_server": True,
    }


def serve(settings: Settings) -> int:
    """Run until a signal; returns the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for chatty in ("httpx", "mcp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    if zerogpu.is_active():
        return _launch_on_zerogpu(settings)
    return asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    began = time.perf_counter()
    app = build_app(settings)
    service: Service = app.state.service
    server = uvicorn.Server(
        uvicorn.Config(app, host=settings.host, port=settings.port, log_level="warning", timeout_graceful_shutdown=10)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started and not serving.done():  # noqa: ASYNC110 uvicorn has no event for it
        await asyncio.sleep(0.02)
    if serving.done():
        await serving
        return 1
    port = server.servers[0].sockets[0].getsockname()[1]
    host = "localhost" if settings.host in ("0.0.0.0", "::") else settings.host
    print(f"Qwen2.5-VL demo: http://{host}:{port}{settings.root_path} (the model is loading)", flush=True)
    await service.loaded()
    if service.failure:
        server.should_exit = True
        await serving
        print(f"error: {service.failure}", file=sys.stderr)
        return 1
    model = service.status().model
    print(
        f"Ready after {time.perf_counter() - began:.1f} s: {model.model_id} on {model.device}, {model.dtype}, "
        f"quantisation {model.quantization} ({model.reason})",
        flush=True,
    )
    await serving
    return 0


def _launch_on_zerogpu(settings: Settings) -> int:
    """ZeroGPU prepares itself inside Gradio's `launch`, with the model already loaded."""
    from qwen_demo.engines.generate import GenerateEngine

    engine = GenerateEngine(settings)
    engine.load()
    service = Service(settings, engine)
    service.ready_without_warmup()
    options = _page_options(settings)
    _page(service, _upload_dir(settings)).launch(server_name=settings.host, server_port=settings.port, **options)
    return 0

"""Puts the parts of the front together: engine -> service -> REST and page, as one ASGI application."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.routing import Mount

from qwen_demo import __version__
from qwen_demo.api.openapi import correct as correct_openapi
from qwen_demo.api.routes import build_router
from qwen_demo.http.access import ApiAccess
from qwen_demo.http.accounts import Accounts
from qwen_demo.http.cors import add_cors
from qwen_demo.http.credentials import Login
from qwen_demo.http.effort import Effort
from qwen_demo.http.errors import install as install_errors
from qwen_demo.http.head import HeadAsGet
from qwen_demo.http.middleware import BoundedBody, CompressedPage, RequestId, SecurityHeaders
from qwen_demo.http.route_guard import RouteGuard
from qwen_demo.http.uploads import keep_trimmed
from qwen_demo.media import MediaLoader
from qwen_demo.server.engines import build_compared, build_server_engine
from qwen_demo.service.loop_watch import LoopWatch
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings, apply_environment, page_environment
from qwen_demo.types import Engine
from qwen_demo.ui.conversation import Reader

if TYPE_CHECKING:
    from qwen_demo.ui.gradio_internals import LocalizedBlocks

# In one upload; a choice of more images than the model looks at is told so by the page.
MAX_UPLOAD_FILES = 16


def build_app(settings: Settings, engine: Engine | None = None, second: Service | None = None) -> FastAPI:
    """The whole application. `app.state.service` is the service behind it.

    `app.state.services` are it and, if there is one, the second one, which the page compares it with.
    """
    engine = engine or build_server_engine(settings)
    service = Service(settings, engine)
    second = second or build_compared(settings, engine)
    services = [service, second] if second else [service]
    from qwen_demo.ui.gradio_events import is_logged_in

    uploads = upload_dir(settings)
    loader = MediaLoader.of(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        from qwen_demo.ui.gradio_events import keep_read
        from qwen_demo.ui.gradio_internals import keep_swept

        service.start()
        if second:
            second.start(after=service)
        warming = asyncio.create_task(loader.decoders.start())
        watch = LoopWatch()
        service.metrics.loop_stop_from(lambda: watch.longest_s(asyncio.get_running_loop().time()))
        service.metrics.held_from(lambda: loader.budget.held_bytes)
        background = [
            asyncio.create_task(watch.watch(after=service.loaded)),
            asyncio.create_task(keep_trimmed(uploads, settings.max_upload_bytes)),
            asyncio.create_task(keep_swept(app.state.page)),
            asyncio.create_task(keep_read(app.state.page)),
        ]
        yield
        for task in background:
            task.cancel()
        for each in reversed(services):
            await each.close()
        # Not cancelled: a process that is half begun would be nobody's.
        await asyncio.gather(warming, return_exceptions=True)
        await loader.aclose()
        if settings.upload_dir is None:
            shutil.rmtree(uploads, ignore_errors=True)

    app = FastAPI(title="Qwen2.5-VL", version=__version__, lifespan=lifespan)
    app.state.service, app.state.services = service, services
    install_errors(app)
    access, effort = ApiAccess(settings), Effort(settings.caller_share < 1)
    app.include_router(build_router(service, access, loader, effort))
    correct_openapi(app)
    app.add_middleware(
        BoundedBody,
        paths=("/v1/", "/inference", "/gradio_api/", "/login"),
        streamed=("/gradio_api/upload",),
        events=("/gradio_api/",),
        max_bytes=settings.max_request_bytes,
        timeout_s=settings.body_timeout_s,
        budget=loader.budget,
        effort=effort,
    )
    app.add_middleware(
        RouteGuard,
        origins=settings.cors_origins,
        uploads=uploads,
        max_upload_bytes=settings.max_images * _largest_file(settings),
        max_upload_files=max(MAX_UPLOAD_FILES, settings.max_images),
        timeout_s=settings.body_timeout_s,
        mcp_access=access if settings.page_users_file else None,
        logged_in=(lambda request: is_logged_in(app.state.gradio, request)) if settings.page_users_file else None,
    )
    app.add_middleware(Accounts, at_once=settings.caller_connections)
    add_cors(app, settings.cors_origins)
    app.add_middleware(CompressedPage)
    app.add_middleware(HeadAsGet)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestId)
    return _mount_page(app, services, Reader(loader, [uploads]))


def upload_dir(settings: Settings) -> Path:
    folder = settings.upload_dir or Path(tempfile.mkdtemp(prefix="qwen-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    apply_environment(page_environment(folder.resolve()))
    return folder.resolve()


def _mount_page(app: FastAPI, services: Sequence[Service], reader: Reader) -> FastAPI:
    import gradio as gr
    from gradio.routes import App

    from qwen_demo.ui.gradio_internals import give_pass, make_lean, put_calls_first
    from qwen_demo.ui.i18n.languages import LocaleMiddleware

    app.add_middleware(LocaleMiddleware)
    settings = services[0].settings
    page = app.state.page = build_page_of(services, reader)
    gr.mount_gradio_app(app, page, path="/", **page_options(settings, page))
    make_lean(page)
    mounted = next(route.app for route in app.routes if isinstance(route, Mount))
    assert isinstance(mounted, App)
    app.state.gradio = mounted
    put_calls_first(mounted)
    if settings.page_users_file:
        give_pass(page, mounted)
    return app


def build_page_of(services: Sequence[Service], reader: Reader) -> "LocalizedBlocks":
    from qwen_demo.ui.gradio_events import hold_events
    from qwen_demo.ui.gradio_internals import bound_queue
    from qwen_demo.ui.page import build_page

    settings = services[0].settings
    demo = build_page(services, reader)
    bound_queue(demo, settings.max_waiting)
    hold_events(demo, settings.caller_share)
    return demo


def _largest_file(settings: Settings) -> int:
    return max(settings.max_image_bytes, settings.max_video_bytes)


def page_options(settings: Settings, page: "LocalizedBlocks") -> dict[str, Any]:
    """Shared by the mounted page and the launched one of ZeroGPU."""
    from qwen_demo.ui import assets
    from qwen_demo.ui.examples import FOLDER
    from qwen_demo.ui.gradio_internals import Translations

    return {
        "head": assets.head(),
        "i18n": Translations(page),
        "theme": assets.THEME,
        "css": assets.styles(),
        "show_error": False,
        "max_file_size": _largest_file(settings),
        "allowed_paths": [str(FOLDER)],
        "root_path": settings.root_path or None,
        "run_history": False,
        "ssr_mode": False,
        "mcp_server": True,
        "auth": Login(settings.page_users_file).check if settings.page_users_file else None,
    }

"""Puts the parts of the front together: engine -> service -> REST and page, as one ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request

from qwen_demo import __version__
from qwen_demo.api.openapi import correct as correct_openapi
from qwen_demo.api.routes import build_router
from qwen_demo.http.access import ApiAccess
from qwen_demo.http.accounts import Accounts
from qwen_demo.http.arrival import Arrival, OwnCalls, Prefix
from qwen_demo.http.cors import add_cors
from qwen_demo.http.credentials import LOGIN_BYTES, Login
from qwen_demo.http.effort import Effort
from qwen_demo.http.errors import install as install_errors
from qwen_demo.http.head import HeadAsGet
from qwen_demo.http.middleware import BoundedBody, CompressedPage, RequestId, SecurityHeaders
from qwen_demo.http.page_faults import PageFaults
from qwen_demo.http.route_guard import RouteGuard
from qwen_demo.http.uploads import keep_trimmed
from qwen_demo.knowledge.knowledge import Knowledge
from qwen_demo.media import MediaLoader
from qwen_demo.models.pixels import clear_frames
from qwen_demo.server.engines import build_changeable, build_compared
from qwen_demo.server.upload_folder import UploadFolder
from qwen_demo.service.loop_watch import LoopWatch
from qwen_demo.service.model_menu import ModelMenu
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import Engine
from qwen_demo.ui.conversation import Reader

if TYPE_CHECKING:
    from gradio.routes import App

    from qwen_demo.ui.gradio_internals import LocalizedBlocks

# In one upload; a choice of more images than the model looks at is told so by the page.
MAX_UPLOAD_FILES = 16


class Front:
    """The application without its page: the API, and every check that stands before both.

    Attributes:
        app: `app.state.service` is the service behind it; `app.state.services` are it and, if there is one, the second
            one, which the page compares it with.
    """

    def __init__(self, settings: Settings, services: Sequence[Service], *, loaded: bool = False):
        """`loaded`: the engine was loaded elsewhere, so services are not started."""
        self.settings, self.services, self._loaded = settings, services, loaded
        self._uploads = UploadFolder(settings)
        self._loader = MediaLoader.of(settings)
        self._own_calls = OwnCalls()
        self._effort = Effort(settings.caller_share < 1)
        self._gradio: App | None = None
        services[0].metrics.watch_decoders(self._loader.decoders)
        services[0].metrics.held_from(lambda: self._loader.budget.held_bytes)
        self.app = FastAPI(title="Qwen2.5-VL", version=__version__, lifespan=self._lifespan)
        self.app.state.service, self.app.state.services = services[0], list(services)
        install_errors(self.app)
        access = ApiAccess(settings)
        self.knowledge = Knowledge(settings, self._loader, services[0])
        self.app.include_router(build_router(services[0], access, self._loader, self._effort, self.knowledge))
        correct_openapi(self.app)
        self._add_checks(access)

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        from qwen_demo.ui.gradio_events import keep_read
        from qwen_demo.ui.gradio_internals import keep_swept

        for number, service in enumerate([] if self._loaded else self.services):
            service.start(after=self.services[0] if number else None)
        warming = asyncio.create_task(self._loader.decoders.start())
        watch, loop = LoopWatch(), asyncio.get_running_loop()
        self.services[0].metrics.loop_stop_from(lambda: watch.longest_s(loop.time()))
        background = [
            asyncio.create_task(self.knowledge.start()),
            asyncio.create_task(watch.watch(after=self.services[0].loaded)),
            asyncio.create_task(keep_trimmed(self._uploads.path, self.settings.max_upload_bytes)),
            asyncio.create_task(keep_swept(app.state.page)),
            asyncio.create_task(keep_read(app.state.page)),
        ]
        yield
        for task in background:
            task.cancel()
        await self.knowledge.close()
        for each in reversed(self.services):
            await each.close()
        # Not cancelled: a process that is half begun would be nobody's.
        await asyncio.gather(warming, return_exceptions=True)
        await self._loader.aclose()
        self._uploads.close()

    def _add_checks(self, access: ApiAccess) -> None:
        """The last one that is added is the first one that a request meets."""
        from qwen_demo.ui.early.early import EarlyQuestion
        from qwen_demo.ui.i18n.languages import LocaleMiddleware

        app, settings = self.app, self.settings
        app.add_middleware(Prefix, prefix=settings.root_path)
        for paths, max_bytes in (
            (("/v1/", "/inference", "/gradio_api/"), settings.max_request_bytes),
            (("/login", "/logout"), min(LOGIN_BYTES, settings.max_request_bytes)),
        ):
            app.add_middleware(
                BoundedBody,
                paths=paths,
                streamed=("/gradio_api/upload",),
                events=("/gradio_api/",),
                max_bytes=max_bytes,
                timeout_s=settings.body_timeout_s,
                budget=self._loader.budget,
                effort=self._effort,
            )
        app.add_middleware(
            RouteGuard,
            origins=settings.cors_origins,
            uploads=self._uploads.path,
            max_upload_bytes=max(
                settings.max_images * max(settings.max_image_bytes, settings.max_video_bytes), largest_file(settings)
            ),
            max_upload_files=max(MAX_UPLOAD_FILES, settings.max_images),
            timeout_s=settings.body_timeout_s,
            mcp_access=access if settings.page_users_file else None,
            own_calls=self._own_calls,
            logged_in=self._logged_in if settings.page_users_file else None,
        )
        app.add_middleware(Accounts, at_once=settings.caller_connections, effort=self._effort)
        add_cors(app, settings.cors_origins)
        app.add_middleware(EarlyQuestion)
        app.add_middleware(CompressedPage)
        app.add_middleware(HeadAsGet)
        app.add_middleware(LocaleMiddleware)
        app.add_middleware(Arrival, settings=settings, own_calls=self._own_calls)
        app.add_middleware(SecurityHeaders)
        app.add_middleware(RequestId)

    def _frames(self) -> int:
        return clear_frames(self.services[0].status().model, self.settings.max_frames)

    def page(self) -> "LocalizedBlocks":
        """The page, to be mounted or launched."""
        from qwen_demo.ui.gradio_events import hold_events
        from qwen_demo.ui.gradio_internals import bound_queue, drawn_alone
        from qwen_demo.ui.page import build_page

        menu, reader = ModelMenu.of(self.services[0]), Reader(self._loader, [self._uploads.path], self._frames)
        with drawn_alone():
            page = self.app.state.page = build_page(self.services, reader, menu, self.knowledge)
        bound_queue(page, self.settings.max_waiting)
        hold_events(page, self.settings.caller_share)
        return page

    def mount(self, page: "LocalizedBlocks", gradio: "App", own_address: str = "") -> FastAPI:
        """Take in what Gradio made of the page. `own_address` is where the server calls itself."""
        from qwen_demo.ui import gradio_internals

        gradio_internals.make_lean(page)
        gradio_internals.put_calls_first(gradio)
        gradio_internals.call_itself_at(page, gradio, own_address, with_pass=bool(self.settings.page_users_file))
        gradio_internals.tell_mcp_in_json(page)
        gradio_internals.mount(self.app, gradio, PageFaults)
        self._gradio = gradio
        return self.app

    def _logged_in(self, request: Request) -> bool:
        from qwen_demo.ui.gradio_events import is_logged_in

        return self._gradio is not None and is_logged_in(self._gradio, request)


def build_app(
    settings: Settings, engine: Engine | None = None, second: Service | None = None, own_address: str = ""
) -> FastAPI:
    """The whole application.

    Args:
        own_address: where the server reaches itself, as `http://127.0.0.1:7860`; "" is where each caller reached it.
    """
    from qwen_demo.ui.gradio_internals import application_of

    engine = engine or build_changeable(settings)
    service = Service(settings, engine)
    second = second or build_compared(settings, engine)
    front = Front(settings, [service, second] if second else [service])
    page = front.page()
    return front.mount(page, application_of(page, page_options(settings, page)), own_address)


def largest_file(settings: Settings) -> int:
    """In bytes, of any kind that the page takes: each kind has its own limit once it is known what a file is."""
    return max(
        settings.max_image_bytes,
        settings.max_video_bytes,
        settings.max_pdf_bytes,
        settings.max_points_bytes,
        settings.max_knowledge_file_bytes,
    )


def page_options(settings: Settings, page: "LocalizedBlocks") -> dict[str, Any]:
    """Shared by the mounted page and the launched one of ZeroGPU.

    Not the prefix: Gradio would take it off a second time.
    """
    from qwen_demo.ui import assets
    from qwen_demo.ui.examples import FOLDER
    from qwen_demo.ui.gradio_internals import Translations

    return {
        "head": assets.head(),
        "i18n": Translations(page),
        "theme": assets.THEME,
        "css": assets.styles(),
        "show_error": False,
        "max_file_size": largest_file(settings),
        "allowed_paths": [str(FOLDER)],
        "run_history": False,
        "ssr_mode": False,
        "mcp_server": True,
        "auth": Login(settings.page_users_file).check if settings.page_users_file else None,
    }

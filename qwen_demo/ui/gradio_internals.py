"""Everything that leans on Gradio's private parts: an upgrade of Gradio has this one address (with `gradio_internals.js`).

What it does to a page: checks the payloads of its events, bounds its queue, keeps little of callers and forgets those
who do not come back, lets MCP in where the page has a login, and gives each visitor the labels of their language.
"""

import asyncio
import copy
import datetime
import json
import logging
import re
import secrets
import sys
import threading
import traceback
from abc import ABCMeta
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio import blocks, processing_utils, routes
from gradio.component_meta import ComponentMeta
from gradio.route_utils import FileUploadProgress
from gradio.state_holder import SessionState, StateHolder
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj_with_meta

from qwen_demo.http.page_faults import MISFITS, REFUSED
from qwen_demo.service.logs import log_without_words
from qwen_demo.ui.i18n import catalogues, labels, languages

if TYPE_CHECKING:
    import uvicorn
    from gradio.blocks import BlocksConfig
    from gradio.data_classes import BlocksConfigDict
    from gradio.routes import App
    from starlette.applications import Starlette
    from starlette.types import ASGIApp

log = logging.getLogger(__name__)

# Gradio holds this many events beyond those that may wait (an engine has 64 slots at most), so that the
# one to turn people away is the service, which knows why.
QUEUE_SLACK = 128
# Gradio keeps a session for each page and each call of its API; its own bound is 10,000 of them.
SESSIONS_KEPT = 1000
# Gradio looks a thousand times a second whether somebody has asked, and a hundred times whether a progress bar
# moved, of which this page has none. That takes 5 % of a core, asked or not.
QUEUE_LOOKS_S, PROGRESS_LOOKS_S = 0.02, 1.0
SWEEP_EVERY_S = 10.0
# Gradio's own names of sessions have at most 36 characters.
SESSION_NAME_CHARACTERS = 64
# Uploads whose progress a page may ask for; Gradio keeps each that nobody asked for.
UPLOADS_TRACKED = 256
# A closed page may come back, as when a telephone wakes up.
CLOSED_PAGE_KEPT_S = 600.0
CALL_KEPT_S = 10.0
# Gradio names the session of a `/call/` after its event; pages and gradio_client choose names of other forms.
_CALL = re.compile(r"[0-9a-f]{32}")
_BUSY = ("/gradio_api/call/", "/gradio_api/queue/")  # routes of every question
_URLS = ("http://", "https://", "data:")
# Options of the page's own events, which are no endpoints of its API. Errors reach the visitor from queued ones alone.
# Gradio would tell each output how far the event is, and copy all that the output holds for it, at each piece of an answer.
PRIVATE: dict[str, Any] = {"show_progress": "hidden", "show_progress_on": [], "api_visibility": "private"}
UNQUEUED: dict[str, Any] = {**PRIVATE, "queue": False}
# Of events that a view's script tells, each of which says something of its own: Gradio would drop, without a word, all
# that come while the first one is answered.
EACH: dict[str, Any] = {"trigger_mode": "multiple"}
# Only what stands in the page before anybody asks; a question in a text box is for the model.
_TRANSLATED = ("label", "info", "placeholder")
_WITH_WORDS_AS_VALUE = (gr.Button, gr.Markdown)
# Under Gradio's names for the languages of the catalogues. A browser of any other language falls back to English.
LOCALES = ("en", "de", "zh-CN", "zh-TW")
# No user can have this name, so nobody's log-out takes the pass away.
MCP_USER = "mcp:"


# ---- serving


@contextmanager
def drawn_alone() -> Iterator[None]:
    """While a page is drawn Gradio makes no applications of it.

    It would make three, of which none is used and each takes as long as the drawing: the one that its events look into
    is made with the queue (`bound_queue`), the one that is served by `application_of`.
    """
    with _drawing:
        real = blocks.App
        blocks.App = _NoApplication  # type: ignore[assignment,misc]  # Gradio leaves no other way
        try:
            yield
        finally:
            blocks.App = real  # type: ignore[misc]


class _NoApplication:
    @staticmethod
    def create_app(*_: Any, **__: Any) -> None:
        return None


_drawing = threading.Lock()


def application_of(page: gr.Blocks, options: dict[str, Any]) -> "App":
    """What Gradio makes of a page, to be mounted by `mount`."""
    from gradio.routes import App, FastAPI
    from starlette.routing import Mount

    holder = gr.mount_gradio_app(FastAPI(), page, path="/", **options)
    application = next(route.app for route in holder.routes if isinstance(route, Mount))
    assert isinstance(application, App)
    return application


def mount(app: "Starlette", gradio: "App", around: "Callable[[ASGIApp], ASGIApp]") -> None:
    """Let `app` serve Gradio's application where it has no routes itself, with its life inside of its own.

    Args:
        around: what stands around it.
    """
    from gradio.route_utils import CustomCORSMiddleware

    cors = [each for each in gradio.user_middleware if each.cls is CustomCORSMiddleware]
    assert len(cors) == 1, "another Gradio: find what answers other sites"
    cors[0].kwargs["parent_app"] = app  # it leaves other sites to the application around it, if it knows that one
    _quiet()
    own = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: "Starlette") -> AsyncIterator[Any]:
        async with own(app) as state, gradio.router.lifespan_context(gradio):
            page = gradio.get_blocks()
            page.run_startup_events()
            await page.run_extra_startup_events()
            gradio.startup_events_triggered = True  # else whoever asks for it would begin the queue once more
            yield state

    app.router.lifespan_context = lifespan
    app.mount("/", around(gradio))


def launch(
    page: gr.Blocks, whole: "Callable[[App], uvicorn.Server]", run: Callable[["uvicorn.Server"], None], **options: Any
) -> None:
    """`page.launch`, for places that wait for it, but with a server of ours, until it is interrupted.

    Args:
        whole: the server of Gradio's application and all that belongs around it.
        run: runs that server until it should exit; called in a thread.
        options: of `launch`.
    """
    from gradio import http_server

    running: list[Any] = []

    class Running:
        """What Gradio asks of its own server."""

        def __init__(self, server: "uvicorn.Server"):
            self.server = server
            self.thread = threading.Thread(target=run, args=(server,), name="server", daemon=True)
            self.thread.start()
            running.append(self)
            while not server.started:
                if not self.thread.is_alive():
                    raise RuntimeError("the server ended while it began; the log has the cause")
                self.thread.join(0.01)

        def close(self) -> None:
            self.server.should_exit = True
            self.thread.join()

    def start_server(app: "App", server_name: str, server_port: int, **_: Any) -> tuple[str, int, str, Running]:
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(server_name, server_name)
        return server_name, server_port, f"http://{host}:{server_port}/", Running(whole(app))

    http_server.start_server = start_server  # type: ignore[assignment]  # Gradio leaves no other way
    try:
        page.launch(**options)
    except KeyboardInterrupt:  # before Gradio waited for it, but after people could ask
        if not running:
            raise
        running[0].close()


# ---- what Gradio prints


class _Quiet:
    """In the place of `traceback` in Gradio's modules: what goes wrong is logged, without what was sent."""

    def print_exc(self, *_: Any, **__: Any) -> None:
        if error := sys.exception():
            # Others' scripts may send what fits no event; from the page itself it would be a mistake of ours.
            level = logging.WARNING if isinstance(error, MISFITS) else logging.ERROR
            log_without_words(log, level, "an event of the page failed", error)

    def __getattr__(self, name: str) -> Any:
        return getattr(traceback, name)


def _quiet() -> None:
    """For this process: Gradio's modules that answer requests print neither tracebacks nor words."""
    from gradio import mcp, queueing, route_utils

    for module in (routes, route_utils, queueing):
        assert getattr(module, "traceback", None) in (traceback, _QUIET), "another Gradio: see what it prints"
        setattr(module, "traceback", _QUIET)  # noqa: B010 a type checker does not know what modules import
    for module in (routes, route_utils, queueing, mcp):
        setattr(module, "print", _print)  # noqa: B010


def _print(*_: Any, **__: Any) -> None:
    """Its words are often those of an error, which may quote what was sent."""
    log.info("Gradio had something to say of an event, with the words of whoever sent it: they are left out")


_QUIET = _Quiet()


# ---- the queue


def bound_queue(demo: gr.Blocks, max_waiting: int) -> None:
    """Before the page is mounted: room in its queue for those who may wait, and fewer idle looks at it."""
    capacity = max_waiting + QUEUE_SLACK
    demo.max_threads = capacity
    demo.state_session_capacity = SESSIONS_KEPT
    # "auto" tells all who wait about each one that begins; nobody waits long in this queue.
    demo.queue(status_update_rate=1, max_size=capacity, default_concurrency_limit=capacity, api_open=False)
    demo._queue.sleep_when_free, demo._queue.progress_update_sleep_when_free = QUEUE_LOOKS_S, PROGRESS_LOOKS_S


def event_data(event: gr.EventData) -> dict:
    """What a view's script sent with its event; a browser may send anything, and what is no object is empty."""
    return event._data if isinstance(event._data, dict) else {}


# ---- sessions


class _LeanConfig:
    """The page's configuration as sessions copy it: what a component looks like is not written down at each value."""

    def __init__(self, config: "BlocksConfig"):
        self._config = config

    def __copy__(self) -> "BlocksConfig":
        copied = copy.copy(self._config)
        # A static method there; what is rendered anew while the page runs needs all of it.
        whole = copied.config_for_block

        def config_for_block(*block):
            return whole(*block) if len(block) > 3 else {}

        copied.config_for_block = config_for_block  # type: ignore[method-assign]  # Gradio leaves no other way
        return copied


class _LeanPage:
    """The page as Gradio makes sessions of it, without a copy of each component's configuration for every session.

    Each call of the API is a session of its own, and the copies were most of what it cost. They serve Gradio's deep
    links alone, which `http/route_guard.py` does not let in. What a session changes is still kept with it.
    """

    blocks = ()

    def __init__(self, demo: gr.Blocks):
        self._demo = demo

    @property
    def default_config(self) -> _LeanConfig:
        return _LeanConfig(self._demo.default_config)


class _Sessions(StateHolder):
    """Sessions by their names, which callers choose."""

    def __getitem__(self, session_id: str) -> SessionState:
        if len(session_id) > SESSION_NAME_CHARACTERS:
            raise KeyError("a session has a longer name than any of Gradio's")
        return super().__getitem__(session_id)


def make_lean(demo: gr.Blocks) -> None:
    """Sessions of this mounted page begin without copies, and make none; their names are short."""
    assert demo.state_holder.blocks is demo, "another Gradio: see what its sessions copy"
    demo.state_holder.blocks = _LeanPage(demo)  # type: ignore[assignment]  # all that sessions use of it
    demo.state_holder.__class__ = _Sessions


def put_calls_first(app: "App") -> None:
    """The routes that every question takes are found first: FastAPI tries some eighty others before, three times."""
    (api,) = (route for route in app.router.routes if hasattr(route, "original_router"))
    app.router.routes.sort(key=lambda route: route is not api)
    routes = api.original_router.routes
    routes.sort(key=lambda route: not route.path.startswith(_BUSY))


class Sweeper:
    """Sweeps the sessions of one mounted page."""

    def __init__(self, demo: gr.Blocks):
        self._states, self._queue = demo.state_holder, demo._queue
        self._ended: set[str] = set()

    def sweep(self) -> int:
        """Forget what is over; gives how many sessions went."""
        now, gone = datetime.datetime.now(), 0
        busy = {event.session_hash for event in list(self._queue.event_ids_to_events.values())}
        for name, state in list(self._states.session_data.items()):
            idle_s = (now - self._states.time_last_used.get(name, now)).total_seconds()
            over = idle_s > CALL_KEPT_S if _CALL.fullmatch(name) else state.is_closed and idle_s > CLOSED_PAGE_KEPT_S
            if over and name not in busy:
                self._states.session_data.pop(name, None)
                self._states.time_last_used.pop(name, None)
                gone += 1
        pending = self._queue.pending_event_ids_session
        ended = {name for name, events in list(pending.items()) if not events and name not in busy}
        # Twice seen without an event: its last message is on its way no more.
        for name in ended & self._ended:
            pending.pop(name, None)
        self._ended = ended - self._ended
        return gone


async def keep_swept(demo: gr.Blocks) -> None:
    """Sweep now and then, until cancelled."""
    sweeper = Sweeper(demo)
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        sweeper.sweep()


# ---- components


class NoInterfaceFile(ComponentMeta):
    """Of a component of ours: Gradio would write a file of its types beside the module."""

    def __new__(cls, name, bases, attrs):
        return ABCMeta.__new__(cls, name, bases, attrs)


# ---- uploads


def save_upload(data: bytes, name: str) -> str:
    """Path of a new file among the uploads, which the page may show, attach and give out."""
    return processing_utils.save_bytes_to_cache(data, name, get_upload_folder())


class _UploadProgress(FileUploadProgress):
    """How far uploads are, as their pages ask; of those that nobody asks for the oldest are forgotten."""

    def track(self, upload_id: str) -> None:
        super().track(upload_id)
        while len(self._statuses) > UPLOADS_TRACKED:
            self.stop_tracking(next(iter(self._statuses)))

    def stop_tracking(self, upload_id: str) -> None:
        super().stop_tracking(upload_id)
        self._signals.pop(upload_id, None)

    async def is_tracked(self, upload_id: str) -> bool:
        try:
            return await super().is_tracked(upload_id)
        finally:
            if upload_id not in self._statuses:
                self._signals.pop(upload_id, None)


def guard(demo: gr.Blocks) -> None:
    """Check all payloads of `demo`, and replace Gradio's downloader for this process.

    Gradio checks paths of launched pages only, not of mounted ones, and only where a payload carries
    Gradio's own mark: `gr.Image` opens any image of the machine for whoever leaves the mark out.
    Its downloader refuses private addresses, but takes http, any size and any time, and knows
    neither `--fetch-urls` nor `--fetch-hosts`. So here every path is checked, and nothing is
    downloaded: a URL is left alone until `media` fetches it, within its limits.
    """
    assert hasattr(processing_utils, "async_ssrf_protected_download"), "another Gradio: find its downloader"
    processing_utils.async_ssrf_protected_download = _as_it_is
    processing_utils.async_ssrf_protected_get = _refuse
    if not isinstance(routes.file_upload_statuses, _UploadProgress):
        routes.file_upload_statuses = _UploadProgress()
    demo.has_launched = True
    preprocess = demo.preprocess_data

    async def checked(block_fn, inputs: list, *args, **options):
        for path in _paths(inputs):
            _check(path)
        return await preprocess(block_fn, inputs, *args, **options)

    demo.preprocess_data = checked  # type: ignore[method-assign]  # Gradio leaves no other way
    process = demo.process_api

    async def told(*args, **options):
        try:
            return await process(*args, **options)
        except Exception as error:
            _tell_fault(error, options.get("request"))
            raise

    demo.process_api = told  # type: ignore[method-assign]  # Gradio leaves no other way


def _tell_fault(error: Exception, request: Any) -> None:
    """For `http/page_faults.py`, whether who sent the event is to blame."""
    request = request[0] if isinstance(request, list) and request else request  # of a batch
    refused = getattr(getattr(request, "request", None), "scope", {}).get(REFUSED)
    if refused is None or not isinstance(error, (gr.Error, *MISFITS)):
        return
    refused.append(error.title if isinstance(error, gr.Error) else "")


def _paths(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if isinstance(item.get("path"), str):
                yield item["path"]
            waiting.extend(item.values())
        elif isinstance(item, list | tuple):
            waiting.extend(item)


def check_paths(value: Any) -> None:
    """Raises `gr.Error` where a file that is named anywhere in `value` is no upload."""
    for path in _paths(value):
        _check(path)


def _check(path: str) -> None:
    if not path.startswith(_URLS) and not is_upload(path):
        raise gr.Error("A file was named that was not uploaded here. Upload it again.", print_exception=False)


def is_upload(path: str) -> bool:
    """Whether `path` names a place among the uploads, be there a file or not."""
    try:
        return Path(path).resolve().is_relative_to(Path(get_upload_folder()).resolve())
    except (OSError, ValueError, RuntimeError):
        return False


async def _as_it_is(url: str, cache_dir: str) -> str:
    return url


async def _refuse(url: str):
    raise PermissionError("This page fetches no URL through Gradio.")


# ---- MCP


def call_itself_at(demo: gr.Blocks, app: "App", address: str, *, with_pass: bool) -> None:
    """Where Gradio's MCP server asks its own server, as a client over HTTP.

    Else it takes the address from whoever calls first, and keeps it for all later callers.

    Args:
        address: such as `http://127.0.0.1:7860`; "" is the `Host` of the request, in whose place
            `http/route_guard.py` has put this server's own address.
        with_pass: the page has a login, so the client gets one of its own. Who may call MCP at all is decided before,
            by `http/route_guard.py`, which takes the caller's cookies away.
    """
    from gradio_client import Client

    server = demo.mcp_server_obj
    assert server is not None and hasattr(server, "_get_or_create_client"), "another Gradio: find its loop-back"
    headers = {"x-gradio-user": "mcp"}
    if with_pass:
        token = secrets.token_urlsafe(32)
        app.tokens[token] = MCP_USER
        headers["cookie"] = f"access-token-unsecure-{app.cookie_id}={token}"
    alone = threading.Lock()

    def client() -> Client:
        with alone:
            if server._client_instance is None:
                asked = server.mcp_server.request_context.request
                assert asked is not None, "MCP over HTTP alone"
                server._client_instance = Client(
                    address or f"http://{asked.headers['host']}",
                    headers=headers,
                    download_files=False,
                    verbose=False,
                    analytics_enabled=False,
                    _skip_components=False,
                )
            return server._client_instance

    server._get_or_create_client = client  # type: ignore[method-assign]  # Gradio leaves no other way


def tell_mcp_in_json(demo: gr.Blocks) -> None:
    """Results with a structure reach MCP clients as JSON, where Gradio tells them as Python writes them."""
    server = demo.mcp_server_obj
    assert server is not None and hasattr(server, "postprocess_output_data"), "another Gradio: find what tells results"
    tell = server.postprocess_output_data

    def told(data: Any, root_url: str) -> Any:
        plain = [
            each if isinstance(each, str) or is_file_obj_with_meta(each) else json.dumps(each, ensure_ascii=False)
            for each in data
        ]
        return tell(plain, root_url)

    server.postprocess_output_data = told  # type: ignore[method-assign]


# ---- languages


class Translations(gr.I18n):
    """Labels of a page by their English words, in the locale of the request that is answered."""

    def __init__(self, page: "LocalizedBlocks"):
        self._words = {
            locale: {text: known for text, known in labels.translations(locale).items() if text in page.localized}
            for locale in catalogues.TAGS
        }
        super().__init__()

    @property
    def translations_dict(self) -> dict[str, dict[str, str]]:
        """Of another language's browser, English."""
        chosen = languages.chosen_locale()
        return {name: self._words[chosen or (name[:2] if name[:2] in self._words else "en")] for name in LOCALES}


class LocalizedBlocks(gr.Blocks):
    """Gradio makes a page's configuration once; here its translations are those of the request's locale.

    Attributes:
        localized: labels that the browser translates. Each page that is open holds a copy of their translations.
    """

    localized: frozenset[str] = frozenset()

    @property
    def config(self) -> "BlocksConfigDict":
        if languages.chosen_locale() and self.i18n_instance and self._config.get("i18n_translations"):
            return {**self._config, "i18n_translations": self.i18n_instance.translations_dict}
        return self._config

    @config.setter
    def config(self, value: "BlocksConfigDict") -> None:
        self._config = value


def localize_labels(demo: LocalizedBlocks) -> None:
    """Let Gradio translate every label of `demo` that is a text of ours."""
    known = labels.translations("en")
    found: set[str] = set()

    def localized(text: str) -> str:
        head, words = ("### ", text[4:]) if text.startswith("### ") else ("", text)
        if words not in known:
            return text
        found.add(words)
        return f"{head}{gr.I18n()(words)}"

    for block in demo.blocks.values():
        for name in [*_TRANSLATED, *(["value"] if isinstance(block, _WITH_WORDS_AS_VALUE) else [])]:
            if isinstance(text := getattr(block, name, None), str):
                setattr(block, name, localized(text))
    demo.localized = frozenset(found)

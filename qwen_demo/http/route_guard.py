"""What may reach the page's routes: Gradio brings more of them than this page uses, and trusts more.

Plain ASGI, before anything reads a body. It keeps out
- routes that the page does not need: Gradio fetches any public URL for anybody under `file=http…`,
  saves and loads page states, shows statistics, cuts videos;
- requests that another web site makes a visitor's browser send: Gradio allows every origin, with
  the login's cookie, wherever its host name is not loopback;
- MCP callers without an API key, where the page has a login; and the sender's idea of this server's
  own address on the MCP routes: Gradio calls it back there, and keeps it for every later caller;
- guessing of passwords, and uploads that would fill the disk.
"""

import re
from collections.abc import Callable
from pathlib import Path

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_demo.errors import Overloaded, QwenDemoError
from qwen_demo.fairness import Tally, current_account
from qwen_demo.http.access import ApiAccess, caller_address
from qwen_demo.http.arrival import OwnCalls
from qwen_demo.http.cors import is_allowed
from qwen_demo.http.errors import ApiError, body, describe
from qwen_demo.http.rates import Rate
from qwen_demo.http.upload_guard import UploadGuard

LOGINS = "10/minute"
_HELD_OPEN = ("/gradio_api/heartbeat", "/gradio_api/upload")
# Each takes one of the forty threads of Gradio's client of its own server.
MCP_AT_ONCE = 8

_USED = re.compile(
    r"/gradio_api/(info|openapi\.json|app_id|user|login_check|startup-events|theme\.css|reset|cancel"
    r"|heartbeat/[^/]+|queue/(join|data|status)|(call|run|api)/[^:]+|upload|upload_progress"
    r"|file=(?![a-z][a-z0-9+.-]*:).+|mcp(/.*)?)/?",
    re.IGNORECASE | re.DOTALL,
)
_CLOSED = ("/monitoring", "/custom_component", "/runs")
# Gradio would send them on with its call to itself, and call where the first one says.
_NOT_SENT_ON = (b"host", b"authorization", b"x-api-key", b"cookie")
# Longest query of a route of Gradio's: it keeps the ids of uploads.
_QUERY_BYTES = 2048
_MCP_CLOSED = (
    "This page has a login, and MCP callers cannot log in: they need an API key, and this server has none. "
    "Start it with --api-keys-file, or use gradio_client with auth=(name, password)."
)


class RouteGuard:
    """Stands before the whole application; the origin is checked for the REST API as well.

    Args:
        origins: other web origins whose pages may send requests, see `cors.is_allowed`.
        uploads: folder of uploads.
        max_upload_bytes, max_upload_files: of one upload request.
        timeout_s: longest pause within an upload.
        mcp_access: who may call MCP; None lets everybody, as to a page without a login.
        own_calls: lets Gradio call this server on behalf of an MCP caller.
        logged_in: whether a request bears the page's login; None where it has none. Gradio does not ask for it where it
            holds a connection for as long as a page is open, and an upload is read before it would.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        origins: tuple[str, ...],
        uploads: Path,
        max_upload_bytes: int,
        max_upload_files: int,
        timeout_s: float,
        own_calls: OwnCalls,
        mcp_access: ApiAccess | None = None,
        logged_in: Callable[[Request], bool] | None = None,
    ):
        self._app, self._origins, self._own_calls = app, origins, own_calls
        self._mcp_access, self._logged_in = mcp_access, logged_in
        self._mcp_running = Tally()
        self._upload = UploadGuard(
            app, folder=uploads, max_bytes=max_upload_bytes, max_files=max_upload_files, timeout_s=timeout_s
        )
        self._logins = Rate(LOGINS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        path, headers = scope["path"], Headers(scope=scope)
        if not _is_used(path):
            return await _refuse(404, "There is nothing here.", scope, receive, send)
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and not self._same_site(headers, path):
            text = "Another web site sent this request (an operator can allow it with --cors-origins)."
            return await _refuse(403, text, scope, receive, send)
        if len(scope["query_string"]) > _QUERY_BYTES and path.startswith("/gradio_api"):
            return await _refuse(414, f"A query may have {_QUERY_BYTES} bytes.", scope, receive, send)
        if path.rstrip("/") == "/login" and scope["method"] == "POST":
            return await self._log_in(scope, receive, send)
        if self._logged_in and path.lower().startswith(_HELD_OPEN) and not self._logged_in(Request(scope)):
            return await _refuse(401, "Log in first.", scope, receive, send)
        if path.lower().startswith("/gradio_api/mcp"):
            return await self._mcp(scope, receive, send)
        if path.rstrip("/") == "/gradio_api/upload":
            return await self._upload(scope, receive, send)
        return await self._app(scope, receive, send)

    def _same_site(self, headers: Headers, path: str) -> bool:
        """Whether no other site is behind it. Browsers let no page forge the headers that are read here."""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if site in ("same-origin", "none") or (origin is None and site is None):
            return True
        if origin is None or is_allowed(origin, path, self._origins):
            return origin is not None
        return origin in (f"{scheme}://{headers.get('host')}" for scheme in ("http", "https"))

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Attempts are counted before their password is looked at, as many may come at once; one that fits is not."""
        caller = caller_address(scope.get("client"))
        if wait_s := self._logins.hit(caller):
            text = "Too many attempts to log in from this address. Wait a minute."
            return await _refuse(429, text, scope, receive, send, {"Retry-After": f"{wait_s + 1:.0f}"})

        async def forgiving(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                self._logins.forgive(caller)
            await send(message)

        return await self._app(scope, receive, forgiving)

    async def _mcp(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._mcp_access and not self._mcp_access.needs_key:
            return await _refuse(403, _MCP_CLOSED, scope, receive, send)
        if self._mcp_access:
            try:
                await self._mcp_access.admit(Request(scope))
            except ApiError as error:
                content = body(str(error), "authentication_error", error.code)
                return await JSONResponse(content, error.status, error.headers)(scope, receive, send)
            except Overloaded as error:
                return await _tell(error, scope, receive, send)
        account = current_account.get()
        if self._mcp_running.of(account) >= MCP_AT_ONCE:
            text = f"One address may ask {MCP_AT_ONCE} questions of MCP at the same time."
            return await _refuse(429, text, scope, receive, send, {"Retry-After": "5"})
        self._mcp_running.add(account, 1)
        try:
            await self._app(self._at_own_address(scope), receive, send)
        finally:
            self._mcp_running.add(account, -1)

    def _at_own_address(self, scope: Scope) -> Scope:
        host, port = scope.get("server") or ("127.0.0.1", None)
        own = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        kept = [(name, value) for name, value in scope["headers"] if name.lower() not in _NOT_SENT_ON]
        headers = [(b"host", own.encode()), self._own_calls.header(scope), *kept]
        return {**scope, "scheme": "http", "headers": headers}


def _is_used(path: str) -> bool:
    if path.startswith("/gradio_api"):
        return _USED.fullmatch(path) is not None
    return not path.startswith(_CLOSED)


async def _tell(error: QwenDemoError, scope: Scope, receive: Receive, send: Send) -> None:
    status, content, headers = describe(error)
    await JSONResponse(content, status, {"Connection": "close", **headers})(scope, receive, send)


async def _refuse(
    status: int, text: str, scope: Scope, receive: Receive, send: Send, headers: dict[str, str] | None = None
) -> None:
    content = body(text, "rate_limit_error" if status == 429 else "invalid_request_error", f"http_{status}")
    await JSONResponse(content, status, {"Connection": "close", **(headers or {})})(scope, receive, send)

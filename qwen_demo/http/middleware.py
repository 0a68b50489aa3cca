"""Around every route: the request's id, and bounds on bodies. Plain ASGI, so streams pass untouched."""

import asyncio
import io
from contextlib import suppress

from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_demo.errors import Overloaded
from qwen_demo.http import json_bounds
from qwen_demo.http.effort import Effort, of_event
from qwen_demo.http.errors import ApiError, body
from qwen_demo.media.memory_budget import RETRY_AFTER_S, MemoryBudget, Share
from qwen_demo.service.telemetry import begin_request

DISCARDED_BYTES, DISCARD_S = 256 << 20, 2.0
# What a body takes: its bytes, and the text that is made of them.
COPIES = 2
# In the scope: the `Share` of a request's body, until its answer has ended.
BODY_SHARE = "qwen_demo.body_share"


class RequestId:
    """Takes `X-Request-Id` or makes one, and sends it back."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request_id = begin_request(Headers(scope=scope).get("x-request-id"))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        return await self._app(scope, receive, send_with_id)


# Inline styles and scripts are Gradio's own way; what counts is that nothing is loaded from elsewhere or sent
# there, whatever Markdown an answer holds. Spaces shows pages in a frame of huggingface.co.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'self' https://huggingface.co"
)
_SECURITY = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
# FastAPI's page of the REST API takes its scripts from a CDN.
_API_PAGES = ("/docs", "/redoc")


class SecurityHeaders:
    """Tells browsers what pages from here may do."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY.items():
                    headers[name] = value
                if scope["path"].startswith(_API_PAGES):
                    headers["Content-Security-Policy"] = "frame-ancestors 'self'; object-src 'none'; base-uri 'self'"
            await send(message)

        return await self._app(scope, receive, send_with_headers)


class CompressedPage:
    """Compresses the page and its configuration: most of what a visit loads. Gradio compresses its own scripts;
    streams and images are left alone.
    """

    def __init__(self, app: ASGIApp):
        self._app, self._compressed = app, GZipMiddleware(app, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        compressed = scope["type"] == "http" and scope["path"] in ("/", "/config")
        await (self._compressed if compressed else self._app)(scope, receive, send)


class BoundedBody:
    """Refuses bodies of the API's routes that are too large (413), too slow (408) or too many at once (429).

    Args:
        paths: prefixes that it applies to.
        streamed: prefixes among them that it leaves alone; `RouteGuard` bounds uploads.
        events: prefixes among them whose bodies are JSON for Gradio, which has no bounds.
        max_bytes: of one body.
        timeout_s: for a whole body.
        budget: of memory, for all callers' bodies and images together.
        effort: counts what it takes to read `events`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        paths: tuple[str, ...],
        max_bytes: int,
        timeout_s: float,
        budget: MemoryBudget,
        effort: Effort | None = None,
        streamed: tuple[str, ...] = (),
        events: tuple[str, ...] = (),
    ):
        self._app, self._paths, self._max_bytes, self._timeout_s = app, paths, max_bytes, timeout_s
        self._budget, self._effort, self._streamed, self._events = budget, effort, streamed, events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(self._paths) or path.startswith(self._streamed or ("\0",)):
            return await self._app(scope, receive, send)
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or int(announced) > self._max_bytes:
            return await self._refuse(413, self._too_large(), scope, receive, send)
        # Until the answer has ended: the request keeps its body, as it came and as JSON.
        with self._budget.take() as share:
            try:
                async with asyncio.timeout(self._timeout_s):
                    whole = await self._read(receive, share)
                if whole and path.startswith(self._events or ("\0",)):
                    share.grow(await json_bounds.check_event(whole))
                    if self._effort:
                        await self._effort.spend(of_event(whole, path))
            except ApiError as error:
                return await self._refuse(error.status, str(error), scope, receive, send)
            except ClientDisconnect:
                return None
            except TimeoutError:
                late = f"The body did not arrive within {self._timeout_s:g} s (an operator can raise --body-timeout-s)."
                return await self._refuse(408, late, scope, receive, send)
            except Overloaded as error:
                share.free()
                return await self._refuse(429, str(error), scope, receive, send)
            if whole is None:
                return await self._refuse(413, self._too_large(), scope, receive, send)
            scope[BODY_SHARE] = share
            messages: list[Message] = [{"type": "http.request", "body": whole, "more_body": False}]
            del whole

            async def replay() -> Message:
                return messages.pop() if messages else await receive()

            return await self._app(scope, replay, send)

    async def _read(self, receive: Receive, share: Share) -> bytes | None:
        """The whole body; None when it is too large. Raises `Overloaded`, `ClientDisconnect`."""
        whole, size = io.BytesIO(), 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            piece = message.get("body", b"")
            size += len(piece)
            if size > self._max_bytes:
                return None
            share.grow(COPIES * len(piece))
            whole.write(piece)
            if not message.get("more_body"):
                return whole.getvalue()  # without a copy, as joining pieces would make one

    def _too_large(self) -> str:
        return f"The body is larger than {self._max_bytes} bytes (an operator can raise --max-request-bytes)."

    async def _refuse(self, status: int, message: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {"Connection": "close"}
        kind, code = "invalid_request_error", "invalid_request" if status == 400 else f"http_{status}"
        if status == 429:
            kind, code = "rate_limit_error", Overloaded.code
            headers["Retry-After"] = f"{RETRY_AFTER_S:.0f}"
        response = JSONResponse(body(message, kind, code), status, headers)
        scope["app"].state.service.metrics.rejected("memory" if status == 429 else code)

        async def send_without_end(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "more_body": True}
            await send(message)

        # With the end of the answer the server closes the connection.
        await response(scope, receive, send_without_end)
        await _read_on(receive)
        await send({"type": "http.response.body", "body": b""})


async def _read_on(receive: Receive) -> None:
    """Discard what still comes, for a while: closing at once would reset the connection before the answer is read."""
    left = DISCARDED_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_S):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return

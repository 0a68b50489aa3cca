"""What the page's routes fail with, as the answer that HTTP has for it.

Gradio answers 500 when a caller names an event that is not there, sends a payload of another shape, or is refused by a
handler. Those are the caller's to mend: 4xx. What is the server's own failure stays a 500.

It also is the door of `/logout`: Gradio logs out on GET, so that any page with an image of that address could do it.
"""

import errno
import logging
from collections.abc import Iterator

from fastapi.responses import HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_demo import errors
from qwen_demo.http.errors import TABLE, body

log = logging.getLogger(__name__)

# In the scope: the list that gets the codes of what handlers refused.
REFUSED = "qwen_demo.refused"
# What code that was given something of another shape than it expects raises.
MISFITS = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, RecursionError)
_NO_SUCH_FILE = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EINVAL)
_MISFIT = "The request does not fit this route: its event, session or payload is not one of this page."
_LOG_OUT = (
    '<!doctype html><meta charset="utf-8"><title>Log out · 退出登录</title>'
    '<form method="post"><button>Log out · 退出登录</button></form>'
)


class PageFaults:
    """Around Gradio's application."""

    def __init__(self, app: ASGIApp):
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        refused: list[str] = []
        scope = {**scope, REFUSED: refused}
        if scope["path"].removeprefix(scope.get("root_path", "")).rstrip("/") == "/logout":
            if scope["method"] != "POST":
                return await HTMLResponse(_LOG_OUT)(scope, receive, send)
            scope["method"] = "GET"
        answer = _Answer(send)
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:
            if answer.streams and _is_told(error):
                return await send({"type": "http.response.body", "body": b""})
            if answer.streams or (status := _status_of(error)) is None:
                await answer.release()
                raise
            # Not its words, which may be the caller's.
            log.warning("a request of the page does not fit: %s, answered %d", type(error).__name__, status)
            content = body(_MISFIT, "invalid_request_error", f"http_{status}")
            return await JSONResponse(content, status)(scope, receive, send)
        await answer.release(min((_status_of_code(code) for code in refused), default=None))


class _Answer:
    """Passes an answer on, but holds back a 500, and what comes after its end: MCP's streams answer twice.

    Attributes:
        streams: an answer has begun.
    """

    def __init__(self, send: Send):
        self._send, self._held = send, list[Message]()
        self.streams = self._ended = False

    async def send(self, message: Message) -> None:
        if self._ended:
            return
        self._ended = message["type"] == "http.response.body" and not message.get("more_body") and not self._held
        if self._held or (message["type"] == "http.response.start" and message["status"] >= 500):
            self._held.append(message)
        else:
            self.streams = True
            await self._send(message)

    async def release(self, status: int | None = None) -> None:
        """Send what was held back, with another status if one is given."""
        for message in self._held:
            if status and message["type"] == "http.response.start" and message["status"] == 500:
                message = {**message, "status": status}
            await self._send(message)


def _status_of(error: Exception) -> int | None:
    """None where it is the server's own failure."""
    if isinstance(error, ExceptionGroup):
        return _status_of(error.exceptions[0])
    if isinstance(error, OSError):
        return 404 if error.errno in _NO_SUCH_FILE else None
    # Gradio's own kinds, such as that of an endpoint that is not there, share no other base.
    return 400 if isinstance(error, MISFITS) or type(error).__module__.partition(".")[0] == "gradio" else None


def _is_told(error: Exception) -> bool:
    """Whether a stream said in its last event why it ends, and Gradio raises that once more."""
    return isinstance(error, HTTPException) or isinstance(error.__cause__ or error.__context__, HTTPException)


def _status_of_code(code: str) -> int:
    kind = next((kind for kind in _kinds(errors.QwenDemoError) if kind.code == code), errors.InvalidRequest)
    return next(status for base, status, _ in TABLE if issubclass(kind, base))


def _kinds(base: type[errors.QwenDemoError]) -> Iterator[type[errors.QwenDemoError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)

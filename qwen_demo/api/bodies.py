"""Bodies as callers send them: JSON under another label or none, gzip and deflate, unpacked within the bounds.

Who may ask is looked at before a body is unpacked or parsed.
"""

import asyncio
import json
import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message

from qwen_demo.http import json_bounds
from qwen_demo.http.errors import ApiError
from qwen_demo.http.middleware import BODY_SHARE

FORM = "multipart/form-data"
# To zlib: a gzip header and checksum, or zlib's own; deflate without either is tried where that fails.
_WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


# A form is parsed in Python: so much of it before others have a turn.
_PIECE = 16 << 10


def route_class(access: Callable[[Request], Awaitable[object]], max_bytes: int) -> type[APIRoute]:
    """Routes whose bodies FastAPI reads as JSON, whatever they are called.

    Args:
        access: who asks, of routes that depend on it. Raises what refuses them.
        max_bytes: of a body, unpacked.
    """

    class BodyRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()
            takes_form = FORM in str(self.openapi_extra or {})
            guarded = any(needed.call is access for needed in self.dependant.dependencies)

            async def read_and_handle(request: Request) -> Response:
                if request.method != "POST":
                    return await handle(request)
                if guarded:
                    await access(request)
                sent = await request.body()
                content = await _unpacked(sent, request.headers, max_bytes)
                if content is not sent and (share := request.scope.get(BODY_SHARE)):
                    share.grow(2 * len(content))
                _check_label(content, request.headers, takes_form)
                return await handle(_plain(request, content))

            return read_and_handle

    return BodyRoute


async def _unpacked(sent: bytes, headers: Headers, max_bytes: int) -> bytes:
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity") or not sent:
        return sent
    if coding not in _WINDOWS:
        text = f"Content-Encoding {coding[:40]!r} is not read here. Send the body as it is, or as gzip or deflate."
        raise ApiError(415, "unsupported_media_type", text)
    return await asyncio.to_thread(_unpack, sent, coding, max_bytes)


def _unpack(sent: bytes, coding: str, max_bytes: int) -> bytes:
    """Raises `ApiError`: larger than `max_bytes`, or damaged."""
    for window in _WINDOWS[coding]:
        unpacker = zlib.decompressobj(window)
        try:
            content = unpacker.decompress(sent, max_bytes + 1)
        except zlib.error:
            continue
        if len(content) > max_bytes:
            text = f"The body is larger than {max_bytes} bytes, unpacked (an operator can raise --max-request-bytes)."
            raise ApiError(413, "http_413", text)
        if unpacker.eof and not unpacker.unused_data:
            return content
    raise ApiError(400, "invalid_request", f"The body is not valid {coding}: it is damaged or cut short.")


def _check_label(content: bytes, headers: Headers, takes_form: bool) -> None:
    label = headers.get("content-type", "").partition(";")[0].strip().lower()
    if label == FORM and takes_form:
        return
    if not content.strip():
        raise ApiError(400, "invalid_request", "The body is empty: send a JSON object.")
    if label == "application/json" or label.endswith("+json") or content.lstrip()[:1] in (b"{", b"[", b"\xef"):
        return
    also = f" or {FORM}" if takes_form else ""
    raise ApiError(
        415,
        "unsupported_media_type",
        f"Content-Type {label[:80]!r} is not read here, and the body is no JSON. Send application/json{also}.",
    )


class PlainRequest(Request):
    """A request whose body is read within the bounds of JSON."""

    _parsed: Any = None

    async def json(self) -> Any:
        """Raises `ApiError` over a bound, and `json.JSONDecodeError`."""
        if self._parsed is None:
            try:
                self._parsed = await json_bounds.read(await self.body())
            except json.JSONDecodeError:
                raise
            except (ValueError, RecursionError) as error:
                raise json.JSONDecodeError("it cannot be read", "", 0) from error
        return self._parsed


def _plain(request: Request, content: bytes) -> Request:
    """The same request with this body, called JSON unless it is a form."""
    headers = MutableHeaders(raw=[pair for pair in request.scope["headers"] if pair[0] != b"content-encoding"])
    is_form = headers.get("content-type", "").lower().startswith(FORM)
    if not is_form:
        headers["content-type"] = "application/json"
    headers["content-length"] = str(len(content))
    pieces = _pieces(content, _PIECE if is_form else len(content))

    async def receive() -> Message:
        return await anext(pieces, None) or await request.receive()

    return PlainRequest({**request.scope, "headers": headers.raw}, receive)


async def _pieces(content: bytes, size: int) -> AsyncGenerator[Message, None]:
    for at in range(0, max(1, len(content)), max(1, size)):
        if at:
            await asyncio.sleep(0)
        more = at + size < len(content)
        yield {"type": "http.request", "body": content[at : at + size], "more_body": more}

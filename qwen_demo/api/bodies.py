"""Bodies as callers send them: JSON under another label or none, gzip and deflate, unpacked within the bounds."""

import asyncio
import zlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message

from qwen_demo.http.errors import ApiError
from qwen_demo.media.memory_budget import MemoryBudget

FORM = "multipart/form-data"
# To zlib: a gzip header and checksum, or zlib's own; deflate without either is tried where that fails.
_WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


def route_class(budget: MemoryBudget, max_bytes: int) -> type[APIRoute]:
    """Routes whose bodies FastAPI reads as JSON, whatever they are called.

    Args:
        budget: of memory, which what was unpacked counts in until the answer is made.
        max_bytes: of a body, unpacked.
    """

    class BodyRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()
            takes_form = FORM in str(self.openapi_extra or {})

            async def read_and_handle(request: Request) -> Response:
                if request.method != "POST":
                    return await handle(request)
                with budget.take() as share:
                    sent = await request.body()
                    content = await _unpacked(sent, request.headers, max_bytes)
                    if content is not sent:
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


def _plain(request: Request, content: bytes) -> Request:
    """The same request with this body, called JSON unless it is a form."""
    headers = MutableHeaders(raw=[pair for pair in request.scope["headers"] if pair[0] != b"content-encoding"])
    if not headers.get("content-type", "").lower().startswith(FORM):
        headers["content-type"] = "application/json"
    headers["content-length"] = str(len(content))
    whole: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> Message:
        return whole.pop() if whole else await request.receive()

    return Request({**request.scope, "headers": headers.raw}, receive)

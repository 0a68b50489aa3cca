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
from starlette.requests import ClientDisconnect

from qwen_demo.http import json_bounds
from qwen_demo.http.effort import Effort, of_form, of_json
from qwen_demo.http.errors import ApiError
from qwen_demo.http.middleware import BODY_SHARE

FORM = "multipart/form-data"
# To zlib: a gzip header and checksum, or zlib's own; deflate without either is tried where that fails.
_WINDOWS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


# A form is parsed in Python: so much of it before others have a turn.
_PIECE = 16 << 10
_UNPACKED_AT_ONCE = 1 << 20
# What is left of a body that was parsed: FastAPI looks whether there is one.
_READ = b"{}"
# So far a body that begins with blanks is looked at.
_HEAD = 4096


def route_class(access: Callable[[Request], Awaitable[object]], max_bytes: int, effort: Effort) -> type[APIRoute]:
    """Routes whose bodies FastAPI reads as JSON, whatever they are called.

    Args:
        access: who asks, of routes that depend on it. Raises what refuses them.
        max_bytes: of a body, unpacked.
        effort: counts what it takes to read one.
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
                sent = await _whole(request)
                content = await _unpacked(sent, request.headers, max_bytes)
                if content is not sent and (share := request.scope.get(BODY_SHARE)):
                    share.grow(2 * len(content))
                labelled = request.headers.get("content-type", "").lower().startswith(FORM)
                await effort.spend(of_form(content) if labelled else of_json(content))
                is_form = _is_form(content, request.headers, takes_form)
                plain = _plain(request, content, is_form)
                del sent, content  # where it is JSON, nobody holds the text of it any more
                if not is_form:
                    await plain.parse()
                return await handle(plain)

            return read_and_handle

    return BodyRoute


async def _whole(request: Request) -> bytes:
    """The body, without a copy of it where it comes in one piece."""
    message = await request.receive()
    pieces = [message.get("body", b"")]
    while message.get("more_body"):
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


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
        pieces, size, rest = [], 0, sent
        try:
            # In pieces, as one that grows is copied again and again.
            while piece := unpacker.decompress(rest, _UNPACKED_AT_ONCE):
                pieces.append(piece)
                size, rest = size + len(piece), unpacker.unconsumed_tail
                if size > max_bytes:
                    raise ApiError(413, "http_413", _too_large(max_bytes))
        except zlib.error:
            continue
        if unpacker.eof and not unpacker.unused_data:
            return b"".join(pieces)
    raise ApiError(400, "invalid_request", f"The body is not valid {coding}: it is damaged or cut short.")


def _too_large(max_bytes: int) -> str:
    return f"The body is larger than {max_bytes} bytes, unpacked (an operator can raise --max-request-bytes)."


def _is_form(content: bytes, headers: Headers, takes_form: bool) -> bool:
    """Raises `ApiError` where it is neither a form that is taken nor JSON."""
    label = headers.get("content-type", "").partition(";")[0].strip().lower()
    if label == FORM and takes_form:
        return True
    begin = content[:_HEAD].lstrip()[:1]
    if not begin:
        raise ApiError(400, "invalid_request", "The body is empty: send a JSON object.")
    if label == "application/json" or label.endswith("+json") or begin in (b"{", b"[", b"\xef"):
        return False
    also = f" or {FORM}" if takes_form else ""
    raise ApiError(
        415,
        "unsupported_media_type",
        f"Content-Type {label[:80]!r} is not read here, and the body is no JSON. Send application/json{also}.",
    )


class PlainRequest(Request):
    """A request whose body was read, and is parsed within the bounds of JSON.

    Whoever waits for its caller to leave may call `receive` meanwhile: nothing of the body comes from there.

    Attributes:
        content: the whole body.
    """

    content = b""
    _parsed: Any = None
    _no_json: json.JSONDecodeError | None = None

    async def body(self) -> bytes:
        return self.content

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """In pieces, for a form: others have a turn after each."""
        for at in range(0, len(self.content), _PIECE):
            yield self.content[at : at + _PIECE]
            await asyncio.sleep(0)
        yield b""

    async def parse(self) -> None:
        """Raises `ApiError` over a bound. What is no JSON is left to `json`, whose callers know that error."""
        content, self.content = self.content, _READ
        try:
            self._parsed = await json_bounds.read(content)
        except json.JSONDecodeError as error:
            self._no_json = error
        except (ValueError, RecursionError) as error:
            self._no_json = json.JSONDecodeError("it cannot be read", "", 0)
            self._no_json.__cause__ = error

    async def json(self) -> Any:
        """Raises `json.JSONDecodeError`."""
        if self._no_json is not None:
            raise self._no_json
        return self._parsed


def _plain(request: Request, content: bytes, is_form: bool) -> PlainRequest:
    """The same request with this body, called JSON unless it is a form."""
    headers = MutableHeaders(raw=[pair for pair in request.scope["headers"] if pair[0] != b"content-encoding"])
    if not is_form:
        headers["content-type"] = "application/json"
    headers["content-length"] = str(len(content))
    plain = PlainRequest({**request.scope, "headers": headers.raw}, request.receive)
    plain.content = content
    return plain

"""Answers as server-sent events, and answers in one piece, both ended when the client leaves.

Starlette's own streaming response never closes its iterator, so a dropped connection would let
the model write on.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
# Proxies close connections on which nothing moves; a comment line moves and means nothing.
COMMENT_EVERY_S = 10.0


def event(data: dict | str) -> bytes:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"data: {text}\n\n".encode()


class EventStream(Response):
    """Sends `chunks` and closes them, whatever happens."""

    def __init__(self, chunks: AsyncGenerator[bytes, None]):
        super().__init__(headers=HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send_all(send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(leaving)
            await _end(sending)
            await self._chunks.aclose()
        if not sending.cancelled() and (error := sending.exception()) and not isinstance(error, OSError):
            raise error

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        upcoming: asyncio.Task | None = None
        try:
            while True:
                upcoming = upcoming or asyncio.ensure_future(anext(self._chunks, None))
                done, _ = await asyncio.wait({upcoming}, timeout=COMMENT_EVERY_S)
                chunk: bytes | None = b": waiting\n\n"
                if done:
                    chunk, upcoming = upcoming.result(), None
                if chunk is None:
                    break
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            if upcoming is not None:
                await _end(upcoming)


async def while_connected(receive: Receive, work: Awaitable):
    """The result of `work`, which is cancelled when the client leaves first.

    Raises:
        ClientDisconnect: it left.
    """
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientDisconnect
    finally:
        await _end(leaving)
        await _end(working)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(task: asyncio.Future) -> None:
    """Cancel and wait; its own error, if any, is left on it for whoever looks."""
    if not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task

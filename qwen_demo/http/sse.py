"""Answers as server-sent events, and answers in one piece, both ended when the client leaves.

Starlette's own streaming response never closes its iterator, so a dropped connection would let
the model write on.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
# Proxies close connections on which nothing moves; a comment line moves and means nothing.
COMMENT_EVERY_S = 10.0
COMMENT = b": waiting\n"  # a blank line would end an event that has nothing in it

T = TypeVar("T")

dumped = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def event(data: dict[str, Any] | str) -> bytes:
    return f"data: {data if isinstance(data, str) else dumped(data)}\n\n".encode()


def named_event(data: dict[str, Any]) -> bytes:
    """One that says its `type` on a line of its own as well."""
    return f"event: {data['type']}\n".encode() + event(data)


class Closing(Protocol):
    async def aclose(self) -> None: ...


class EventStream(Response):
    """Sends `chunks`, and closes them and what they are made of, whatever happens.

    Args:
        source: closed as well, as chunks that were never begun would not do it.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None], source: Closing):
        super().__init__(headers=HEADERS, media_type="text/event-stream")
        del self.headers["content-length"]
        self._chunks, self._source = chunks, source
        self._moved = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(self._send_all(send))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _end(leaving)
            await _end(sending)
            await self._chunks.aclose()
            await self._source.aclose()
        if not sending.cancelled() and (error := sending.exception()) and not isinstance(error, OSError):
            raise error

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        beating = asyncio.create_task(self._beat(send))
        try:
            async for chunk in self._chunks:
                self._moved = True
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await _end(beating)
        await send({"type": "http.response.body", "body": b""})

    async def _beat(self, send: Send) -> None:
        """A comment after each `COMMENT_EVERY_S` in which nothing moved. A task of its own, so that tokens need none."""
        while True:
            self._moved = False
            await asyncio.sleep(COMMENT_EVERY_S)
            if not self._moved:
                await send({"type": "http.response.body", "body": COMMENT, "more_body": True})


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client leaves first.

    Raises:
        ClientDisconnect: it left.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(receive))
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


async def _end(task: asyncio.Task[Any]) -> None:
    """Cancel and wait; its own error, if any, is left on it for whoever looks."""
    if not task.done():
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task

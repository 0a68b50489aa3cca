"""What stands in Triton's process around an engine: answers of several callers at once, cancelling, health.

Triton's Python backend does not tell a model of PyTriton's that its caller has left, so a caller that wants to stop says
so (`cancel`), and the answers of a front that has not been heard of for `silence_s` are ended.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from qwen_demo.engines.process.codec import foreign
from qwen_demo.engines.triton import wire
from qwen_demo.errors import InvalidRequest, QwenDemoError
from qwen_demo.types import ChatRequest, Engine, Event

SILENCE_S = 10.0
# Calls whose cancellation may come before they do.
REMEMBERED = 1024


@dataclass(eq=False)
class _Answering:
    task: asyncio.Task[None]
    front: str


class TritonHost:
    """All methods belong to the engine's event loop.

    Args:
        silence_s: after so long without a word of it a front counts as gone.
    """

    def __init__(self, engine: Engine, silence_s: float = SILENCE_S):
        self._engine, self._silence_s = engine, silence_s
        self._calls: dict[str, _Answering] = {}
        self._left: deque[str] = deque(maxlen=REMEMBERED)
        self._heard: dict[str, float] = {}
        self._watching: asyncio.Task[None] | None = None
        self._count = 0

    async def start(self) -> None:
        await self._engine.start()
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._watching:
            self._watching.cancel()
        for name in list(self._calls):
            await self._cancel(name)
        await self._engine.close()

    async def answer(self, data: bytes, pixels: Sequence[bytes]) -> AsyncGenerator[bytes, None]:
        """Events as `wire.encode_event` writes them. The last one is `finished` or `error`, or none after a cancel."""
        try:
            body = _object(data)
            name, front = str(body.pop("call", "")), str(body.pop("front", ""))
            request = await wire.decode_request(body, pixels)
        except QwenDemoError as error:
            yield wire.encode_event(error)
            return
        if name in self._left:
            return
        self._count += 1
        name = name or f"call {self._count}"
        if name in self._calls:
            yield wire.encode_event(InvalidRequest(f"The call {name} is being answered already."))
            return
        events: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._calls[name] = _Answering(asyncio.create_task(self._run(request, events)), front)
        try:
            while (event := await events.get()) is not None:
                yield event
        finally:
            await self._cancel(name)

    async def _run(self, request: ChatRequest, events: asyncio.Queue[bytes | None]) -> None:
        stream: AsyncGenerator[Event, None] = self._engine.stream(request)
        try:
            async for event in stream:
                events.put_nowait(wire.encode_event(event))
        except Exception as error:  # the caller is told, as by the engine's own process
            events.put_nowait(wire.encode_event(foreign(error)))
        finally:
            await stream.aclose()
            events.put_nowait(None)

    async def control(self, data: bytes) -> bytes:
        """A front's sign of life, with the call that it ends, if any; gives `wire.encode_state`."""
        try:
            body = _object(data)
        except QwenDemoError as error:
            return wire.encode_event(error)
        if front := str(body.get("front", "")):
            self._heard[front] = time.monotonic()
        if name := str(body.get("cancel", "")):
            self._left.append(name)
            await self._cancel(name)
        return wire.encode_state(self._engine.health(), self._engine.info)

    async def _cancel(self, name: str) -> None:
        """Returns when nothing of the call is left in the engine."""
        if call := self._calls.pop(name, None):
            call.task.cancel()
            with suppress(asyncio.CancelledError):
                await call.task

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._silence_s / 5)
            since = time.monotonic() - self._silence_s
            gone = {front for front, heard in self._heard.items() if heard < since}
            for name in [name for name, call in self._calls.items() if call.front in gone]:
                await self._cancel(name)
            for front in gone:
                del self._heard[front]


def _object(data: bytes) -> wire.Json:
    try:
        body = json.loads(data)
    except ValueError as error:
        raise InvalidRequest("The request is no JSON.") from error
    if not isinstance(body, dict):
        raise InvalidRequest("The request is no JSON object.")
    return body

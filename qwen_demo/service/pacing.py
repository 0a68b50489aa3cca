"""An answer as its reader can take it: text gathered between two looks, the first piece at once.

Sending a token costs a front more than the engine's telling it: a chunk of JSON, a system call, a
value that Gradio compares. So the words of the time between two sendings go together. Nothing of
an answer changes by it: text, log probabilities and the end are the same.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from qwen_demo.types import Event, Finished, TextDelta, ToolCallDelta, joined


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a front waits between two sendings of one stream: longer the more streams are open.

    Attributes:
        least_s, most_s: bounds of the pause, in seconds.
        for_each_s: what each stream beyond the first `free` adds to it.
    """

    least_s: float
    most_s: float
    for_each_s: float
    free: int = 16

    def pause_s(self, streams: int) -> float:
        return min(self.most_s, max(self.least_s, (streams - self.free) * self.for_each_s))


# Each token by itself for up to 16 streams; a crowd's sendings take about a tenth of the event loop, and the pause
# stays below what a reader notices.
EVENT_STREAM = Pace(0.0, 0.05, 0.00025)


class PacedStream:
    """Reads `events` in a task of its own and gives them again, text gathered; None while nothing comes.

    Closing it closes `events`. What `events` raises is raised after the text before it.

    Args:
        pause_s: seconds between two pieces of text, asked for after each; the end does not wait for them.
        heartbeat_s: after so long without anything, None is given; without it never.
    """

    def __init__(
        self, events: AsyncGenerator[Event, None], pause_s: Callable[[], float], heartbeat_s: float | None = None
    ):
        self._events, self._pause_s, self._heartbeat_s = events, pause_s, heartbeat_s
        self._loop = asyncio.get_running_loop()
        self._held: list[TextDelta | ToolCallDelta] = []
        self._finished: Finished | None = None
        self._resting_until = 0.0
        self._resting = False
        self._waiter: asyncio.Future[bool] | None = None
        self._reading = asyncio.create_task(self._read())
        self._reading.add_done_callback(self._wake)

    def __aiter__(self) -> "PacedStream":
        return self

    async def __anext__(self) -> Event | None:
        rest_s = self._resting_until - self._loop.time()
        if rest_s > 0 and not self._over:
            self._resting = True
            await self._woken(rest_s)
            self._resting = False
        while not (self._held or self._over):
            if not await self._woken(self._heartbeat_s) and not (self._held or self._over):
                return None
        if self._held:
            return self._take()
        if self._finished is not None:
            finished, self._finished = self._finished, None
            return finished
        await self._reading  # raises what ended it
        raise StopAsyncIteration

    async def begun(self, timeout_s: float) -> None:
        """Wait until something can be given, at most so long. Raises what ended the stream before its first event."""
        if not (self._held or self._over):
            await self._woken(timeout_s)
        if self._reading.done() and not (self._held or self._finished):
            await self._reading

    async def aclose(self) -> None:
        self._reading.cancel()
        await asyncio.wait({self._reading})
        if not self._reading.cancelled():
            self._reading.exception()  # whoever closes has seen it, or does not want to
        await self._events.aclose()

    @property
    def _over(self) -> bool:
        return self._finished is not None or self._reading.done()

    async def _read(self) -> None:
        async for event in self._events:
            if isinstance(event, Finished):
                self._finished = event
            else:
                self._held.append(event)
                if self._resting:
                    continue
            self._wake()

    def _take(self) -> TextDelta | ToolCallDelta:
        first, *self._held = joined(self._held) if len(self._held) > 1 else self._held
        self._resting_until = self._loop.time() + self._pause_s()
        return first

    async def _woken(self, timeout_s: float | None) -> bool:
        """Whether something happened before the time was over."""
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(timeout_s, self._settle, False) if timeout_s is not None else None
        try:
            return bool(await waiter)
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self, _: object = None) -> None:
        self._settle(True)

    def _settle(self, happened: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(happened)

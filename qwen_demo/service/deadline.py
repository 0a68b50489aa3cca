"""How long one request may take, from its arrival: opening its files and waiting for a place count as its answer does."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from qwen_demo.errors import DeadlineExceeded, QwenDemoError
from qwen_demo.sentences import Sentence
from qwen_demo.types import Event

End = Callable[[QwenDemoError], None]


class Deadline:
    """Begins when it is made."""

    def __init__(self, limit_s: float):
        self._limit_s = limit_s
        self._at = asyncio.get_running_loop().time() + limit_s

    @asynccontextmanager
    async def before_the_answer(self) -> AsyncIterator[None]:
        """Raises `DeadlineExceeded` in the middle of the block."""
        try:
            async with asyncio.timeout_at(self._at) as timer:
                yield
        except TimeoutError:
            if not timer.expired():
                raise
            raise self._exceeded() from None

    async def during(self, events: AsyncGenerator[Event, None], enders: set[End]) -> AsyncGenerator[Event, None]:
        """The same events, closed at the end of it.

        Args:
            enders: holds meanwhile what ends it with an error before its time.

        Raises:
            DeadlineExceeded: it is late; also while its reader takes nothing.
        """
        # One timer for the whole answer: `asyncio.timeout` around each token costs more than sending it.
        # The task is looked up at each step, as a reader may take every event in a task of its own.
        working: asyncio.Task[Any] | None = None
        leaving: asyncio.Future[None] | None = None
        over: QwenDemoError | None = None

        def end(error: QwenDemoError) -> None:
            nonlocal over, leaving
            over = over or error
            if working is not None:
                working.cancel()
            else:  # its reader has stopped in the middle, and the slot must not wait for it
                leaving = asyncio.ensure_future(events.aclose())

        timer = asyncio.get_running_loop().call_at(self._at, end, self._exceeded())
        enders.add(end)
        try:
            while over is None:
                working = asyncio.current_task()
                try:
                    event = await anext(events, None)
                except asyncio.CancelledError:
                    if over is None or working.uncancel():
                        raise
                    break
                finally:
                    working = None
                if event is None:
                    return
                yield event
        finally:
            timer.cancel()
            enders.discard(end)
            await (leaving or events.aclose())
        raise over

    def _exceeded(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            Sentence(
                "The answer took longer than {limit_s:g} s and was ended. Ask for a "
                "shorter answer or smaller images (an operator can raise --request-timeout-s).",
                limit_s=self._limit_s,
            )
        )

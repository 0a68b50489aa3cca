"""How long the event loop stood still: while one thing runs on it, nobody is answered."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.02
# A scrape sees the longest stop of so long, so that no stop falls between two scrapes.
WINDOW_S = 60.0
# After its engine has loaded a front tidies up once.
SETTLES_S = 1.0
# What an operator should read of, at most once in `TELL_EVERY_S`.
WORTH_TELLING_S, TELL_EVERY_S = 0.5, 10.0


class LoopWatch:
    """Looks at the clock some fifty times a second; what comes late was held up by so much."""

    def __init__(self) -> None:
        # Stops that nothing later has outdone, longest first: (when it was seen, seconds).
        self._stops: deque[tuple[float, float]] = deque()
        self._told_at = float("-inf")

    def saw(self, now: float, stopped_s: float) -> None:
        """A stop that was seen at `now`, in seconds of the loop's clock."""
        while self._stops and self._stops[-1][1] <= stopped_s:
            self._stops.pop()
        self._stops.append((now, stopped_s))
        self._forget(now)
        if stopped_s >= WORTH_TELLING_S and now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            log.warning("nobody was answered for %.1f s: something ran on the event loop for so long", stopped_s)

    def longest_s(self, now: float) -> float:
        """The longest stop of the last `WINDOW_S`."""
        self._forget(now)
        return self._stops[0][1] if self._stops else 0.0

    def _forget(self, now: float) -> None:
        while self._stops and self._stops[0][0] < now - WINDOW_S:
            self._stops.popleft()

    async def watch(self, after: Callable[[], Awaitable[object]]) -> None:
        """Until cancelled. Nobody is there to be answered while the program starts, until soon after `after`."""
        await after()
        await asyncio.sleep(SETTLES_S)
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LOOK_EVERY_S
            await asyncio.sleep(LOOK_EVERY_S)
            now = loop.time()
            self.saw(now, max(0.0, now - due))

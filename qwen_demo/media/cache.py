"""What was decoded lately, by the content of its file: gallery, preview and every turn of a conversation share it.

An entry is bounded by age and all by a share of the memory budget, and they go first when memory is short. Nobody gets
pixels of a file that they have not, nor any that a decoder made which had served somebody else before.
"""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from qwen_demo.media.memory_budget import MemoryBudget

T = TypeVar("T")
MAX_ENTRIES = 256  # each holds a file descriptor


@dataclass(slots=True)
class _Entry:
    value: Any
    nbytes: int
    used_at: float


@dataclass(slots=True)
class _Flight:
    """Work that several callers may wait for; it ends with the last of them."""

    task: asyncio.Task[Any]
    waiting: int = 0


class DecodedCache:
    """Decoded values by key. Belongs to one event loop; memory may be claimed back from any thread.

    Args:
        budget: asked back from when others need memory.
        max_bytes: of all values together; what is larger than all is not kept.
        max_age_s: a value that nobody asks for is kept so long.
    """

    def __init__(self, budget: MemoryBudget, max_bytes: int, max_age_s: float):
        self._max_bytes, self._max_age_s = max_bytes, max_age_s
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._nbytes = 0
        self._flights: dict[Hashable, _Flight] = {}
        self._lock = threading.Lock()
        self._timer: asyncio.TimerHandle | None = None
        budget.add_cache(self.drop_one)

    def __len__(self) -> int:
        return len(self._entries)

    def found(self, key: Hashable) -> Any | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            entry.used_at = time.monotonic()
            self._entries.move_to_end(key)
            return entry.value

    async def get(self, key: Hashable, who: str, make: Callable[[], Awaitable[T]], nbytes: Callable[[T], int]) -> T:
        """The value of `key`, made by `make` unless it is there or being made.

        Args:
            who: callers of different names do not share errors, which tell the name.
            nbytes: what a value takes.
        """
        if (value := self.found(key)) is not None:
            return cast(T, value)
        flight = self._flights.get((key, who))
        if flight is None:
            flight = self._flights[key, who] = _Flight(asyncio.ensure_future(make()))

            def landed(task: asyncio.Task[Any]) -> None:
                del self._flights[key, who]
                if not task.cancelled() and not task.exception():
                    self._keep(key, task.result(), nbytes(task.result()))

            flight.task.add_done_callback(landed)
        flight.waiting += 1
        try:
            return cast(T, await asyncio.shield(flight.task))
        except asyncio.CancelledError:
            if flight.waiting == 1 and not flight.task.done():
                flight.task.cancel()
                await asyncio.wait([flight.task])
            raise
        finally:
            flight.waiting -= 1

    def _keep(self, key: Hashable, value: Any, nbytes: int) -> None:
        if nbytes > self._max_bytes or not self._max_age_s:
            return
        with self._lock:
            self._forget(key)
            self._entries[key] = _Entry(value, nbytes, time.monotonic())
            self._nbytes += nbytes
            while self._nbytes > self._max_bytes or len(self._entries) > MAX_ENTRIES:
                self._forget(next(iter(self._entries)))
        self._schedule()

    def drop_one(self) -> bool:
        """Let go of what was used longest ago; False when there is nothing."""
        with self._lock:
            if not self._entries:
                return False
            self._forget(next(iter(self._entries)))
            return True

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()
            self._nbytes = 0
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _forget(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry:
            self._nbytes -= entry.nbytes

    def _schedule(self) -> None:
        if self._timer is None and self._entries:
            oldest = next(iter(self._entries.values())).used_at
            wait_s = max(0.0, oldest + self._max_age_s - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._age)

    def _age(self) -> None:
        self._timer = None
        with self._lock:
            while self._entries:
                key, entry = next(iter(self._entries.items()))
                if entry.used_at + self._max_age_s > time.monotonic():
                    break
                self._forget(key)
        self._schedule()

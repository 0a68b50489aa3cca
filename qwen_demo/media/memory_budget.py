"""How much memory all callers hold together: bodies, files being opened, images.

Each limit of one request holds for one request; a hundred callers at once would multiply it. So
what any of them makes the process hold is counted in one budget, and over it callers are told to
come back. Overload is an answer here too: nobody waits for memory that others may hold for long.
Caches may use what is free; they give way before anybody is refused.
"""

import asyncio
import contextlib
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Self

from qwen_demo.errors import Overloaded
from qwen_demo.sentences import Sentence

RETRY_AFTER_S = 5.0
MIB = 1 << 20


class MemoryBudget:
    """Bytes held by everybody, of one event loop and its threads; whoever serves them passes one budget to all.

    While nothing is held, one claim of any size fits: the limits of single requests have passed it.
    """

    def __init__(self, total_bytes: int):
        self.total_bytes = total_bytes
        self._held = 0
        self._passing = 0
        self._lock = threading.Lock()
        # Objects may be collected in the middle of anything, so their end takes no lock.
        self._collected: deque[int] = deque()
        self._turn, self._passed = asyncio.Lock(), asyncio.Event()
        self._caches: list[Callable[[], bool]] = []

    def add_cache(self, drop_one: Callable[[], bool]) -> None:
        """`drop_one` lets go of what a cache needs least, from any thread; False when it has nothing more."""
        self._caches.append(drop_one)

    @property
    def held_bytes(self) -> int:
        with self._lock:
            while self._collected:
                self._held -= self._collected.popleft()
            return self._held

    def take(self, count: int = 0) -> "Share":
        """A share of `count` bytes, from any thread. Raises `Overloaded`."""
        share = Share(self)
        share.grow(count)
        return share

    @contextlib.asynccontextmanager
    async def passing(self, count: int, own: int = 0) -> AsyncIterator["Share"]:
        """A share of `count` bytes for work that ends soon; waits in turn for others of its kind.

        Args:
            own: bytes that the same work holds already. Alone, it fits.

        Raises:
            Overloaded: what is held for longer leaves no room.
        """
        async with self._turn:
            while not self._makes_room(count, own) and self._passing:
                self._passed.clear()
                await self._passed.wait()
            share = Share(self)
            share.grow(count, own)
            self._passing += 1
        try:
            with share:
                yield share
        finally:
            self._passing -= 1
            self._passed.set()

    def _fits(self, count: int, own: int) -> bool:
        held = self.held_bytes
        return held <= own or held + count <= self.total_bytes

    def _makes_room(self, count: int, own: int) -> bool:
        while not self._fits(count, own):
            if not any(drop_one() for drop_one in self._caches):
                return False
        return True

    def _add(self, count: int) -> None:
        with self._lock:
            self._held += count


class Share:
    """Part of a budget, given back at the end of a `with` block or when what it stands for is collected."""

    def __init__(self, budget: MemoryBudget):
        self._budget, self._count = budget, 0

    def grow(self, count: int, own: int = 0) -> None:
        """Raises `Overloaded`; the share stays as it was."""
        if not self._budget._makes_room(count, self._count + own):
            raise Overloaded(
                Sentence(
                    "The images and requests that are being read take {held} MiB, and this one {size} MiB; all "
                    "together may take {limit} MiB. Try again in {seconds:.0f} s, or send less (an operator can raise "
                    "--memory-budget-mib).",
                    held=self._budget.held_bytes // MIB,
                    size=max(1, (self._count + count) // MIB),
                    limit=self._budget.total_bytes // MIB,
                    seconds=RETRY_AFTER_S,
                ),
                retry_after_s=RETRY_AFTER_S,
            )
        self._budget._add(count)
        self._count += count

    def keep(self, count: int, owner: object) -> None:
        """`count` bytes of it stay taken until `owner` is collected."""
        self._budget._add(count)
        weakref.finalize(owner, self._budget._collected.append, count).atexit = False

    def free(self) -> None:
        self._budget._add(-self._count)
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()

"""How much memory all callers hold together: bodies, files being opened, images.

Each limit of one request holds for one request; a hundred callers at once would multiply it. So
what any of them makes the process hold is counted in one budget, and over it callers are told to
come back. Overload is an answer here too: nobody waits for memory that others may hold for long.
Caches may use what is free; they give way before anybody is refused. No caller takes all of it, see `fairness.py`.
"""

import asyncio
import contextlib
import threading
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Self

from qwen_demo.errors import Overloaded
from qwen_demo.fairness import Account, Tally, current_account, most_of
from qwen_demo.sentences import Sentence

RETRY_AFTER_S = 5.0
MIB = 1 << 20


class MemoryBudget:
    """Bytes held by everybody, of one event loop and its threads; whoever serves them passes one budget to all.

    While nothing is held, one claim of any size fits: the limits of single requests have passed it. So does a caller's
    only claim where the others leave room for it.

    Args:
        share: the part of it that one caller may take.
    """

    def __init__(self, total_bytes: int, share: float = 1.0):
        self.total_bytes, self.share = total_bytes, share
        self._held, self._tally = 0, Tally()
        self._passing = 0
        self._lock = threading.Lock()
        # Objects may be collected in the middle of anything, so their end takes no lock.
        self._collected: deque[tuple[Account, int]] = deque()
        self._turns: weakref.WeakValueDictionary[Account, asyncio.Lock] = weakref.WeakValueDictionary()
        self._passed = asyncio.Event()
        self._caches: list[Callable[[], bool]] = []

    def add_cache(self, drop_one: Callable[[], bool]) -> None:
        """`drop_one` lets go of what a cache needs least, from any thread; False when it has nothing more."""
        self._caches.append(drop_one)

    @property
    def held_bytes(self) -> int:
        with self._lock:
            self._settle()
            return self._held

    def held_by(self, account: Account) -> int:
        with self._lock:
            self._settle()
            return self._tally.of(account)

    def _settle(self) -> None:
        while self._collected:
            account, count = self._collected.popleft()
            self._held -= count
            self._tally.add(account, -count)

    def take(self, count: int = 0) -> "Share":
        """A share of `count` bytes, from any thread. Raises `Overloaded`."""
        share = Share(self)
        share.grow(count)
        return share

    @contextlib.asynccontextmanager
    async def passing(self, count: int, own: int = 0) -> AsyncIterator["Share"]:
        """A share of `count` bytes for work that ends soon; waits for others of its kind, in turn with its caller's own.

        Args:
            own: bytes that the same work holds already. Alone, it fits.

        Raises:
            Overloaded: what is held for longer leaves no room.
        """
        share = Share(self)
        turn = self._turns.setdefault(share.account, asyncio.Lock())
        async with turn:
            while not self._makes_room(share.account, count, own) and self._passing:
                self._passed.clear()
                await self._passed.wait()
            share.grow(count, own)
            self._passing += 1
        try:
            with share:
                yield share
        finally:
            self._passing -= 1
            self._passed.set()

    def _fits(self, account: Account, count: int, own: int) -> bool:
        if (held := self.held_bytes) <= own:
            return True
        if held + count > self.total_bytes:
            return False
        held_by = self.held_by(account)
        return held_by <= own or held_by + count <= most_of(self.total_bytes, self.share)

    def _makes_room(self, account: Account, count: int, own: int) -> bool:
        while not self._fits(account, count, own):
            if not any(drop_one() for drop_one in self._caches):
                return False
        return True

    def _add(self, account: Account, count: int) -> None:
        with self._lock:
            self._held += count
            self._tally.add(account, count)


class Share:
    """Part of a budget, given back at the end of a `with` block or when what it stands for is collected.

    Attributes:
        account: whose request takes it.
        count: bytes.
    """

    def __init__(self, budget: MemoryBudget):
        self._budget, self.count = budget, 0
        self.account = current_account.get()

    def grow(self, count: int, own: int = 0) -> None:
        """Raises `Overloaded`; the share stays as it was."""
        if not self._budget._makes_room(self.account, count, self.count + own):
            raise Overloaded(self._refusal(count), retry_after_s=RETRY_AFTER_S)
        self._budget._add(self.account, count)
        self.count += count

    def _refusal(self, count: int) -> Sentence:
        budget, size = self._budget, max(1, (self.count + count) // MIB)
        held, limit = budget.held_bytes // MIB, budget.total_bytes // MIB
        if budget.held_bytes + count <= budget.total_bytes:
            return Sentence(
                "Your images and requests that are being read take {held} MiB, and this one {size} MiB; those of one "
                "caller may take {limit} MiB. Try again in {seconds:.0f} s, or send less (an operator can raise "
                "--memory-budget-mib or --caller-share).",
                held=budget.held_by(self.account) // MIB,
                size=size,
                limit=most_of(budget.total_bytes, budget.share) // MIB,
                seconds=RETRY_AFTER_S,
            )
        return Sentence(
            "The images and requests that are being read take {held} MiB, and this one {size} MiB; all "
            "together may take {limit} MiB. Try again in {seconds:.0f} s, or send less (an operator can raise "
            "--memory-budget-mib).",
            held=held,
            size=size,
            limit=limit,
            seconds=RETRY_AFTER_S,
        )

    def keep(self, count: int, owner: object) -> None:
        """`count` bytes of it stay taken until `owner` is collected."""
        self._budget._add(self.account, count)
        weakref.finalize(owner, self._budget._collected.append, (self.account, count)).atexit = False

    def free(self) -> None:
        self._budget._add(self.account, -self.count)
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.free()

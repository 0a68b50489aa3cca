"""No caller takes everything: on whose account a request counts, how much one account may take, and places given in turn.

Knows neither HTTP nor an engine. An account has one name or several, such as an address and a key: what is taken counts
on each of them. Work of the program itself has no name and is bound by the whole alone.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from typing import Any

Account = tuple[str, ...]

current_account: ContextVar[Account] = ContextVar("current_account", default=())
# Names whose last work was paid for long ago need no place.
FORGET_ABOVE = 1000
# In a request's scope, for work that is done in another task than the request's.
ACCOUNT = "qwen_demo.account"


def also_on(name: str, scope: MutableMapping[str, Any]) -> None:
    """From here on what this request takes counts on `name` as well: a key, or a user of the page."""
    account: Account = scope.get(ACCOUNT, ())
    if name not in account:
        account = scope[ACCOUNT] = (*account, name)
    current_account.set(account)


def most_of(total: int, share: float) -> int:
    """How much of `total` one name may take; one at least."""
    return max(1, int(total * share))


class Tally:
    """What each name has taken of one thing."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def of(self, account: Account) -> int:
        """What the name of `account` that has most has taken."""
        return max((self._taken[name] for name in account), default=0)

    def add(self, account: Account, count: int) -> None:
        for name in account:
            self._taken[name] += count
            if not self._taken[name]:
                del self._taken[name]


class Work:
    """Time of the processor that accounts may have spent on what they send; who has had more waits for the next.

    Args:
        rate: seconds of work in a second.
        at_once_s: seconds of work that nobody has to wait for.
    """

    def __init__(self, rate: float, at_once_s: float):
        self._rate, self._at_once_s = rate, at_once_s
        self._paid_at: dict[str, float] = {}

    def wait_s(self, account: Account, work_s: float, now: float) -> float:
        """Count `work_s`, and say after how many seconds it may begin."""
        if len(self._paid_at) > FORGET_ABOVE:
            self._paid_at = {name: paid for name, paid in self._paid_at.items() if paid > now}
        wait_s = 0.0
        for name in account:
            paid_at = max(now, self._paid_at.get(name, now)) + work_s / self._rate
            self._paid_at[name] = paid_at
            wait_s = max(wait_s, paid_at - now - max(work_s, self._at_once_s) / self._rate)
        return wait_s


class Turns:
    """Places that accounts get in turn, and each account's requests in the order in which they came.

    Args:
        places: how many there are now.
        most: how many of them one name may have now.
        reserved: places beyond, for accounts that have none.
    """

    def __init__(self, places: Callable[[], int], most: Callable[[], int], reserved: int = 0):
        self._places, self._most, self._reserved = places, most, reserved
        self._taken = Tally()
        self._lines: dict[Account, deque[asyncio.Future[None]]] = {}
        self.taken = 0

    @property
    def waiting(self) -> int:
        return sum(map(len, self._lines.values()))

    async def take(self, account: Account) -> None:
        """Wait for a place; `give_back` it."""
        if account not in self._lines and self._may(account):
            return self._count(account, 1)
        turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(account, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(account)  # it came while its owner left
            elif (line := self._lines.get(account)) and turn in line:
                line.remove(turn)
                if not line:
                    del self._lines[account]
            raise

    def give_back(self, account: Account) -> None:
        self._count(account, -1)
        self.look()

    def look(self) -> None:
        """Give what is free to those who wait; also where there are more places than before."""
        given = True
        while given:
            given = False
            for account in list(self._lines):
                if not self._may(account):
                    continue
                line = self._lines.pop(account)
                turn = line.popleft()
                if line:
                    self._lines[account] = line  # at the end of the round
                if not turn.done():
                    self._count(account, 1)
                    turn.set_result(None)
                given = True
                break

    def _may(self, account: Account) -> bool:
        own = self._taken.of(account)
        if account and own >= self._most():
            return False
        return self.taken < self._places() + (self._reserved if account and not own else 0)

    def _count(self, account: Account, count: int) -> None:
        self.taken += count
        self._taken.add(account, count)

"""How often somebody may do something: a moving window for each name, by a clock that nobody sets."""

import time
from collections import OrderedDict, deque

from limits import RateLimitItem, parse

# Beyond these the names that did it longest ago are forgotten: each name is a stranger's to choose.
KEPT_NAMES = 10_000


class Rate:
    """So many times in so long, for each name.

    The clock is monotonic: with the wall clock, one that is set back by an hour would turn everybody away for an hour.

    Args:
        text: such as `60/minute` or `5/second`. Raises `ValueError` where it is none.

    Attributes:
        most: how many times.
    """

    def __init__(self, text: str):
        item: RateLimitItem = parse(text)
        self._text, self.most, self._window_s = str(item), item.amount, float(item.get_expiry())
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def __str__(self) -> str:
        return self._text

    def wait_s(self, name: str) -> float:
        """Seconds until `name` may do it again; 0 when it may now."""
        times = self._times.get(name, ())
        if len(times) < self.most:
            return 0.0
        return max(0.0, times[-self.most] + self._window_s - time.monotonic())

    def hit(self, name: str) -> float:
        """As `wait_s`, and where that is 0 it is counted."""
        if wait_s := self.wait_s(name):
            return wait_s
        times = self._times.setdefault(name, deque(maxlen=self.most))
        times.append(time.monotonic())
        self._times.move_to_end(name)
        if len(self._times) > KEPT_NAMES:
            self._times.popitem(last=False)
        return 0.0

    def forgive(self, name: str) -> None:
        """The last time that was counted does not count."""
        if times := self._times.get(name):
            times.pop()

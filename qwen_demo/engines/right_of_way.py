"""Who goes first where engines, or an engine and a training, share a card or a machine: a lock on a file of theirs.

Whoever goes first holds it while its questions wait. Whoever gives way looks at it after each piece of work, and pauses
for at most `PAUSE` times as long as that took: so it does a fifth of its work at the least, and nobody starves. The
system frees the lock with its process. Needs Linux' or macOS' `flock` and a file of this machine's own disks.
"""

import fcntl
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Self

from qwen_demo.errors import SettingsError
from qwen_demo.settings import Settings

PAUSE = 4.0
LOOK_EVERY_S = 0.01

Rest = Callable[[float, Callable[[], bool]], None]  # as `GivesWay.after`


class GoesFirst:
    """The side that others give way to. `tell` belongs to one thread.

    Attributes:
        is_held: whether it holds the lock.
    """

    def __init__(self, path: Path):
        """Raises `SettingsError`."""
        self._file = _opened(self, path, "--go-first-file")
        self.is_held = False

    def tell(self, waiting: bool) -> None:
        """Whether questions wait. To be told again and again: a lock that is not free just now is tried at the next."""
        if waiting == self.is_held:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB if waiting else fcntl.LOCK_UN)
        except BlockingIOError:
            return
        self.is_held = waiting


class GivesWay:
    """The side that pauses. Its threads may share one.

    Attributes:
        paused_s: of all threads together, so far.
    """

    def __init__(self, path: Path):
        """Raises `SettingsError`."""
        self._file = _opened(self, path, "--give-way-file")
        self._changing = threading.Lock()
        self.paused_s = 0.0

    @property
    def is_asked(self) -> bool:
        """Whether somebody's questions wait."""
        with self._changing:  # both locks of one file, or one thread would take the other's for that of an engine
            try:
                # Shared, so that several that give way do not take each other for one that goes first.
                fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            fcntl.flock(self._file, fcntl.LOCK_UN)
            return False

    def after(self, worked_s: float, over: Callable[[], bool]) -> None:
        """Pause for work that took so long, while somebody's questions wait and until `over` says so."""
        began = time.monotonic()
        until = began + PAUSE * worked_s
        while began < until and not over() and self.is_asked:
            time.sleep(min(LOOK_EVERY_S, until - began))
            now = time.monotonic()
            with self._changing:
                self.paused_s += now - began
            began = now


class Paced:
    """Gives way in work whose pieces follow upon each other: passes of a model."""

    def __init__(self, rest: Rest):
        self._rest = rest
        self._began: float | None = None

    def next(self, over: Callable[[], bool] = lambda: False) -> None:
        """A piece begins: pause for the one before it."""
        if self._began is not None:
            self._rest(time.monotonic() - self._began, over)
        self._began = time.monotonic()


class RightOfWay:
    """Both sides of one engine, as the settings say; each may be missing, and then nothing happens.

    Attributes:
        goes_first, gives_way: of this engine.
    """

    def __init__(self, goes_first: GoesFirst | None = None, gives_way: GivesWay | None = None):
        self.goes_first, self.gives_way = goes_first, gives_way

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises `SettingsError`."""
        first, way = settings.go_first_file, settings.give_way_file
        return cls(GoesFirst(first.expanduser()) if first else None, GivesWay(way.expanduser()) if way else None)

    def tell(self, waiting: bool) -> None:
        """As `GoesFirst.tell`."""
        if self.goes_first is not None:
            self.goes_first.tell(waiting)

    def rest(self, worked_s: float, over: Callable[[], bool]) -> None:
        """As `GivesWay.after`."""
        if self.gives_way is not None:
            self.gives_way.after(worked_s, over)

    def paced(self) -> "Paced":
        return Paced(self.rest)

    def stats(self) -> dict[str, float]:
        """For the metrics, of the sides that are there."""
        held = {"goes_first": float(self.goes_first.is_held)} if self.goes_first else {}
        return held | ({"gave_way_seconds": self.gives_way.paused_s} if self.gives_way else {})

    def close(self) -> None:
        """Nobody gives way any more. The files are closed once no thread has them."""
        self.tell(False)
        self.goes_first = self.gives_way = None


def _opened(owner: object, path: Path, flag: str) -> int:
    """A descriptor that lives as long as its owner. Nothing is ever written to the file."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o660)
    except OSError as error:
        raise SettingsError(f"{flag} {path}: {error.strerror}.") from error
    weakref.finalize(owner, os.close, file)
    return file

"""What one request leaves for the next: encoded images, and the keys and values of a prefix.

Both are bounded in memory, forget the least recently used first and, after a while, everything.
A prefix is the same when its token ids are the same and its images are: an image's tokens
stand in the key as numbers made of its digest and grid.
"""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from qwen_demo.engines.batching.cache import SlotCache

# Shorter prefixes (a system prompt's) cost as much to find and copy as to read.
LEAST_PREFIX = 32


class EncoderCache:
    """Vision encoder outputs by content, size and pixel budget. Safe to use from several threads.

    Args:
        limit_bytes: of all kept tensors.
        max_age_s: since the last use.
    """

    def __init__(self, limit_bytes: int, max_age_s: float, clock: Callable[[], float] = time.monotonic):
        self._limit, self._max_age_s, self._clock = limit_bytes, max_age_s, clock
        self._kept: OrderedDict[tuple, tuple[object, float]] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def get(self, medium):
        """[tokens, hidden] of a `Medium`, or None."""
        with self._lock:
            self._forget_old()
            entry = self._kept.pop(encoder_key(medium), None)
            if entry is None:
                return None
            self._kept[encoder_key(medium)] = (entry[0], self._clock())
            return entry[0]

    def put(self, medium, features) -> None:
        if features.nbytes > self._limit:
            return
        with self._lock:
            key = encoder_key(medium)
            if key in self._kept:
                self._drop(key)
            self._kept[key] = (features, self._clock())
            self.bytes += features.nbytes
            while self.bytes > self._limit:
                self._drop(next(iter(self._kept)))

    def forget_old(self) -> None:
        with self._lock:
            self._forget_old()

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def _forget_old(self) -> None:
        oldest = self._clock() - self._max_age_s
        while self._kept and next(iter(self._kept.values()))[1] < oldest:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple) -> None:
        self.bytes -= self._kept.pop(key)[0].nbytes


def encoder_key(medium) -> tuple:
    """Equal for media whose encodings are equal."""
    # The grid says to what size the pixel budget brought the image.
    return medium.digest, medium.grid_thw, medium.is_video


def prefix_key(prompt) -> np.ndarray:
    """One number for each token of a `Prompt` -> [length] int64; equal numbers mean equal keys and values."""
    key = prompt.input_ids.numpy().astype(np.int64)
    for medium in prompt.media:
        name = f"{medium.digest} {medium.grid_thw} {medium.seconds_per_grid}".encode()
        # Negative, so that no image token equals a word's id.
        base = -int.from_bytes(hashlib.sha256(name).digest()[:7], "big") - 1
        key[medium.start : medium.start + medium.tokens] = base - np.arange(medium.tokens)
    return key


@dataclass(slots=True)
class Row:
    """What one slot of the cache holds.

    Attributes:
        key: of the tokens whose keys and values are there, see `prefix_key`.
        used_s: when a request last ran in it.
    """

    key: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    used_s: float = 0.0


class Slots:
    """Which request is in which slot; running ones are always the slots 0 to `running`.

    Free slots keep what their last request left, and the cache has more slots than ever run, so
    that something is kept under load too. A new request takes a prefix over or copies it from any
    slot, a running one's too.

    Args:
        cache: whose slots these are.
        reuse: whether prefixes are kept.
        max_age_s: after this time an unused prefix is forgotten.
        on_swap: told when a running request moves to another slot.
    """

    def __init__(
        self,
        cache: SlotCache,
        *,
        reuse: bool,
        max_age_s: float,
        on_swap: Callable[[int, int], None] = lambda a, b: None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._cache, self._reuse, self._max_age_s = cache, reuse, max_age_s
        self._on_swap, self._clock = on_swap, clock
        self.rows = [Row() for _ in range(cache.slots)]
        self.running = 0

    def take(self, key: np.ndarray) -> int:
        """Occupy slot `running`; gives how many tokens of `key` it already holds."""
        assert self.running < self._cache.slots, "no slot is free"
        target = self.running
        self.forget_old()
        source, cached = self._longest_prefix(key)
        victim = self._least_valuable()
        if cached and source >= self.running and (source == victim or 2 * cached >= len(self.rows[source].key)):
            self._swap(source, target)
        else:
            if victim != target:
                self._move(target, victim)
                source = victim if source == target else source
            if cached:
                self._cache.copy(source, target, cached)
        self.rows[target] = Row(key[:cached].copy(), self._clock())
        self.running += 1
        return cached

    def wrote(self, slot: int, key: np.ndarray) -> None:
        """Slot now holds keys and values of these tokens."""
        self.rows[slot].key = key

    def free(self, slot: int, *, keep: bool) -> None:
        """A request ended. The last running slot takes its place, so that none is left between."""
        assert slot < self.running
        row = self.rows[slot]
        row.used_s = self._clock()
        if not (keep and self._reuse):
            row.key = row.key[:0]
        self.running -= 1
        if slot != self.running:
            self._swap(slot, self.running)
            self._on_swap(slot, self.running)

    def forget_old(self) -> None:
        oldest = self._clock() - self._max_age_s
        for row in self.rows[self.running :]:
            if row.used_s < oldest:
                row.key = row.key[:0]

    def clear(self) -> None:
        """Nobody runs and nothing is kept."""
        self.rows = [Row() for _ in self.rows]
        self.running = 0

    def _longest_prefix(self, key: np.ndarray) -> tuple[int, int]:
        if not self._reuse:
            return 0, 0
        # The last token is read again: its output gives the first token of the answer.
        lengths = [_common(row.key, key[:-1]) for row in self.rows]
        source = int(np.argmax(lengths))
        return (source, lengths[source]) if lengths[source] >= LEAST_PREFIX else (0, 0)

    def _least_valuable(self) -> int:
        free = range(self.running, self._cache.slots)
        return min(free, key=lambda slot: (len(self.rows[slot].key) > 0, self.rows[slot].used_s, slot))

    def _move(self, source: int, target: int) -> None:
        self._cache.copy(source, target, len(self.rows[source].key))
        self.rows[target], self.rows[source] = self.rows[source], Row()

    def _swap(self, a: int, b: int) -> None:
        if a == b:
            return
        self._cache.swap(a, b, max(len(self.rows[a].key), len(self.rows[b].key)))
        self.rows[a], self.rows[b] = self.rows[b], self.rows[a]


def _common(a: np.ndarray, b: np.ndarray) -> int:
    """Length of the common prefix."""
    shorter = min(len(a), len(b))
    if not shorter or a[0] != b[0]:
        return 0
    differs = a[:shorter] != b[:shorter]
    return int(differs.argmax()) if differs.any() else shorter

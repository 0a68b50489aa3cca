"""Which request is in which slot of the key-value cache, and which prefix it finds there.

Free slots keep what their last request left: bounded, the least recently used is forgotten first
and, after a while, everything. A prefix is the same when its token ids are the same and its images
are: an image's tokens stand in the key as numbers made of its digest and grid.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from qwen_demo.engines.batching.kv_cache import KVCache
    from qwen_demo.models.prompt import Prompt

# Shorter prefixes (a system prompt's) cost as much to find and copy as to compute.
LEAST_PREFIX = 32

PrefixKey = npt.NDArray[np.int64]


def prefix_key(prompt: "Prompt", adapter: str = "") -> PrefixKey:
    """One number for each token of a `Prompt` -> [length] int64; equal numbers mean equal keys and values.

    Args:
        adapter: digest of the one that reads it.
    """
    key: PrefixKey = prompt.input_ids.numpy().astype(np.int64)
    for medium in prompt.media:
        name = f"{medium.digest} {medium.grid_thw} {medium.seconds_per_grid}".encode()
        # Negative, so that no image token equals a word's id.
        base = -int.from_bytes(hashlib.sha256(name).digest()[:7], "big") - 1
        key[medium.start : medium.start + medium.tokens] = base - np.arange(medium.tokens)
    key ^= adapter_mask(adapter)
    return key


def adapter_mask(digest: str) -> int:
    """What all of a key is changed by, the answer's too, where this adapter reads it; 0 for none."""
    return int.from_bytes(hashlib.sha256(digest.encode()).digest()[:7], "big") << 7 if digest else 0


@dataclass(slots=True)
class SlotContents:
    """What one slot of the cache holds.

    Attributes:
        key: of the tokens whose keys and values are there, see `prefix_key`.
        used_s: when a request last ran in it.
        newer: how many tokens of a running request may be there beyond those; they move with it.
    """

    key: PrefixKey = field(default_factory=lambda: np.empty(0, np.int64))
    used_s: float = 0.0
    newer: int = 0


class PrefixCache:
    """Slots and what they hold; running requests always have the slots 0 to `running`.

    The cache has more slots than ever run, so that something is kept under load too. A new request
    takes a prefix over or copies it from any slot, a running one's too.

    Args:
        cache: whose slots these are.
        reuse: whether prefixes are kept.
        max_age_s: after this time an unused prefix is forgotten.
        on_swap: called when running requests move to other slots.
        clock: monotonic, in seconds.

    Attributes:
        contents: of each slot.
        running: how many slots are taken.
    """

    def __init__(
        self,
        cache: "KVCache",
        *,
        reuse: bool,
        max_age_s: float,
        on_swap: Callable[[int, int], None] = lambda a, b: None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._cache, self._reuse, self._max_age_s = cache, reuse, max_age_s
        self._on_swap, self._clock = on_swap, clock
        self.contents = [SlotContents() for _ in range(cache.slots)]
        self.running = 0

    def allocate(self, key: PrefixKey) -> int:
        """Take slot `running` for a prompt; gives how many tokens of `key`, [prompt tokens], it already holds."""
        assert self.running < self._cache.slots, "no slot is free"
        target = self.running
        self.forget_old()
        source, cached = self._longest_prefix(key)
        victim = self._least_valuable()
        if cached and source >= self.running and (source == victim or 2 * cached >= len(self.contents[source].key)):
            self._swap(source, target)
        else:
            if victim != target:
                self._move(target, victim)
                source = victim if source == target else source
            if cached:
                self._cache.copy(source, target, cached)
        self.contents[target] = SlotContents(key[:cached].copy(), self._clock())
        self.running += 1
        return cached

    def record(self, slot: int, key: PrefixKey, newer: int = 0) -> None:
        """The slot holds keys and values of these tokens by now, and perhaps of some that nobody has read yet."""
        self.contents[slot].key, self.contents[slot].newer = key, newer

    def free(self, slot: int, *, keep: bool) -> None:
        """A request ended. The last running slot takes its place, so that no gap is left.

        Args:
            keep: whether what it holds may serve another request.
        """
        assert slot < self.running
        left = self.contents[slot]
        left.used_s, left.newer = self._clock(), 0
        if not (keep and self._reuse):
            left.key = left.key[:0]
        self.running -= 1
        if slot != self.running:
            self.swap(slot, self.running)

    def swap(self, a: int, b: int) -> None:
        """Requests change their slots."""
        self._swap(a, b)
        self._on_swap(a, b)

    def forget_old(self) -> None:
        oldest = self._clock() - self._max_age_s
        for left in self.contents[self.running :]:
            if left.used_s < oldest:
                left.key = left.key[:0]

    def clear(self) -> None:
        """Nobody runs and nothing is kept."""
        self.contents = [SlotContents() for _ in self.contents]
        self.running = 0

    def _longest_prefix(self, key: PrefixKey) -> tuple[int, int]:
        if not self._reuse:
            return 0, 0
        # The last token is computed again: its output gives the first token of the answer.
        lengths = [_common(left.key, key[:-1]) for left in self.contents]
        source = int(np.argmax(lengths))
        return (source, lengths[source]) if lengths[source] >= LEAST_PREFIX else (0, 0)

    def _least_valuable(self) -> int:
        free = range(self.running, self._cache.slots)
        return min(free, key=lambda slot: (len(self.contents[slot].key) > 0, self.contents[slot].used_s, slot))

    def _move(self, source: int, target: int) -> None:
        self._cache.copy(source, target, len(self.contents[source].key))
        self.contents[target], self.contents[source] = self.contents[source], SlotContents()

    def _swap(self, a: int, b: int) -> None:
        if a == b:
            return
        tokens = max(len(left.key) + left.newer for left in (self.contents[a], self.contents[b]))
        self._cache.swap(a, b, min(tokens, self._cache.length))
        self.contents[a], self.contents[b] = self.contents[b], self.contents[a]


def _common(a: PrefixKey, b: PrefixKey) -> int:
    """Length of the common prefix."""
    shorter = min(len(a), len(b))
    if not shorter or a[0] != b[0]:
        return 0
    differs = a[:shorter] != b[:shorter]
    return int(differs.argmax()) if differs.any() else shorter

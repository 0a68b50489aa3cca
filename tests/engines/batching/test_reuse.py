"""Slots, prefixes and encoded images: bounded, never mixed up, forgotten in order."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qwen_demo.engines.batching.cache import SlotCache
from qwen_demo.engines.batching.reuse import LEAST_PREFIX, EncoderCache, Slots, prefix_key
from qwen_demo.models.prompt import Medium
from tests.conftest import image, question

CPU = torch.device("cpu")
LENGTH = 160


def small_cache(slots: int) -> SlotCache:
    return SlotCache([CPU, CPU], slots=slots, length=LENGTH, kv_heads=1, head_dim=2, dtype=torch.float32)


def write(cache: SlotCache, slot: int, key: np.ndarray, start: int) -> None:
    """Stand-in for a forward pass: a token's cached values depend on the whole prefix, as the real ones do."""
    history = np.cumsum(key * (np.arange(len(key)) + 1)) % 10007
    for bank in cache.banks.values():
        bank[:, :, slot, :, start : len(key)] = torch.from_numpy(history[start:]).float()[:, None]


class SlotsMachine(RuleBasedStateMachine):
    """Requests come and go; what a slot holds is always what its request wrote."""

    @initialize(slots=st.integers(1, 4), kept=st.integers(0, 3), reuse=st.booleans())
    def build(self, slots, kept, reuse):
        self.now = 0.0
        self.most = slots
        self.cache = small_cache(slots + kept)
        self.slots = Slots(self.cache, reuse=reuse, max_age_s=50, on_swap=self.swapped, clock=lambda: self.now)
        self.keys: list[np.ndarray | None] = [None] * slots

    def swapped(self, a, b):
        self.keys[a], self.keys[b] = self.keys[b], self.keys[a]

    @precondition(lambda self: self.slots.running < self.most)
    @rule(trunk=st.integers(0, 2), shared=st.integers(0, 120), own=st.integers(1, 30), tail=st.integers(100, 105))
    def begin(self, trunk, shared, own, tail):
        key = np.concatenate([np.full(shared, trunk), np.full(own, tail)])
        slot = self.slots.running
        cached = self.slots.take(key)
        assert cached < len(key)
        assert cached == 0 or cached >= LEAST_PREFIX
        write(self.cache, slot, key, cached)
        self.keys[slot] = key
        self.slots.wrote(slot, key)

    @precondition(lambda self: self.slots.running)
    @rule(data=st.data(), keep=st.booleans())
    def end(self, data, keep):
        slot = data.draw(st.integers(0, self.slots.running - 1))
        self.keys[slot] = None
        self.slots.free(slot, keep=keep)

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds):
        self.now += seconds

    @invariant()
    def every_running_slot_holds_its_own_request(self):
        if not hasattr(self, "slots"):
            return
        running = self.slots.running
        assert all((key is not None) == (slot < running) for slot, key in enumerate(self.keys))
        expected = small_cache(self.cache.slots)
        for slot, row in enumerate(self.slots.rows):
            if slot < running:
                assert np.array_equal(row.key, self.keys[slot])
            write(expected, slot, row.key, 0)
            for made, wanted in zip(self.cache.banks.values(), expected.banks.values(), strict=True):
                held = len(row.key)
                assert torch.equal(made[:, :, slot, :, :held], wanted[:, :, slot, :, :held])


SlotsMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestSlots = SlotsMachine.TestCase


def idle_after(slots: Slots, key: np.ndarray) -> int:
    cached = slots.take(key)
    slots.wrote(slots.running - 1, key)
    slots.free(slots.running - 1, keep=True)
    return cached


def test_the_least_recently_used_prefix_is_forgotten_first():
    now = [0.0]
    slots = Slots(small_cache(2), reuse=True, max_age_s=1000, clock=lambda: now[0])
    a, b, c = (np.full(100, n) for n in range(3))
    for key in (a, b, a, c):
        now[0] += 1
        idle_after(slots, key)
    assert (idle_after(slots, a), idle_after(slots, b)) == (99, 0)


def test_an_unused_prefix_is_forgotten_after_a_while():
    now = [0.0]
    slots = Slots(small_cache(2), reuse=True, max_age_s=10, clock=lambda: now[0])
    idle_after(slots, np.full(100, 1))
    now[0] = 11.0
    assert idle_after(slots, np.full(100, 1)) == 0


def medium(digest: str, tokens: int = 10, grid=(1, 4, 10), seconds: float = 0.0) -> Medium:
    return Medium(digest, grid, 0, tokens, torch.empty(0), seconds)


def test_encoded_images_stay_within_their_bytes():
    cache = EncoderCache(limit_bytes=3 * 400, max_age_s=100)
    for name in "abcd":
        cache.put(medium(name), torch.zeros(10, 10))
        cache.get(medium("a"))
    assert cache.bytes == 1200 and len(cache) == 3
    assert cache.get(medium("b")) is None and cache.get(medium("a")) is not None
    cache.put(medium("huge"), torch.zeros(1000, 10))
    assert cache.get(medium("huge")) is None and cache.bytes == 1200


@pytest.mark.parametrize("other", [medium("b"), medium("a", grid=(1, 10, 4)), medium("a", seconds=1.0)], ids=str)
def test_another_image_size_or_kind_is_another_key(other):
    cache = EncoderCache(limit_bytes=10_000, max_age_s=100)
    cache.put(medium("a"), torch.zeros(10, 10))
    assert cache.get(other) is None


def test_encoded_images_are_forgotten_after_a_while():
    now = [0.0]
    cache = EncoderCache(10_000, max_age_s=10, clock=lambda: now[0])
    cache.put(medium("a"), torch.zeros(10, 10))
    now[0] = 11.0
    assert cache.get(medium("a")) is None and cache.bytes == 0


def test_equal_prompts_have_equal_keys_up_to_where_they_differ(loaded):
    red, blue = (loaded.prompts.build(question("What?", image(colour))) for colour in ("red", "blue"))
    again = loaded.prompts.build(question("What else?", image("red")))
    start = red.media[0].start
    keys = [prefix_key(prompt) for prompt in (red, blue, again)]
    assert np.array_equal(keys[0][:start], keys[1][:start])
    assert (keys[0][start : start + red.media[0].tokens] != keys[1][start : start + red.media[0].tokens]).all()
    assert np.array_equal(keys[0][: start + red.media[0].tokens], keys[2][: start + red.media[0].tokens])

"""Slots and the prefixes that they keep: never mixed up, forgotten in order."""

import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from qwen_demo.engines.batching import kv_cache
from qwen_demo.engines.batching.kv_cache import KVCache
from qwen_demo.engines.batching.prefix_cache import LEAST_PREFIX, PrefixCache, prefix_key
from tests.conftest import image, question

CPU = torch.device("cpu")
LENGTH = 160


def small_cache(slots: int) -> KVCache:
    return KVCache([CPU, CPU], slots=slots, length=LENGTH, kv_heads=1, head_dim=2, dtype=torch.float32)


def write(cache: KVCache, slot: int, key: np.ndarray, start: int) -> None:
    """Stand-in for a forward pass: a token's cached values depend on the whole prefix, as the real ones do."""
    history = np.cumsum(key * (np.arange(len(key)) + 1)) % 10007
    for bank in cache.banks.values():
        bank[:, :, slot, :, start : len(key)] = torch.from_numpy(history[start:]).float()[:, None]


class PrefixCacheMachine(RuleBasedStateMachine):
    """Requests come and go; what a slot holds is always what its request wrote."""

    @initialize(slots=st.integers(1, 4), kept=st.integers(0, 3), reuse=st.booleans())
    def build(self, slots, kept, reuse):
        self.now = 0.0
        self.most = slots
        self.cache = small_cache(slots + kept)
        self.prefixes = PrefixCache(self.cache, reuse=reuse, max_age_s=50, on_swap=self.swapped, clock=lambda: self.now)
        self.keys: list[np.ndarray | None] = [None] * slots

    def swapped(self, a, b):
        self.keys[a], self.keys[b] = self.keys[b], self.keys[a]

    @precondition(lambda self: self.prefixes.running < self.most)
    @rule(trunk=st.integers(0, 2), shared=st.integers(0, 120), own=st.integers(1, 30), tail=st.integers(100, 105))
    def begin(self, trunk, shared, own, tail):
        key = np.concatenate([np.full(shared, trunk), np.full(own, tail)])
        slot = self.prefixes.running
        cached = self.prefixes.allocate(key)
        assert cached < len(key)
        assert cached == 0 or cached >= LEAST_PREFIX
        write(self.cache, slot, key, cached)
        self.keys[slot] = key
        self.prefixes.record(slot, key)

    @precondition(lambda self: self.prefixes.running)
    @rule(data=st.data(), keep=st.booleans())
    def end(self, data, keep):
        slot = data.draw(st.integers(0, self.prefixes.running - 1))
        self.keys[slot] = None
        self.prefixes.free(slot, keep=keep)

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds):
        self.now += seconds

    @invariant()
    def every_running_slot_holds_its_own_request(self):
        if not hasattr(self, "prefixes"):
            return
        running = self.prefixes.running
        assert all((key is not None) == (slot < running) for slot, key in enumerate(self.keys))
        expected = small_cache(self.cache.slots)
        for slot, held in enumerate(self.prefixes.contents):
            if slot < running:
                assert np.array_equal(held.key, self.keys[slot])
            write(expected, slot, held.key, 0)
            for made, wanted in zip(self.cache.banks.values(), expected.banks.values(), strict=True):
                held = len(held.key)
                assert torch.equal(made[:, :, slot, :, :held], wanted[:, :, slot, :, :held])


PrefixCacheMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestPrefixCache = PrefixCacheMachine.TestCase


def idle_after(prefixes: PrefixCache, key: np.ndarray) -> int:
    cached = prefixes.allocate(key)
    prefixes.record(prefixes.running - 1, key)
    prefixes.free(prefixes.running - 1, keep=True)
    return cached


def test_the_least_recently_used_prefix_is_forgotten_first():
    now = [0.0]
    prefixes = PrefixCache(small_cache(2), reuse=True, max_age_s=1000, clock=lambda: now[0])
    a, b, c = (np.full(100, n) for n in range(3))
    for key in (a, b, a, c):
        now[0] += 1
        idle_after(prefixes, key)
    assert (idle_after(prefixes, a), idle_after(prefixes, b)) == (99, 0)


def test_what_nobody_has_read_yet_moves_with_its_request():
    cache = small_cache(2)
    prefixes = PrefixCache(cache, reuse=True, max_age_s=100)
    keys = [np.arange(40) + 100 * slot for slot in range(2)]
    for slot, key in enumerate(keys):
        prefixes.allocate(key)
        write(cache, slot, np.append(key, [-7, -8]), 0)
        prefixes.record(slot, key, newer=2)
    expected = cache.layer(0)[:, 1, :, :42].clone()
    prefixes.free(0, keep=True)
    assert torch.equal(cache.layer(0)[:, 0, :, :42], expected)


def test_an_unused_prefix_is_forgotten_after_a_while():
    now = [0.0]
    prefixes = PrefixCache(small_cache(2), reuse=True, max_age_s=10, clock=lambda: now[0])
    idle_after(prefixes, np.full(100, 1))
    now[0] = 11.0
    assert idle_after(prefixes, np.full(100, 1)) == 0


def test_equal_prompts_have_equal_keys_up_to_where_they_differ(loaded):
    red, blue = (loaded.prompts.build(question("What?", image(colour))) for colour in ("red", "blue"))
    again = loaded.prompts.build(question("What else?", image("red")))
    start = red.media[0].start
    keys = [prefix_key(prompt) for prompt in (red, blue, again)]
    assert np.array_equal(keys[0][:start], keys[1][:start])
    assert (keys[0][start : start + red.media[0].tokens] != keys[1][start : start + red.media[0].tokens]).all()
    assert np.array_equal(keys[0][: start + red.media[0].tokens], keys[2][: start + red.media[0].tokens])


def test_slots_that_change_places_bit_by_bit_change_all_they_hold(monkeypatch):
    monkeypatch.setattr(kv_cache, "SWAPPED_AT_ONCE", 16)
    cache = small_cache(2)
    keys = [np.arange(1, 51), np.arange(7, 27)]
    for slot, key in enumerate(keys):
        write(cache, slot, key, 0)
    before = [bank.clone() for bank in cache.banks.values()]
    cache.swap(0, 1, 50)
    for old, bank in zip(before, cache.banks.values(), strict=True):
        assert torch.equal(bank[:, :, 0, :, :50], old[:, :, 1, :, :50])
        assert torch.equal(bank[:, :, 1, :, :50], old[:, :, 0, :, :50])

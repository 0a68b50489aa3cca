"""Encoded images are found again by content, bounded in memory and forgotten in order."""

import pytest
import torch

from qwen_demo.engines.batching.encoder_cache import EncoderCache
from qwen_demo.models.prompt import Medium


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

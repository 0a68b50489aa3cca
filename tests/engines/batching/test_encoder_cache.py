"""Encoded images are found again by content, bounded in memory and forgotten in order."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from qwen_demo.engines.batching.encoder_cache import CachedEncoder, EncoderCache
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


def test_each_pass_over_many_images_is_told_and_what_all_have_left_is_not_gone_on_with():
    """Else eight photographs on a CPU are one step that seems to hang, and Stop does not end it."""

    class Vision:
        passes = 0

        def encode(self, images):
            self.passes += 1
            return [torch.zeros(1, 2) for _ in images]

    def job(**more):
        media = tuple(replace(medium(str(number)), pixels=torch.zeros(1)) for number in range(8))
        return SimpleNamespace(
            prompt=SimpleNamespace(media=media), cancelled=False, encoder_hits=0, drop_pixels=lambda: None, **more
        )

    vision, moves = Vision(), []
    encoder = CachedEncoder(vision, EncoderCache(0, 1.0), patches_at_once=0)
    whole = job()
    encoder.encode([whole], lambda: moves.append(vision.passes))
    assert moves == list(range(1, 9)) and len(whole.features) == 8
    left = job()
    encoder.encode([left], lambda: setattr(left, "cancelled", True))
    assert vision.passes == 9 and not hasattr(left, "features")


def test_encoded_images_are_forgotten_after_a_while():
    now = [0.0]
    cache = EncoderCache(10_000, max_age_s=10, clock=lambda: now[0])
    cache.put(medium("a"), torch.zeros(10, 10))
    now[0] = 11.0
    assert cache.get(medium("a")) is None and cache.bytes == 0

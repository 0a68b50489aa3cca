"""Encoded images: kept by content, and made in as few passes of the vision encoder as fit.

Bounded in memory; forgets the least recently used first and, after a while, everything.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from qwen_demo.engines.batching.job import Job

if TYPE_CHECKING:
    import torch

    from qwen_demo.engines.batching.model.vision import StockVisionEncoder, VisionEncoder
    from qwen_demo.models.prompt import Medium

Key = tuple[str, tuple[int, int, int], bool]


class EncoderCache:
    """Vision encoder outputs by content, size and pixel budget. Safe to use from several threads.

    Args:
        limit_bytes: of all kept tensors.
        max_age_s: since the last use.
        clock: monotonic, in seconds.
    """

    def __init__(self, limit_bytes: int, max_age_s: float, clock: Callable[[], float] = time.monotonic):
        self._limit, self._max_age_s, self._clock = limit_bytes, max_age_s, clock
        self._kept: OrderedDict[Key, tuple[torch.Tensor, float]] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def get(self, medium: "Medium") -> "torch.Tensor | None":
        """[tokens, hidden] of a `Medium`, in the model's dtype, or None."""
        with self._lock:
            self._forget_old()
            entry = self._kept.pop(encoder_key(medium), None)
            if entry is None:
                return None
            self._kept[encoder_key(medium)] = (entry[0], self._clock())
            return entry[0]

    def put(self, medium: "Medium", features: "torch.Tensor") -> None:
        """Keep [tokens, hidden], unless it is larger than everything may be."""
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

    def __len__(self) -> int:
        return len(self._kept)

    def stats(self) -> dict[str, float]:
        return {"encoder_cache_bytes": self.bytes, "encoder_cache_images": len(self)}

    def _forget_old(self) -> None:
        oldest = self._clock() - self._max_age_s
        while self._kept and next(iter(self._kept.values()))[1] < oldest:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        self.bytes -= self._kept.pop(key)[0].nbytes


def encoder_key(medium: "Medium") -> Key:
    """Equal for media whose encodings are equal."""
    # The grid says to what size the pixel budget brought the image.
    return medium.digest, medium.grid_thw, medium.is_video


class CachedEncoder:
    """The vision encoder behind its cache.

    Args:
        vision: runs passes.
        cache: of its results.
        patches_at_once: images of several requests go through the encoder together up to this size.
    """

    def __init__(self, vision: "VisionEncoder | StockVisionEncoder", cache: EncoderCache, patches_at_once: int):
        self.vision, self.cache, self.patches_at_once = vision, cache, patches_at_once

    def encode(self, jobs: Sequence[Job], moved: Callable[[], None] = lambda: None) -> None:
        """Give jobs their `features`; an image that several have is encoded once. Their pixels are dropped.

        Args:
            moved: called after each pass. What all callers have left by then is not gone on with.
        """
        began = time.perf_counter()
        known: dict[Key, torch.Tensor] = {}
        missing: dict[Key, Medium] = {}
        for job in jobs:
            hits = []
            for medium in job.prompt.media:
                key = encoder_key(medium)
                if key not in known and (features := self.cache.get(medium)) is not None:
                    known[key] = features
                hits.append(key in known or key in missing)
                if not hits[-1]:
                    missing[key] = medium
            job.encoder_hit, job.encoder_hits = tuple(hits), sum(hits)
        for media in self._passes(missing.values()):
            made = self.vision.encode([(medium.pixels, medium.grid_thw) for medium in media])
            for medium, features in zip(media, made, strict=True):
                known[encoder_key(medium)] = features
                self.cache.put(medium, features)
            moved()
            if all(job.cancelled for job in jobs):
                return
        for job in jobs:
            job.features = tuple(known[encoder_key(medium)] for medium in job.prompt.media)
            job.drop_pixels()
            if job.encoder_hits < len(job.features):
                job.vision_s = time.perf_counter() - began

    def _passes(self, media: "Iterable[Medium]") -> "list[list[Medium]]":
        """Those that go through the encoder together."""
        passes: list[list[Medium]] = []
        room = 0
        for medium in media:
            patches = medium.patch_count
            if patches > room:
                passes.append([])
                room = self.patches_at_once
            passes[-1].append(medium)
            room -= patches
        return passes

"""Everything before the queue, on two threads of its own: pixels and prompt, then the vision encoder.

The owner thread goes on decoding meanwhile. Requests are prepared in the order of their arrival,
those without images pass by the encoder, and only a few are ahead of admission, because prepared
images take memory. Small images that wait together are encoded together.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from qwen_demo.engines.batching.job import Job
from qwen_demo.engines.batching.reuse import encoder_key, prefix_key
from qwen_demo.errors import ContextTooLong, DeadlineExceeded, EngineFailed, OutOfMemory, QwenDemoError
from qwen_demo.sentences import Sentence

if TYPE_CHECKING:
    from qwen_demo.engines.batching.reuse import EncoderCache
    from qwen_demo.models.prompt import Medium

log = logging.getLogger(__name__)

# Prepared and not yet admitted: so many requests, with so many image tokens among them.
AHEAD, AHEAD_IMAGE_TOKENS = 8, 8192


class Intake:
    """Turns requests into prompts with encoded images.

    Args:
        prompts: the model's `PromptBuilder`.
        encoder: `VisionEncoder`.
        encoded: cache of its results.
        patches_at_once: images of several requests go through the encoder together up to this size.
        slot_tokens: the longest request that can ever run.
        make_output: request, sampling -> `Output`.
        make_constraint: JSON schema -> `Constraint`.
        on_ready: receives a prepared job.
        on_failed: receives a job and why it cannot run.
        on_threads: run first on the threads of prompts and of the encoder.
    """

    def __init__(
        self,
        *,
        prompts,
        encoder,
        encoded: "EncoderCache",
        patches_at_once: int,
        slot_tokens: int,
        make_output: Callable,
        make_constraint: Callable,
        on_ready: Callable[[Job], None],
        on_failed: Callable[[Job, Exception], None],
        on_threads: tuple[Callable[[], None], Callable[[], None]],
    ):
        self._prompts, self._encoder, self.encoded = prompts, encoder, encoded
        self._patches_at_once, self._slot_tokens = patches_at_once, slot_tokens
        self._make_output, self._make_constraint = make_output, make_constraint
        self._on_ready, self._on_failed = on_ready, on_failed
        self._pending: deque[Job] = deque()
        self._built: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._ahead: dict[Job, int] = {}  # image tokens of each prepared job
        self._busy_since: dict[str, float] = {}
        self._threads = [
            threading.Thread(target=run, args=(first,), name=name, daemon=True)
            for name, run, first in zip(
                ("prompts", "encoder"), (self._build_prompts, self._encode_images), on_threads, strict=True
            )
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    @property
    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    @property
    def busy_since(self) -> float | None:
        """When the older of the two threads' works began."""
        return min(list(self._busy_since.values()), default=None)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self, timeout_s: float) -> None:
        """Wait for the threads to end; until then they hold the model."""
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0, end - time.monotonic()))

    def add(self, job: Job) -> None:
        with self._changed:
            self._pending.append(job)
            self._changed.notify_all()

    def discard(self, job: Job) -> bool:
        """Forget a job that has not been started on; whether there was one."""
        with self._changed:
            if job in self._pending:
                self._pending.remove(job)
                return True
            return False

    def left(self, job: Job) -> None:
        """A prepared job no longer waits."""
        with self._changed:
            del self._ahead[job]
            self._changed.notify_all()

    @property
    def _may_prepare(self) -> bool:
        room = len(self._ahead) < AHEAD and sum(self._ahead.values()) < AHEAD_IMAGE_TOKENS
        return bool(self._pending) and (room or not self._ahead)

    def _build_prompts(self, first: Callable[[], None]) -> None:
        first()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._may_prepare)
                if self._closed:
                    return
                job = self._pending.popleft()
                self._ahead[job] = 0
                self._busy_since["prompts"] = time.monotonic()
            self._prepare(job)
            with self._changed:
                del self._busy_since["prompts"]
                self._changed.notify_all()

    def _prepare(self, job: Job) -> None:
        """Every job goes on to the encoder, or leaves through `on_ready` or `on_failed`."""
        try:
            if not job.cancelled:
                self._build(job)
        except Exception as error:
            self._fail(job, error)
            return
        if job.cancelled or not job.prompt.media:
            self._on_ready(job)
            return
        with self._changed:
            self._built.append(job)
            self._changed.notify_all()

    def _encode_images(self, first: Callable[[], None]) -> None:
        first()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._may_encode)
                if self._closed:
                    return
                jobs = self._next_built()
                self._busy_since["encoder"] = time.monotonic()
            self._encode(jobs)
            del self._busy_since["encoder"]

    @property
    def _may_encode(self) -> bool:
        """There is an image; small ones wait for those whose prompts are being built."""
        patches = sum(map(_patches, self._built))
        more = patches < self._patches_at_once and (self._may_prepare or "prompts" in self._busy_since)
        return bool(self._built) and not more

    def _next_built(self) -> list[Job]:
        jobs = [self._built.popleft()]
        patches = _patches(jobs[0])
        while self._built and patches + _patches(self._built[0]) <= self._patches_at_once:
            patches += _patches(self._built[0])
            jobs.append(self._built.popleft())
        return jobs

    def _encode(self, jobs: list[Job]) -> None:
        """Every job leaves through `on_ready` or `on_failed`; what fails for several is tried one by one."""
        import torch

        try:
            self._encode_together([job for job in jobs if not job.cancelled])
        except Exception as error:
            if isinstance(error, torch.OutOfMemoryError):
                torch.cuda.empty_cache()
            if len(jobs) == 1:
                self._fail(jobs[0], error)
                return
            for job in jobs:
                self._encode([job])
            return
        for job in jobs:
            self._on_ready(job)

    def _fail(self, job: Job, error: Exception) -> None:
        import torch

        self.left(job)
        if isinstance(error, torch.OutOfMemoryError):
            error = out_of_memory(error)
        elif not isinstance(error, QwenDemoError):
            log.error("request %s failed in the prompt or the vision encoder", job.request.request_id, exc_info=error)
            error = failed(error)
        self._on_failed(job, error)

    def _build(self, job: Job) -> None:
        if time.perf_counter() > job.deadline:
            raise waited_too_long()
        started = time.perf_counter()
        job.prompt = self._prompts.build(job.request)
        asked = job.request.sampling
        room = self._prompts.room(job.prompt, asked.max_new_tokens)
        if job.prompt.length >= self._slot_tokens:
            raise ContextTooLong(
                Sentence(
                    "The conversation has {tokens} tokens ({images} of them images), and memory holds {limit} for "
                    "one request with its answer. Clear the conversation, send fewer or smaller images, or lower the "
                    "pixel budget; whoever runs this program can raise --slot-tokens or --kv-cache-mib.",
                    tokens=job.prompt.length,
                    images=job.prompt.image_tokens,
                    limit=self._slot_tokens,
                ),
                field="messages",
            )
        job.sampling = replace(asked, max_new_tokens=min(room, self._slot_tokens - job.prompt.length))
        job.output = self._make_output(job.request, job.sampling)
        if asked.json_schema:
            job.constraint = self._make_constraint(asked.json_schema)
        job.key = prefix_key(job.prompt)
        job.preprocess_s = time.perf_counter() - started
        self._ahead[job] = job.prompt.image_tokens

    def _encode_together(self, jobs: list[Job]) -> None:
        began = time.perf_counter()
        known: dict[tuple, object] = {}
        missing: dict[tuple, Medium] = {}
        for job in jobs:
            hits = []
            for medium in job.prompt.media:
                key = encoder_key(medium)
                if key not in known and (features := self.encoded.get(medium)) is not None:
                    known[key] = features
                hits.append(key in known or key in missing)
                if not hits[-1]:
                    missing[key] = medium
            job.encoder_hit, job.encoder_hits = tuple(hits), sum(hits)
        for media in self._passes(missing.values()):
            made = self._encoder.encode([(medium.pixels, medium.grid_thw) for medium in media])
            for medium, features in zip(media, made, strict=True):
                known[encoder_key(medium)] = features
                self.encoded.put(medium, features)
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
            patches = medium.pixels.shape[0]
            if patches > room:
                passes.append([])
                room = self._patches_at_once
            passes[-1].append(medium)
            room -= patches
        return passes


def _patches(job: Job) -> int:
    return sum(medium.pixels.shape[0] for medium in job.prompt.media)


def out_of_memory(cause: Exception) -> OutOfMemory:
    error = OutOfMemory(
        "This request needed more memory than is free. Send fewer or smaller images, lower the pixel budget or the "
        "answer's length, or try again when fewer people ask."
    )
    error.__cause__ = cause
    return error


def waited_too_long() -> DeadlineExceeded:
    return DeadlineExceeded("The request waited longer than it may. Try again when fewer people ask.")


def failed(cause: Exception) -> EngineFailed:
    error = EngineFailed("The model failed on this request; the cause is in the server's log.")
    error.__cause__ = cause
    return error

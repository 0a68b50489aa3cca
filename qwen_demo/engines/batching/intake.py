"""Everything before the queue, on a thread of its own: pixels, prompt, vision encoder.

The owner thread goes on decoding meanwhile. Requests are prepared in the order of their arrival,
and only a few ahead of admission, because prepared pictures take memory.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from qwen_demo.engines.batching.job import Job
from qwen_demo.errors import ContextTooLong, DeadlineExceeded, EngineFailed, OutOfMemory, QwenDemoError
from qwen_demo.sentences import Sentence

if TYPE_CHECKING:
    from qwen_demo.engines.batching.reuse import EncoderCache

log = logging.getLogger(__name__)

# Prepared and not yet admitted: so many requests, with so many picture tokens among them.
AHEAD, AHEAD_PICTURE_TOKENS = 8, 16384


class Intake:
    """Turns requests into prompts with encoded pictures.

    Args:
        prompts: the model's `PromptBuilder`.
        encoder: `VisionEncoder`.
        encoded: cache of its results.
        slot_tokens: the longest request that can ever run.
        make_output: request, sampling -> `Output`.
        make_constraint: JSON schema -> `Constraint`.
        on_ready: receives a prepared job.
        on_failed: receives a job and why it cannot run.
        on_thread: runs first on the thread.
    """

    def __init__(
        self,
        *,
        prompts,
        encoder,
        encoded: "EncoderCache",
        slot_tokens: int,
        make_output: Callable,
        make_constraint: Callable,
        on_ready: Callable[[Job], None],
        on_failed: Callable[[Job, Exception], None],
        on_thread: Callable[[], None] = lambda: None,
    ):
        self._prompts, self._encoder, self.encoded = prompts, encoder, encoded
        self._slot_tokens = slot_tokens
        self._make_output, self._make_constraint = make_output, make_constraint
        self._on_ready, self._on_failed, self._on_thread = on_ready, on_failed, on_thread
        self._pending: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._ahead: dict[Job, int] = {}  # picture tokens of each prepared job
        self.busy_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def add(self, job: Job) -> None:
        with self._changed:
            self._pending.append(job)
            self._changed.notify()

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
            self._changed.notify()

    @property
    def _may_prepare(self) -> bool:
        room = len(self._ahead) < AHEAD and sum(self._ahead.values()) < AHEAD_PICTURE_TOKENS
        return bool(self._pending) and (room or not self._ahead)

    def _run(self) -> None:
        self._on_thread()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._may_prepare)
                if self._closed:
                    return
                job = self._pending.popleft()
                self._ahead[job] = 0
            self.busy_since = time.monotonic()
            self._prepare(job)
            self.busy_since = None

    def _prepare(self, job: Job) -> None:
        """Every job leaves through `on_ready` or `on_failed`."""
        import torch

        try:
            if not job.cancelled:
                self._build(job)
        except QwenDemoError as error:
            self._fail(job, error)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            self._fail(job, out_of_memory(error))
        except Exception as error:
            log.exception("request %s failed in the vision encoder or the prompt", job.request.request_id)
            self._fail(job, failed(error))
        else:
            self._on_ready(job)

    def _fail(self, job: Job, error: Exception) -> None:
        self.left(job)
        self._on_failed(job, error)

    def _build(self, job: Job) -> None:
        if time.perf_counter() > job.deadline:
            raise waited_too_long()
        from qwen_demo.engines.batching.reuse import prefix_key

        started = time.perf_counter()
        job.prompt = self._prompts.build(job.request)
        asked = job.request.sampling
        room = self._prompts.room(job.prompt, asked.max_new_tokens)
        if job.prompt.length >= self._slot_tokens:
            raise ContextTooLong(
                Sentence(
                    "The conversation has {tokens} tokens ({pictures} of them pictures), and memory holds {limit} for "
                    "one request with its answer. Clear the conversation, send fewer or smaller pictures, or lower the "
                    "pixel budget; whoever runs this program can raise --slot-tokens or --kv-cache-mib.",
                    tokens=job.prompt.length,
                    pictures=job.prompt.picture_tokens,
                    limit=self._slot_tokens,
                ),
                field="messages",
            )
        job.sampling = replace(asked, max_new_tokens=min(room, self._slot_tokens - job.prompt.length))
        job.output = self._make_output(job.request, job.sampling)
        if asked.json_schema:
            job.constraint = self._make_constraint(asked.json_schema)
        job.key = prefix_key(job.prompt)
        built = time.perf_counter()
        job.preprocess_s = built - started
        self._ahead[job] = job.prompt.picture_tokens
        job.features = tuple(self._encode(job, medium) for medium in job.prompt.media)
        job.drop_pixels()
        if job.encoder_hits < len(job.features):
            job.vision_s = time.perf_counter() - built

    def _encode(self, job: Job, medium):
        features = self.encoded.get(medium)
        job.encoder_hit += (features is not None,)
        if features is not None:
            job.encoder_hits += 1
            return features
        features = self._encoder.encode(medium.pixels, medium.grid_thw)
        self.encoded.put(medium, features)
        return features


def out_of_memory(cause: Exception) -> OutOfMemory:
    error = OutOfMemory(
        "This request needed more memory than is free. Send fewer or smaller pictures, lower the pixel budget or the "
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

"""Everything before the scheduler's queue, on threads of its own: pixels and prompt, a grammar, the vision encoder.

The engine's loop goes on decoding meanwhile. Requests are prepared in the order of their arrival, but those in words
alone wait neither for the pixels nor for the grammars of others: a clip takes a second to cut, a large schema half of
one. Only a few are ahead of admission, as prepared images take memory; small ones that wait are encoded together.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from qwen_demo.engines.batching.encoder_cache import CachedEncoder
from qwen_demo.engines.batching.job import Job, failed, out_of_memory, waited_too_long
from qwen_demo.engines.batching.model.adapters import AdapterTable
from qwen_demo.engines.batching.prefix_cache import adapter_mask, prefix_key
from qwen_demo.engines.grammar import Constraint
from qwen_demo.engines.memory_errors import is_out_of_memory
from qwen_demo.engines.output import Output
from qwen_demo.engines.right_of_way import Rest
from qwen_demo.errors import ContextTooLong, InvalidRequest, QwenDemoError
from qwen_demo.models.prompt import PromptBuilder
from qwen_demo.sentences import Sentence
from qwen_demo.types import Adapter, ChatRequest, Sampling, Text

log = logging.getLogger(__name__)

# Prepared and not yet admitted: so many requests, with so many image tokens among them.
AHEAD, AHEAD_IMAGE_TOKENS = 8, 8192


class Preprocessor:
    """Turns requests into prompts with encoded images.

    Args:
        prompts: of the model.
        encoder: of its images.
        slot_tokens: the longest request that can ever run.
        make_output: request, sampling -> `Output`.
        make_constraint: of what an answer must be, for a job that has its output.
        on_ready: receives a prepared job, which `release` must end.
        on_failed: receives a job and why it cannot run.
        adapters: where a request's adapter is loaded, and is held until `let_go`; None where nothing has one.
        on_threads: run first on the threads of prompts and grammars, and on that of the encoder.
        rest: pauses after images that others were slowed down by.
    """

    def __init__(
        self,
        *,
        prompts: PromptBuilder,
        encoder: CachedEncoder,
        slot_tokens: int,
        make_output: Callable[[ChatRequest, Sampling], Output],
        make_constraint: Callable[[Job], Constraint | None],
        on_ready: Callable[[Job], None],
        on_failed: Callable[[Job, Exception], None],
        on_threads: tuple[Callable[[], None], Callable[[], None]],
        adapters: AdapterTable | None = None,
        rest: Rest = lambda worked_s, over: None,
    ):
        self._adapters, self._rest = adapters, rest
        self.prompts, self.encoder, self._slot_tokens = prompts, encoder, slot_tokens
        self._make_output, self._make_constraint = make_output, make_constraint
        self._on_ready, self._on_failed = on_ready, on_failed
        # Words alone, and with images.
        self._pending: dict[str, deque[Job]] = {"words": deque(), "pixels": deque()}
        self._free: deque[Job] = deque()  # built, and without the grammar that it is to be held to
        self._built: deque[Job] = deque()  # and not yet encoded
        self._changed = threading.Condition()
        self._closed = False
        self._ahead: dict[Job, int] = {}  # image tokens of each prepared job
        self._busy_since: dict[str, float] = {}
        self._threads = [
            threading.Thread(target=run, args=(name, first), name=name, daemon=True)
            for name, run, first in (
                ("words", self._build_prompts, on_threads[0]),
                ("pixels", self._build_prompts, on_threads[0]),
                ("grammars", self._hold_answers, on_threads[0]),
                ("encoder", self._encode_images, on_threads[1]),
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
        """When the oldest of the threads' works began, on the clock of `time.monotonic`."""
        return min(list(self._busy_since.values()), default=None)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def join(self, timeout_s: float) -> None:
        """Wait for the threads to end, which `close` makes them; until then they hold the model."""
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0, end - time.monotonic()))

    def add(self, job: Job) -> None:
        with self._changed:
            self._pending[_kind(job)].append(job)
            self._changed.notify_all()

    def discard(self, job: Job) -> bool:
        """Forget a job that has not been started on; whether there was one."""
        with self._changed:
            if job in (pending := self._pending[_kind(job)]):
                pending.remove(job)
                return True
            return False

    def release(self, job: Job) -> None:
        """A prepared job no longer waits; another one may be prepared."""
        with self._changed:
            del self._ahead[job]
            self._changed.notify_all()

    def _acquire(self, job: Job, adapter: Adapter) -> None:
        if self._adapters is None:
            raise InvalidRequest("This engine keeps no room for adapters: see --adapters.", field="model")
        job.adapter = self._adapters.acquire(adapter)

    def let_go(self, job: Job) -> None:
        """Nothing of the job is left: its adapter may make room for another one."""
        number, job.adapter = job.adapter, 0
        if number and self._adapters is not None:
            self._adapters.release(number)

    def _may_prepare(self, kind: str) -> bool:
        ahead = [job for job in self._ahead if _kind(job) == kind and job not in self._free]
        room = len(ahead) < AHEAD and (kind == "words" or sum(self._ahead.values()) < AHEAD_IMAGE_TOKENS)
        return bool(self._pending[kind]) and (room or not ahead)

    def _build_prompts(self, kind: str, first: Callable[[], None]) -> None:
        first()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._may_prepare(kind))
                if self._closed:
                    return
                job = self._pending[kind].popleft()
                self._ahead[job] = 0
                self._busy_since[kind] = time.monotonic()
            self._prepare(job)
            with self._changed:
                del self._busy_since[kind]
                self._changed.notify_all()

    def _prepare(self, job: Job) -> None:
        """Every job goes on to its grammar or the encoder, or leaves through `on_ready` or `on_failed`."""
        try:
            if not job.cancelled:
                self._build(job)
        except Exception as error:
            self._fail(job, error)
            return
        if job.cancelled or job.request.held is None:
            self._go_on(job)
            return
        with self._changed:
            self._free.append(job)
            self._changed.notify_all()

    def _hold_answers(self, name: str, first: Callable[[], None]) -> None:
        first()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._free)
                if self._closed:
                    return
                job = self._free[0]
                self._busy_since[name] = time.monotonic()
            failure: Exception | None = None
            try:
                if not job.cancelled:
                    job.constraint = self._make_constraint(job)
            except Exception as error:
                failure = error
            with self._changed:
                self._free.popleft()
                del self._busy_since[name]
                self._changed.notify_all()
            if failure is not None:
                self._fail(job, failure)
            else:
                self._go_on(job)

    def _go_on(self, job: Job) -> None:
        if job.cancelled or not job.prompt.media:
            self._on_ready(job)
            return
        with self._changed:
            self._built.append(job)
            self._changed.notify_all()

    def _encode_images(self, name: str, first: Callable[[], None]) -> None:
        first()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._may_encode)
                if self._closed:
                    return
                jobs = self._next_built()
                began = self._busy_since[name] = time.monotonic()
            self._encode(jobs, lambda: self._busy_since.update({name: time.monotonic()}))
            del self._busy_since[name]
            self._rest(time.monotonic() - began, lambda: self._closed or any(job.cancelled for job in [*self._built]))

    @property
    def _may_encode(self) -> bool:
        """There is an image; small ones wait for those whose prompts are being built."""
        patches = sum(map(_patches, self._built))
        more = patches < self.encoder.patches_at_once and (self._may_prepare("pixels") or "pixels" in self._busy_since)
        return bool(self._built) and not more

    def _next_built(self) -> list[Job]:
        jobs = [self._built.popleft()]
        patches = _patches(jobs[0])
        while self._built and patches + _patches(self._built[0]) <= self.encoder.patches_at_once:
            patches += _patches(self._built[0])
            jobs.append(self._built.popleft())
        return jobs

    def _encode(self, jobs: Sequence[Job], moved: Callable[[], None]) -> None:
        """Every job leaves through `on_ready` or `on_failed`; what fails for several is tried one by one. `moved` is told
        of each pass: many images take long."""
        try:
            self.encoder.encode([job for job in jobs if not job.cancelled], moved)
        except Exception as error:
            if is_out_of_memory(error):
                torch.cuda.empty_cache()
            if len(jobs) == 1:
                self._fail(jobs[0], error)
                return
            for job in jobs:
                self._encode([job], moved)
            return
        for job in jobs:
            self._on_ready(job)

    def _fail(self, job: Job, error: Exception) -> None:
        self.release(job)
        if is_out_of_memory(error):
            error = out_of_memory(error)
        elif not isinstance(error, QwenDemoError):
            log.error("request %s failed in the prompt or the vision encoder", job.request.request_id, exc_info=error)
            error = failed(error)
        self._on_failed(job, error)

    def _build(self, job: Job) -> None:
        if time.perf_counter() > job.deadline_s:
            raise waited_too_long()
        started = time.perf_counter()
        job.prompt = self.prompts.build(job.request)
        job.prompt_tokens = job.prompt.length
        asked = job.request.sampling
        room = self.prompts.room(job.prompt, asked.max_new_tokens)
        if job.prompt_tokens >= self._slot_tokens:
            raise ContextTooLong(
                Sentence(
                    "The conversation has {tokens} tokens ({images} of them images), and memory holds {limit} for "
                    "one request with its answer. Clear the conversation, send fewer or smaller images, or lower the "
                    "pixel budget; whoever runs this program can raise --slot-tokens or --kv-cache-mib.",
                    tokens=job.prompt_tokens,
                    images=job.prompt.image_tokens,
                    limit=self._slot_tokens,
                ),
                field="messages",
            )
        job.sampling = replace(asked, max_new_tokens=min(room, self._slot_tokens - job.prompt_tokens))
        job.total_tokens = job.prompt_tokens + job.sampling.max_new_tokens
        job.output = self._make_output(job.request, job.sampling)
        if job.request.adapter is not None:
            self._acquire(job, job.request.adapter)
        adapter = job.request.adapter.digest if job.request.adapter else ""
        job.prefix_key, job.prefix_mask = prefix_key(job.prompt, adapter), adapter_mask(adapter)
        job.preprocess_s = time.perf_counter() - started
        self._ahead[job] = job.prompt.image_tokens


def _kind(job: Job) -> str:
    words = all(isinstance(part, Text) for message in job.request.messages for part in message.parts)
    return "words" if words else "pixels"


def _patches(job: Job) -> int:
    return sum(medium.patch_count for medium in job.prompt.media)

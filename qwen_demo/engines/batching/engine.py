"""Continuous batching as an `Engine`: the event loop's side.

Requests go to the preprocessor's threads, then to the engine's loop, and come back as events, one
call of the event loop for each step. A watchdog notices a step that hangs, so that no caller does.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from qwen_demo.engines.batching.job import Job, waited_too_long
from qwen_demo.engines.right_of_way import RightOfWay
from qwen_demo.errors import EngineFailed, NotReady, SettingsError
from qwen_demo.types import ChatRequest, Event, Finished, Health, ModelInfo

if TYPE_CHECKING:
    from qwen_demo.engines.batching.build import EngineParts
    from qwen_demo.engines.batching.loop import EngineLoop, Outbox
    from qwen_demo.engines.batching.memory_plan import MemoryPlan
    from qwen_demo.engines.batching.preprocessor import Preprocessor
    from qwen_demo.models.load import LoadedModel
    from qwen_demo.settings import Settings

    Loader = Callable[[Settings, Callable[[str], None]], LoadedModel]

log = logging.getLogger(__name__)

WATCH_EVERY_S = 0.25
CLOSE_S = 10.0
READY = "ready"
RECOVERING = "recovering from a failed step"


def load(settings: "Settings", progress: Callable[[str], None]) -> "LoadedModel":
    """`qwen_demo.models.load.load`, imported when it is called."""
    from qwen_demo.models import load as loading

    return loading.load(settings, progress)


class BatchingEngine:
    """Many requests, one model, one thread that runs it.

    Args:
        settings: which model, and the bounds.
        loader: gives the model; replaced in tests.
    """

    def __init__(self, settings: "Settings", loader: "Loader" = load):
        self._settings, self._loader = settings, loader
        self._state = "starting"
        self._jobs: set[Job] = set()
        self._right_of_way = RightOfWay()
        self._parts: EngineParts | None = None
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._watchdog: asyncio.Task[None] | None = None
        self.info = ModelInfo(model_id=settings.model, engine="batching")

    @property
    def loop(self) -> "EngineLoop":
        """Between `start` and `close`, as are the other parts."""
        return self._running_parts.loop

    @property
    def preprocessor(self) -> "Preprocessor":
        return self._running_parts.preprocessor

    @property
    def plan(self) -> "MemoryPlan":
        return self._running_parts.plan

    @property
    def _running_parts(self) -> "EngineParts":
        assert self._parts is not None, "the engine does not run"
        return self._parts

    async def start(self) -> None:
        """Load the model and plan its memory. Raises `ModelLoadError`, `SettingsError`."""
        self._event_loop = asyncio.get_running_loop()
        self._state = "Importing PyTorch and transformers"  # which the loader says too late to be seen
        await asyncio.to_thread(self._load)
        self.loop.start()
        self.preprocessor.start()
        self._watchdog = asyncio.create_task(self._watch())
        self._progress(READY)

    def _load(self) -> None:
        import torch

        from qwen_demo.engines.batching import build
        from qwen_demo.engines.batching.memory_plan import cap_allocator, token_bytes
        from qwen_demo.engines.memory_errors import memory_errors

        self._right_of_way = RightOfWay.of(self._settings)
        if self._settings.memory_limit_gib:
            cap_allocator(self._settings.memory_limit_gib)
        loaded = self._loader(self._settings, self._progress)
        self._progress("Planning memory")
        try:
            with memory_errors():
                rest = self._right_of_way.rest
                self._parts = build.build(self._settings, loaded, publish=self._publish, rest=rest)
        except torch.OutOfMemoryError as error:
            raise SettingsError(
                f"The weights of {loaded.info.model_id} leave no memory to work in. Use a smaller model or "
                "--quantization nf4-vision, or raise --memory-limit-gib if it is set."
            ) from error
        self.info = replace(
            loaded.info,
            engine="batching",
            context_tokens=min(loaded.info.context_tokens, self.plan.slot_tokens),
            kv_bytes_per_token=token_bytes(loaded.model.config.text_config, loaded.model.dtype),
            logprobs=True,
            json_schema=True,
        )
        log.info("room for %s", self.plan.text)

    def _progress(self, stage: str) -> None:
        self._state = stage
        log.info("%s", stage)

    def health(self) -> Health:
        """A snapshot; `failed` when the loop has given up or a thread has died, which nothing here mends."""
        failure = self._failure()
        detail = failure or self._hang() or self._recovery() or self._state
        if self._parts is None:
            return Health(False, 0, len(self._jobs), detail)
        running = len(self.loop.scheduler.running)
        return Health(
            ready=detail == READY,
            running=running,
            waiting=max(0, len(self._jobs) - running),
            detail=detail,
            slots=self.plan.slots,
            stats=self.loop.stats() | self._right_of_way.stats(),
            failed=bool(failure),
        )

    def _failure(self) -> str:
        """What is wrong for good, if anything."""
        if self._state != READY:
            return ""
        if self.loop.broken:
            return self.loop.broken
        dead = [name for name, part in self._threads() if not part.is_alive]
        return f"the thread of the {dead[0]} has died" if dead else ""

    def _hang(self) -> str:
        """Which part has worked on one thing for too long, if any; it may come back."""
        if self._state != READY:
            return ""
        for name, part in self._threads():
            since = part.busy_since
            if since is not None and time.monotonic() - since > self._settings.step_timeout_s:
                return f"the {name} hangs since {time.monotonic() - since:.0f} s"
        return ""

    def _recovery(self) -> str:
        return "" if self._state != READY or self.loop.healthy else RECOVERING

    def _threads(self) -> "tuple[tuple[str, EngineLoop | Preprocessor], ...]":
        return ("step", self.loop), ("vision encoder", self.preprocessor)

    async def close(self) -> None:
        """End all requests with `NotReady` and stop the threads."""
        self._state = "closed"
        if self._watchdog:
            self._watchdog.cancel()
            await asyncio.wait({self._watchdog})
        parts = self._parts
        if parts:
            parts.preprocessor.close()
            await asyncio.to_thread(parts.loop.close, CLOSE_S)
        self._abandon(lambda: NotReady("The program is shutting down."))
        if parts:
            await asyncio.to_thread(parts.preprocessor.join, CLOSE_S / 2)
        self._parts = None
        self._right_of_way.close()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """As `Engine.stream`. Raises `NotReady`, `ContextTooLong`, `InvalidRequest`, `DeadlineExceeded`,
        `OutOfMemory` or `EngineFailed`."""
        if self._state != READY or self._failure() or self._hang():
            raise NotReady(f"The model is not ready: {self.health().detail}.")
        now = time.perf_counter()
        job = Job(request, now, now + self._settings.request_timeout_s)
        self._jobs.add(job)
        self._tell_who_waits()
        self.preprocessor.add(job)
        try:
            while True:
                event = await job.events.get()
                if isinstance(event, Exception):
                    raise event
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            await self._let_go(job)

    async def _let_go(self, job: Job) -> None:
        """Returns when the engine holds nothing of the job; at once if it has ended."""
        job.cancelled = True
        if self._parts and self.preprocessor.discard(job):
            self._forget(job)
        elif self._parts and not job.gone.is_set():
            self.loop.wake()
            await job.gone.wait()
        self._jobs.discard(job)

    def _publish(self, outbox: "Outbox") -> None:
        """From the threads to the callers."""
        assert self._event_loop is not None
        try:
            self._event_loop.call_soon_threadsafe(self._deliver, outbox)
        except RuntimeError:  # the loop is closed: nobody reads any more
            log.debug("%d events had no reader left", len(outbox))

    def _deliver(self, outbox: "Outbox") -> None:
        for job, event in outbox:
            if event is None:
                self._forget(job)
            else:
                job.events.put_nowait(event)
        self._tell_who_waits()

    def _tell_who_waits(self) -> None:
        """To those who give way: whether a question has no place yet."""
        self._right_of_way.tell(any(not job.admitted_s for job in self._jobs))

    def _forget(self, job: Job) -> None:
        self._jobs.discard(job)
        if self._parts:
            self.preprocessor.let_go(job)
        job.gone.set()

    def _abandon(self, error: Callable[[], Exception]) -> None:
        for job in list(self._jobs):
            job.cancelled = True
            job.events.put_nowait(error())
            self._forget(job)

    def _end_overdue(self) -> None:
        """Requests that nobody has started on; the threads look after the others."""
        now = time.perf_counter()
        for job in list(self._jobs):
            if now > job.deadline_s and self.preprocessor.discard(job):
                self._deliver([(job, waited_too_long()), (job, None)])

    async def _watch(self) -> None:
        """Fail the callers of a step that hangs; when it comes back, the loop finds them cancelled."""
        while True:
            await asyncio.sleep(min(WATCH_EVERY_S, self._settings.step_timeout_s / 4))
            self._end_overdue()
            self._tell_who_waits()
            trouble = self._failure() or self._hang()
            if trouble and self._jobs:
                log.error("%s; %d requests are given up", trouble, len(self._jobs))
                self._abandon(partial(EngineFailed, f"The model does not answer: {trouble}."))

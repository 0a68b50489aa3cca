"""Continuous batching as an `Engine`: the event loop's side.

Requests go to the intake's thread, then to the owner's, and come back as events through one call
of the loop for each step. A watchdog notices a step that hangs, so that no caller does.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from qwen_demo.engines.batching.intake import waited_too_long
from qwen_demo.engines.batching.job import Job
from qwen_demo.errors import EngineFailed, NotReady, SettingsError
from qwen_demo.types import ChatRequest, Event, Finished, Health, ModelInfo

if TYPE_CHECKING:
    from qwen_demo.models.load import LoadedModel
    from qwen_demo.settings import Settings

log = logging.getLogger(__name__)

WATCH_EVERY_S = 0.25
CLOSE_S = 10.0
RECOVERING = "recovering from a failed step"


def load(*args) -> "LoadedModel":
    """`qwen_demo.models.load.load`, imported when it is called."""
    from qwen_demo.models import load as loading

    return loading.load(*args)


class BatchingEngine:
    """Many requests, one model, one thread that runs it.

    Args:
        settings: which model, and the bounds.
        loader: gives the model; replaced in tests.
    """

    def __init__(self, settings: "Settings", loader: "Callable[..., LoadedModel]" = load):
        self._settings, self._loader = settings, loader
        self._state = "not started"
        self._jobs: set[Job] = set()
        self._worker = self._intake = self.plan = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watchdog: asyncio.Task | None = None
        self.info = ModelInfo(model_id=settings.model, engine="batching")

    async def start(self) -> None:
        """Load the model and plan its memory. Raises `ModelLoadError`, `SettingsError`."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._load)
        self._worker.start(self._intake)
        self._intake.start()
        self._watchdog = asyncio.create_task(self._watch())
        self._progress("ready")

    def _load(self) -> None:
        import torch

        from qwen_demo.engines.batching import build
        from qwen_demo.engines.batching.plan import cap_allocator, token_bytes

        if self._settings.memory_limit_gib:
            cap_allocator(self._settings.memory_limit_gib)
        loaded = self._loader(self._settings, self._progress)
        self._progress("Planning memory")
        try:
            parts = build.build(self._settings, loaded, post=self._post)
        except torch.OutOfMemoryError as error:
            raise SettingsError(
                f"The weights of {loaded.info.model_id} leave no memory to work in. Use a smaller model or "
                "--quantization nf4-vision, or raise --memory-limit-gib if it is set."
            ) from error
        self._worker, self._intake, self.plan = parts
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
        running = self._worker.running if self._worker else 0
        detail = self._trouble() or self._state
        waiting = max(0, len(self._jobs) - running)
        slots, stats = (self.plan.slots, self._worker.stats()) if self._worker and self._worker.intake else (1, {})
        return Health(detail == "ready", running, waiting, detail, slots, stats)

    def _trouble(self) -> str:
        """What is wrong with the threads, if anything."""
        if self._state != "ready":
            return ""
        if self._worker.broken:
            return self._worker.broken
        for name, part in (("step", self._worker), ("vision encoder", self._intake)):
            if not part.is_alive:
                return f"the thread of the {name} has died; restart the program"
            since = part.busy_since
            if since is not None and time.monotonic() - since > self._settings.step_timeout_s:
                return f"the {name} hangs since {time.monotonic() - since:.0f} s"
        return "" if self._worker.healthy else RECOVERING

    async def close(self) -> None:
        """End all requests with `NotReady` and stop the threads."""
        self._state = "closed"
        if self._watchdog:
            self._watchdog.cancel()
            await asyncio.wait({self._watchdog})
        if self._intake:
            self._intake.close()
            await asyncio.to_thread(self._worker.close, CLOSE_S)
        self._abandon(lambda: NotReady("The program is shutting down."))
        if self._intake:
            await asyncio.to_thread(self._intake.join, CLOSE_S / 2)
        self._worker = self._intake = None

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        if self._state != "ready" or self._trouble() not in ("", RECOVERING):
            raise NotReady(f"The model is not ready: {self.health().detail}.")
        now = time.perf_counter()
        job = Job(request, now, now + self._settings.request_timeout_s)
        self._jobs.add(job)
        self._intake.add(job)
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
        if self._intake and self._intake.discard(job):
            self._forget(job)
        elif self._worker and not job.gone.is_set():
            self._worker.wake()
            await job.gone.wait()
        self._jobs.discard(job)

    def _post(self, mail) -> None:
        """From the threads to the callers."""
        try:
            self._loop.call_soon_threadsafe(self._deliver, mail)
        except RuntimeError:  # the loop is closed: nobody reads any more
            log.debug("%d events had no reader left", len(mail))

    def _deliver(self, mail) -> None:
        for job, event in mail:
            if event is None:
                self._forget(job)
            else:
                job.events.put_nowait(event)

    def _forget(self, job: Job) -> None:
        self._jobs.discard(job)
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
            if now > job.deadline and self._intake.discard(job):
                self._deliver([(job, waited_too_long()), (job, None)])

    async def _watch(self) -> None:
        """Fail the callers of a step that hangs; when it comes back, the owner finds them cancelled."""
        while True:
            await asyncio.sleep(min(WATCH_EVERY_S, self._settings.step_timeout_s / 4))
            self._end_overdue()
            trouble = self._trouble()
            if trouble and trouble != RECOVERING and self._jobs:
                log.error("%s; %d requests are given up", trouble, len(self._jobs))
                self._abandon(lambda trouble=trouble: EngineFailed(f"The model does not answer: {trouble}."))

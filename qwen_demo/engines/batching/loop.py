"""The engine's loop, on the only thread that runs the language model.

`EngineLoop.step` is schedule, run, postprocess. Where the device works on its own, the next pass is queued before the
tokens of the last one are read. Whatever fails ends in an error that a caller sees; the loop goes on, and after a failed
step the cache is empty and every slot free.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

import torch

from qwen_demo.engines.batching.encoder_cache import EncoderCache
from qwen_demo.engines.batching.job import Job, PrefillChunk, failed, out_of_memory, took_too_long
from qwen_demo.engines.batching.memory_plan import AllocatedMemory, MemoryPlan
from qwen_demo.engines.batching.pass_queue import PassQueue
from qwen_demo.engines.batching.runner import ModelRunner
from qwen_demo.engines.batching.sampler import SampledTokens
from qwen_demo.engines.batching.scheduler import Scheduler
from qwen_demo.engines.batching.shares import StepShares
from qwen_demo.engines.batching.slots import SlotTable
from qwen_demo.engines.right_of_way import Rest
from qwen_demo.errors import EngineFailed
from qwen_demo.types import Event

log = logging.getLogger(__name__)

# Failed steps in a row after which the engine gives up instead of failing everybody who comes.
MOST_FAILURES = 3
IDLE_S = 5.0

Outbox = list[tuple[Job, Event | Exception | None]]


class EngineLoop:
    """Runs jobs until closed.

    Args:
        runner: forward passes.
        plan: sizes.
        encoder_cache: expired here when nothing runs.
        reuse, max_age_s: of prefixes, see `PrefixCache`.
        publish: takes what happened in one step to the callers; an event of None means that nothing
            of the job is left here.
        release: called when a prepared job no longer waits.
        decode_text: token id -> its text, for log probabilities.
        on_thread: run first on the loop's thread.
        rest: pauses after a step that others were slowed down by.

    Attributes:
        busy_since: when the step under way began, on the clock of `time.monotonic`.
        steps: taken so far.
        healthy: false while it recovers from a failed step.
        broken: why it will not recover by itself; empty otherwise.
    """

    def __init__(
        self,
        runner: ModelRunner,
        plan: MemoryPlan,
        encoder_cache: EncoderCache,
        *,
        reuse: bool,
        max_age_s: float,
        publish: Callable[[Outbox], None],
        release: Callable[[Job], None],
        decode_text: Callable[[int], str],
        on_thread: Callable[[], None] = lambda: None,
        rest: Rest = lambda worked_s, over: None,
    ):
        self.runner = runner
        sizes = (plan.slots, plan.slot_tokens, plan.slots * plan.slot_tokens, plan.prefill_tokens)
        share = StepShares(lambda: runner.mixed is None).taking_part
        self.scheduler: Scheduler[Job] = Scheduler(*sizes, *runner.pass_limits, share)
        self.slots = SlotTable(plan.slots, runner, reuse=reuse, max_age_s=max_age_s)
        self.passes = PassQueue(runner, self.scheduler, self.slots)
        self._encoder_cache = encoder_cache
        self._publish, self._release, self._decode_text, self._rest = publish, release, decode_text, rest
        self._outbox: Outbox = []
        self._prepared: deque[Job] = deque()
        self._wakeup = threading.Event()
        self._closed = False
        self.busy_since: float | None = None
        self.steps, self.step_s, self.batch, self.failures = 0, 0.0, 0, 0
        self.memory = AllocatedMemory()
        self.healthy, self.broken = True, ""
        self._thread = threading.Thread(target=self._run, args=(on_thread,), name="engine-loop", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        """End after the step under way; waits for it at most `timeout_s`."""
        self._closed = True
        self.wake()
        self._thread.join(timeout_s)

    def add(self, job: Job) -> None:
        """Take a prepared job, from another thread."""
        self._prepared.append(job)
        self.wake()

    def wake(self) -> None:
        """There is something to look at: a job, a cancelled one, or the end."""
        self._wakeup.set()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def stats(self) -> dict[str, float]:
        """The newest decode step and what the caches hold, for the metrics."""
        return {
            "batch_size": self.batch if self.scheduler.running else 0,
            "step_seconds": self.step_s,
            "steps": self.steps,
            **self.scheduler.stats(),
            **self._encoder_cache.stats(),
            **self.memory.stats(),
        }

    def _run(self, on_thread: Callable[[], None]) -> None:
        on_thread()
        while not self._closed:
            if self.scheduler.is_idle and not self.passes:
                self._wakeup.wait(IDLE_S)
            self._wakeup.clear()
            began = self.busy_since = time.monotonic()
            try:
                self.step()
            except Exception as error:
                self._recover(error)
            self.busy_since = None
            self.steps += 1
            if self._outbox:
                outbox, self._outbox = self._outbox, []
                self._publish(outbox)
            if not self.scheduler.is_idle:
                self._rest(time.monotonic() - began, self._somebody_leaves)

    def _somebody_leaves(self) -> bool:
        return self._closed or any(job.cancelled for job in [*self.scheduler.waiting, *self.scheduler.running])

    def step(self) -> None:
        """A chunk of the prompts that wait for it, and a token for every running answer."""
        self._receive()
        # Schedule
        chunks = self.scheduler.schedule(self._allocate)
        # Run: a pass that the device works on by itself, or all of it here and now
        queued = self.passes.add(chunks)
        # Postprocess: what was queued before; where the next token depends on the last one, the newest pass, too
        while len(self.passes) > (queued and not self.runner.sampler.is_held):
            jobs, sampled, self.step_s = self.passes.read()
            self._postprocess(jobs, sampled)
        if not queued:
            self._compute(chunks)
        if not self.scheduler.running:
            self.slots.forget_old()
            self._encoder_cache.forget_old()

    def _compute(self, chunks: Sequence[PrefillChunk[Job]]) -> None:
        """Prompts, then answers; prompts that are complete have their first token and are decoded at once."""
        for chunk, hidden in self._prefill(chunks):
            if chunk.sequence.is_decoding:
                self._begin_answer(chunk.sequence, hidden)
        jobs = self.slots.decoding_of(self.scheduler.taking_part)
        if sampled := self._decode(jobs):
            self._postprocess(jobs, sampled)

    def _receive(self) -> None:
        """Take new jobs in; let cancelled and late ones go."""
        now = time.perf_counter()
        for job in [*self.scheduler.waiting, *self.scheduler.running]:
            if job.cancelled:
                self._end(job, None)
            elif now > job.deadline_s:
                self._end(job, took_too_long())
        while self._prepared:
            job = self._prepared.popleft()
            if job.cancelled:
                self._end(job, None)
            else:
                self.scheduler.add(job)

    def _allocate(self, job: Job) -> int:
        """Give an admitted job its slot; gives how many tokens of its prompt are there already."""
        self._release(job)
        job.admitted_s = time.perf_counter()
        job.cached_tokens = self.slots.allocate(job)
        return job.cached_tokens

    def _prefill(self, chunks: Sequence[PrefillChunk[Job]]) -> list[tuple[PrefillChunk[Job], torch.Tensor]]:
        """Compute chunks in one pass; if memory does not suffice for that, one by one.

        Returns those that are in the cache now, each with the hidden state of its last token, [1, hidden].
        """
        if not chunks:
            return []
        try:
            hidden = self.runner.prefill(chunks)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            if len(chunks) == 1:
                self._end(chunks[0].sequence, out_of_memory(error))
                return []
            return [computed for chunk in chunks for computed in self._prefill([chunk])]
        for chunk in chunks:
            self.scheduler.advance(chunk)
        return [(chunk, hidden[row : row + 1]) for row, chunk in enumerate(chunks)]

    def _begin_answer(self, job: Job, hidden: torch.Tensor) -> None:
        job.features = ()
        try:
            sampled = self.runner.first_token(job.slot, job.prompt, job.sampling, hidden, job.constraint)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            self._end(job, out_of_memory(error))
            return
        self._deliver(job, sampled, 0)

    def _decode(self, jobs: Sequence[Job | None]) -> SampledTokens | None:
        """The next token of each job; None if there is none to give."""
        if not jobs:
            return None
        began = time.perf_counter()
        try:
            sampled = self.runner.decode(len(jobs))
        except torch.OutOfMemoryError as error:
            # Nothing of the step counts yet; the others repeat it without the one that came last.
            torch.cuda.empty_cache()
            self._end(self.scheduler.running[-1], out_of_memory(error))
            return None
        self.step_s = time.perf_counter() - began
        return sampled

    def _postprocess(self, jobs: Sequence[Job | None], sampled: SampledTokens) -> None:
        """Tokens to events. From the last slot on: ending a request moves the last running one into its place."""
        self.batch, self.failures = sum(job is not None for job in jobs), 0
        for row in range(len(jobs) - 1, -1, -1):
            if (job := jobs[row]) is not None:
                self._deliver(job, sampled, row)

    def _deliver(self, job: Job, sampled: SampledTokens, row: int) -> None:
        if job.constraint is not None and job.constraint.failure is not None:
            self._end(job, job.constraint.failure)
            return
        try:
            events = job.push(sampled.tokens[row], sampled.logprob(row, self._decode_text))
        except Exception as error:  # turning its tokens into text concerns this request alone
            log.exception("request %s failed", job.request.request_id)
            self._end(job, failed(error))
            return
        over = job.output.reason is not None
        if over:
            self._free(job, keep=True)
        self._outbox.extend((job, event) for event in events)
        if over:
            self._outbox.append((job, None))

    def _end(self, job: Job, error: Exception | None) -> None:
        """A job ends early: cancelled, or with an error. An answer's prefix is as good as ever."""
        self._free(job, keep=not isinstance(error, EngineFailed))
        self._outbox += [(job, None)] if error is None else [(job, error), (job, None)]

    def _free(self, job: Job, *, keep: bool) -> None:
        """Take back what `_allocate` gave, or the place in the queue."""
        if self.scheduler.remove(job):
            self.slots.free(job, keep=keep)
        else:
            self._release(job)

    def _recover(self, error: Exception) -> None:
        """Nothing in the cache can be trusted after a failed step; requests that have not started may still run."""
        log.error("a step failed; %d running requests are lost", len(self.scheduler.running), exc_info=error)
        self.healthy = False
        self.passes.clear()
        for job in list(self.scheduler.running):
            self._lose(job, error)
        self.slots.clear()
        while not self.healthy and self.failures < MOST_FAILURES:
            self.failures += 1
            try:
                self.runner.reset()
                self.runner.probe()
                self.healthy = True
            except Exception:
                log.exception("the model still fails")
        if self.failures >= MOST_FAILURES:
            self.healthy = False
            self.broken = f"the model failed {self.failures} times in a row ({type(error).__name__}) and was given up"
            for job in list(self.scheduler.waiting):
                self._lose(job, error)

    def _lose(self, job: Job, error: Exception) -> None:
        if not self.scheduler.remove(job):
            self._release(job)
        self._outbox += [(job, failed(error)), (job, None)]

"""The owner thread: the only one that runs the language model.

One turn of its loop: take news, admit, read pieces of prompts, give every answer its next token,
hand everything to the callers. Whatever fails ends in an error that a caller sees; the loop goes
on, and after a failed step the cache is empty and every slot free.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

import torch

from qwen_demo.engines.batching.intake import Intake, failed, out_of_memory
from qwen_demo.engines.batching.job import Job
from qwen_demo.engines.batching.plan import Plan
from qwen_demo.engines.batching.policy import Piece, Policy, Ticket
from qwen_demo.engines.batching.reuse import Slots
from qwen_demo.engines.batching.sample import Chosen
from qwen_demo.engines.batching.step import Reading, Stepper
from qwen_demo.errors import DeadlineExceeded, EngineFailed
from qwen_demo.types import Event, TokenLogprob

log = logging.getLogger(__name__)

# Failed steps in a row after which the engine gives up instead of failing everybody who comes.
MOST_FAILURES = 3
IDLE_S = 5.0
# Health is asked for several times a request; the allocator's books take a while to add up.
GPU_READ_EVERY_S = 1.0

Mail = list[tuple[Job, Event | Exception | None]]


class Worker:
    """Runs jobs until closed.

    Args:
        stepper: forward passes.
        plan: sizes.
        reuse, max_age_s: of prefixes, see `Slots`.
        post: takes what happened in one turn to the callers; an event of None means that nothing
            of the job is left here.
        decode_text: token id -> its text, for log probabilities.
    """

    def __init__(
        self,
        stepper: Stepper,
        plan: Plan,
        *,
        reuse: bool,
        max_age_s: float,
        post: Callable[[Mail], None],
        decode_text: Callable[[int], str],
        on_thread: Callable[[], None] = lambda: None,
    ):
        self.stepper, self.intake = stepper, None
        self.policy = Policy(plan.slots, plan.slot_tokens, plan.slots * plan.slot_tokens, plan.prefill_tokens)
        self.slots = Slots(stepper.cache, reuse=reuse, max_age_s=max_age_s, on_swap=self._swapped)
        self._by_slot: list[Job | None] = [None] * plan.slots
        self._waiting: dict[Job, None] = {}
        self._post, self._decode_text, self._on_thread = post, decode_text, on_thread
        self._mail: Mail = []
        self._ready: deque[Job] = deque()
        self._news = threading.Condition()
        self._looked = False
        self._closed = False
        self.busy_since: float | None = None
        self.turns = 0
        self.step_s = 0.0
        self.batch = 0
        self._gpu: dict[str, float] = {}
        self._gpu_read = float("-inf")
        self.failures = 0
        self.healthy = True
        self.broken = ""
        self._thread = threading.Thread(target=self._run, name="batching-owner", daemon=True)

    def start(self, intake: Intake) -> None:
        self.intake = intake
        self._thread.start()

    def close(self, timeout_s: float) -> None:
        self._closed = True
        self.wake()
        self._thread.join(timeout_s)

    def add(self, job: Job) -> None:
        """A prepared job, from the intake's thread."""
        self._ready.append(job)
        self.wake()

    def wake(self) -> None:
        """There is news: a job, a cancelled one, or the end."""
        with self._news:
            self._looked = False
            self._news.notify()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def running(self) -> int:
        return len(self.policy.running)

    def stats(self) -> dict[str, float]:
        """The newest decode step and what the caches hold, for the metrics."""
        encoded = self.intake.encoded
        return {
            "slots": self.policy.slots,
            "batch_size": self.batch if self.policy.running else 0,
            "step_seconds": self.step_s,
            "turns": self.turns,
            "reserved_tokens": self.policy.reserved_tokens,
            "budget_tokens": self.policy.budget_tokens,
            "encoder_cache_bytes": encoded.bytes,
            "encoder_cache_images": len(encoded),
            **self._gpu_memory(),
        }

    def _gpu_memory(self) -> dict[str, float]:
        """What the allocator has taken of the GPUs, and what they have; no call that a recording of a graph forbids."""
        if time.monotonic() > self._gpu_read + GPU_READ_EVERY_S and torch.cuda.is_initialized():
            self._gpu_read = time.monotonic()
            devices = range(torch.cuda.device_count())
            self._gpu = {
                "gpu_memory_bytes": sum(map(torch.cuda.memory_reserved, devices)),
                "gpu_memory_used_bytes": sum(map(torch.cuda.memory_allocated, devices)),
                "gpu_memory_total_bytes": sum(torch.cuda.get_device_properties(d).total_memory for d in devices),
            }
        return self._gpu

    def _run(self) -> None:
        self._on_thread()
        while not self._closed:
            with self._news:
                if not self.policy.running and not self.policy.waiting:
                    self._news.wait_for(lambda: not self._looked, IDLE_S)
                self._looked = True
            self.busy_since = time.monotonic()
            self._turn()
            self.busy_since = None
            self.turns += 1
            if self._mail:
                mail, self._mail = self._mail, []
                self._post(mail)

    def _turn(self) -> None:
        try:
            self._take_news()
            self._admit()
            self._read_prompts()
            self._write_answers()
            if not self.policy.running:
                self.slots.forget_old()
                self.intake.encoded.forget_old()
        except Exception as error:
            self._step_failed(error)

    def _take_news(self) -> None:
        now = time.perf_counter()
        for job in [*self._waiting, *(job for job in self._by_slot if job)]:
            if job.cancelled:
                self._end(job, None)
            elif now > job.deadline:
                self._end(job, DeadlineExceeded("The request took longer than it may. Ask for a shorter answer."))
        while self._ready:
            job = self._ready.popleft()
            self._waiting[job] = None
            if job.cancelled:
                self._end(job, None)
            else:
                self.policy.add(Ticket(job, job.prompt.length, job.prompt.length + job.sampling.max_new_tokens))

    def _admit(self) -> None:
        if self.policy.waiting:
            self.policy.admit(self._start)

    def _start(self, ticket: Ticket) -> int:
        job = ticket.key
        self._stop_waiting(job)
        job.admitted = time.perf_counter()
        for slot in range(self.slots.running):
            self._note_contents(slot)
        job.cached_tokens = self.slots.take(job.key)
        job.slot = self.slots.running - 1
        self._by_slot[job.slot] = job
        self.stepper.idle(job.slot)
        return job.cached_tokens

    def _stop_waiting(self, job: Job) -> None:
        del self._waiting[job]
        self.intake.left(job)

    def _read_prompts(self) -> None:
        if pieces := self.policy.pieces():
            self._read(pieces)

    def _read(self, pieces: list[Piece]) -> None:
        """In one pass; if memory does not suffice for that, one by one."""
        jobs: list[Job] = [piece.ticket.key for piece in pieces]
        try:
            hidden = self.stepper.prefill(
                [
                    Reading(job.slot, job.prompt, job.features, piece.start, piece.stop)
                    for job, piece in zip(jobs, pieces, strict=True)
                ]
            )
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            if len(pieces) == 1:
                self._end(jobs[0], out_of_memory(error))
                return
            for piece in pieces:
                self._read([piece])
            return
        for piece in pieces:
            self.policy.read(piece)
        for row, (job, piece) in enumerate(zip(jobs, pieces, strict=True)):
            if piece.ticket.is_decoding:
                self._begin_answer(job, hidden[row : row + 1])

    def _begin_answer(self, job: Job, hidden: torch.Tensor) -> None:
        job.features = ()
        try:
            chosen = self.stepper.first_token(job.slot, job.prompt, job.sampling, hidden, job.constraint)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            self._end(job, out_of_memory(error))
            return
        self._deliver(job, chosen, 0)

    def _write_answers(self) -> None:
        running = [job if job and self.policy.running[job].is_decoding else None for job in self._by_slot]
        while running and running[-1] is None:
            running.pop()
        if not running:
            return
        self.batch = sum(job is not None for job in running)
        began = time.perf_counter()
        try:
            chosen = self.stepper.decode(len(running))
        except torch.OutOfMemoryError as error:
            # Nothing of the step counts yet; the others repeat it without the one that came last.
            torch.cuda.empty_cache()
            newest = next(reversed(self.policy.running))
            self._end(newest, out_of_memory(error))
            return
        self.step_s = time.perf_counter() - began
        self.failures = 0
        # From the last slot on: ending a request moves the last running one into its place.
        for slot in range(len(running) - 1, -1, -1):
            if running[slot] is not None:
                self._deliver(running[slot], chosen, slot)

    def _deliver(self, job: Job, chosen: Chosen, row: int) -> None:
        try:
            events = job.push(chosen.tokens[row], self._logprob(chosen, row))
        except Exception as error:  # turning its tokens into text concerns this request alone
            log.exception("request %s failed", job.request.request_id)
            self._end(job, failed(error))
            return
        over = job.output.reason is not None
        if over:
            self._leave(job, keep=True)
        self._mail.extend((job, event) for event in events)
        if over:
            self._mail.append((job, None))

    def _logprob(self, chosen: Chosen, row: int) -> TokenLogprob | None:
        if row not in chosen.logprobs:
            return None
        own, ids, values = chosen.logprobs[row]
        top = tuple((self._decode_text(i), value) for i, value in zip(ids, values, strict=True))
        return TokenLogprob(self._decode_text(chosen.tokens[row]), own, top)

    def _end(self, job: Job, error: Exception | None) -> None:
        """A job ends early: cancelled, or with an error. An answer's prefix is as good as ever."""
        self._leave(job, keep=not isinstance(error, EngineFailed))
        if error is not None:
            self._mail.append((job, error))
        self._mail.append((job, None))

    def _leave(self, job: Job, *, keep: bool) -> None:
        if job in self._waiting:
            self._stop_waiting(job)
            self.policy.remove(job)
            return
        slot, last = job.slot, self.slots.running - 1
        self._note_contents(slot)
        self._note_contents(last)
        self.stepper.idle(slot)
        self._by_slot[slot] = None
        self.slots.free(slot, keep=keep)
        self.policy.remove(job)

    def _note_contents(self, slot: int) -> None:
        """Tell the slots what the cache holds of the request in `slot`."""
        job = self._by_slot[slot]
        ticket = self.policy.running.get(job)
        if ticket is not None:
            self.slots.wrote(slot, job.contents(ticket.read_tokens))

    def _swapped(self, a: int, b: int) -> None:
        self._by_slot[a], self._by_slot[b] = self._by_slot[b], self._by_slot[a]
        for slot in (a, b):
            if self._by_slot[slot] is not None:
                self._by_slot[slot].slot = slot
        self.stepper.swap(a, b)

    def _step_failed(self, error: Exception) -> None:
        """Nothing in the cache can be trusted; requests that had not started may still run."""
        log.exception("a step failed; %d running requests are lost", len(self.policy.running))
        self.healthy = False
        for job in list(self.policy.running):
            self._lose(job, error)
        self._by_slot = [None] * len(self._by_slot)
        self.slots.clear()
        while not self.healthy and self.failures < MOST_FAILURES:
            self.failures += 1
            try:
                self.stepper.reset()
                self.stepper.probe()
                self.healthy = True
            except Exception:
                log.exception("the model still fails")
        if self.failures >= MOST_FAILURES:
            self.healthy = False
            self.broken = f"{self.failures} steps failed in a row, one with {type(error).__name__}; restart the program"
            for job in list(self._waiting):
                self._lose(job, error)

    def _lose(self, job: Job, error: Exception) -> None:
        self.policy.remove(job)
        if job in self._waiting:
            self._stop_waiting(job)
        self._mail += [(job, failed(error)), (job, None)]

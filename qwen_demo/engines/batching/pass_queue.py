"""Passes over answers and prompts that the device works on by itself, and whose tokens they will be.

`add` and `read` are a pair. What ends a job while a pass is under way concerns that pass no more: its token is dropped.
"""

import time
from collections import deque
from collections.abc import Sequence

import torch

from qwen_demo.engines.batching.job import Job, PrefillChunk
from qwen_demo.engines.batching.mixed import ends
from qwen_demo.engines.batching.runner import ModelRunner
from qwen_demo.engines.batching.sampler import PendingTokens, SampledTokens
from qwen_demo.engines.batching.scheduler import Scheduler
from qwen_demo.engines.batching.slots import SlotTable


class PassQueue:
    """In the order in which they were started.

    Args:
        runner: starts passes, if it mixes answers and prompts at all.
        scheduler, slots: whose jobs these are.
    """

    def __init__(self, runner: ModelRunner, scheduler: Scheduler[Job], slots: SlotTable):
        self._runner, self._scheduler, self._slots = runner, scheduler, slots
        self._passes: deque[tuple[list[Job | None], PendingTokens, float]] = deque()

    def __len__(self) -> int:
        return len(self._passes)

    def clear(self) -> None:
        self._passes.clear()

    def add(self, chunks: Sequence[PrefillChunk[Job]]) -> bool:
        """Start a pass over chunks of prompts and every running answer's next token.

        Returns:
            False if there is nothing to compute, memory does not suffice or this runner does not mix.
        """
        jobs = self._slots.decoding()
        for chunk in chunks:
            if ends(chunk):
                jobs += [None] * (chunk.slot + 1 - len(jobs))
                jobs[chunk.slot] = chunk.sequence
        if self._runner.mixed is None or not (chunks or jobs):
            return False
        try:
            tokens = self._runner.queue(chunks, len(jobs))
        except torch.OutOfMemoryError:
            torch.cuda.empty_cache()
            return False
        for chunk in chunks:
            self._scheduler.advance(chunk)
        for job in filter(None, jobs):
            job.queued_tokens += 1
            job.features = ()
        self._passes.append((jobs, tokens, time.perf_counter()))
        return True

    def read(self) -> tuple[list[Job | None], SampledTokens, float]:
        """Wait for the oldest: the job of each row that still runs, the tokens of all, and how many seconds it took."""
        jobs, tokens, began = self._passes.popleft()
        sampled = tokens.read()
        left = [job if job is not None and self._slots.holds(job) else None for job in jobs]
        for job in filter(None, left):
            job.queued_tokens -= 1
        return left, sampled, time.perf_counter() - began

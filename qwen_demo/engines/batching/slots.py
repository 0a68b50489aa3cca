"""Which job is in which slot, kept alike in the prefix cache and in the runner's state.

`allocate` and `free` are a pair; everything else reads.
"""

from collections.abc import Sequence

from qwen_demo.engines.batching.job import Job
from qwen_demo.engines.batching.prefix_cache import PrefixCache
from qwen_demo.engines.batching.runner import ModelRunner


class SlotTable:
    """Jobs by slot; running ones have the slots 0 to `len(table)`.

    Args:
        slots: how many jobs run at once.
        runner: whose cache has these slots, and some more for prefixes.
        reuse, max_age_s: of prefixes, see `PrefixCache`.
    """

    def __init__(self, slots: int, runner: ModelRunner, *, reuse: bool, max_age_s: float):
        self._runner = runner
        self._prefixes = PrefixCache(runner.cache, reuse=reuse, max_age_s=max_age_s, on_swap=self._swapped)
        self.jobs: list[Job | None] = [None] * slots

    def __len__(self) -> int:
        return self._prefixes.running

    def allocate(self, job: Job) -> int:
        """Give a job its slot; gives how many tokens of its prompt are there already."""
        for slot in range(len(self)):
            self._record(slot)
        cached_tokens = self._prefixes.allocate(job.prefix_key)
        job.slot = len(self) - 1
        self.jobs[job.slot] = job
        self._runner.idle(job.slot)
        if self._runner.adapters is not None:
            self._runner.adapters.give(job.slot, job.adapter)
        return cached_tokens

    def free(self, job: Job, *, keep: bool) -> None:
        """Take a job's slot back; the last running job moves into it.

        Args:
            keep: whether its prefix may serve another job.
        """
        slot = job.slot
        self._record(slot)
        self._record(len(self) - 1)
        self._runner.idle(slot)
        self.jobs[slot] = None
        self._prefixes.free(slot, keep=keep)

    def decoding(self) -> list[Job | None]:
        """The job of each slot, up to the last one that gets another token; None for those that do not."""
        jobs = [job if job and job.is_decoding and job.wants_tokens else None for job in self.jobs]
        while jobs and jobs[-1] is None:
            jobs.pop()
        return jobs

    def decoding_of(self, taking_part: Sequence[Job]) -> list[Job | None]:
        """As `decoding`, with jobs that decode but do not take part kept out: in slots behind."""
        part = {job for job in taking_part if self.holds(job) and job.is_decoding}
        if all(job in part for job in self.jobs if job and job.is_decoding):
            return self.decoding()
        others = [slot for slot in range(len(part)) if self.jobs[slot] not in part]
        for job in [job for job in taking_part if job in part and job.slot >= len(part)]:
            self._record(slot := others.pop())
            self._record(job.slot)
            self._prefixes.swap(job.slot, slot)
        return self.decoding()[: len(part)]

    def holds(self, job: Job) -> bool:
        """Whether the job still runs."""
        return self.jobs[job.slot] is job

    def forget_old(self) -> None:
        self._prefixes.forget_old()

    def clear(self) -> None:
        """Nobody runs and nothing is kept; the runner is not told."""
        self.jobs = [None] * len(self.jobs)
        self._prefixes.clear()

    def _record(self, slot: int) -> None:
        """Tell the prefix cache what a job has in its slot by now."""
        if job := self.jobs[slot]:
            self._prefixes.record(slot, job.cached_key(), 1 + job.queued_tokens)

    def _swapped(self, a: int, b: int) -> None:
        self.jobs[a], self.jobs[b] = self.jobs[b], self.jobs[a]
        for slot in (a, b):
            if job := self.jobs[slot]:
                job.slot = slot
        self._runner.swap(a, b)

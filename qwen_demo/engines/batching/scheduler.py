"""Who runs when: admission, order, and the chunks of prompts that a step computes. Knows numbers, no tensors.

First come, first served among those that fit. A request that does not fit yet is overtaken by
smaller ones a bounded number of times; then nobody is admitted until it fits. Each step gives
every running answer one token and the oldest prompts a bounded number of tokens, so that a long
prompt does not make the others stutter.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic

from qwen_demo.engines.batching.job import PrefillChunk, S

OVERTAKES = 32
FEW = 16  # answers


class Scheduler(Generic[S]):
    """Queues, and bookkeeping of slots and reserved tokens.

    Args:
        slots: how many requests run at once.
        slot_tokens: the longest request.
        budget_tokens: reserved tokens of all running requests together.
        prefill_tokens: how many prompt tokens one step computes while answers are being written.
        pass_tokens: how many one pass can take at all, cutting prompts wherever it is full; 0 if a prompt is cut only
            where it does not fit a step of its own.
        quiet_tokens: as `prefill_tokens`, while few answers are being written.
        share: gives those of the running requests that a step is for.

    Attributes:
        waiting: in the order of arrival.
        running: in the order of admission.
        taking_part: those of them that the newest step is for.
    """

    def __init__(
        self,
        slots: int,
        slot_tokens: int,
        budget_tokens: int,
        prefill_tokens: int,
        pass_tokens: int = 0,
        quiet_tokens: int = 0,
        share: Callable[[list[S]], list[S]] = list,
    ):
        assert slots > 0 and 0 < slot_tokens <= budget_tokens and prefill_tokens > 0
        self.slots, self.slot_tokens = slots, slot_tokens
        self.budget_tokens, self.prefill_tokens, self.pass_tokens = budget_tokens, prefill_tokens, pass_tokens
        self.quiet_tokens = max(prefill_tokens, quiet_tokens)
        self.waiting: deque[S] = deque()
        self.running: list[S] = []
        self.taking_part: list[S] = []
        self._share = share
        self.reserved_tokens = 0

    @property
    def is_idle(self) -> bool:
        return not self.running and not self.waiting

    def stats(self) -> dict[str, float]:
        return {
            "slots": self.slots, "reserved_tokens": self.reserved_tokens, "budget_tokens": self.budget_tokens
        }  # fmt: skip

    def add(self, sequence: S) -> None:
        """Queue a request, which must fit a slot."""
        assert 0 < sequence.prompt_tokens < sequence.total_tokens <= self.slot_tokens
        self.waiting.append(sequence)

    def schedule(self, allocate: Callable[[S], int]) -> list[PrefillChunk[S]]:
        """Admit who fits; gives the prompt tokens to compute in this step. `allocate` as in `admit`."""
        if self.waiting:
            self.admit(allocate)
        self.taking_part = self._share(self.running)
        return self._chunks()

    def admit(self, allocate: Callable[[S], int]) -> list[S]:
        """Move requests from the queue to the running ones.

        Args:
            allocate: called for each one; gives how many of its prompt's tokens a cache has.
        """
        admitted: list[S] = []
        passed: list[S] = []
        try:
            while self.waiting and len(self.running) < self.slots:
                sequence = self.waiting.popleft()
                if self.reserved_tokens + sequence.total_tokens > self.budget_tokens:
                    passed.append(sequence)
                    if sequence.overtaken >= OVERTAKES:
                        break
                    continue
                for earlier in passed:
                    earlier.overtaken += 1
                self.running.append(sequence)
                self.reserved_tokens += sequence.total_tokens
                sequence.prefilled_tokens = allocate(sequence)
                assert 0 <= sequence.prefilled_tokens < sequence.prompt_tokens, "the last token is always computed"
                admitted.append(sequence)
                if any(earlier.overtaken >= OVERTAKES for earlier in passed):
                    break
        finally:
            self.waiting.extendleft(reversed(passed))
        return admitted

    def _chunks(self) -> list[PrefillChunk[S]]:
        """Prompt tokens to compute in this step, the oldest request's first."""
        unread = [sequence for sequence in self.taking_part if not sequence.is_decoding]
        left = self.prefill_tokens if len(self.taking_part) - len(unread) > FEW else self.quiet_tokens
        # With nobody to keep waiting a prompt is read whole, one a step, so that its first token comes soon.
        if len(unread) == len(self.taking_part) and unread:
            left = max(left, unread[0].prompt_tokens - unread[0].prefilled_tokens)
        if self.pass_tokens:
            left = min(left, self.pass_tokens)
        made: list[PrefillChunk[S]] = []
        for sequence in unread:
            # Without answers in the same pass, each one more costs the weights once more.
            if not self.pass_tokens and made and sequence.prompt_tokens - sequence.prefilled_tokens > left:
                break
            start = sequence.prefilled_tokens
            made.append(PrefillChunk(sequence, start, min(sequence.prompt_tokens, start + left)))
            left -= made[-1].tokens
            if left <= 0:
                break
        return made

    def advance(self, chunk: PrefillChunk[S]) -> None:
        """A chunk is in the cache."""
        assert chunk.start == chunk.sequence.prefilled_tokens
        chunk.sequence.prefilled_tokens = chunk.stop

    def remove(self, sequence: S) -> bool:
        """A request ended, failed or was cancelled. True if it was running."""
        if sequence in self.running:
            self.running.remove(sequence)
            self.reserved_tokens -= sequence.total_tokens
            return True
        if sequence in self.waiting:
            self.waiting.remove(sequence)
        return False

"""Who runs when: admission, order and pieces of prompts. Knows numbers, no tensors.

First come, first served among those that fit. A request that does not fit yet is overtaken by
smaller ones a bounded number of times; then the door stays shut until it fits. Each step gives
every running answer one token and the oldest unread prompts a bounded number of tokens, so that
a long prompt does not make the others stutter.
"""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

OVERTAKES = 32


@dataclass(slots=True)
class Ticket:
    """What the policy knows of one request.

    Attributes:
        key: names the request.
        prompt_tokens: length of its prompt.
        total_tokens: prompt and longest answer; reserved while it runs.
        read_tokens: of the prompt, already in the cache.
        overtaken: how many later requests were admitted before this one.
    """

    key: Hashable
    prompt_tokens: int
    total_tokens: int
    read_tokens: int = 0
    overtaken: int = 0

    @property
    def is_decoding(self) -> bool:
        return self.read_tokens >= self.prompt_tokens


@dataclass(frozen=True, slots=True)
class Piece:
    """Tokens `start` to `stop` of a prompt, to be read in this step."""

    ticket: Ticket
    start: int
    stop: int


class Policy:
    """Queue and bookkeeping of slots and reserved tokens.

    Args:
        slots: how many requests run at once.
        slot_tokens: the longest request.
        budget_tokens: reserved tokens of all running requests together.
        prefill_tokens: how many prompt tokens one step reads while answers are being written.
    """

    def __init__(self, slots: int, slot_tokens: int, budget_tokens: int, prefill_tokens: int):
        assert slots > 0 and 0 < slot_tokens <= budget_tokens and prefill_tokens > 0
        self.slots, self.slot_tokens = slots, slot_tokens
        self.budget_tokens, self.prefill_tokens = budget_tokens, prefill_tokens
        self.waiting: deque[Ticket] = deque()
        self.running: dict[Hashable, Ticket] = {}
        self.reserved_tokens = 0

    def fits_ever(self, total_tokens: int) -> bool:
        return total_tokens <= self.slot_tokens

    def add(self, ticket: Ticket) -> None:
        """Queue a request; `fits_ever` must hold."""
        assert self.fits_ever(ticket.total_tokens) and 0 < ticket.prompt_tokens < ticket.total_tokens
        self.waiting.append(ticket)

    def admit(self, start: Callable[[Ticket], int]) -> list[Ticket]:
        """Move requests from the queue to the running ones.

        Args:
            start: called for each one; gives how many of its prompt's tokens a cache has.
        """
        admitted: list[Ticket] = []
        passed: list[Ticket] = []
        while self.waiting and len(self.running) < self.slots:
            ticket = self.waiting.popleft()
            if self.reserved_tokens + ticket.total_tokens > self.budget_tokens:
                passed.append(ticket)
                if ticket.overtaken >= OVERTAKES:
                    break
                continue
            for earlier in passed:
                earlier.overtaken += 1
            self.running[ticket.key] = ticket
            self.reserved_tokens += ticket.total_tokens
            ticket.read_tokens = start(ticket)
            assert 0 <= ticket.read_tokens < ticket.prompt_tokens, "the last prompt token is always read"
            admitted.append(ticket)
            if any(earlier.overtaken >= OVERTAKES for earlier in passed):
                break
        self.waiting.extendleft(reversed(passed))
        return admitted

    def pieces(self) -> list[Piece]:
        """Prompt tokens to read in this step, the oldest request's first."""
        unread = [t for t in self.running.values() if not t.is_decoding]
        left = self.prefill_tokens
        # With nobody to keep waiting a prompt is read whole, one a step, so that its first token comes soon.
        if len(unread) == len(self.running) and unread:
            left = max(left, unread[0].prompt_tokens - unread[0].read_tokens)
        made: list[Piece] = []
        for ticket in unread:
            # A prompt is cut only where it does not fit a step of its own: every pass costs the weights once more.
            if made and ticket.prompt_tokens - ticket.read_tokens > left:
                break
            stop = min(ticket.prompt_tokens, ticket.read_tokens + left)
            made.append(Piece(ticket, ticket.read_tokens, stop))
            left -= stop - ticket.read_tokens
            if left <= 0:
                break
        return made

    def read(self, piece: Piece) -> None:
        """A piece is in the cache."""
        assert piece.start == piece.ticket.read_tokens
        piece.ticket.read_tokens = piece.stop

    def remove(self, key: Hashable) -> bool:
        """A request ended, failed or was cancelled. True if it was running."""
        ticket = self.running.pop(key, None)
        if ticket is not None:
            self.reserved_tokens -= ticket.total_tokens
            return True
        self.waiting = deque(t for t in self.waiting if t.key != key)
        return False

"""Where one request stands between its arrival and the first word of its answer. Knows no engine.

Engines tell how many wait, not who. They admit about in the order of arrival, so of the requests
without a word yet the newest are those that wait.
"""

import time
from dataclasses import dataclass, field
from typing import Literal


@dataclass(eq=False, slots=True)
class Ticket:
    """One request's, for whoever shows where it stands.

    Attributes:
        stage: `opening` its files, `reading` (in line for it or at it) or `answering`.
        tokens: of its prompt, about; 0 before its files are open.
        since: when the stage began, in `time.monotonic` seconds.
    """

    stage: Literal["opening", "reading", "answering"] = "opening"
    tokens: int = 0
    since: float = field(default_factory=time.monotonic)


class WaitingQueue:
    """All requests without a word yet, in the order in which they reached the engine."""

    def __init__(self) -> None:
        self._tickets: dict[Ticket, None] = {}

    def join(self, ticket: Ticket, tokens: int) -> None:
        ticket.stage, ticket.tokens, ticket.since = "reading", tokens, time.monotonic()
        self._tickets[ticket] = None

    def leave(self, ticket: Ticket) -> None:
        """At the first word, or at any other end."""
        if ticket in self._tickets:
            ticket.stage, ticket.since = "answering", time.monotonic()
            del self._tickets[ticket]

    def ahead(self, ticket: Ticket, waiting: int) -> int | None:
        """How many of the `waiting` come before; None where it is being worked on or is not in line."""
        if ticket not in self._tickets:
            return None
        place = list(self._tickets).index(ticket) - (len(self._tickets) - waiting)
        return place if place >= 0 else None

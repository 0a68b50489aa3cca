"""A crowd over OpenAI's streaming API in a closed loop: each user asks, reads the answer to its end and asks again.

Every request has an image of its own, made before the clock runs. All users begin in the same moment.
"""

import asyncio
import re
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.load import quantile
from benchmarks.users import Connection, Outcome, Question, RestUser, connect, image

WORDS = "Describe this image in detail, please."
PIECE = re.compile(rb'"content":"[^"]')
TOKENS = re.compile(rb'"completion_tokens":\s*(\d+)')


@dataclass(frozen=True, slots=True)
class Column:
    """How many users ask how often, about an image of which size and for how many tokens."""

    users: int
    requests: int
    width: int
    height: int
    tokens: int

    @classmethod
    def read(cls, words: str) -> Self:
        """From `USERSxREQUESTS,WIDTHxHEIGHT,TOKENS`.

        Raises:
            ValueError
        """
        crowd, size, tokens = words.split(",")
        users, requests = map(int, crowd.split("x"))
        width, height = map(int, size.split("x"))
        return cls(users, requests, width, height, int(tokens))

    @property
    def name(self) -> str:
        crowd = "1 user" if self.users == 1 else f"{self.users} users"
        return f"{crowd}, {self.width} x {self.height}, {self.tokens} tokens"


class TimedUser(RestUser):
    """Notes when each piece of the answer came and how many tokens the server says it wrote."""

    def __init__(self, http: Connection, question: Question):
        super().__init__(http, question)
        self.times: list[float] = []
        self.tokens: int | None = None

    def _watch(self, piece: bytes) -> None:
        now = time.perf_counter()
        # Pieces that come in one go have no gap between them.
        self.times += [now] * len(PIECE.findall(piece))
        if told := TOKENS.findall(piece):
            self.tokens = int(told[-1])
        super()._watch(piece)


async def crowd(url: str, column: Column, seed: int, more: Mapping[str, Any]) -> dict[str, Any]:
    """One row of figures; requests that fail are counted and the first reason is told.

    Args:
        seed: another one for each row, so that no image is shown twice.
        more: fields of every request's body.
    """
    async with arrived(url, column, seed, more) as users:
        began = time.perf_counter()
        ends = await asyncio.gather(*map(one_after_the_other, users))
        wall_s = time.perf_counter() - began
    asked = [request for requests in users for request in requests]
    return summary(column, asked, [outcome for each in ends for outcome in each], wall_s)


@asynccontextmanager
async def arrived(url: str, column: Column, seed: int, more: Mapping[str, Any]) -> AsyncIterator[list[list[TimedUser]]]:
    """The requests of each user, connected and with their images, none asked yet; arguments as of `crowd`."""
    body = {"temperature": 0, "stream_options": {"include_usage": True}, **more}
    async with AsyncExitStack() as stack:
        users = []
        for user in range(column.users):
            http = await stack.enter_async_context(connect(url))
            shown = [
                image(seed * 1_000_000 + user * 1000 + number, column.width, column.height)
                for number in range(column.requests)
            ]
            users.append([TimedUser(http, Question(WORDS, column.tokens, each, body)) for each in shown])
        yield users


async def one_after_the_other(requests: Sequence[TimedUser]) -> list[Outcome]:
    return [await request.ask() for request in requests]


def summary(column: Column, asked: Sequence[TimedUser], outcomes: Sequence[Outcome], wall_s: float) -> dict[str, Any]:
    """Figures of the answers that came whole."""
    good = [(user, out) for user, out in zip(asked, outcomes, strict=True) if out.kind == "answered"]
    row: dict[str, Any] = {
        "column": column.name, "requests": len(asked), "errors": len(asked) - len(good), "wall_s": wall_s
    }  # fmt: skip
    wrong = Counter(f"{out.kind} {out.detail}"[:300] for out in outcomes if out.kind != "answered")
    if wrong:
        row["first_error"] = next(iter(wrong))
    if not good:
        return row
    tokens = [len(user.times) if user.tokens is None else user.tokens for user, _ in good]
    gaps = [late - early for user, _ in good for early, late in zip(user.times, user.times[1:], strict=False)]
    first = [out.ttft_s for _, out in good if out.ttft_s is not None]
    row |= {
        "tokens_per_s": sum(tokens) / wall_s,
        "requests_per_s": len(good) / wall_s,
        "tokens_an_answer": statistics.fmean(tokens),
        "latency_p95_s": quantile([out.seconds for _, out in good], 0.95),
    }
    if first:
        row["ttft_p50_s"] = statistics.median(first)
    if gaps:
        row |= {"gap_p50_ms": 1000 * statistics.median(gaps), "gap_p99_ms": 1000 * quantile(gaps, 0.99)}
    return row

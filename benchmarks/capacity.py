"""From the measured rates of one GPU to N users: how many GPUs, and what a million tokens cost.

    python -m benchmarks.capacity benchmarks/results/engine-….json --users 200 --think-s 30 --tokens 200 --price 2.5

The input is what `benchmarks.engine` or `benchmarks.gpu_session` wrote. Two numbers are taken from it: seconds that
reading a question with its image takes the GPU from everybody (`read_s`), and seconds of one step that gives each
running answer a token, by the number of answers (`step_s`). Arithmetic makes a number of GPUs of them; a discrete
simulation of the queue, request by request and step by step, then says what the users would see. The simulation is also
held against the measurement that it was made from (`again` in the result). docs/capacity.md explains the arithmetic.
"""

import argparse
import bisect
import heapq
import json
import math
import random
import statistics
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import machine

# Above this share of what it could do, a queue grows faster than the load; see docs/capacity.md.
BUSY = 0.7
SIMULATED_S = 900.0
WARM_UP_S = 120.0


@dataclass(frozen=True)
class Rates:
    """One GPU, as measured.

    Attributes:
        read_s: image and prompt until the first token, GPU time that no other request can use.
        steps: (running answers, seconds of a step) in order.
        slots: most answers at once.
    """

    read_s: float
    steps: tuple[tuple[int, float], ...]

    @property
    def slots(self) -> int:
        return self.steps[-1][0]

    def step_s(self, running: int) -> float:
        """Straight lines between what was measured, and flat before the first."""
        counts = [count for count, _ in self.steps]
        right = bisect.bisect_left(counts, running)
        if right == 0 or right == len(counts):
            return self.steps[min(right, len(counts) - 1)][1]
        (n0, s0), (n1, s1) = self.steps[right - 1 : right + 1]
        return s0 + (s1 - s0) * (running - n0) / (n1 - n0)

    def requests_per_s(self, tokens: int) -> float:
        """With all slots taken: each request takes its reading, and its share of `tokens` steps."""
        return 1 / (self.read_s + tokens * self.step_s(self.slots) / self.slots)


def rates(measured: dict, engine: str) -> Rates:
    """From the JSON of `benchmarks.engine` or `benchmarks.gpu_session`.

    All users of a row ask at once, so its time is that of reading all questions and of the steps of one answer; what
    is left after the steps, shared by the users, is a row's `read_s`, and the middle one of all rows is taken. In a
    crowd the gaps between tokens hold the reading of others too; a step is no longer than the row's time leaves room for.
    """
    found, tokens = machine.crowds(measured)
    rows = sorted((row for row in found if row["engine"] == engine), key=lambda row: row["users"])
    if not rows:
        raise ValueError(f"no rows of engine {engine!r}; there are {sorted({row['engine'] for row in found})}")
    walls = [row["users"] * tokens / row["tokens_per_s"] for row in rows]
    gaps = [row["gap_p50_ms"] / 1000 for row in rows]
    each = [(wall - (tokens - 1) * gap) / row["users"] for row, wall, gap in zip(rows, walls, gaps, strict=True)]
    read_s = max(0.0, statistics.median(each))
    steps = []
    for row, wall, gap in zip(rows, walls, gaps, strict=True):
        room = (wall - row["users"] * read_s) / (tokens - 1)
        steps.append((row["users"], min(gap, max(room, steps[-1][1] if steps else gap))))
    return Rates(read_s, tuple(steps))


@dataclass(order=True)
class Request:
    asked_s: float
    user: int
    left: int = field(compare=False)
    first_s: float = field(default=0.0, compare=False)


@dataclass
class Gpu:
    """One engine: reads one question, gives everybody a token, reads the next."""

    now_s: float = 0.0
    waiting: deque = field(default_factory=deque)
    running: list = field(default_factory=list)

    def turn(self, measured: Rates) -> list[Request]:
        """One turn of the loop; gives the requests that it ended."""
        took_s = 0.0
        if self.waiting and len(self.running) < measured.slots:
            request = self.waiting.popleft()
            took_s += measured.read_s
            request.first_s = self.now_s + took_s - request.asked_s
            request.left -= 1
            self.running.append(request)
        took_s += measured.step_s(len(self.running))
        self.now_s += took_s
        for request in self.running:
            request.left -= 1
        ended = [request for request in self.running if request.left <= 0]
        self.running = [request for request in self.running if request.left > 0]
        return ended


@dataclass
class Seen:
    """What users saw after the warm-up."""

    firsts: list[float] = field(default_factory=list)
    totals: list[float] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0

    def row(self) -> dict:
        firsts, totals = sorted(self.firsts), sorted(self.totals)
        return {
            "requests/s": len(totals) / self.seconds,
            "tokens/s": self.tokens / self.seconds,
            "first token p50 s": statistics.median(firsts),
            "first token p95 s": firsts[math.ceil(0.95 * len(firsts)) - 1],
            "answer p50 s": statistics.median(totals),
        }


def simulate(measured: Rates, gpus: int, users: int, think_s: float, tokens: int, seed: int = 1) -> Seen:
    """Users ask, read, think (exponentially distributed, mean `think_s`) and ask again, `SIMULATED_S` long."""
    dice, seen = random.Random(seed), Seen(seconds=SIMULATED_S - WARM_UP_S)
    fleet = [Gpu() for _ in range(gpus)]
    arriving = [(dice.expovariate(1 / think_s), user) for user in range(users)]
    heapq.heapify(arriving)
    while True:
        # The GPU that is furthest behind works next, unless somebody asks before.
        working = min((gpu for gpu in fleet if gpu.waiting or gpu.running), key=lambda gpu: gpu.now_s, default=None)
        now_s = min(working.now_s if working else math.inf, arriving[0][0] if arriving else math.inf)
        if now_s >= SIMULATED_S:
            break
        if arriving and arriving[0][0] <= now_s:
            asked_s, user = heapq.heappop(arriving)
            freest = min(fleet, key=lambda gpu: len(gpu.waiting) + len(gpu.running))
            if not freest.waiting and not freest.running:
                freest.now_s = max(freest.now_s, asked_s)
            freest.waiting.append(Request(asked_s, user, tokens))
            continue
        for request in working.turn(measured):
            heapq.heappush(arriving, (working.now_s + dice.expovariate(1 / think_s), request.user))
            if request.asked_s >= WARM_UP_S:
                seen.firsts.append(request.first_s)
                seen.totals.append(working.now_s - request.asked_s)
                seen.tokens += tokens
    return seen


def crowd(measured: Rates, users: int, tokens: int) -> dict:
    """`benchmarks.engine`'s own experiment: all ask at once."""
    gpu = Gpu(waiting=deque(Request(0.0, user, tokens) for user in range(users)))
    ended: list[Request] = []
    while gpu.waiting or gpu.running:
        ended += gpu.turn(measured)
    return {
        "tokens_per_s": users * tokens / gpu.now_s,
        "ttft_p50_s": statistics.median(request.first_s for request in ended),
    }


def needed(measured: Rates, users: int, think_s: float, tokens: int) -> tuple[int, float]:
    """GPUs, and requests a second that so many users make, at `BUSY` of what a GPU can do."""
    each = BUSY * measured.requests_per_s(tokens)
    # While others' questions are read nobody gets a token: steps are that much further apart.
    gap_s = measured.step_s(max(1, measured.slots // 2)) / (1 - each * measured.read_s)
    asked = users / (think_s + measured.read_s + tokens * gap_s)
    return max(1, math.ceil(asked / each)), asked


def plan(measured: Rates, options: argparse.Namespace) -> list[dict]:
    rows = []
    for users in map(int, str(options.users).split(",")):
        gpus, asked = needed(measured, users, options.think_s, options.tokens)
        seen = simulate(measured, gpus, users, options.think_s, options.tokens).row()
        dollars_an_hour = gpus * options.price
        rows.append(
            {
                "users": users,
                "GPUs": gpus,
                "requests/s, arithmetic": asked,
                "requests/s, simulated": seen["requests/s"],
                "first token p50 s": seen["first token p50 s"],
                "first token p95 s": seen["first token p95 s"],
                "answer p50 s": seen["answer p50 s"],
                "of what they could": seen["requests/s"] / gpus / measured.requests_per_s(options.tokens),
                "per million tokens": dollars_an_hour / 3600 / seen["tokens/s"] * 1e6,
                "at full load": options.price / 3600 / (measured.requests_per_s(options.tokens) * options.tokens) * 1e6,
            }
        )
    return rows


def again(measured: dict, found: Rates, engine: str) -> list[dict]:
    """The measured rows beside what the simulation makes of them."""
    measured_rows, tokens = machine.crowds(measured)
    rows = []
    for row in measured_rows:
        if row["engine"] == engine:
            made = crowd(found, row["users"], tokens)
            rows.append(
                {
                    "users": row["users"],
                    "tokens/s, measured": row["tokens_per_s"],
                    "tokens/s, simulated": made["tokens_per_s"],
                    "first token p50 s, measured": row["ttft_p50_s"],
                    "first token p50 s, simulated": made["ttft_p50_s"],
                }
            )
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, help="a result of benchmarks.engine")
    parser.add_argument("--engine", default="batching")
    parser.add_argument("--users", default="10,50,200,1000", help="people who use it at the same time")
    parser.add_argument("--think-s", type=float, default=30, help="mean pause between an answer and the next question")
    parser.add_argument("--tokens", type=int, default=200, help="length of an answer")
    parser.add_argument("--price", type=float, default=2.5, help="of one GPU for an hour, in your money")
    options = parser.parse_args(argv)
    measured = json.loads(options.measured.read_text())
    found = rates(measured, options.engine)
    checked, rows = again(measured, found, options.engine), plan(found, options)
    print(f"{measured['label']} on {measured['hardware']}: a question takes {1000 * found.read_s:.0f} ms to read, a step "
          f"{1000 * found.steps[0][1]:.1f} ms alone and {1000 * found.steps[-1][1]:.1f} ms with {found.slots} answers; "
          f"at most {found.requests_per_s(options.tokens):.2f} answers of {options.tokens} tokens a second\n")  # fmt: skip
    print(machine.table(checked), machine.table(rows), sep="\n\n")
    asked = {key: str(value) for key, value in vars(options).items()} | {"measured": options.measured.name}
    content = {"label": measured["label"], "measured_on": measured["hardware"], "asked": asked}
    print(machine.write("capacity", {**content, "again": checked, "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""N users in R regions, one region lost: how many GPUs, what it costs, and what the users see, played by simulation.

    python -m benchmarks.regions benchmarks/results/engine-….json --users 1000 --regions 3 --tokens 64 --price 2.5

Each region gets as many GPUs as let the others carry everybody when one is gone (`needed_each`). Users ask in their own
region; a region with no free slot gives what it cannot begin to the one that has one. At half of the time the first region
is lost: answers that it had begun fail and are asked again by their users, what it had not begun is moved once the
health check has noticed (`--notice-s`). Nothing but the queues and the distance is played: no DNS, no keys, no images.
"""

import argparse
import heapq
import json
import math
import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import capacity, machine


@dataclass(frozen=True)
class Plan:
    """What is played.

    Attributes:
        regions, gpus: regions, and GPUs in each.
        users: people in all regions together, spread evenly.
        think_s, tokens: mean pause before a question, and length of its answer.
        distance_s: one way more than to a user's own region.
        notice_s: from the loss of a region until nobody is sent there any more; None loses no region.
    """

    regions: int
    gpus: int
    users: int
    think_s: float
    tokens: int
    distance_s: float
    notice_s: float | None


@dataclass
class Seen:
    """What users saw after the warm-up.

    Attributes:
        firsts: (asked at, seconds until the first token), the way to another region and back included.
        begun_failed: answers under way in the region that was lost.
        unbegun_failed: questions without a first token that got no answer.
        moved: questions sent to the lost region before it was known to be, which others answered.
        elsewhere: questions that another region than the user's own answered.
        ended: answered, after the warm-up.
    """

    firsts: list[tuple[float, float]] = field(default_factory=list)
    begun_failed: int = 0
    unbegun_failed: int = 0
    moved: int = 0
    elsewhere: int = 0
    ended: int = 0


def needed_each(measured: capacity.Rates, plan: Plan) -> int:
    """GPUs in each region, so that one region less still has what all users need."""
    gpus, _ = capacity.needed(measured, plan.users, plan.think_s, plan.tokens)
    return math.ceil(gpus / max(1, plan.regions - 1))


class World:
    """Plays one plan, event by event: a question arrives, a region is lost or noticed, a GPU takes a turn."""

    def __init__(self, measured: capacity.Rates, plan: Plan, seed: int = 1):
        self.measured, self.plan, self.seen = measured, plan, Seen()
        self.dice = random.Random(seed)
        self.fleet = [[capacity.Gpu() for _ in range(plan.gpus)] for _ in range(plan.regions)]
        self.lost_s = capacity.SIMULATED_S / 2 if plan.notice_s is not None else math.inf
        self.noticed_s = self.lost_s + (plan.notice_s or 0.0)
        self.stuck: list[capacity.Request] = []
        self.away: dict[int, float] = {}  # by user: seconds of the way of the question under way
        # (arrives at, user, asked at): the last differs for what was moved.
        self.arriving = [(self._thinks(), user, 0.0) for user in range(plan.users)]
        self.arriving = [(at, user, at) for at, user, _ in self.arriving]
        heapq.heapify(self.arriving)

    def play(self) -> Seen:
        lost = noticed = False
        while True:
            gpus = [gpu for region in self.fleet for gpu in region if gpu.waiting or gpu.running]
            working = min(gpus, key=lambda gpu: gpu.now_s, default=None)
            arrives_s = self.arriving[0][0] if self.arriving else math.inf
            now_s = min(working.now_s if working else math.inf, arrives_s)
            if not lost and now_s >= self.lost_s:
                lost = True
                self._lose()
            elif lost and not noticed and now_s >= self.noticed_s:
                noticed = True
                self._move()
            elif now_s >= capacity.SIMULATED_S:
                self.seen.unbegun_failed += len(self.stuck)
                return self.seen
            elif arrives_s <= now_s:
                self._arrive(lost, noticed)
            else:
                assert working is not None
                self._turn(working)

    def _thinks(self) -> float:
        return self.dice.expovariate(1 / self.plan.think_s)

    def _arrive(self, lost: bool, noticed: bool) -> None:
        at, user, asked_s = heapq.heappop(self.arriving)
        home = user % self.plan.regions
        request = capacity.Request(asked_s, user, self.plan.tokens)
        if lost and not noticed and home == 0:
            self.stuck.append(request)
            return
        open_ = [region for region in range(self.plan.regions) if region or not lost]
        chosen = (
            home if home in open_ and self._has_room(home) else min(open_, key=lambda region: self._busy(region, home))
        )
        gpu = min(self.fleet[chosen], key=lambda gpu: len(gpu.waiting) + len(gpu.running))
        away_s = 0.0 if chosen == home else self.plan.distance_s
        if not gpu.waiting and not gpu.running:
            gpu.now_s = max(gpu.now_s, at + away_s)
        self.away[user] = away_s
        gpu.waiting.append(request)

    def _has_room(self, region: int) -> bool:
        return any(len(gpu.waiting) + len(gpu.running) < self.measured.slots for gpu in self.fleet[region])

    def _busy(self, region: int, home: int) -> tuple[int, bool]:
        return min(len(gpu.waiting) + len(gpu.running) for gpu in self.fleet[region]), region != home

    def _turn(self, gpu: capacity.Gpu) -> None:
        for request in gpu.turn(self.measured):
            away_s = self.away.pop(request.user)
            heapq.heappush(self.arriving, (at := gpu.now_s + away_s + self._thinks(), request.user, at))
            if request.asked_s >= capacity.WARM_UP_S:
                self.seen.ended += 1
                self.seen.elsewhere += away_s > 0
                self.seen.firsts.append((request.asked_s, request.first_s + away_s))

    def _lose(self) -> None:
        """The region's queues wait for the health check; what had begun fails at once, and is asked again."""
        for gpu in self.fleet[0]:
            for request in gpu.running:
                self.seen.begun_failed += 1
                self.away.pop(request.user)
                heapq.heappush(self.arriving, (at := self.lost_s + self._thinks(), request.user, at))
            self.stuck += gpu.waiting
            for request in gpu.waiting:
                self.away.pop(request.user)
            gpu.running, gpu.waiting = [], type(gpu.waiting)()

    def _move(self) -> None:
        self.seen.moved = len(self.stuck)
        for request in self.stuck:
            heapq.heappush(self.arriving, (self.noticed_s, request.user, request.asked_s))
        self.stuck = []


def row(measured: capacity.Rates, plan: Plan, price: float) -> dict:
    """One line of the table; `loss` is from the loss of the region until a minute after, `after` what follows it."""
    seen = World(measured, plan).play()
    lost_s = capacity.SIMULATED_S / 2
    parts: dict[str, list[float]] = {"before": [], "loss": [], "after": []}
    for asked_s, first_s in seen.firsts:
        parts["before" if asked_s < lost_s - 60 else "after" if asked_s > lost_s + 60 else "loss"].append(first_s)
    gpus = plan.gpus * plan.regions
    tokens = seen.ended * plan.tokens / (capacity.SIMULATED_S - capacity.WARM_UP_S)
    return {
        "users": plan.users,
        "regions": plan.regions,
        "GPUs in each": plan.gpus,
        "region lost": plan.notice_s is not None,
        "failed, begun": seen.begun_failed,
        "failed, not begun": seen.unbegun_failed,
        "moved": seen.moved,
        "answered elsewhere": seen.elsewhere / max(1, seen.ended),
        **{f"first token p95 s, {name}": _p95(found) for name, found in parts.items()},
        "an hour": gpus * price,
        "per million tokens": gpus * price / 3600 / tokens * 1e6,
    }


def _p95(found: list[float]) -> float:
    return sorted(found)[math.ceil(0.95 * len(found)) - 1] if found else 0.0


def one_region_is_the_single_machine(measured: capacity.Rates, users: int, think_s: float, tokens: int) -> dict:
    """The simulation of regions beside that of docs/capacity.md, which is held to the measurement."""
    gpus, _ = capacity.needed(measured, users, think_s, tokens)
    alone = capacity.simulate(measured, gpus, users, think_s, tokens).row()
    seen = World(measured, Plan(1, gpus, users, think_s, tokens, 0.0, None)).play()
    rate = seen.ended / (capacity.SIMULATED_S - capacity.WARM_UP_S)
    return {
        "requests/s, one queue": alone["requests/s"],
        "requests/s, regions": rate,
        "first token p50 s, one queue": alone["first token p50 s"],
        "first token p50 s, regions": statistics.median(first_s for _, first_s in seen.firsts),
    }


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, help="a result of benchmarks.engine or benchmarks.gpu_session")
    parser.add_argument("--engine", default="batching")
    parser.add_argument("--users", default="50,200,1000", help="people who use it at the same time, in all regions")
    parser.add_argument("--regions", default="2,3", help="numbers of regions")
    parser.add_argument("--think-s", type=float, default=30, help="mean pause between an answer and the next question")
    parser.add_argument("--tokens", type=int, default=64, help="length of an answer")
    parser.add_argument("--price", type=float, default=2.5, help="of one GPU for an hour, in your money")
    parser.add_argument("--distance-ms", type=float, default=80, help="a way to another region and back")
    parser.add_argument("--notice-s", type=float, default=6, help="until the health check leaves a lost region out")
    options = parser.parse_args(argv)
    content = json.loads(options.measured.read_text())
    measured = capacity.rates(content, options.engine)
    rows = []
    for users in map(int, options.users.split(",")):
        for regions in map(int, options.regions.split(",")):
            for notice_s in (None, options.notice_s):
                asked = (users, options.think_s, options.tokens, options.distance_ms / 1000, notice_s)
                gpus = needed_each(measured, Plan(regions, 1, *asked))
                rows.append(row(measured, Plan(regions, gpus, *asked), options.price))
    checked = one_region_is_the_single_machine(
        measured, int(options.users.split(",")[-1]), options.think_s, options.tokens
    )
    print(machine.table([checked]), machine.table(rows), sep="\n\n")
    told = {key: str(value) for key, value in vars(options).items()} | {"measured": options.measured.name}
    result = {"label": content["label"], "measured_on": content["hardware"], "asked": told, "rows": rows}
    print(machine.write("regions", {**result, "one region": checked}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

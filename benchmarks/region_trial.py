"""Three regions with real front proxies on one machine: one is cut off, one is slow, one full, one drained, one killed.

    python -m benchmarks.region_trial                          50 users, two copies in each region, about three minutes
    python -m benchmarks.region_trial --copies 1 --seconds 5 --users 12 --phases well,cut,drained
    python -m benchmarks.region_trial --show benchmarks/results/region-trial-….json     what docs/regions.md says of it

Everything runs in network namespaces of its own (`benchmarks.region_world`), so it needs root or user namespaces, nginx
and HAProxy. Users live beside the three fronts: half of them stream, a quarter asks for whole answers, a quarter are
visitors of the page; each question has an image, each answer comes from the scripted engine. `lost` is an answer that
failed although nothing of it had arrived; that must not happen, nor may a visitor be moved from a region that lives.
"""

import argparse
import asyncio
import contextlib
import functools
import itertools
import json
import math
import os
import random
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks import failover, machine
from benchmarks.load import quantile
from benchmarks.namespaces import loopback_up, unshared
from benchmarks.region_world import NAMES, World, address
from benchmarks.users import TIMEOUT

WORDS = 60  # of a question, which the scripted engine repeats: 0.2 s + 20 ms each
THINK_S = 2.0
SLOW_MS = 350.0
# What the page calls the phases.
TOLD = {
    "well": "well",
    "cut eu": "eu cut off",
    "back eu": "eu back",
    "slow us": "us slow: {slow:.1f} s more there and back",
    "quick us": "us as before",
    "crowded eu": "{guests} more users at the front of eu",
    "drained asia": "asia drained, ended after {drained:.0f} s",
    "killed us": "us killed as well",
}
# Phases in which a region is lost.
LOST = ("cut", "killed")
# Set in the process inside the namespace, so that it is not put into another one.
INSIDE = "REGION_TRIAL_INSIDE"


@dataclass(frozen=True)
class Asked:
    """One request. `at_s` and `ended_s` are seconds since the start; kinds are those of `failover.Crowd`."""

    at_s: float
    ended_s: float
    home: str
    front: str
    user: int
    kind: str
    region: str | None
    detail: str = ""

    @property
    def took_s(self) -> float:
        return self.ended_s - self.at_s


@dataclass
class Phase:
    """A stretch of time.

    Attributes:
        hit: the region to which something happens, if any.
        begin, half: what is done at its beginning, and in the middle of it.
        guests: how many more ask at the front of `hit`.
    """

    name: str
    hit: str | None = None
    begin: Callable[[World], None] | None = None
    half: Callable[[World], None] | None = None
    guests: int = 0
    start_s: float = 0.0
    half_s: float = math.inf
    end_s: float = math.inf


def phases(guests: int) -> list[Phase]:
    return [
        Phase("well"),
        Phase("cut", "eu", begin=lambda world: world.internet.cut(address("eu", "region"))),
        Phase("back", "eu", begin=lambda world: world.internet.join(address("eu", "region"))),
        Phase("slow", "us", begin=lambda world: world.internet.slow(address("us", "region"), SLOW_MS)),
        Phase("quick", "us", begin=lambda world: world.internet.slow(address("us", "region"), 0.0)),
        Phase("crowded", "eu", guests=guests),
        Phase(
            "drained", "asia", begin=lambda world: world.regions["asia"].drain(),
            half=lambda world: world.regions["asia"].end(signal.SIGTERM),
        ),
        Phase("killed", "us", begin=lambda world: world.regions["us"].end(signal.SIGKILL)),
    ]  # fmt: skip


@dataclass
class Trial:
    """What users did while the phases passed."""

    phases: list[Phase]
    asked: list[Asked] = field(default_factory=list)
    visits: dict[int, list[tuple[float, str]]] = field(default_factory=dict)  # by visitor: (since when, region)

    def row(self, phase: Phase, usual_s: float) -> dict:
        """Of what was asked in the phase, and `well after s`: the end of the last answer that the change made late.

        Args:
            usual_s: longer than this is late.
        """
        here = [one for one in self.asked if phase.start_s <= one.at_s < phase.end_s]
        touched = [one for one in self.asked if one.ended_s >= phase.start_s and one.at_s < phase.end_s]
        # What came to nothing counts where it did.
        last_s = math.inf if phase is self.phases[-1] else phase.end_s
        kinds = Counter(one.kind for one in self.asked if phase.start_s <= one.ended_s < last_s)
        took = [one.took_s for one in here if one.kind == "answered"]
        late = [one.ended_s for one in touched if one.kind in ("broken", "lost") or one.took_s > usual_s]
        answered = [one for one in here if one.kind == "answered" and one.region]
        by = Counter(one.region for one in answered)
        return {
            "phase": f"{phase.name} {phase.hit or ''}".strip(),
            "answered": len(took),
            "p50 s": statistics.median(took) if took else None,
            "p95 s": quantile(took, 0.95),
            "longest s": max(took, default=None),
            "told to come back": kinds["told"],
            "broken off": kinds["broken"],
            "lost": kinds["lost"],
            "well after s": max(late, default=phase.start_s) - phase.start_s if phase.name in LOST else None,
            "by eu / us / asia": " / ".join(f"{100 * by[name] / max(1, len(answered)):.0f} %" for name in NAMES),
        }

    def rows(self) -> list[dict]:
        first = [one.took_s for one in self.asked if one.ended_s < self.phases[0].end_s and one.kind == "answered"]
        usual_s = 1.5 * quantile(first, 0.95)
        return [self.row(phase, usual_s) for phase in self.phases]

    def lost_at(self, region: str, at_s: float) -> bool:
        """Whether it was cut off, killed, or ended after its drain, at that time or a little before."""
        for phase in self.phases:
            since = {"cut": phase.start_s, "killed": phase.start_s, "drained": phase.half_s}.get(phase.name, math.inf)
            until = math.inf if phase.name != "cut" else phase.end_s + THINK_S + 3
            if phase.hit == region and since <= at_s <= until:
                return True
        return False

    def moves(self) -> list[dict]:
        """Of visitors of the page, from region to region."""
        return [
            {
                "phase": next((phase.name for phase in self.phases if phase.start_s <= at_s < phase.end_s), "after"),
                "from": left,
                "to": met,
                "was lost": self.lost_at(left, at_s),
            }
            for visits in self.visits.values()
            for (_, left), (at_s, met) in itertools.pairwise(visits)
        ]

    def sessions(self) -> dict[str, int]:
        """Where visitors of the page went."""
        lost = [move["was lost"] for move in self.moves()]
        return {
            "visitors": len(self.visits),
            "moves from a lost region": sum(lost),
            "moves from a living region": len(lost) - sum(lost),
        }

    def first_again_s(self) -> float | None:
        """Seconds after the cut region was back until it answered somebody from there again."""
        for phase in self.phases:
            if phase.name == "back":
                seen = [one.ended_s for one in self.asked if one.at_s >= phase.start_s and one.region == phase.hit]
                return min(seen) - phase.start_s if seen else None
        return None


async def run(world: World, trial: Trial, users: int, seconds: float) -> None:
    """All phases, `seconds` each; users ask, read, think and ask again."""
    began = time.perf_counter()
    crowd = failover.Crowd(users, words=WORDS, images=True)
    async with asyncio.TaskGroup() as group:
        ended = asyncio.Event()
        for number in range(users):
            group.create_task(_user(trial, crowd, number, NAMES[number % len(NAMES)], began, ended))
        for phase in trial.phases:
            phase.start_s = time.perf_counter() - began
            if phase.begin:
                phase.begin(world)
            gone = asyncio.Event()
            for number in range(phase.guests):
                group.create_task(_user(trial, crowd, 1000 + number, phase.hit or NAMES[0], began, gone))
            await asyncio.sleep(seconds / 2)
            phase.half_s = time.perf_counter() - began
            if phase.half:
                phase.half(world)
            await asyncio.sleep(seconds / 2)
            gone.set()
            phase.end_s = time.perf_counter() - began
            print(f"{phase.name}: {len(trial.asked)} answers so far", file=sys.stderr, flush=True)
        ended.set()


@functools.cache
def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _user(
    trial: Trial, crowd: failover.Crowd, number: int, home: str, began: float, ended: asyncio.Event
) -> None:
    front = failover.FRONTS[number // len(NAMES) % len(failover.FRONTS)] if number < 1000 else "whole"
    transport = httpx.AsyncHTTPTransport(verify=_trusting(), local_address=address(home, "users"))
    url = f"https://{address(home, 'front')}"
    dice = random.Random(number)
    async with httpx.AsyncClient(base_url=url, transport=transport, timeout=TIMEOUT) as http:
        if front == "page":
            await _arrive(http)
        while not ended.is_set():
            state: dict = {}
            asked_s = time.perf_counter() - began
            kind, detail = await failover.ask(http, front, number, crowd, state)
            ended_s, region = time.perf_counter() - began, state["region"]
            detail = detail if kind == "lost" else ""
            trial.asked.append(Asked(asked_s, ended_s, home, front, number, kind, region, detail))
            if front == "page" and region:
                met = trial.visits.setdefault(number, [])
                if not met or met[-1][1] != region:
                    met.append((ended_s, region))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), THINK_S * dice.uniform(0.5, 1.5))


async def _arrive(http: httpx.AsyncClient) -> None:
    """The first page; who is told to come back does."""
    for _ in range(60):
        if (await http.get("/")).status_code == 200:
            return
        await asyncio.sleep(0.5)
    raise RuntimeError("a visitor was given no page for half a minute")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--guests", type=int, default=60, help="who come to the front of eu when it is crowded")
    parser.add_argument("--copies", type=int, default=2, help="of the app in each region")
    parser.add_argument("--slots", type=int, default=10, help="answers that a copy makes at once")
    parser.add_argument("--seconds", type=float, default=16, help="of each phase")
    parser.add_argument("--phases", default=",".join(phase.name for phase in phases(0)), help="in this order")
    parser.add_argument("--out", type=Path, help="folder of the result, benchmarks/results if left out")
    parser.add_argument("--show", type=Path, help="only say what the page says of this result")
    return parser.parse_args(argv)


def show(record: dict) -> list[str]:
    """The page's table and what it says beside it."""
    lines, well = [], {}
    for row in record["rows"]:
        took = " / ".join(f"{row[name]:.1f}" for name in ("p50 s", "p95 s", "longest s"))
        ends = " | ".join(str(row[name]) for name in ("told to come back", "broken off", "lost"))
        told = TOLD[row["phase"]].format(
            slow=2 * SLOW_MS / 1000, drained=record["asked"]["seconds"] / 2, **record["asked"]
        )
        lines.append(f"| {told} | {row['answered']} | {took} | {ends} | {row['by eu / us / asia']} |")
        well[row["phase"]] = row["well after s"]
    lines += [f"All was well again {well['cut eu']:.1f} s after eu was cut off"] if "cut eu" in well else []
    lines += [f"{well['killed us']:.1f} s after us was killed"] if "killed us" in well else []
    again_s = record["cut region answers again after s"]
    lines += [f"answered again {again_s:.1f} s after it was back"] if again_s is not None else []
    return [*lines, f"of the {record['visitors']} visitors", f"{record['moves from a lost region']} times in all"]


@contextlib.contextmanager
def made(options: argparse.Namespace) -> Iterator[World]:
    flags = ["--engine", "scripted", "--max-running", str(options.slots), "--max-waiting", "256", "--canary-s", "0"]
    with tempfile.TemporaryDirectory(prefix="regions") as folder:
        world = World.make(Path(folder), [*flags, "--grace-s", "20"], options.copies)
        try:
            yield world
        finally:
            world.close()


def main(argv: Sequence[str] | None = None) -> int:
    options = arguments(argv)
    if options.show:
        print("\n".join(show(json.loads(options.show.read_text()))))
        return 0
    if not os.environ.get(INSIDE):
        command = [sys.executable, "-m", "benchmarks.region_trial", *(sys.argv[1:] if argv is None else argv)]
        return subprocess.run(unshared(command), env={**os.environ, INSIDE: "1"}).returncode
    loopback_up()
    wanted = options.phases.split(",")
    trial = Trial([phase for phase in phases(options.guests) if phase.name in wanted])
    load = os.getloadavg()[0]
    codes = None
    with made(options) as world:
        asyncio.run(run(world, trial, options.users, options.seconds))
        if "drained" in wanted:
            codes = [copy.wait(timeout=60) for copy in world.regions["asia"].copies]
    rows, sessions = trial.rows(), trial.sessions()
    print(machine.table(rows))
    told = {**sessions, "cut region answers again after s": trial.first_again_s(), "exit codes of the drained": codes}
    print("\n" + json.dumps(told))
    for move, count in Counter(tuple(move.values()) for move in trial.moves()).items():
        print(
            "visitors moved:", count, dict(zip(("phase", "from", "to", "was lost"), move, strict=True)), file=sys.stderr
        )
    lost = [one for one in trial.asked if one.kind == "lost"]
    for one in lost[:8]:
        print(f"lost at {one.at_s:.1f} s, {one.front} from {one.home}: {one.detail}", file=sys.stderr)
    asked = {key: value for key, value in vars(options).items() if key not in ("out", "show")}
    content = {
        "label": "scripted",
        "asked": asked,
        "rows": rows,
        **told,
        "moves": trial.moves(),
        "load_average_before": load,
    }
    print(machine.write("region-trial", content, options.out))
    return int(bool(lost or sessions["moves from a living region"] or any(codes or [])))


if __name__ == "__main__":
    sys.exit(main())

"""Many users at once against the running app, through REST and through Gradio's queue.

    python -m benchmarks.load                              the scripted engine: what the front alone can do
    python -m benchmarks.load --max-waiting 64 --label full    the same with too little room: who is turned away
    python -m benchmarks.load --engine embedded            with the model that comes with the app
    python -m benchmarks.load --url http://127.0.0.1:7860  an app that runs already

A user asks, reads the answer to its end and asks again; one that is turned away comes back when it
was told to. All users of a level start in the same moment. A model is shown another image each
time; the upload to the page is not part of the time. Other flags are settings of `app.py`.
With the scripted engine it also says what an answer costs the server's processor, per request and token.
"""

import argparse
import asyncio
import contextlib
import itertools
import math
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from uvicorn.loops.auto import auto_loop_factory

from benchmarks import machine
from benchmarks.running import ENGINES, Figures, app, scrape
from benchmarks.users import FRONTS, Connection, Outcome, Question, connect, image

# With the scripted engine nothing but the front shall be a limit: its answers take 0.2 s + 20 ms a token.
ROOMY = {
    "scripted": ["--max-running", "256", "--max-waiting", "256"],
    "embedded": ["--max-waiting", "256", "--request-timeout-s", "1800"],
}
WORDS = "what do you see in this image"
LONGEST_PAUSE_S = 5.0
# No image is shown twice, so that an engine's cache of images does not help.
IMAGES = itertools.count()


def arguments(argv: list[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=ENGINES, default="scripted")
    parser.add_argument("--url", help="measure this app instead of a fresh one")
    parser.add_argument("--fronts", default="rest,gradio", help="of " + ", ".join(FRONTS))
    parser.add_argument("--users", default="10,50,100,200")
    parser.add_argument("--seconds", type=float, default=15, help="after which nobody asks anew")
    parser.add_argument("--requests", type=int, default=4000, help="most requests of one level")
    parser.add_argument("--tokens", type=int, default=50, help="longest answer")
    parser.add_argument("--words-only", action="store_true", help="no image")
    parser.add_argument("--no-cost", action="store_true", help="leave out the cost per request and token")
    parser.add_argument("--label", default="", help="becomes part of the result's file name")
    return parser.parse_known_args(argv)


@dataclass
class Level:
    """What happened while `users` asked at once."""

    front: str
    users: int
    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0
    client_cpu_s: float = 0.0

    def row(self, before: Figures, after: Figures) -> dict:
        answered = [o for o in self.outcomes if o.kind == "answered"]
        rejected = [o.seconds for o in self.outcomes if o.kind == "rejected"]
        latencies, firsts = [o.seconds for o in answered], [o.ttft_s for o in answered]
        return {
            "front": self.front,
            "users": self.users,
            "answered": len(answered),
            "requests/s": len(answered) / self.seconds,
            "tokens/s": (after.tokens - before.tokens) / self.seconds,
            "mean s": statistics.fmean(latencies or [0]),
            "p50 s": quantile(latencies, 0.5),
            "p95 s": quantile(latencies, 0.95),
            "p99 s": quantile(latencies, 0.99),
            "first token p50 s": quantile(firsts, 0.5),
            "first token p95 s": quantile(firsts, 0.95),
            "rejected": len(rejected),
            "rejected in p95 s": quantile(rejected, 0.95),
            "errors": sum(o.kind == "error" for o in self.outcomes),
            "server CPU ms a request": 1000 * (after.cpu_s - before.cpu_s) / max(1, len(self.outcomes)),
            "server CPU %": 100 * (after.cpu_s - before.cpu_s) / self.seconds,
            "client CPU %": 100 * self.client_cpu_s / self.seconds,
        }


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * share) - 1] if ordered else 0.0


async def level(url: str, front: str, users: int, options: argparse.Namespace) -> Level:
    """All `users` ask until time or requests are used up."""
    result = Level(front, users)
    left = iter(range(options.requests))

    async def arrive(http: Connection):
        shown = None if options.words_only else image(next(IMAGES))
        user = FRONTS[front](http, Question(question(options.tokens), options.tokens, shown))
        await user.prepare()
        return user

    async def ask_on(user, http: Connection) -> None:
        while time.perf_counter() < began + options.seconds and next(left, None) is not None:
            outcome = await user.ask()
            result.outcomes.append(outcome)
            if outcome.kind == "rejected":
                await asyncio.sleep(min(outcome.retry_after_s, LONGEST_PAUSE_S))
            elif options.engine != "scripted":
                user = await arrive(http)

    async with contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connect(url)) for _ in range(users)]
        everybody = [await arrive(http) for http in connections]
        cpu, began = time.process_time(), time.perf_counter()
        await asyncio.gather(*map(ask_on, everybody, connections))
        result.seconds, result.client_cpu_s = time.perf_counter() - began, time.process_time() - cpu
    return result


def run(users: Coroutine[Any, Any, Level]) -> Level:
    """On uvloop where it is there: the users share the processor with what they measure."""
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        return runner.run(users)


def question(tokens: int) -> str:
    """As many words as the answer shall have tokens: the scripted engine repeats them."""
    words = WORDS.split()
    return " ".join(words[n % len(words)] for n in range(tokens))


def measure(url: str, options: argparse.Namespace) -> tuple[list[dict], list[str]]:
    """A row for each front and number of users, and what went wrong."""
    rows, wrong = [], []
    for front in options.fronts.split(","):
        run(level(url, front, 2, argparse.Namespace(**{**vars(options), "seconds": 0.5})))  # warm
        for users in map(int, options.users.split(",")):
            before = scrape(url)
            result = run(level(url, front, users, options))
            rows.append(result.row(before, scrape(url)))
            wrong += [f"{front}, {users} users: {o.detail}" for o in result.outcomes if o.kind == "error"]
            print(f"{front}, {users} users: {rows[-1]['requests/s']:.1f} requests/s", file=sys.stderr)
    return rows, wrong


def cost(url: str, options: argparse.Namespace) -> list[dict]:
    """CPU time of the server's process per request and per token: a line through short and long answers.

    The machine's other work does not count, as this is CPU time, but shared caches do: some 10 %.
    """
    rows = []
    for front in options.fronts.split(","):
        for words_only in (True, False):
            spent = {}
            for tokens in (5, 205):
                changed = {"tokens": tokens, "words_only": words_only, "seconds": max(8.0, options.seconds)}
                before = scrape(url)
                result = run(level(url, front, 20, argparse.Namespace(**{**vars(options), **changed})))
                spent[tokens] = 1000 * (scrape(url).cpu_s - before.cpu_s) / max(1, len(result.outcomes))
            per_token = (spent[205] - spent[5]) / 200
            image_ = "none" if words_only else "448 x 448"
            rows.append(
                {
                    "front": front,
                    "image": image_,
                    "CPU ms a request": spent[5] - 5 * per_token,
                    "CPU ms a token": per_token,
                }
            )
            print(f"{front}, {image_}: {per_token:.3f} ms a token", file=sys.stderr)
    return rows


def main(argv: list[str] | None = None) -> int:
    options, settings = arguments(argv)
    load = os.getloadavg()[0]
    costs: list[dict] = []
    # The last of two equal flags counts, so what the caller gives comes after.
    running = contextlib.nullcontext(options.url) if options.url else app(
        options.engine, [*ROOMY[options.engine], *settings]
    )  # fmt: skip
    with running as url:
        rows, wrong = measure(url.rstrip("/"), options)
        if options.engine == "scripted" and not options.no_cost and not options.url:
            costs = cost(url, options)
    print(machine.table(rows))
    if costs:
        print("\n" + machine.table(costs))
    for detail, count in Counter(wrong).most_common(5):
        print(f"error, {count} times: {detail}", file=sys.stderr)
    name = "-".join(filter(None, ("load", options.url and "url", not options.url and options.engine, options.label)))
    asked = {key: value for key, value in vars(options).items() if key != "label"}
    print(
        machine.write(
            name, {"rows": rows, "asked": asked, "settings": settings, "cost": costs, "load_average_before": load}
        )
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""Two models on one GPU or CPU, each in a server of its own: what each gives alone, both at once, what memory they take.

    python -m benchmarks.random_checkpoint --architecture 7b --out 7B; python -m benchmarks.random_checkpoint …
    python -m benchmarks.shared_gpu --model 7b=7B:20 --model 3b=3B:12 --kind nf4
    python -m benchmarks.shared_gpu --give-way --slots 4 --kind none --column 8x4,448x448,64 --model …
    python -m benchmarks.shared_gpu --show benchmarks/results/shared-gpu-….json

A model is NAME=CHECKPOINT:GIB, the last being its `--memory-limit-gib`. Both are started at once and stay: who is asked
alone has the other beside it, loaded and idle. Rounds go back and forth. Tokens/s are counted until the first crowd of a
turn has ended, so that nobody's last answers are made beside an idle neighbour. With --give-way the second model gives
way to the first in a further turn of each round; in the others this program keeps the file from both. SHARED_GPU_LOG_1
and _2 name files for what the servers print; other flags are settings of both.
"""

import argparse
import asyncio
import contextlib
import fcntl
import json
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families
from uvicorn.loops.auto import auto_loop_factory

from benchmarks import machine
from benchmarks.checkouts import commit
from benchmarks.closed_loop import Column, arrived, one_after_the_other
from benchmarks.load import quantile
from benchmarks.over_http import SERVERS, nvidia_smi
from benchmarks.running import CROWD, ROOT, serving
from benchmarks.users import Outcome

GIB, MIB = 1 << 30, 1 << 20
FILE = "first"
IDLE, BUSY, GIVES_WAY = "an idle one", "a busy one", "a busy one, the second giving way"
# What a process takes of a GPU besides what its allocator tells of; as qwen_demo/engines/batching/memory_plan.py has it.
CONTEXT_BYTES = 900 * MIB


@dataclass(frozen=True)
class Model:
    """One of those that share the GPU."""

    name: str
    checkpoint: Path
    limit_gib: float

    @classmethod
    def read(cls, words: str) -> Self:
        name, _, rest = words.partition("=")
        checkpoint, _, limit = rest.rpartition(":")
        return cls(name, Path(checkpoint), float(limit))


@dataclass(frozen=True)
class Running:
    model: Model
    url: str
    ready_s: float


class Turn(NamedTuple):
    """Who is asked in one moment, and what the rows say of that."""

    asked: Sequence[Running]
    beside: str


def arguments(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", type=Model.read, metavar="NAME=CHECKPOINT:GIB", default=[])
    parser.add_argument("--kind", default="nf4", help="of weights, as --quantization")
    parser.add_argument("--column", type=Column.read, default="8x6,1036x756,64", metavar="USERSxREQUESTS,WxH,TOKENS")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--give-way", action="store_true", help="also with the second giving way to the first")
    parser.add_argument("--label", default="", help="in the name of the result")
    parser.add_argument("--out", type=Path, help="folder of the result, benchmarks/results if left out")
    parser.add_argument("--show", type=Path, help="only print the tables of this result")
    options, settings = parser.parse_known_args(argv)
    if not options.show and len(options.model) != 2:
        parser.error("two --model are needed")
    return options, settings


def start(stack: ExitStack, options: argparse.Namespace, settings: list[str], cache: Path) -> list[Running]:
    """Both servers, loaded at the same time."""

    def one(number: int) -> Running:
        model, began = options.model[number], time.perf_counter()
        filled = {"tree": ROOT, "checkpoint": model.checkpoint.resolve(), "quantization": options.kind}
        command = [part.format(**filled, port="{port}") for part in SERVERS["app"].command]
        flags = ["--memory-limit-gib", str(model.limit_gib), *settings]
        if options.give_way:
            flags += [("--go-first-file", "--give-way-file")[number], str(cache / FILE)]
        variables = {
            **CROWD,
            "HF_HUB_OFFLINE": "1",
            "TRITON_CACHE_DIR": str(cache / model.name),
            "PYTHONUNBUFFERED": "1",
        }
        server = serving(
            [*command, *flags],
            log_variable=f"SHARED_GPU_LOG_{number + 1}",
            variables=variables,
            health="/ready",
            folder=ROOT,
        )
        return Running(model, stack.enter_context(server), time.perf_counter() - began)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(2)))


async def turn(asked: Sequence[Running], beside: str, column: Column, seed: int) -> list[dict[str, Any]]:
    """A row for each of `asked`, all of whose crowds begin in one moment."""
    async with AsyncExitStack() as stack:
        crowds = [
            await stack.enter_async_context(arrived(each.url, column, 10 * seed + number, {}))
            for number, each in enumerate(asked)
        ]
        began, ended = time.perf_counter(), []

        async def ask(users: list) -> list[Outcome]:
            found = await asyncio.gather(*map(one_after_the_other, users))
            ended.append(time.perf_counter())
            return [outcome for each in found for outcome in each]

        outcomes = await asyncio.gather(*map(ask, crowds))
    rows = []
    for each, users, found in zip(asked, crowds, outcomes, strict=True):
        requests = [request for user in users for request in user]
        gaps = [late - early for one in requests for early, late in zip(one.times, one.times[1:], strict=False)]
        wrong = [outcome for outcome in found if outcome.kind != "answered"]
        rows.append(
            {
                "model": each.model.name,
                "beside": beside,
                "tokens_per_s": sum(at <= min(ended) for one in requests for at in one.times) / (min(ended) - began),
                "ttft_p50_s": statistics.median([one.ttft_s for one in found if one.ttft_s is not None] or [0.0]),
                "gap_p99_ms": 1000 * quantile(gaps, 0.99),
                "errors": len(wrong),
                **({"first_error": f"{wrong[0].kind} {wrong[0].detail}"[:300]} if wrong else {}),
            }
        )
    return rows


def turns(running: Sequence[Running], rounds: int, *, give_way: bool = False) -> list[Turn]:
    once = [Turn(running[:1], IDLE), Turn(running[1:], IDLE), Turn(running, BUSY)]
    once += [Turn(running, GIVES_WAY)] if give_way else []
    return [each for number in range(rounds) for each in (reversed(once) if number % 2 else once)]


@contextlib.contextmanager
def kept_from(file: Path, beside: str) -> Iterator[None]:
    """Nobody can go first while somebody else looks at the file."""
    with file.open("a+b") as opened:
        if beside != GIVES_WAY:
            fcntl.flock(opened, fcntl.LOCK_SH)
        yield


def engine_memory(running: Running) -> dict[str, Any]:
    """What the server says of its engine, beside its limit; 0 without a GPU."""
    text = httpx.get(f"{running.url}/metrics", timeout=60, trust_env=False).raise_for_status().text
    found = {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}
    taken = found.get("qwen_engine_gpu_memory_bytes", 0.0)
    return {
        "model": running.model.name,
        "limit GiB": running.model.limit_gib,
        "allocator GiB": taken / GIB,
        "process GiB": (taken + CONTEXT_BYTES) / GIB if taken else 0.0,
        "gave way s": found.get("qwen_engine_gave_way_seconds", 0.0),
        "restarts": int(found.get("qwen_engine_restarts", 0)),
        "ready s": running.ready_s,
    }


@contextlib.contextmanager
def card_peak() -> Iterator[list[float]]:
    """GiB that the card has lent, read all the time; the list grows until the block ends."""
    read: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            if told := nvidia_smi("memory.used"):
                read.append(int(told.split()[0]) * MIB / GIB)
            done.wait(0.5)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield read
    finally:
        done.set()
        thread.join()


def measure(options: argparse.Namespace, settings: list[str], found: dict[str, Any]) -> None:
    """Fills `found` as it goes, so that what was measured is there when the time is up."""
    found["card"]["before"] = nvidia_smi("memory.used")
    with tempfile.TemporaryDirectory(prefix="shared_gpu") as cache, ExitStack() as stack:
        running = start(stack, options, settings, Path(cache))
        runner = stack.enter_context(asyncio.Runner(loop_factory=auto_loop_factory()))
        warm = Column(options.column.users, 1, options.column.width, options.column.height, 8)
        runner.run(turn(running, BUSY, warm, 900))
        with card_peak() as read:
            for number, (asked, beside) in enumerate(turns(running, options.rounds, give_way=options.give_way)):
                with kept_from(Path(cache) / FILE, beside):
                    found["rows"] += runner.run(turn(asked, beside, options.column, number))
                found["memory"] = [engine_memory(each) for each in running]
                found["card"] |= {"peak GiB": max(read, default=None)}
                print(json.dumps(found["rows"][-len(asked) :]), file=sys.stderr, flush=True)


FIGURES = {"tokens_per_s": "tokens/s", "ttft_p50_s": "first token s", "gap_p99_ms": "p99 of the gap, ms"}


def show(record: dict[str, Any]) -> str:
    lines = []
    for model in dict.fromkeys(row["model"] for row in record["rows"]):
        line: dict[str, Any] = {"model": model}
        for beside, title in ((IDLE, "alone"), (BUSY, "shared"), (GIVES_WAY, "the second gives way")):
            found = [row for row in record["rows"] if (row["model"], row["beside"]) == (model, beside)]
            if not found:
                continue
            for figure, name in FIGURES.items():
                line[f"{name}, {title}"] = statistics.median(row[figure] for row in found)
            line[f"errors, {title}"] = sum(row["errors"] for row in found)
        line["shared / alone"] = line["tokens/s, shared"] / line["tokens/s, alone"]
        lines.append(line)
    wrong = [row["first_error"] for row in record["rows"] if row["errors"]]
    engines_gib = sum(engine.get("process GiB", 0.0) for engine in record["memory"])
    share = f"both together give {sum(line['shared / alone'] for line in lines):.2f} of what one alone gives"
    said = f"the engines say that they take {engines_gib:.1f} GiB; the card: {record['card']}"
    return "\n\n".join([machine.table(lines), machine.table(record["memory"]), share, said, *wrong])


def recorded(
    benchmark: str, out: Path | None, about: dict[str, Any], found: dict[str, Any], take: Callable[[], object]
) -> dict[str, Any]:
    """What `take` puts into `found` with all `about` it, written also where it is cut short."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    try:
        take()
    finally:
        record = {
            **about,
            "card_name": nvidia_smi("name,driver_version,memory.total,power.limit,compute_mode,mig.mode.current"),
            "commit": commit(ROOT),
            **found,
        }
        print(machine.write(benchmark, record, out))
    return record


def main(argv: Sequence[str] | None = None) -> int:
    options, settings = arguments(argv)
    if options.show:
        print(show(json.loads(options.show.read_text())))
        return 0
    found: dict[str, Any] = {"rows": [], "memory": [], "card": {}}
    about = {
        "label": options.label or "-".join([*(model.name for model in options.model), options.kind]),
        "asked": {"column": options.column.name, "kind": options.kind, "settings": settings},
    }
    record = recorded("shared_gpu", options.out, about, found, lambda: measure(options, settings, found))
    print(show(record))
    return int(any(row["errors"] for row in found["rows"]) or any(row["restarts"] for row in found["memory"]))


if __name__ == "__main__":
    sys.exit(main())

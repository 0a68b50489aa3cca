"""Servers over HTTP, one at a time, on this machine: tokens/s, first token, gaps, memory and CPU time by process.

    python -m benchmarks.random_checkpoint --architecture 7b --out CHECKPOINT
    python -m benchmarks.over_http --checkpoint CHECKPOINT --quantization none,nf4 --out DIR
    python -m benchmarks.over_http --checkpoint CHECKPOINT --tree before=PATH --tree after=. --rounds 2 --out DIR
    python -m benchmarks.over_http --show benchmarks/results/over-http-….json

Each --tree is a checkout whose `app.py` is started in turn, so that a before and an after are measured by one client in
one run; ratios are to the first. A second round goes the other way round, with the crowded columns alone. A user asks,
reads the stream to its end and asks again, each time about another JPEG. Other flags are settings of the server.
OVER_HTTP_LOG names a file for what the server that runs prints.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from uvicorn.loops.auto import auto_loop_factory

from benchmarks import machine
from benchmarks.checkouts import checkouts, commit
from benchmarks.closed_loop import Column, crowd
from benchmarks.over_http_tables import show
from benchmarks.processes import shares, spent
from benchmarks.running import serving

COLUMNS = [
    "1x4,1036x756,64", "4x2,1036x756,64", "16x2,1036x756,64", "32x2,1036x756,64", "64x2,1036x756,64",
    "48x1,1036x756,192", "100x3,448x448,16",
]  # fmt: skip
# What a second round asks again.
CROWDED = 48
WARM_UP_USERS, WARM_UP_TOKENS = 16, 16


@dataclass(frozen=True)
class Server:
    """How one is started.

    Attributes:
        command: with `{tree}`, `{checkpoint}`, `{quantization}` and `{port}` to be filled in.
        health: path that answers 200 once the model is loaded.
        more: fields of every request's body.
        variables: more of its environment.
        log_variable: names the environment variable that names a file for what it prints.
    """

    command: tuple[str, ...]
    health: str
    more: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    log_variable: str = "OVER_HTTP_LOG"


SERVERS = {
    "app": Server(
        (
            *(sys.executable, "{tree}/app.py", "--host", "127.0.0.1", "--port", "{port}"),
            *("--model", "{checkpoint}", "--quantization", "{quantization}", "--engine", "batching"),
            *("--no-repetition-guard", "--max-waiting", "200", "--max-waiting-tokens", "1000000"),
        ),
        "/ready",
    ),
}


@dataclass(frozen=True)
class Turn:
    """One start of one server."""

    name: str
    tree: Path
    quantization: str
    round: int

    @property
    def about(self) -> dict[str, Any]:
        return {"server": self.name, "quantization": self.quantization, "round": self.round}


@dataclass(frozen=True)
class Running:
    """A server that answers."""

    url: str
    root: psutil.Process
    ready_s: float


def arguments(argv: list[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--server", choices=SERVERS, default="app")
    parser.add_argument("--tree", action="append", metavar="[NAME=]PATH", help="a checkout; may be repeated")
    parser.add_argument("--quantization", default="none,nf4")
    parser.add_argument("--columns", nargs="+", default=COLUMNS, metavar="USERSxREQUESTS,WIDTHxHEIGHT,TOKENS")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--label", default="", help="in the name of the result; the checkpoint's folder if left out")
    parser.add_argument("--out", type=Path, help="folder of the result, benchmarks/results if left out")
    parser.add_argument("--show", type=Path, help="only print the tables of this result")
    options, settings = parser.parse_known_args(argv)
    if not options.show and not options.checkpoint:
        parser.error("--checkpoint is missing; benchmarks.random_checkpoint writes one")
    options.columns = [Column.read(words) for words in options.columns]
    return options, settings


def turns(options: argparse.Namespace) -> list[Turn]:
    """In the order in which they are run: every other round is reversed, so that nobody is always first."""
    trees = checkouts(options.tree)
    once = [
        (name, tree, quantization) for quantization in options.quantization.split(",") for name, tree in trees.items()
    ]
    return [
        Turn(*each, number)
        for number in range(1, options.rounds + 1)
        for each in (once if number % 2 else reversed(once))
    ]


def nvidia_smi(fields: str) -> str | None:
    """Of the first GPU; None without one."""
    try:
        told = subprocess.run(
            ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.splitlines()[0]


def gpu_mib(root: psutil.Process) -> int | None:
    """What `root` and everything below it hold of all GPUs, by the driver; None where it does not tell."""
    asked = ["nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    lines = [line.replace(",", " ").split() for line in told.splitlines() if "," in line]
    held = {int(pid): int(used) for pid, used, *_ in lines if pid.isdigit() and used.isdigit()}
    own = [held[each.pid] for each in (root, *root.children(recursive=True)) if each.pid in held]
    return sum(own) if own else None


@contextlib.contextmanager
def started(
    turn: Turn, server: Server, options: argparse.Namespace, settings: list[str], cache: Path
) -> Iterator[Running]:
    """The server, loaded; it ends with the block.

    Args:
        options: `checkpoint`.
        settings: more of its command line.
        cache: folder for what it compiles.
    """
    filled = {"tree": turn.tree, "checkpoint": options.checkpoint.resolve(), "quantization": turn.quantization}
    command = [part.format(**filled, port="{port}") for part in server.command]
    # Neither tree starts with kernels that the other has compiled.
    variables = {"HF_HUB_OFFLINE": "1", "TRITON_CACHE_DIR": str(cache / turn.name), "PYTHONUNBUFFERED": "1"}
    variables |= server.variables
    began = time.perf_counter()
    with serving(
        [*command, *settings],
        log_variable=server.log_variable, variables=variables, health=server.health, folder=turn.tree,
    ) as url:  # fmt: skip
        port = url.rpartition(":")[2]
        (root,) = (child for child in psutil.Process().children() if port in child.cmdline())
        yield Running(url, root, time.perf_counter() - began)


def asked(running: Running, turn: Turn, server: Server, columns: list[Column]) -> dict[str, list[dict]]:
    """All crowds of one server, warm: `rows`, and one of `starts` and `processes` each."""
    rows = []
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        for number, size in enumerate(dict.fromkeys((each.width, each.height) for each in columns)):
            users = min(WARM_UP_USERS, max(each.users for each in columns))
            runner.run(crowd(running.url, Column(users, 1, *size, WARM_UP_TOKENS), 900 + number, server.more))
        before, began = shares(running.root), time.perf_counter()
        for number, column in enumerate(columns):
            made = runner.run(crowd(running.url, column, 100 * turn.round + number, server.more))
            rows.append({**turn.about, **made})
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
        used = {"wall_s": time.perf_counter() - began, "gpu_memory": nvidia_smi("memory.used")}
        used["own_gpu_mib"] = gpu_mib(running.root)
        by_role = spent(before, shares(running.root))
    processes = [{**turn.about, **used, "role": role, **asdict(share)} for role, share in by_role.items()]
    return {"rows": rows, "starts": [{**turn.about, "ready_s": running.ready_s}], "processes": processes}


def measure(
    turn: Turn, server: Server, options: argparse.Namespace, settings: list[str], cache: Path
) -> dict[str, list[dict]]:
    """All columns of one server in processes of its own, as `asked` gives them.

    Args:
        options: `checkpoint` and `columns`.
        settings: more of its command line.
        cache: folder for what it compiles.
    """
    columns = [each for each in options.columns if turn.round == 1 or each.users >= CROWDED] or options.columns
    with started(turn, server, options, settings, cache) as running:
        return asked(running, turn, server, columns)


def main(argv: list[str] | None = None) -> int:
    options, settings = arguments(argv)
    if options.show:
        print(show(json.loads(options.show.read_text())))
        return 0
    found: dict[str, list[dict]] = {"rows": [], "starts": [], "processes": [], "failed": []}
    load = os.getloadavg()[0]
    try:
        with tempfile.TemporaryDirectory(prefix="over_http") as cache:
            for turn in turns(options):
                try:
                    made = measure(turn, SERVERS[options.server], options, settings, Path(cache))
                except RuntimeError as error:  # one that does not start keeps no other from its turn
                    made = {"failed": [{"server": turn.name, "quantization": turn.quantization, "reason": str(error)}]}
                for part, some in made.items():
                    found[part] += some
    finally:
        # What was measured is kept when the time is up.
        record = {
            "label": options.label or options.checkpoint.resolve().name,
            "client": "benchmarks.closed_loop",
            "card": nvidia_smi("name,driver_version,memory.total,power.limit"),
            "commits": {name: commit(tree) for name, tree in checkouts(options.tree).items()},
            "settings": settings,
            "load_average_before": load,
            **found,
        }
        print(show(record))
        print(machine.write("over_http", record, options.out))
    return 1 if found["failed"] or any(row["errors"] for row in found["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())

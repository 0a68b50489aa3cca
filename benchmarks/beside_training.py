"""A server and a training on one GPU or CPU: what each gives alone, both at once, and with the training giving way.

    python -m benchmarks.random_checkpoint --architecture 7b --out 7B
    python -m benchmarks.beside_training --server 7b=7B:20 --taught 7b=7B:30 --kind nf4
    python -m benchmarks.beside_training --server embedded=qwen_demo/models/embedded:4 \
        --taught embedded=qwen_demo/models/embedded:4 --kind none --column 8x2,448x448,48 --rows 32 --side 224 --slots 4
    python -m benchmarks.beside_training --show benchmarks/results/beside-training-….json

A model is NAME=CHECKPOINT:GIB, the last being its `--memory-limit-gib`. The crowd asks the server alone, then beside the
training, with and without its giving way, there and back; at last the training is alone. Its updates are read off the
lines that it prints, one in five seconds, so turns should be longer than that. Other flags are settings of the server.
BESIDE_TRAINING_LOG names a file for what the server prints, and one with `.training` behind for the training's lines.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from uvicorn.loops.auto import auto_loop_factory

from benchmarks import machine
from benchmarks.closed_loop import Column
from benchmarks.finetune_gpu import data
from benchmarks.over_http import SERVERS
from benchmarks.running import CROWD, ROOT, serving
from benchmarks.shared_gpu import FIGURES, FILE, Model, Running, card_peak, engine_memory, kept_from, recorded, turn
from benchmarks.shared_gpu import GIVES_WAY as KEPT_FREE

ALONE, BUSY, GIVES_WAY = "alone", "beside a training", "beside a training that gives way"
UPDATE = re.compile(r"update (\d+)/")
FIRST_UPDATE_S = 300.0


class Training:
    """`qwen-demo finetune`, and when it said that it had made how many updates."""

    def __init__(self, process: subprocess.Popen[str], log: Path | None):
        self._process, self._log = process, log
        self.told: list[tuple[float, int]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(self._log.open("a")) if self._log else None
            for line in self._process.stderr:
                if log:
                    print(line, end="", file=log, flush=True)
                if found := UPDATE.search(line):
                    self.told.append((time.perf_counter(), int(found[1])))

    def wait_for_first(self) -> None:
        deadline = time.perf_counter() + FIRST_UPDATE_S
        while len(self.told) < 2:
            if self._process.poll() is not None or time.perf_counter() > deadline:
                raise SystemExit(f"the training made no update (exit code {self._process.poll()})")
            time.sleep(0.2)

    def updates_per_s(self, began: float, ended: float) -> float:
        """Between the last line before `began` and the first after `ended`, waiting for that."""
        while self._process.poll() is None and self.told[-1][0] < ended:
            time.sleep(0.2)
        return rate(self.told, began, ended)


def rate(told: Sequence[tuple[float, int]], began: float, ended: float) -> float:
    """Updates a second: what was told before is the count at the beginning, what was told first after it at the end."""
    before = max((each for each in told if each[0] <= began), default=told[0])
    after = min((each for each in told if each[0] >= ended), default=told[-1])
    return (after[1] - before[1]) / (after[0] - before[0]) if after[0] > before[0] else 0.0


def arguments(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", type=Model.read, metavar="NAME=CHECKPOINT:GIB")
    parser.add_argument("--taught", type=Model.read, metavar="NAME=CHECKPOINT:GIB")
    parser.add_argument("--kind", default="nf4", help="of both models' weights, as --quantization")
    parser.add_argument("--column", type=Column.read, default="8x6,1036x756,64", metavar="USERSxREQUESTS,WxH,TOKENS")
    parser.add_argument("--rows", type=int, default=64, help="images that are learnt, again and again")
    parser.add_argument("--side", type=int, default=448, help="of each, in pixels")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--alone-s", type=float, default=15.0, help="how long the training is measured alone")
    parser.add_argument("--label", default="", help="in the name of the result")
    parser.add_argument("--out", type=Path, help="folder of the result, benchmarks/results if left out")
    parser.add_argument("--show", type=Path, help="only print the table of this result")
    options, settings = parser.parse_known_args(argv)
    if not options.show and not (options.server and options.taught):
        parser.error("--server and --taught are needed")
    return options, settings


def start_server(stack: ExitStack, options: argparse.Namespace, settings: list[str], cache: Path) -> Running:
    model, began = options.server, time.perf_counter()
    filled = {"tree": ROOT, "checkpoint": model.checkpoint.resolve(), "quantization": options.kind}
    command = [part.format(**filled, port="{port}") for part in SERVERS["app"].command]
    flags = ["--memory-limit-gib", str(model.limit_gib), "--go-first-file", str(cache / FILE)]
    url = stack.enter_context(
        serving(
            [*command, *flags, *settings],
            log_variable="BESIDE_TRAINING_LOG",
            variables={**CROWD, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"},
            health="/ready",
            folder=ROOT,
        )
    )
    return Running(model, url, time.perf_counter() - began)


@contextlib.contextmanager
def training(options: argparse.Namespace, cache: Path) -> Iterator[Training]:
    """Begun, until the block ends. Its epochs last longer than anybody measures."""
    folder, model = data(cache / "data", options.rows, options.side), options.taught
    words = [sys.executable, "-m", "qwen_demo", "finetune", str(folder), "--base", str(model.checkpoint.resolve())]
    words += ["--out", str(cache / "adapter"), "--quantization", options.kind, "--epochs", "100000"]
    words += ["--memory-limit-gib", str(model.limit_gib), "--give-way-file", str(cache / FILE)]
    process = subprocess.Popen(
        words, cwd=ROOT, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stderr=subprocess.PIPE, text=True
    )
    log = os.environ.get("BESIDE_TRAINING_LOG")
    try:
        yield Training(process, Path(log + ".training") if log else None)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def measure(options: argparse.Namespace, settings: list[str], found: dict[str, Any]) -> None:
    """Fills `found` as it goes, so that what was measured is there when the time is up."""
    with tempfile.TemporaryDirectory(prefix="beside_training") as name, ExitStack() as stack:
        cache = Path(name)
        server = start_server(stack, options, settings, cache)
        runner = stack.enter_context(asyncio.Runner(loop_factory=auto_loop_factory()))
        read = stack.enter_context(card_peak())

        def asked(beside: str, seed: int) -> tuple[float, float]:
            began = time.perf_counter()
            with kept_from(cache / FILE, KEPT_FREE if beside == GIVES_WAY else beside):
                found["rows"] += runner.run(turn([server], beside, options.column, seed))
            return began, time.perf_counter()

        runner.run(turn([server], ALONE, Column(options.column.users, 1, 448, 448, 8), 900))
        asked(ALONE, 0)
        with training(options, cache) as taught:
            taught.wait_for_first()
            for number in range(options.rounds):
                for beside in (BUSY, GIVES_WAY) if number % 2 == 0 else (GIVES_WAY, BUSY):
                    found["rows"][-1]["updates_per_s"] = taught.updates_per_s(*asked(beside, 10 * number + len(beside)))
                    print(json.dumps(found["rows"][-1]), file=sys.stderr, flush=True)
            found["memory"] = [engine_memory(server)]
            began = time.perf_counter()
            time.sleep(options.alone_s)
            found["training"] = {"updates_per_s": taught.updates_per_s(began, time.perf_counter())}
        found["card"] = {"peak GiB": max(read, default=None)}


def show(record: dict[str, Any]) -> str:
    lines = []
    for beside in dict.fromkeys(row["beside"] for row in record["rows"]):
        rows = [row for row in record["rows"] if row["beside"] == beside]
        line: dict[str, Any] = {"the server": beside}
        line |= {name: statistics.median(row[figure] for row in rows) for figure, name in FIGURES.items()}
        updates = [row["updates_per_s"] for row in rows if "updates_per_s" in row]
        lines.append(line | {"updates/s": statistics.median(updates) if updates else None})
    alone = {"the server": "idle", **dict.fromkeys(FIGURES.values()), "updates/s": record["training"]["updates_per_s"]}
    wrong = [row["first_error"] for row in record["rows"] if row["errors"]]
    said = f"the card: {record['card']}"
    return "\n\n".join([machine.table([*lines, alone]), machine.table(record["memory"]), said, *wrong])


def main(argv: Sequence[str] | None = None) -> int:
    options, settings = arguments(argv)
    if options.show:
        print(show(json.loads(options.show.read_text())))
        return 0
    found: dict[str, Any] = {"rows": [], "memory": [], "training": {"updates_per_s": None}, "card": {}}
    about = {
        "label": options.label or f"{options.server.name}-{options.taught.name}-{options.kind}",
        "asked": {"column": options.column.name, "rows": options.rows, "side": options.side, "settings": settings},
    }
    record = recorded("beside_training", options.out, about, found, lambda: measure(options, settings, found))
    print(show(record))
    return int(any(row["errors"] for row in found["rows"]))


if __name__ == "__main__":
    sys.exit(main())

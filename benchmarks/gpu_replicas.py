"""One engine and several behind one front, in turn: the same checkpoint, client and crowds, over HTTP.

    python -m benchmarks.random_checkpoint --architecture 7b --out CHECKPOINT
    python -m benchmarks.gpu_replicas --checkpoint CHECKPOINT --counts 1,2
    python -m benchmarks.gpu_replicas --show benchmarks/results/gpu-replicas-….json

As many GPUs as the largest count are needed; CUDA_VISIBLE_DEVICES may name them. A crowd should be twice what fills one
engine, so that two have as much to do as one. Other flags are settings of the server.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.checkouts import commit
from benchmarks.closed_loop import Column
from benchmarks.over_http import SERVERS, Turn, measure, nvidia_smi
from benchmarks.over_http_tables import show
from benchmarks.running import ROOT

COLUMNS = ["64x3,1036x756,64", "128x3,1036x756,64", "96x2,1036x756,192", "192x3,448x448,16"]


def arguments(argv: list[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--counts", default="1,2", help="of replicas, each in a turn")
    parser.add_argument("--kind", default="none", help="of weights, as --quantization")
    parser.add_argument("--columns", nargs="+", default=COLUMNS, metavar="USERSxREQUESTS,WIDTHxHEIGHT,TOKENS")
    parser.add_argument("--label", default="", help="in the name of the result; the checkpoint's folder if left out")
    parser.add_argument("--out", type=Path, help="folder of the result, benchmarks/results if left out")
    parser.add_argument("--show", type=Path, help="only print the tables of this result")
    options, settings = parser.parse_known_args(argv)
    if not options.show and not options.checkpoint:
        parser.error("--checkpoint is missing; benchmarks.random_checkpoint writes one")
    options.columns = [Column.read(words) for words in options.columns]
    options.counts = [int(count) for count in options.counts.split(",")]
    return options, settings


def turn(count: int, options: argparse.Namespace, settings: list[str], cache: Path) -> dict[str, list[dict[str, Any]]]:
    """All crowds of one server with so many replicas."""
    named = Turn("1 engine" if count == 1 else f"{count} replicas", ROOT, options.kind, 1)
    try:
        return measure(named, SERVERS["app"], options, [*settings, "--replicas", str(count)], cache)
    except RuntimeError as error:  # one that does not start keeps no other from its turn
        return {"failed": [{"server": named.name, "quantization": options.kind, "reason": str(error)}]}


def main(argv: list[str] | None = None) -> int:
    options, settings = arguments(argv)
    if options.show:
        print(show(json.loads(options.show.read_text())))
        return 0
    found: dict[str, list[dict[str, Any]]] = {"rows": [], "starts": [], "processes": [], "failed": []}
    try:
        with tempfile.TemporaryDirectory(prefix="gpu_replicas") as cache:
            for count in options.counts:
                for part, some in turn(count, options, settings, Path(cache)).items():
                    found[part] += some
    finally:
        # What was measured is kept when the time is up.
        record = {
            "label": options.label or options.checkpoint.resolve().name,
            "client": "benchmarks.closed_loop",
            "card": nvidia_smi("name,driver_version,memory.total,power.limit"),
            "commit": commit(ROOT),
            "settings": settings,
            **found,
        }
        print(show(record))
        print(machine.write("gpu_replicas", record, options.out))
    return 1 if found["failed"] or any(row["errors"] for row in found["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())

"""Servers side by side on this machine without a GPU: the embedded model, over HTTP, one server at a time.

    python -m benchmarks.servers                           all of them, 17 minutes
    python -m benchmarks.servers --servers ours "llama.cpp, f16"

All users of a level ask at once, each about an image of their own; answers have a fixed length. Ours and
`transformers serve` get a copy of the checkpoint without an end of the answer, the others are told `ignore_eos`.
Rounds go through all servers, every time in a new process, and medians count: other work on the machine then hits
all alike. vLLM is installed by its first start (deploy/vllm/cpu.sh, 3.5 GB), llama.cpp too
(benchmarks/llama_cpp/serve.sh).
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.peer import body, crowd_of, first_model
from benchmarks.running import ROOT, app, serving
from benchmarks.through_vllm import vllm

CHECKPOINT = ROOT / "qwen_demo" / "models" / "embedded"
COLUMNS = {
    "server": "server",
    "users": "users",
    "tokens_per_s": "tokens/s",
    "ttft_p50_s": "first token p50 s",
    "gap_p50_ms": "gap p50 ms",
    "gap_p99_ms": "p99",
    "latency_p50_s": "answer p50 s",
    "tokens_an_answer": "tokens an answer",
}


def endless(folder: Path) -> Path:
    """The checkpoint in `folder` with answers that end only at their limit: no token is the last."""
    for file in CHECKPOINT.iterdir():
        (folder / file.name).symlink_to(file)
    shipped = json.loads((CHECKPOINT / "generation_config.json").read_text())
    never = json.loads((CHECKPOINT / "config.json").read_text())["video_token_id"]
    (folder / "generation_config.json").unlink()
    (folder / "generation_config.json").write_text(json.dumps({**shipped, "eos_token_id": [never]}))
    return folder


def ours(checkpoint: Path) -> contextlib.AbstractContextManager[str]:
    flags = ["--no-repetition-guard", "--max-waiting", "1000", "--max-waiting-tokens", "10000000"]
    return app("embedded", ["--model", str(checkpoint), *flags])


def transformers_serve(checkpoint: Path) -> contextlib.AbstractContextManager[str]:
    command = [sys.executable, "-m", "benchmarks.transformers_serve", str(checkpoint)]
    command += ["--device", "cpu", "--dtype", "float32", "--port", "{port}"]
    return serving(command, log_variable="TRANSFORMERS_LOG", variables={"HF_HUB_OFFLINE": "1"}, health="/health")


def llama_cpp(_checkpoint: Path) -> contextlib.AbstractContextManager[str]:
    return serving([str(ROOT / "benchmarks" / "llama_cpp" / "serve.sh")], log_variable="LLAMA_LOG")


@dataclass(frozen=True)
class Server:
    """How one is started, whether it must be told to go on, and the most users that it is asked to bear."""

    start: Callable[[Path], contextlib.AbstractContextManager[str]]
    told: bool = True
    most_users: int = 1000


SERVERS = {
    "ours": Server(ours, told=False),
    # One answer at a time.
    "transformers serve": Server(transformers_serve, told=False, most_users=8),
    "vLLM": Server(lambda _: vllm("--max-num-queued-reqs", "1000")),
    "vLLM, bf16": Server(lambda _: vllm("--max-num-queued-reqs", "1000", "--dtype", "bfloat16")),
    "llama.cpp, f16": Server(llama_cpp),
}


def turn(name: str, checkpoint: Path, options: argparse.Namespace, number: int) -> list[dict]:
    """All levels of one server, in a process of its own."""
    from benchmarks.engine import question

    server, rows = SERVERS[name], []
    run = 1000 * number
    with server.start(checkpoint) as url:
        model = str(checkpoint) if name == "transformers serve" else first_model(url)
        # The first words with two people warm it up.
        for users in [2, *map(int, options.users.split(","))]:
            if users > server.most_users:
                continue
            run += 1
            asked = [
                body(question(options, user, run), model, options.tokens, endless=server.told) for user in range(users)
            ]
            rows.append({"server": name, "users": users, **asyncio.run(crowd_of(url, asked))})
            print(json.dumps(rows[-1]), file=sys.stderr)
    return rows[1:]


def medians(rows: list[dict]) -> list[dict]:
    """One row for each server and number of users."""
    runs: dict[tuple, list[dict]] = {}
    for row in rows:
        runs.setdefault((row["server"], row["users"]), []).append(row)
    numbers = [key for key in COLUMNS if key not in ("server", "users")]
    return [
        {"server": server, "users": users, **{key: statistics.median(row[key] for row in same) for key in numbers}}
        for (server, users), same in runs.items()
    ]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--users", default="1,8,32,64,128")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64, help="length of an answer")
    parser.add_argument("--image", default="336x336")
    parser.add_argument("--words", type=int, default=40)
    options = parser.parse_args(argv)
    options.images = "own"
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = endless(Path(folder))
        rows = [
            row
            for number in range(1, options.rounds + 1)
            for name in options.servers
            for row in turn(name, checkpoint, options, number)
        ]
    made = medians(rows)
    print(machine.table(made, COLUMNS))
    told = {"asked": vars(options), "load_average_before": load, "runs": rows}
    print(machine.write("servers", {"label": "embedded", "rows": made, **told}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

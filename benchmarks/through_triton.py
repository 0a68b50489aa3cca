"""What Triton between front and engine adds and costs against a copy of the program asked as `--engine remote`.

    deploy/triton/serve.sh --port 8001 -- --engine batching --model embedded
    python app.py --port 8080 --model embedded
    python -m benchmarks.through_triton --triton 127.0.0.1:8001 --remote http://127.0.0.1:8080/v1
    python -m benchmarks.through_triton --show benchmarks/results/through-triton-….json

Both servers hold the same engine and are asked in turn from here, by the engines of a front. The users of a row ask at
once, each with an image of its own; every other round begins with the other server, and a row has the middle of its
rounds. `--show` prints what docs/deploy-triton.md says of a result.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import PIL.Image

from benchmarks import machine
from qwen_demo.media.images import make_image
from qwen_demo.server.engines import build_engine
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Engine, Finished, Message, Sampling, Text

SIDE = 336


def _request(number: int, tokens: int) -> ChatRequest:
    colour = (number * 37 % 256, number * 91 % 256, number * 53 % 256)
    image = make_image(PIL.Image.new("RGB", (SIDE, SIDE), colour))
    sampling = Sampling(max_new_tokens=tokens, temperature=1.5, seed=number)
    request = ChatRequest((Message("user", (image, Text("Describe the image."))),), sampling)
    return replace(request, repetition_guard=False)


async def _one(engine: Engine, request: ChatRequest) -> tuple[float, int]:
    asked_s, first_s, made = time.perf_counter(), 0.0, 0
    async for event in engine.stream(request):
        first_s = first_s or time.perf_counter() - asked_s
        if isinstance(event, Finished):
            made = event.usage.completion_tokens
    return first_s, made


async def _crowd(engine: Engine, users: int, tokens: int, first: int) -> dict[str, float]:
    began_s = time.perf_counter()
    seen = await asyncio.gather(*[_one(engine, _request(first + user, tokens)) for user in range(users)])
    wall_s = time.perf_counter() - began_s
    return {
        "tokens/s": sum(made for _, made in seen) / wall_s,
        "first token p50 s": statistics.median(first_s for first_s, _ in seen),
    }


def in_turn(names: Sequence[str], turn: int) -> Sequence[str]:
    """Every other round goes the other way round, so that nobody is always first."""
    return names[::-1] if turn % 2 else names


async def measure(engines: dict[str, Engine], options: argparse.Namespace) -> list[dict]:
    rows, number = [], 0
    for engine in engines.values():
        await engine.start()
        await _crowd(engine, 1, options.tokens, number)
    for users in map(int, options.users.split(",")):
        rounds: dict[str, list[dict[str, float]]] = {name: [] for name in engines}
        for turn in range(options.rounds):
            number += users
            for name in in_turn(list(engines), turn):
                rounds[name].append(await _crowd(engines[name], users, options.tokens, number))
        for name, found in rounds.items():
            middle = {key: statistics.median(each[key] for each in found) for key in found[0]}
            rows.append({"users": users, "engine": name, **middle})
    for engine in engines.values():
        await engine.close()
    return rows


def figure(value: float) -> str:
    """Two digits."""
    return f"{value:.0f}" if value >= 10 else f"{value:#.2g}"


def show(record: dict) -> list[str]:
    """The page's table and what it says of it."""
    lines, ratios = [], []
    for users in dict.fromkeys(row["users"] for row in record["rows"]):
        sides = {row["engine"]: row for row in record["rows"] if row["users"] == users}
        triton, remote = sides["triton"], sides["remote"]
        ratios.append(triton["tokens/s"] / remote["tokens/s"])
        cells = [f"{side[name]:.0f}" if name == "tokens/s" else figure(side[name])
                 for side in (triton, remote) for name in ("tokens/s", "first token p50 s")]  # fmt: skip
        lines.append(f"| {users} | {' | '.join(cells)} |")
    return [
        *lines,
        f"Through Triton there are {min(ratios):.1f} to {max(ratios):.1f} times the tokens",
        f"load average {record['load_average_before']:.0f} at the start",
        *([f"{record['load_average_after']:.0f} at the end"] if "load_average_after" in record else []),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triton", help="host:port of Triton's gRPC")
    parser.add_argument("--remote", help="address of a copy of the program, ending in /v1")
    parser.add_argument("--show", type=Path, help="only say what the page says of this result")
    parser.add_argument("--users", default="1,8,32")
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--out", type=Path, help="folder of the result, benchmarks/results if left out")
    parser.add_argument("--rounds", type=int, default=4)
    options = parser.parse_args(argv)
    if options.show:
        print("\n".join(show(json.loads(options.show.read_text()))))
        return 0
    if not (options.triton and options.remote):
        parser.error("--triton and --remote are needed")
    engines = {
        "triton": build_engine(Settings(engine="triton", base_url=(options.triton,))),
        "remote": build_engine(Settings(engine="remote", base_url=(options.remote,))),
    }
    load = os.getloadavg()[0]
    rows = asyncio.run(measure(engines, options))
    print(machine.table(rows))
    asked = {"users": options.users, "tokens": options.tokens, "rounds": options.rounds}
    told = {"label": "embedded", "asked": asked, "rows": rows, "load_average_before": load}
    told["load_average_after"] = os.getloadavg()[0]
    print(machine.write("through-triton", told, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())

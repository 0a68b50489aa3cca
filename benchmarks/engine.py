"""Engines side by side: same model, same requests, same machine.

    python -m benchmarks.engine                                     the embedded model
    python -m benchmarks.engine --architecture 7b --weights nf4     random weights, true shapes
    python -m benchmarks.engine --peer vllm=http://127.0.0.1:8000   and an OpenAI-compatible server

Every engine runs in a process of its own. A run starts all users at once, each with one image
(its own, or everybody the same) and one question; answers have a fixed length. Seconds are the
caller's. A peer must already serve the same model; its answers may end early, so it is told
`ignore_eos`, which vLLM and SGLang know.
"""

import argparse
import asyncio
import json
import math
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import machine

COLUMNS = {
    "engine": "engine",
    "users": "users",
    "tokens_per_s": "tokens/s",
    "ttft_p50_s": "first token p50 s",
    "ttft_p95_s": "p95",
    "first_turn_s": "first turn's",
    "gap_p50_ms": "gap p50 ms",
    "gap_p99_ms": "p99",
    "latency_p50_s": "answer p50 s",
    "cpu_ms": "CPU ms a token",
    "memory_gib": "peak GiB",
}


def arguments(argv=None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="embedded", help="embedded, 7b, 3b or tiny")
    parser.add_argument("--weights", default="", help="fp32, bf16, fp16, int8, nf4, nf4-vision; default bf16, CPU fp32")
    parser.add_argument(
        "--engines", default="generate,batching", help="comma-separated: generate, lock, batching, plain"
    )
    parser.add_argument("--users", default="1,4,16,32,64")
    parser.add_argument("--naive-users", type=int, default=16, help="most users for generate and lock")
    parser.add_argument("--tokens", type=int, default=64, help="length of an answer")
    parser.add_argument(
        "--image", default="", help="width x height, none for words only; default 1036x756, embedded 336x336"
    )
    parser.add_argument("--images", choices=["own", "shared"], default="own")
    parser.add_argument("--words", type=int, default=40)
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="a setting of the engine")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=URL")
    parser.add_argument("--peer-model", default="", help="the peer's name of the model")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each; the best tokens/s counts")
    parser.add_argument("--label", default="")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    embedded = options.architecture == "embedded"
    options.image = options.image or ("336x336" if embedded else "1036x756")
    if not options.weights:
        import torch

        options.weights = "bf16" if torch.cuda.is_available() and not embedded else "fp32"
    return options


def question(options, user: int, run: int):
    """One user's request. A new run has new images, so that nothing is remembered from the last."""
    import PIL.Image

    from qwen_demo.raster import Raster
    from qwen_demo.types import ChatRequest, Image, Message, Sampling, Text

    name = f"run {run} user {user}"
    parts = [Text(" ".join([name, *(f"word{n % 7}" for n in range(options.words - 4))]))]
    if options.image != "none":
        width, height = map(int, options.image.split("x"))
        shown = user if options.images == "own" else 0
        colour = (37 * run % 256, 91 * shown % 256, 120)
        parts.insert(0, Image(Raster.of(PIL.Image.new("RGB", (width, height), colour)), f"{run}-{shown}"))
    sampling = Sampling(max_new_tokens=options.tokens)
    return ChatRequest((Message("user", tuple(parts)),), sampling, request_id=name, repetition_guard=False)


async def ask(stream) -> dict:
    """Read one answer; seconds of each piece from the moment of asking."""
    from qwen_demo.types import Finished

    asked, times, finished = time.perf_counter(), [], None
    async for event in stream:
        if isinstance(event, Finished):
            finished = event
        else:
            times.append(time.perf_counter() - asked)
    return {"times": times, "total": time.perf_counter() - asked, "tokens": finished.usage.completion_tokens}


async def crowd(streams) -> dict:
    started, worked = time.perf_counter(), time.process_time()
    answers = await asyncio.gather(*(ask(stream) for stream in streams))
    made = summary(answers, time.perf_counter() - started)
    # Says what an answer costs even where other programs share the cores.
    cpu_s = time.process_time() - worked
    return {**made, "cpu_ms": 1e3 * cpu_s / sum(a["tokens"] for a in answers)}


def summary(answers: list[dict], wall: float) -> dict:
    first = sorted(a["times"][0] for a in answers if a["times"])
    gaps = sorted(b - a for answer in answers for a, b in zip(answer["times"], answer["times"][1:], strict=False))
    return {
        "tokens_per_s": sum(a["tokens"] for a in answers) / wall,
        "tokens_an_answer": sum(a["tokens"] for a in answers) / len(answers),
        "ttft_p50_s": statistics.median(first),
        "ttft_p95_s": first[math.ceil(0.95 * len(first)) - 1],
        "gap_p50_ms": 1e3 * statistics.median(gaps) if gaps else None,
        "gap_p99_ms": 1e3 * gaps[math.ceil(0.99 * len(gaps)) - 1] if gaps else None,
        "latency_p50_s": statistics.median(a["total"] for a in answers),
    }


def build(name: str, options):
    """An engine by its name: `lock` is `generate` one at a time, `plain` is batching without its fast paths."""
    from benchmarks.architectures import load, settings
    from qwen_demo.engines.batching.engine import BatchingEngine
    from qwen_demo.engines.generate import GenerateEngine

    changes = dict(pair.split("=", 1) for pair in options.set)
    changes = {key: json.loads(value) for key, value in changes.items()}
    if name == "lock":
        changes["max_running"] = 1
    if name == "plain":
        changes["fast_path"] = False
    loaded = load(options.architecture, options.weights)
    made = settings(**changes)
    engine = GenerateEngine if name in ("generate", "lock") else BatchingEngine
    return engine(made, lambda *_: loaded)


async def follow_up(name: str, engine, options) -> dict:
    """Seconds to the first token of a question, and of a second one about the same image."""
    from dataclasses import replace

    from qwen_demo.types import Message, Text

    first = question(options, 0, 9999)
    said = Message("assistant", (Text("It shows what was asked about."),))
    then = replace(first, messages=(*first.messages, said, Message("user", (Text("And why is that so?"),))))
    times = [(await crowd([engine.stream(request)]))["ttft_p50_s"] for request in (first, then)]
    return {"engine": f"{name}, follow-up", "users": 1, "ttft_p50_s": times[1], "first_turn_s": times[0]}


async def measure(name: str, options) -> list[dict]:
    engine = build(name, options)
    started = time.perf_counter()
    await engine.start()
    rows = []
    run = 1
    for users in map(int, options.users.split(",")):
        if name in ("generate", "lock") and users > options.naive_users:
            continue
        await crowd([engine.stream(question(options, 0, run))])  # warms what depends on shapes
        runs = []
        for _ in range(options.repeat):
            run += 1
            runs.append(await crowd([engine.stream(question(options, user, run)) for user in range(users)]))
        run += 1
        best = max(runs, key=lambda r: r["tokens_per_s"])
        rows.append({"engine": name, "users": users, **best, **memory()})
        print(json.dumps(rows[-1]), flush=True)
    rows.append(await follow_up(name, engine, options))
    print(json.dumps(rows[-1]), flush=True)
    await engine.close()
    print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return rows


def memory() -> dict:
    """Peak so far: the device's if there is one, else the process's."""
    import torch

    if torch.cuda.is_available():
        return {"memory_gib": torch.cuda.max_memory_reserved() / 2**30}
    return {"memory_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def in_its_own_process(name: str, options) -> list[dict]:
    command = [sys.executable, "-m", "benchmarks.engine", "--one", name, *sys.argv[1:]]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"{name}: failed with {done.returncode}", file=sys.stderr)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    options = arguments()
    if options.one:
        asyncio.run(measure(options.one, options))
        return
    rows = [row for name in options.engines.split(",") if name for row in in_its_own_process(name, options)]
    for peer in options.peer:
        from benchmarks.peer import measure_peer

        rows += measure_peer(*peer.split("=", 1), options)
    print(machine.table(rows, COLUMNS))
    told = {k: str(v) for k, v in vars(options).items() if k not in ("out", "one")}
    label = options.label or f"{options.architecture} {options.weights}"
    print(machine.write("engine", {"label": label, "options": told, "rows": rows}, options.out))


if __name__ == "__main__":
    main()

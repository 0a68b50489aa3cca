"""What a process of its own costs an engine, and how fast its end is noticed: `python -m benchmarks.engine_process`.

- Wire: events a second and time to the first event of a scripted engine that never waits, here and in a process.
- Embedded: tokens/s and first token of the batching engine, here and in a process, in turns. The best run of each
  counts, and CPU time of both processes together: both hold on a busy machine, too.
- Faults: eight answers are being written when the process is killed or stopped; seconds until the last caller was told
  and until the engine was ready again.
"""

import argparse
import asyncio
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from uvicorn.loops.auto import auto_loop_factory

from benchmarks import machine
from benchmarks.engine import question
from qwen_demo.engines.process.engine import ProcessEngine
from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import EngineFailed
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Engine, Finished, Message, Sampling, Text, collect

BATCHING = "benchmarks.engine_process:batching"
EVENTS = 2000
PINGS = 300


def scripted(settings: Settings) -> ScriptedEngine:
    return ScriptedEngine(Script(["word "] * EVENTS), max_running=64)


def batching(settings: Settings) -> Engine:
    """On the embedded model, whose answers do not end by themselves here."""
    from benchmarks.architectures import load
    from qwen_demo.engines.batching.engine import BatchingEngine

    return BatchingEngine(settings, loader=lambda *_: load("embedded", "fp32"))


@asynccontextmanager
async def both(here: Engine, there: ProcessEngine) -> AsyncIterator[dict[str, Engine]]:
    for engine in (here, there):
        await engine.start()
    try:
        yield {"here": here, "process": there}
    finally:
        for engine in (here, there):
            await engine.close()


def words(tokens: int) -> ChatRequest:
    return ChatRequest((Message("user", (Text("Hello"),)),), Sampling(max_new_tokens=tokens))


async def drained(stream) -> int:
    count = 0
    async for _ in stream:
        count += 1
    return count


async def first_event_s(engine: Engine) -> float:
    stream, asked = engine.stream(words(1)), time.perf_counter()
    await anext(stream)
    first_s = time.perf_counter() - asked
    await stream.aclose()
    return first_s


async def wire(settings: Settings) -> list[dict]:
    rows = []
    async with both(scripted(settings), ProcessEngine(settings, "benchmarks.engine_process:scripted")) as engines:
        for name, engine in engines.items():
            row = {
                "engine": name,
                "first_us": 1e6 * statistics.median([await first_event_s(engine) for _ in range(PINGS)]),
            }
            for streams in (1, 8, 64):
                began = time.perf_counter()
                counts = await asyncio.gather(*[drained(engine.stream(words(EVENTS))) for _ in range(streams)])
                row[f"events_per_s_{streams}"] = sum(counts) / (time.perf_counter() - began)
            rows.append(row)
    return rows


async def answered(stream) -> tuple[float, int]:
    """Seconds to the first piece, and tokens."""
    asked, first_s = time.perf_counter(), 0.0
    async for event in stream:
        first_s = first_s or time.perf_counter() - asked
        if isinstance(event, Finished):
            return first_s, event.usage.completion_tokens
    raise AssertionError("a stream ended without Finished")


def cpu_s() -> float:
    """Of this process and all that it started."""
    here = psutil.Process()
    return sum(sum(each.cpu_times()[:2]) for each in (here, *here.children(recursive=True)))


async def embedded(settings: Settings, options) -> list[dict]:
    rows = []
    async with both(batching(settings), ProcessEngine(settings, BATCHING)) as engines:
        for users in map(int, options.users.split(",")):
            runs: dict[str, list[dict]] = {name: [] for name in engines}
            for run in range(options.repeat + 1):
                for name in sorted(engines, reverse=bool(run % 2)):
                    began, worked = time.perf_counter(), cpu_s()
                    asked = [engines[name].stream(question(options, user, run)) for user in range(users)]
                    ends = await asyncio.gather(*map(answered, asked))
                    tokens = sum(count for _, count in ends)
                    runs[name].append(
                        {
                            "tokens_per_s": tokens / (time.perf_counter() - began),
                            "first_ms": 1e3 * statistics.median(first for first, _ in ends),
                            "cpu_ms": 1e3 * (cpu_s() - worked) / tokens,
                        }
                    )
            for name, made in runs.items():
                made = made[1:]  # the first warms what depends on shapes
                rows.append(
                    {
                        "engine": name,
                        "users": users,
                        "tokens_per_s": max(each["tokens_per_s"] for each in made),
                        "first_ms": min(each["first_ms"] for each in made),
                        "cpu_ms": statistics.median(each["cpu_ms"] for each in made),
                    }
                )
    return rows


async def fault(settings: Settings, options, number: signal.Signals) -> dict:
    engine = ProcessEngine(settings, BATCHING)
    await engine.start()
    options.tokens = 900
    streams = [engine.stream(question(options, user, number)) for user in range(8)]
    for stream in streams:
        await anext(stream)
    rest = [asyncio.create_task(collect(stream)) for stream in streams]
    began = time.perf_counter()
    os.kill(engine.pid, number)
    ends = await asyncio.gather(*rest, return_exceptions=True)
    told_s = time.perf_counter() - began
    while not engine.health().ready:  # noqa: ASYNC110 it is the time that is asked for
        await asyncio.sleep(0.01)
    ready_s = time.perf_counter() - began
    options.tokens = 1
    await collect(engine.stream(question(options, 0, 0)))
    answered_s = time.perf_counter() - began
    await engine.close()
    lost = sum(isinstance(end, EngineFailed) for end in ends)
    return {"fault": number.name, "lost": lost, "told_s": told_s, "ready_s": ready_s, "answered_s": answered_s}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", default="1,8,32")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=8, help="runs of each; the best counts")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    options.image, options.images, options.words = "336x336", "own", 40
    settings = Settings(model="embedded", slot_tokens=1024)
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        parts = {
            "wire": runner.run(wire(settings)),
            "embedded": runner.run(embedded(settings, options)),
            "faults": [runner.run(fault(settings, options, each)) for each in (signal.SIGKILL, signal.SIGSTOP)],
        }
    for rows in parts.values():
        print(machine.table(rows), end="\n\n")
    print(machine.write("engine_process", {"parts": parts}, options.out))


if __name__ == "__main__":
    main()

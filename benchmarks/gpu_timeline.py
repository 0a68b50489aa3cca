"""What a GPU does in one second while a crowd asks: the share of time in which it works, by stream and by kernel.

    python -m benchmarks.gpu_timeline --weights bf16 --users 64
    python -m benchmarks.gpu_timeline --weights bf16 --users 100 --image 448x448 --tokens 16

The engine runs in this process, without HTTP, on random weights and patches; every user asks again as soon as answered.
PyTorch's profiler records the device's activities only.
"""

import argparse
import asyncio
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.gpu_cases import Opened, request

WARM_S = 4.0


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="7b")
    parser.add_argument("--weights", default="bf16")
    parser.add_argument("--users", type=int, default=64)
    parser.add_argument("--image", default="1036x756")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--set", action="append", default=[], metavar="SETTING=JSON")
    parser.add_argument("--out", type=Path)
    return parser.parse_args(argv)


def summary(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Of a Chrome trace's events: all times in ms, shares of the time from the first event to the last."""
    work = sorted(
        (e["ts"], e["ts"] + e["dur"], e["args"].get("stream"), e["name"])
        for e in events
        if e.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")
    )
    if not work:
        return {"events": 0}
    span = max(end for _, end, _, _ in work) - work[0][0]
    streams: dict[Any, list[tuple[float, float]]] = defaultdict(list)
    kernels: Counter[str] = Counter()
    times: Counter[str] = Counter()
    for start, end, stream, name in work:
        streams[stream].append((start, end))
        kernels[name[:90]] += end - start
        times[name[:90]] += 1
    busy = union([(start, end) for start, end, _, _ in work])
    return {
        "span_ms": span / 1e3,
        "busy": busy / span,
        "by_stream": {str(stream): union(runs) / span for stream, runs in streams.items()},
        "kernels": [
            {"name": name, "ms": total / 1e3, "share": total / span, "calls": times[name]}
            for name, total in kernels.most_common(30)
        ],
    }


def union(runs: list[tuple[float, float]]) -> float:
    """Length of what intervals, sorted by their starts, cover together."""
    covered, reached = 0.0, float("-inf")
    for start, end in runs:
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return covered


async def measure(options: argparse.Namespace, trace: Path) -> dict[str, Any]:
    """Users and steps of the loop; the device's activities go into the file `trace`."""
    import torch

    from benchmarks.architectures import load
    from benchmarks.engine import ask

    loaded = load(options.architecture, options.weights, context_tokens=8192)
    changes = {key: json.loads(value) for key, value in (pair.split("=", 1) for pair in options.set)}
    answered: list[dict] = []

    async def user(number: int, engine) -> None:
        turn = 0
        while True:
            turn += 1
            asked = request(options.image, options.tokens, run=1000 + turn, user=number)
            answered.append(await ask(engine.stream(asked)))

    async with Opened(loaded, slot_tokens=2048, **changes) as engine:
        users = [asyncio.create_task(user(number, engine)) for number in range(options.users)]
        await asyncio.sleep(WARM_S)
        profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
        profiler.start()
        before = engine.loop.steps
        await asyncio.sleep(options.seconds)
        steps = engine.loop.steps - before
        profiler.stop()  # on the thread that began it
        for each in users:
            each.cancel()
        await asyncio.gather(*users, return_exceptions=True)
        profiler.export_chrome_trace(str(trace))
    return {"users": options.users, "steps": steps}


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    trace = (options.out or Path("/tmp")) / "timeline.json"
    made = asyncio.run(measure(options, trace)) | summary(json.loads(trace.read_text())["traceEvents"])
    trace.unlink()
    kernels = made.pop("kernels", [])
    print(json.dumps(made))
    print(machine.table(kernels))
    about = {key: str(value) for key, value in vars(options).items() if key != "out"}
    label = f"{options.architecture} {options.weights} {options.users}"
    print(machine.write("gpu_timeline", {"label": label, "options": about, **made, "kernels": kernels}, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())

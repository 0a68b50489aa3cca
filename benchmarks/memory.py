"""How much memory the model takes: weights, and the peak of a working engine.

    python -m benchmarks.memory                     all weights, picture sizes and slot counts, and whole
                                                    processes that are held to 16 and to 8 GiB

Random weights in the true shapes. Each kind of weights has a process of its own. `process GiB` is what
the device has lost to the process, CUDA's own share included; on a CPU it is the resident set.
The model card's and the seed article's claims to compare with: 14 GB in bf16, 5.2 GB in NF4,
a "16 GB device".
"""

import argparse
import asyncio
import gc
import json
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks import machine

COLUMNS = {
    "weights": "weights",
    "picture": "picture",
    "users": "users",
    "slot_tokens": "tokens a slot",
    "limit_gib": "limit GiB",
    "weights_gib": "weights GiB",
    "cache_gib": "keys and values GiB",
    "peak_gib": "peak GiB",
    "process_gib": "process GiB",
    "outcome": "outcome",
}


@dataclass(frozen=True)
class Case:
    """One row. `limit_gib` caps the allocator and the engine's plan."""

    weights: str
    picture: str = "1036x756"
    users: int = 1
    slot_tokens: int = 2048
    limit_gib: float | None = None
    max_pixels: int = 2560 * 28 * 28
    picture_cache_mib: int = 256


LIMITS = (
    Case("nf4", users=8, limit_gib=16.0),
    Case("int8", users=8, limit_gib=16.0),
    Case("nf4-vision", users=1, limit_gib=8.0, max_pixels=1280 * 28 * 28, picture_cache_mib=32),
)


def cases(options) -> list[Case]:
    kinds = options.weights.split(",")
    pictures = [
        Case(weights, picture, slot_tokens=4096) for weights in kinds for picture in options.pictures.split(",")
    ]
    crowds = [Case(weights, users=int(users)) for weights in kinds for users in options.users.split(",")]
    return list(dict.fromkeys([*pictures, *crowds, *(case for case in LIMITS if case.weights in kinds)]))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="7b", help="7b, 3b or tiny")
    parser.add_argument("--weights", default="bf16,int8,nf4,nf4-vision")
    parser.add_argument("--pictures", default="448x448,1036x756,1988x1008")
    parser.add_argument("--users", default="1,8,32")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def gib(kind: str) -> float:
    """`now`, `peak` or `process`."""
    import resource

    import torch

    if not torch.cuda.is_available():
        if kind == "now":
            return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**30
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if kind == "process":
        free, total = torch.cuda.mem_get_info()
        return (total - free) / 2**30
    return {"now": torch.cuda.memory_allocated, "peak": torch.cuda.max_memory_allocated}[kind]() / 2**30


async def measure(cases: list[Case], options) -> None:
    """Print a line of JSON for each of `cases`, which have the same weights."""
    from benchmarks.architectures import load

    before = gib("now")
    loaded = load(options.architecture, cases[0].weights, context_tokens=4096)
    weights = gib("now") - before
    for case in cases:
        row = {**asdict(case), "weights_gib": weights, **await work(case, loaded)}
        print(json.dumps(row), flush=True)


async def work(case: Case, loaded) -> dict:
    import torch

    from benchmarks.architectures import settings
    from benchmarks.engine import crowd, question
    from qwen_demo.engines.batching.engine import BatchingEngine
    from qwen_demo.errors import QwenDemoError

    gc.collect()
    if torch.cuda.is_available():
        # Loading quantised random weights passes through bf16; a checkpoint's loader does not.
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    made = settings(
        slots=case.users,
        slot_tokens=case.slot_tokens,
        memory_limit_gib=case.limit_gib,
        picture_cache_mib=case.picture_cache_mib,
        reuse=case.limit_gib is not None,  # else the rows show what answers alone take
    )
    bounded = replace(loaded, info=replace(loaded.info, max_pixels=case.max_pixels))
    engine = BatchingEngine(made, lambda *_: bounded)
    asked = argparse.Namespace(picture=case.picture, pictures="own", words=40, tokens=64)
    row = {}
    try:
        await engine.start()
        row["cache_gib"] = engine.plan.cache_bytes / 2**30
        await crowd([engine.stream(question(asked, user, 1)) for user in range(case.users)])
        row["outcome"] = f"works, {engine.plan.slots} at once"
    except QwenDemoError as error:
        row["outcome"] = f"refused: {error}"
    row |= {"peak_gib": gib("peak"), "process_gib": gib("process")}
    await engine.close()
    return row


def main() -> None:
    options = arguments()
    if options.one:
        asyncio.run(measure([Case(**case) for case in json.loads(options.one)], options))
        return
    rows = []
    for weights in dict.fromkeys(case.weights for case in cases(options)):
        some = [asdict(case) for case in cases(options) if case.weights == weights]
        command = [sys.executable, "-m", "benchmarks.memory", *sys.argv[1:], "--one", json.dumps(some)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        made = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        rows += made + [{**case, "outcome": f"process ended with {done.returncode}"} for case in some[len(made) :]]
        print(*map(json.dumps, rows[-len(some) :]), sep="\n", flush=True)
    print(machine.table(rows, COLUMNS))
    print(machine.write("memory", {"label": options.architecture, "rows": rows}, options.out))


if __name__ == "__main__":
    main()

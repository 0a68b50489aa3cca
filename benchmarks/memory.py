"""How much memory the model takes: weights, and the peak of a working engine.

    python -m benchmarks.memory                     all weights, image sizes and slot counts, and whole
                                                    processes that are held to 16 and to 8 GiB

Random weights in the true shapes. Each kind of weights has a process of its own, and so has each row
with a limit. `peak` is what tensors took, `reserved` what the allocator took for them, `process` what the
device has lost to the process, CUDA's own share included; on a CPU all are the resident set.
The model card's and the seed article's claims to compare with: 14 GB in bf16, 5.2 GB in NF4,
a "16 GB device".
"""

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks import machine

COLUMNS = {
    "weights": "weights",
    "image": "image",
    "users": "users",
    "slot_tokens": "tokens a slot",
    "limit_gib": "limit GiB",
    "from_disk": "from disk",
    "weights_gib": "weights GiB",
    "cache_gib": "keys and values GiB",
    "peak_gib": "peak GiB",
    "reserved_gib": "reserved GiB",
    "process_gib": "process GiB",
    "outcome": "outcome",
}


@dataclass(frozen=True)
class Case:
    """One row. `limit_gib` caps the allocator and the engine's plan.

    Attributes:
        from_disk: the product's own loader reads a checkpoint of random weights, under the cap.
    """

    weights: str
    image: str = "1036x756"
    users: int = 1
    slot_tokens: int = 2048
    limit_gib: float | None = None
    max_pixels: int = 2560 * 28 * 28
    image_cache_mib: int = 256
    from_disk: bool = False


ALL = "bf16,int8,nf4,nf4-vision"
SMALL = Case("nf4-vision", limit_gib=8.0, max_pixels=1280 * 28 * 28, image_cache_mib=32)
LIMITS = (
    Case("nf4", users=8, limit_gib=16.0),
    Case("int8", users=8, limit_gib=16.0),
    SMALL,
    replace(SMALL, from_disk=True),
)


def cases(options) -> list[Case]:
    kinds, images, users = (
        text.split(",") if text else [] for text in (options.weights, options.images, options.users)
    )
    shown = [Case(weights, image, slot_tokens=room(image)) for weights in kinds for image in images]
    crowds = [Case(weights, users=int(count)) for weights in kinds for count in users]
    return list(dict.fromkeys([*(case for case in LIMITS if case.weights in kinds), *shown, *crowds]))


def room(image: str) -> int:
    """Tokens of a slot for a question about an image of this size."""
    width, height = map(int, image.split("x"))
    return 4096 if width * height // 28**2 > 1500 else 2048


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="7b", help="7b, 3b or tiny")
    parser.add_argument("--weights", default=ALL)
    parser.add_argument("--images", default="448x448,1036x756,1988x1008")
    parser.add_argument("--users", default="1,8,32", help="empty, as --images, for the rows with a limit alone")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint", type=Path, default=None, help=argparse.SUPPRESS)
    return parser.parse_args()


def gib(kind: str) -> float:
    """`now`, `peak`, `reserved` or `process`."""
    import resource

    import torch

    if not torch.cuda.is_available():
        if kind == "now":
            return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**30
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    if kind == "process":
        free, total = torch.cuda.mem_get_info()
        return (total - free) / 2**30
    read = {
        "now": torch.cuda.memory_allocated,
        "peak": torch.cuda.max_memory_allocated,
        "reserved": torch.cuda.max_memory_reserved,
    }
    return read[kind]() / 2**30


async def measure(cases: list[Case], options) -> None:
    """Print a line of JSON for each of `cases`, which have the same weights."""
    from benchmarks.architectures import load  # first: it sets up the allocator, as the product does

    if cases[0].from_disk:
        print(json.dumps({**asdict(cases[0]), **await work(cases[0], None, options.checkpoint)}), flush=True)
        return
    before = gib("now")
    loaded = load(options.architecture, cases[0].weights, context_tokens=4096)
    weights = gib("now") - before
    for case in cases:
        row = {**asdict(case), "weights_gib": weights, **await work(case, loaded)}
        print(json.dumps(row), flush=True)


async def work(case: Case, loaded, checkpoint: Path | None = None) -> dict:
    """What the case's crowd takes of `loaded`, or of the model in the folder `checkpoint`."""
    import torch

    from benchmarks.architectures import from_disk, settings
    from benchmarks.engine import crowd, question
    from qwen_demo.engines.batching.engine import BatchingEngine
    from qwen_demo.errors import QwenDemoError

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    made = settings(
        slots=case.users,
        slot_tokens=case.slot_tokens,
        memory_limit_gib=case.limit_gib,
        image_cache_mib=case.image_cache_mib,
        reuse=case.limit_gib is not None,  # else the rows show what answers alone take
        model=str(checkpoint),
        quantization=case.weights,
    )

    def loader(made, progress):
        model = loaded or from_disk(made, context_tokens=4096)
        return replace(model, info=replace(model.info, max_pixels=case.max_pixels))

    engine = BatchingEngine(made, loader)
    asked = argparse.Namespace(image=case.image, images="own", words=40, tokens=64)
    row = {}
    try:
        await engine.start()
        row["cache_gib"] = engine.plan.cache_bytes / 2**30
        await crowd([engine.stream(question(asked, user, 1)) for user in range(case.users)])
        row["outcome"] = f"works, {engine.plan.slots} at once"
    except QwenDemoError as error:
        row["outcome"] = f"refused: {error}"
    row |= {f"{kind}_gib": gib(kind) for kind in ("peak", "reserved", "process")}
    await engine.close()
    return row


def main() -> None:
    options = arguments()
    if options.one:
        asyncio.run(measure([Case(**case) for case in json.loads(options.one)], options))
        return
    if options.checkpoint:
        from benchmarks import random_checkpoint

        random_checkpoint.write(options.architecture, options.checkpoint)
        return
    rows = []
    for alike in dict.fromkeys((case.weights, case.limit_gib, case.from_disk) for case in cases(options)):
        some = [asdict(case) for case in cases(options) if (case.weights, case.limit_gib, case.from_disk) == alike]
        with tempfile.TemporaryDirectory(prefix="checkpoint") as folder:
            command = [sys.executable, "-m", "benchmarks.memory", *sys.argv[1:], "--checkpoint", folder]
            if some[0]["from_disk"]:
                subprocess.run(command, check=True)
            done = subprocess.run([*command, "--one", json.dumps(some)], stdout=subprocess.PIPE, text=True)
        made = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        rows += made + [{**case, "outcome": f"process ended with {done.returncode}"} for case in some[len(made) :]]
        print(*map(json.dumps, rows[-len(some) :]), sep="\n", flush=True)
    print(machine.table(rows, COLUMNS))
    label = options.architecture if options.weights == ALL else f"{options.architecture} {options.weights}"
    print(machine.write("memory", {"label": label, "rows": rows}, options.out))


if __name__ == "__main__":
    main()

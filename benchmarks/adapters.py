"""What adapters beside the model cost: users over several of them against the same users with none, in one engine.

    python -m benchmarks.adapters                                                   the embedded model on the CPU
    python -m benchmarks.adapters --device cuda --architecture 7b --weights nf4     random weights, true shapes
    python -m benchmarks.adapters --architecture 3b --weights int4 --tokens 32 --runs 1     the same on a CPU
    python -m benchmarks.adapters --architecture tiny --users 4 --tokens 8          does it run at all?

Runs of both kinds take turns, so that what else the machine does falls on both; the ratio is that of the medians. Passes
in which no row has an adapter are those of an engine without any.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.engine import crowd, question

COLUMNS = {
    "adapters": "adapters",
    "tokens_per_s": "tokens/s",
    "cpu_ms": "CPU ms a token",
    "ttft_p50_s": "first token s",
}


def parser_of(description: str | None, tokens: int) -> argparse.ArgumentParser:
    """With what is asked about the model. `tokens`: of an answer by default."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--architecture", default="embedded", help="embedded, 7b, 3b or tiny")
    parser.add_argument(
        "--weights", default="", help="fp32, bf16, int8, nf4, int4 on a CPU; default fp32 there, else bf16"
    )
    parser.add_argument("--tokens", type=int, default=tokens, help="length of an answer")
    parser.add_argument("--out", type=Path, default=None)
    return parser


def parsed(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """The options; the device that they name is the one that PyTorch takes."""
    options = parser.parse_args(argv)
    options.weights = options.weights or ("fp32" if options.device == "cpu" else "bf16")
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    else:
        import torch

        if not torch.cuda.is_available():
            raise SystemExit("There is no CUDA GPU here: leave out --device cuda.")
    return options


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = parser_of(__doc__, 64)
    parser.add_argument("--users", type=int, default=16)
    parser.add_argument("--adapters", type=int, default=8)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--image", default="none", help="width x height, or none for words only")
    parser.add_argument("--runs", type=int, default=5, help="of each kind, after one that does not count")
    parser.add_argument("--label", default="")
    options = parsed(parser, argv)
    options.words, options.images = 40, "own"
    return options


def write_adapter(model: Any, folder: Path, rank: int, seed: int) -> Path:
    """Random low-rank weights of every linear layer of the language model, as peft writes them."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir()
    drawn = torch.Generator().manual_seed(seed)
    halves = {}
    for name, layer in model.named_modules():
        if name.startswith("model.language_model.layers.") and hasattr(layer, "out_features"):
            for half, shape in (("A", (rank, layer.in_features)), ("B", (layer.out_features, rank))):
                halves[f"base_model.model.{name}.lora_{half}.weight"] = 0.01 * torch.randn(shape, generator=drawn)
    save_file(halves, folder / "adapter_model.safetensors")
    kinds = sorted({name.split(".")[-3] for name in halves})
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": kinds}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


async def measured(options: argparse.Namespace, folder: Path) -> list[dict]:
    """A row without adapters and one with."""
    from benchmarks.architectures import load, settings
    from qwen_demo.engines.batching.engine import BatchingEngine
    from qwen_demo.models import adapters

    loaded = load(options.architecture, options.weights, context_tokens=4096)
    folders = {f"a{n}": write_adapter(loaded.model, folder / f"a{n}", options.rank, n) for n in range(options.adapters)}
    known = [adapters.named(name, place, 8 << 30) for name, place in folders.items()]
    made = settings(
        slots=options.users,
        slot_tokens=1024,
        reuse=False,
        has_adapters=True,
        named_adapters=folders,
        max_adapters=options.adapters,
        adapter_rank=options.rank,
        adapter_mib=8192,
    )
    engine = BatchingEngine(made, loader=lambda *_: loaded)
    await engine.start()
    results: dict[int, list[dict]] = {0: [], options.adapters: []}
    try:
        for run in range(options.runs + 1):
            for number, count in enumerate(results):
                asked = [question(options, user, 2 * run + number) for user in range(options.users)]
                if count:
                    asked = [replace(each, adapter=known[user % count]) for user, each in enumerate(asked)]
                result = await crowd([engine.stream(each) for each in asked])
                if run:
                    results[count].append(result)
    finally:
        await engine.close()
    return [{"adapters": count, **medians(runs)} for count, runs in results.items()]


def medians(runs: list[dict]) -> dict:
    return {key: statistics.median(run[key] for run in runs) for key in COLUMNS if key in runs[0]}


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    load_before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="qwen-demo-") as folder:
        rows = asyncio.run(measured(options, Path(folder)))
    ratio = rows[1]["tokens_per_s"] / rows[0]["tokens_per_s"]
    print(machine.table(rows, COLUMNS))
    print(
        f"{options.users} users over {options.adapters} adapters of rank {options.rank}: {ratio:.2f} of the tokens/s without"
    )
    told = {
        key: getattr(options, key) for key in ("label", "architecture", "weights", "users", "rank", "tokens", "runs")
    }
    print(machine.write("adapters", {**told, "load": load_before, "ratio": ratio, "rows": rows}, options.out))


if __name__ == "__main__":
    main()

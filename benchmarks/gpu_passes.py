"""What single passes cost on a GPU: products by rows, recorded passes by their numbers, the vision encoder by patches.

    python -m benchmarks.gpu_passes --weights bf16

Random weights in true shapes, milliseconds of an idle device, each the median of some runs after a warm-up.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.gpu_cases import Opened, timed, wait

ROWS = (1, 64, 128, 256, 384, 448, 512, 576, 640, 768, 1024, 1088, 1280, 1536, 2048)
IMAGES = {"1036 x 756": ((1, 54, 74), 1), "448 x 448": ((1, 32, 32), 1), "448 x 448, four": ((1, 32, 32), 4)}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="7b")
    parser.add_argument("--weights", default="bf16")
    parser.add_argument("--out", type=Path)
    return parser.parse_args(argv)


def products(decoder: Any) -> dict[str, float]:
    """All layers' matrix products, by rows."""
    import torch

    from qwen_demo.engines.batching.model.kernels.step import linears

    made, device = {}, decoder.norm.weight.device
    width, dtype = decoder.norm.weight.shape[0], decoder.norm.weight.dtype
    for rows in ROWS:
        x = torch.randn(rows, width, device=device).to(dtype)

        def run(x=x) -> None:
            for layer in decoder.layers:
                qkv, out, gate_up, down = linears(layer)
                qkv(x)
                out(x)
                down(gate_up(x)[:, : gate_up.weight.shape[0] // 2].contiguous())

        made[str(rows)] = timed(run, times=5)
    return made


def passes(engine: Any) -> dict[str, dict[str, float]]:
    """Recorded passes, answers + prompt tokens; and the vision encoder with the way to the device."""
    import torch

    mixed, vision = engine.loop.runner.mixed, engine.preprocessor.encoder.vision
    if torch.cuda.is_available():
        torch.cuda.set_device(engine.loop.runner.device)
    made: dict[str, dict[str, float]] = {"recorded": {}, "vision": {}, "vision, plain": {}}
    for (answers, prompts), graph in sorted((mixed.graphs or {} if mixed else {}).items()):
        made["recorded"][f"{answers} + {prompts}"] = timed(graph.replay)
    engine.loop.runner.reset()
    for name, (grid, count) in IMAGES.items():
        shape = (1, 14 * grid[1], 14 * grid[2], 3)
        images = [(torch.randint(0, 256, shape, dtype=torch.uint8), grid) for _ in range(count)]
        recorded = vision.recorded
        made["vision"][name] = timed(lambda images=images: vision.encode(images), times=6)
        vision.recorded = None
        made["vision, plain"][name] = timed(lambda images=images: vision.encode(images), times=6)
        vision.recorded = recorded
    return made


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.architectures import load

    loaded = load(options.architecture, options.weights, context_tokens=8192)
    wait()
    async with Opened(loaded, slot_tokens=2048) as engine:
        made: dict[str, Any] = await asyncio.to_thread(passes, engine)
        if options.weights in ("bf16", "fp16"):
            made["products"] = await asyncio.to_thread(products, engine.loop.runner.decoder)
        return made


def main(argv: list[str] | None = None) -> int:
    options = arguments(argv)
    made = asyncio.run(measure(options))
    print(json.dumps(made, indent=1))
    label = f"{options.architecture} {options.weights}"
    print(machine.write("gpu_passes", {"label": label, **made}, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())

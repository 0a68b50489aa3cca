"""One model on several GPUs, as `--device-map` puts it: the same answers, and what they cost.

    python -m benchmarks.device_map                          the embedded model, and 7B shapes in bf16 and NF4
    python -m benchmarks.device_map --architecture tiny      a try on a CPU

The embedded model answers questions about the images in `examples/`, in a crowd, alone and with
stock `generate`: loaded by the product's own loader with `device_map="balanced"`, which for so small a
model need not part the layers, and spread here. Random weights of the true shapes are measured on one
GPU and spread. To spread is to give each GPU its share of the layers, through accelerate, as
transformers does.
"""

import argparse
import asyncio
import itertools
import logging
import sys
from pathlib import Path
from types import SimpleNamespace

from benchmarks.gpu_cases import IMAGE, Opened, Report, crowds, first_tokens, on_a_thread, paths, step_times, tidy


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="7b", help="7b, 3b or tiny")
    parser.add_argument("--weights", default="", help="comma-separated; default bf16,nf4, on a CPU fp32")
    parser.add_argument("--requests", type=int, default=32, help="of the embedded model")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--users", default="1,16,64")
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args()


def devices() -> list:
    import torch

    if not torch.cuda.is_available():
        return [torch.device("cpu")]
    return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]


async def trained(options, weights: str, way: str) -> dict:
    """Greedy answers of the embedded model: spread, on one GPU, and from stock `generate`.

    Args:
        way: `loaded` by `--device-map balanced`, or `spread` here.
    """
    from benchmarks import exactness
    from benchmarks.architectures import load

    asked = exactness.about_examples(SimpleNamespace(requests=options.requests, tokens=options.tokens))
    one = load("embedded", weights, endless=False)
    async with Opened(one, slots=16, slot_tokens=2048, reuse=False) as engine:
        on_one = await exactness.answers(engine, asked, at_once=False)
    if way == "loaded":
        several = load("embedded", weights, endless=False, device_map="balanced" if len(devices()) > 1 else None)
    else:
        several = one
        spread(several.model)
    async with Opened(several, slots=16, slot_tokens=2048, reuse=False) as engine:
        taken = paths(engine)
        alone = await exactness.answers(engine, asked, at_once=False)
        crowd = await exactness.answers(engine, asked, at_once=True)
        logits = await asyncio.to_thread(exactness.logits_difference, engine, several)
    reference = await asyncio.to_thread(exactness.stock, several, asked)
    return {
        "placed": placed(several.model),
        "paths": taken,
        "rows": [
            exactness.compared("in a crowd / alone", crowd, alone),
            exactness.compared("alone / stock generate", alone, reference),
            exactness.compared("alone / on one GPU", alone, on_one),
        ],
        "logits": logits,
    }


def placed(model) -> dict[str, int]:
    """How many decoder layers each device has."""
    from qwen_demo.engines.batching.memory_plan import layer_devices

    found = [str(device) for device in layer_devices(model)]
    return {device: found.count(device) for device in dict.fromkeys(found)}


def spread(model) -> None:
    """Vision encoder, embeddings and the first layers on the first device, the norm and an untied head on the last."""
    from accelerate import dispatch_model

    if len(devices()) == 1:
        return
    layers = model.model.language_model.layers
    where = {
        "model.visual": devices()[0],
        "model.language_model.embed_tokens": devices()[0],
        "model.language_model.rotary_emb": devices()[0],
        "model.language_model.norm": devices()[-1],
        "lm_head": devices()[0 if model.config.tie_word_embeddings else -1],
    }
    for index in range(len(layers)):
        where[f"model.language_model.layers.{index}"] = devices()[index * len(devices()) // len(layers)]
    for name, device in where.items():
        model.get_submodule(name).to(device)
    skipped = model._skip_keys_device_placement
    dispatch_model(model, {name: device.index for name, device in where.items()}, skip_keys=skipped)
    tidy()


async def measured(loaded, options, tiny: bool, **changes) -> dict:
    import torch

    for device in devices():
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
    async with Opened(loaded, slots=4 if tiny else 64, slot_tokens=2048, **changes) as engine:
        made = {"placed": placed(loaded.model), "paths": paths(engine)}
        made["steps"] = {k: v for k, v in (await on_a_thread(step_times, engine)).items() if "vision" not in k}
        made["users"] = await crowds(engine, [int(n) for n in options.users.split(",")], repeat=1)
        made["first token"] = await first_tokens(engine)
        made["peak_gib"] = [torch.cuda.max_memory_allocated(d) / 2**30 for d in devices() if d.type == "cuda"]
    return made


async def measure(options) -> int:
    import torch

    from benchmarks.architectures import load

    tiny, cuda = options.architecture == "tiny", torch.cuda.is_available()
    kinds = options.weights.split(",") if options.weights else ["bf16", "nf4"] if cuda else ["fp32"]
    report = Report("device-map", options.architecture, options.out)
    for weights, way in itertools.product(kinds, ("loaded", "spread")):
        await report.part(f"embedded {weights}, {way}", lambda k=weights, w=way: trained(options, k, w))
    for weights in kinds:
        loaded = load(options.architecture, weights, context_tokens=8192)
        await report.part(f"{weights}, one GPU", lambda m=loaded: measured(m, options, tiny))
        spread(loaded.model)
        await report.part(f"{weights}, spread", lambda m=loaded: measured(m, options, tiny))
        await report.part(
            f"{weights}, spread, without fast paths", lambda m=loaded: measured(m, options, tiny, fast_path=False)
        )
        del loaded
        tidy()
    print("image", IMAGE, "failed:", report.failed or "nothing", flush=True)
    return len(report.failed)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)d %(name)s: %(message)s")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    sys.exit(1 if asyncio.run(measure(arguments())) else 0)


if __name__ == "__main__":
    main()

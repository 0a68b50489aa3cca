"""Prints, as JSON, how far the decode step's kernels are from the plain path; run with TRITON_INTERPRET=1.

A process of its own: Triton reads that variable when it is imported. Its arguments are the names of `PARTS`.
"""

import functools
import json
import sys
from types import SimpleNamespace

import torch

from benchmarks.architectures import _draw_quantized, load
from qwen_demo.engines.batching.job import PrefillChunk, SequenceState
from qwen_demo.engines.batching.kv_cache import KVCache, PrefillView
from qwen_demo.engines.batching.mixed import MixedStep, SlotState
from qwen_demo.engines.batching.model import decoder as decoders
from qwen_demo.engines.batching.model import vision
from qwen_demo.engines.batching.model.adapter_rows import Masked
from qwen_demo.engines.batching.model.adapter_sites import GpuSite, LayerSites
from qwen_demo.engines.batching.model.kernels import attention, checks, low_rank
from qwen_demo.engines.batching.model.kernels.step import KernelStep, linears
from qwen_demo.engines.batching.model.linear import Fp8, FusedNf4, Modules, Plain
from qwen_demo.engines.batching.model.stages import PipelineStages, StagedDecoder
from qwen_demo.models import fp8
from qwen_demo.models.prompt import Medium, Prompt


def model_of(kind: type, quantization: str = ""):
    torch.manual_seed(0)
    model = load("tiny", "fp32").model
    if quantization:
        _draw_quantized(model.model.language_model.layers, quantization, "cpu")
    decoders.kind_for = lambda _: kind
    return model


@functools.cache
def made(kind: type, quantization: str = "") -> decoders.LeanDecoder:
    return decoders.LeanDecoder(model_of(kind, quantization))


def in_fp8() -> decoders.LeanDecoder:
    model = model_of(Fp8)
    fp8.quantise(model)
    return decoders.LeanDecoder(model)


def stage_errors() -> dict[str, float]:
    """Two stages of kernels against the plain path of the same stages."""
    devices = [torch.device("cpu", 0), torch.device("cpu")]
    decoder = StagedDecoder(model_of(Plain), devices)
    stage = decoder.stages[devices[1]]
    shape = {"kv_heads": stage.kv_heads, "head_dim": stage.head_dim, "dtype": torch.float32}
    caches = [KVCache(devices, slots=2, length=64, **shape) for _ in range(3)]
    stages = [
        PipelineStages(cache, [KernelStep(stage, cache.on(d), product=False) for d, stage in decoder.stages.items()])
        for cache in caches
    ]
    x, steps = torch.randn(3, stage.norm.weight.shape[0]), torch.arange(3)
    positions = torch.stack([steps, steps // 2, steps % 5])
    chunks = [PrefillChunk(SequenceState(slot=0), 0, 2), PrefillChunk(SequenceState(slot=1), 0, 1)]
    views = [PrefillView(cache, chunks, torch.float32) for cache in caches]
    expected = decoder.hidden(x, positions, views[0])
    prefilled = stages[1].prefill(x, positions, views[1])
    decoded = stages[2].decode(x, positions, views[2].slots, views[2].places)
    errors = {
        "stages/prefill": checks.difference(prefilled, expected),
        "stages/decode": checks.difference(decoded, expected),
    }
    for name, cache in zip(("prefill", "decode"), caches[1:], strict=True):
        banks = zip(cache.banks.values(), caches[0].banks.values(), strict=True)
        errors[f"stages/{name} stored"] = max(checks.difference(a, b) for a, b in banks)
    return errors


def mixed_errors(decoder: decoders.LeanDecoder) -> dict[str, float]:
    """Passes over answers and prompts as they are recorded, against the plain ones: logits, state and cache."""
    shape = {"kv_heads": decoder.kv_heads, "head_dim": decoder.head_dim, "dtype": torch.float32}
    caches = [KVCache([torch.device("cpu")] * 2, slots=3, length=200, **shape) for _ in range(2)]
    noise = torch.randn(caches[0].layer(0).shape)
    for cache in caches:
        cache.layer(0).copy_(noise)
        cache.layer(1).copy_(noise)
    # Slot 0 writes, slot 1 is idle, slot 2 gets what is left of its prompt, which has an image.
    state = torch.tensor([[5, 7, 9], [40, 200, 200], [1, 0, 0], [-3, 0, 0]])
    sizes = {"prefill_tokens": 64, "prompt_tokens": 256}
    kernels = KernelStep(decoder, caches[0], product=False)
    recorded = MixedStep(decoder, kernels, caches[0], SlotState(state.clone()), **sizes)
    plain = MixedStep(decoder, None, caches[1], SlotState(state.clone()), **sizes)
    width = decoder.norm.weight.shape[0]
    recorded._logits = torch.zeros(3, 3072)

    def record(*size: int):
        return SimpleNamespace(replay=lambda: recorded._logits[: size[0]].copy_(recorded._pass(*size)))

    recorded._record = record
    ids = torch.randint(0, 3000, (150,))
    image = Medium("image", (1, 4, 10), 130, 10, torch.zeros(40, 4))
    positions = torch.stack([torch.arange(150), torch.arange(150) // 2, torch.arange(150) % 7])
    job = SequenceState(prompt_tokens=150, slot=2)
    job.prompt, job.features = Prompt(ids, ids.int(), positions, -4, (image,)), (torch.randn(10, width),)
    x = decoder.embed(ids).clone()
    x[130:140] = job.features[0]
    errors, batch = {}, 3
    for chunks in ([PrefillChunk(job, 0, 137)], [PrefillChunk(job, 137, 150)], []):
        made = recorded(chunks, batch).clone()
        start, stop = (chunks[0].start, chunks[0].stop) if chunks else (0, 0)
        expected = plain.plain(chunks, batch, x[start:stop], 160)
        read = [0, 2] if stop in (0, 150) else [0]
        errors[f"mixed/{stop}"] = checks.difference(made[read], expected[read])
        moved = plain._state.all
        moved[1] += moved[2]
        if stop == 150:
            moved[1:, 2] = torch.tensor([150, 1, -4])
        moved[0] = recorded._state.all[0]
        errors[f"mixed/{stop} state"] = float((recorded._state.all != moved).sum())
        errors[f"mixed/{stop} tokens"] = float((moved[0, read] != expected[read].argmax(-1)).sum())
        stored = [torch.cat([cache.layer(n) for n in range(2)])[..., :-1, :] for cache in caches]
        errors[f"mixed/{stop} stored"] = checks.difference(*stored)
    return errors


def vision_error() -> float:
    """The encoder with what kernels it can use, against itself without."""
    vision.kind_for = lambda _: Plain
    encoder = vision.VisionEncoder(model_of(Plain).model.visual)
    images = [(torch.randn(32, 1176), (1, 4, 8))]
    (expected,) = encoder.encode(images)
    KernelStep.install(encoder.blocks)
    (made,) = encoder.encode(images)
    return checks.difference(made, expected)


def low_rank_errors() -> dict[str, float]:
    """Adapters' kernels against sums in float64: layers of uneven widths, rows without one, sums in parts, eight bits."""
    errors = {}
    numbers = torch.tensor([2, 0, 3, 1, 3])
    own = numbers > 0
    for outputs, inputs, rank, splits in [((300, 90, 90), 700, 8, 0), ((257, 255), 2500, 16, 3), ((500,), 40, 64, 0)]:
        a, b = torch.randn(len(outputs), 3, rank, inputs), torch.randn(sum(outputs), 3, rank)
        base = torch.randn(*((splits,) if splits else ()), 5, sum(outputs))
        part = torch.arange(len(outputs)).repeat_interleave(torch.tensor(outputs))
        x = torch.randn(5, inputs)
        eight = fp8.quantised(x)
        for kind, given, meant in (("float32", x, x), ("float8", eight, eight[0].float() * eight[1])):
            low = torch.einsum("prjk,rk->rpj", a[:, numbers - 1].double(), meant.double())
            added = torch.einsum("roj,orj->ro", low[:, part], b[:, numbers - 1].double()).float()
            expected = base.clone()
            (expected[0] if splits else expected)[own] += added[own]
            made_here = low_rank.up_and_add(base.clone(), low_rank.down(given, a, numbers), b, numbers, outputs)
            errors[f"{kind}/{len(outputs)}"] = checks.difference(made_here, expected)
    return errors


def adapted_step_errors() -> dict[str, float]:
    """Tokens with adapters and without through all layers, their products in kernels, against the plain ones."""
    decoder = made(Plain)
    numbers = torch.tensor([2, 0, 1])
    mask = (numbers[:, None] == torch.arange(1, 3))[:, :, None].float()
    sites = [LayerSites(*map(drawn_site, linears(layer), parts_of(decoder))) for layer in decoder.layers]
    decoder.adapters = SimpleNamespace(layers=sites, rank=8, rows=lambda slots: Masked(numbers, mask))
    shape = {"kv_heads": decoder.kv_heads, "head_dim": decoder.head_dim, "dtype": torch.float32}
    x, positions = torch.randn(3, decoder.norm.weight.shape[0]), torch.arange(3).expand(3, -1)
    results = {}
    try:
        for low in (True, False):
            step = KernelStep(
                decoder, KVCache([torch.device("cpu")] * 2, slots=3, length=64, **shape), product=False, low_rank=low
            )
            results[low] = step.decode(x, positions, torch.arange(3), torch.arange(3))
        errors = {"step": checks.difference(results[True], results[False])}
        errors |= checks.low_rank_errors(decoder, [1, 5])
        decoder.adapters.rows = lambda slots: None
        without = step.decode(x, positions, torch.arange(3), torch.arange(3))
        return errors | {"effect": checks.difference(without, results[False])}
    finally:
        decoder.adapters = None


def parts_of(decoder) -> list[tuple[int, ...]]:
    """Outputs of the layers that each of `linears` is made of."""
    layer, dim = decoder.layers[0], decoder.head_dim
    width, inner = decoder.norm.weight.shape[0], layer.mlp.down.weight.shape[1]
    return [(decoder.heads * dim, *[decoder.kv_heads * dim] * 2), (width,), (inner, inner), (width,)]


def drawn_site(linear, outputs: tuple[int, ...]) -> GpuSite:
    names = [f"layer.{n}" for n in range(len(outputs))]
    site = GpuSite(names, outputs, linear.weight.shape[1], adapters=2, rank=8, like=torch.empty(0))
    site.a.normal_(std=0.1)
    site.b.normal_(std=0.1)
    return site


def fits() -> list[bool]:
    return [KernelStep.fits(decoder) for decoder in (made(Plain), made(FusedNf4, "nf4"), made(Modules))]


PARTS = {
    "fits": fits,
    "fp8": lambda: checks.kernel_errors(in_fp8(), rows=2),
    "step": lambda: checks.kernel_errors(made(Plain), rows=2),
    "stages": stage_errors,
    "mixed": lambda: mixed_errors(made(Plain)),
    "vision": vision_error,
    "low rank": low_rank_errors,
    "adapted": adapted_step_errors,
    "products": lambda: checks.product_errors(made(FusedNf4, "nf4"), [1, 17]),
}


@torch.inference_mode()
def main(names: list[str]) -> None:
    attention.PROGRAMS = 8  # the interpreter runs them one after another
    print(json.dumps({name: PARTS[name]() for name in names}))


if __name__ == "__main__":
    main(sys.argv[1:])

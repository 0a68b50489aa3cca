"""Prints, as JSON, how far the decode step's kernels are from the plain path; run with TRITON_INTERPRET=1.

A process of its own: Triton reads that variable when it is imported.
"""

import json

import torch

from benchmarks.architectures import _draw_quantized, load
from qwen_demo.engines.batching.job import PrefillChunk, SequenceState
from qwen_demo.engines.batching.kv_cache import KVCache, PrefillView
from qwen_demo.engines.batching.model import decoder as decoders
from qwen_demo.engines.batching.model.kernels import attention, checks
from qwen_demo.engines.batching.model.kernels.step import KernelStep
from qwen_demo.engines.batching.model.linear import FusedNf4, Modules, Plain
from qwen_demo.engines.batching.model.stages import PipelineStages, StagedDecoder


def model_of(kind: type, quantization: str = ""):
    torch.manual_seed(0)
    model = load("tiny", "fp32").model
    if quantization:
        _draw_quantized(model.model.language_model.layers, quantization, "cpu")
    decoders.kind_for = lambda _: kind
    return model


def made(kind: type, quantization: str = "") -> decoders.LeanDecoder:
    return decoders.LeanDecoder(model_of(kind, quantization))


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


@torch.inference_mode()
def main() -> None:
    attention.PROGRAMS = 8  # the interpreter runs them one after another
    plain, quantised = made(Plain), made(FusedNf4, "nf4")
    print(
        json.dumps(
            {
                "fits": [KernelStep.fits(decoder) for decoder in (plain, quantised, made(Modules))],
                "step": checks.kernel_errors(plain, rows=2),
                "stages": stage_errors(),
                "products": checks.product_errors(quantised, [1, 17]),
            }
        )
    )


if __name__ == "__main__":
    main()

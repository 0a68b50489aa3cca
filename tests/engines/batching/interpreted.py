"""Prints, as JSON, how far the decode step's kernels are from the plain path; run with TRITON_INTERPRET=1.

A process of its own: Triton reads that variable when it is imported.
"""

import json

import torch

from benchmarks.architectures import _draw_quantized, load
from qwen_demo.engines.batching import decoder as decoders
from qwen_demo.engines.batching.cache import Part, PrefillView, SlotCache
from qwen_demo.engines.batching.kernels import step
from qwen_demo.engines.batching.linear import FusedNf4, Modules, Plain
from qwen_demo.engines.batching.stages import Chain, StagedDecoder


def model_of(kind: type, quantization: str = ""):
    torch.manual_seed(0)
    model = load("tiny", "fp32").model
    if quantization:
        _draw_quantized(model.model.language_model.layers, quantization, "cpu")
    decoders.kind_for = lambda _: kind
    return model


def made(kind: type, quantization: str = "") -> decoders.LeanDecoder:
    return decoders.LeanDecoder(model_of(kind, quantization))


def checked_chain() -> dict[str, float]:
    """A chain of two stages against the plain path of the same stages."""
    devices = [torch.device("cpu", 0), torch.device("cpu")]
    decoder = StagedDecoder(model_of(Plain), devices)
    stage = decoder.stages[devices[1]]
    shape = {"kv_heads": stage.kv_heads, "head_dim": stage.head_dim, "dtype": torch.float32}
    caches = [SlotCache(devices, slots=2, length=64, **shape) for _ in range(3)]
    chains = [
        Chain(cache, [step.KernelStep(stage, cache.on(d), product=False) for d, stage in decoder.stages.items()])
        for cache in caches
    ]
    x, steps = torch.randn(3, stage.norm.weight.shape[0]), torch.arange(3)
    positions = torch.stack([steps, steps // 2, steps % 5])
    views = [PrefillView(cache, [Part(0, 0, 2), Part(1, 0, 1)], torch.float32) for cache in caches]
    expected = decoder.hidden(x, positions, views[0])
    read = chains[1].read(x, positions, views[1])
    few = chains[2].few(x, positions, views[2].slots, views[2].places)
    errors = {"chain/read": step.difference(read, expected), "chain/few": step.difference(few, expected)}
    for name, cache in zip(("read", "few"), caches[1:], strict=True):
        banks = zip(cache.banks.values(), caches[0].banks.values(), strict=True)
        errors[f"chain/{name} stored"] = max(step.difference(a, b) for a, b in banks)
    return errors


@torch.inference_mode()
def main() -> None:
    plain, quantised = made(Plain), made(FusedNf4, "nf4")
    print(
        json.dumps(
            {
                "fits": [step.KernelStep.fits(decoder) for decoder in (plain, quantised, made(Modules))],
                "step": step.checked(plain, rows=2),
                "chain": checked_chain(),
                "products": step.checked_products(quantised, [1, 17]),
            }
        )
    )


if __name__ == "__main__":
    main()

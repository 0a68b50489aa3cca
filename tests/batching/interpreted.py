"""Prints, as JSON, how far the decode step's kernels are from the plain path; run with TRITON_INTERPRET=1.

A process of its own: Triton reads that variable when it is imported.
"""

import json

import torch

from benchmarks.architectures import _draw_quantized, load
from qwen_demo.engines.batching import decoder as decoders
from qwen_demo.engines.batching.kernels import step
from qwen_demo.engines.batching.linear import FusedNf4, Modules, Plain


def made(kind: type, quantization: str = "") -> decoders.LeanDecoder:
    torch.manual_seed(0)
    model = load("tiny", "fp32").model
    if quantization:
        _draw_quantized(model.model.language_model.layers, quantization, "cpu")
    decoders.kind_for = lambda _: kind
    return decoders.LeanDecoder(model)


@torch.inference_mode()
def main() -> None:
    plain, quantised = made(Plain), made(FusedNf4, "nf4")
    print(
        json.dumps(
            {
                "fits": [step.KernelStep.fits(decoder) for decoder in (plain, quantised, made(Modules))],
                "step": step.checked(plain, rows=2),
                "products": step.checked_products(quantised, [1, 17]),
            }
        )
    )


if __name__ == "__main__":
    main()

"""Are the CPU's compact weights right, not only quick? Greedy answers and logits of the embedded model against bfloat16's.

    python -m benchmarks.cpu_exactness
    python -m benchmarks.cpu_exactness --kinds int4 --requests 8

Each kind of weights, computed in bfloat16 as full-size models are, is compared twice: with the whole weights, which tells
what quantising costs a model of 24 million parameters (large ones lose less), and with the same quantised weights
unpacked into plain layers, which tells whether the products are right. Whole weights in bfloat16 against float32 are
the measure: so much comes from rounding alone.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks import machine
from benchmarks.exactness import about_examples

KINDS = ("nf4", "nf4-vision", "int4", "int8")
COLUMNS = {
    "weights": "weights",
    "against": "against",
    "same_answers": "same answers",
    "same_tokens": "same tokens",
    "logits": "logits apart",
}


def loaded(kind: str, dtype: Any) -> Any:
    """The embedded model on the CPU with weights of that kind, computing in `dtype`."""
    from qwen_demo.models import machine as here
    from qwen_demo.models.load import load
    from qwen_demo.settings import Settings

    # It would compute in float32, see `machine.dtype_for`.
    with (
        mock.patch.object(here, "dtype_for", lambda device, small: dtype),
        mock.patch.object(here, "device", lambda: "cpu"),
    ):
        return load(Settings(model="embedded", quantization=kind, weights_cache_gib=0))


def unpacked(compact: Any, dtype: Any) -> Any:
    """A whole model with the weights that `compact` has in four or eight bits; the likeliest words stay whole there too."""
    import torch

    from qwen_demo.models.cpu import layers
    from qwen_demo.models.cpu.head import RescoredHead
    from qwen_demo.models.cpu.int4 import Int4Linear
    from qwen_demo.models.cpu.int8 import Int8Linear
    from qwen_demo.models.cpu.nf4 import Nf4Linear, UnpackedNf4Linear

    whole = loaded("none", dtype)
    plain = dict(whole.model.named_modules())
    changed = 0
    for name, layer in compact.model.named_modules():
        kind = next(
            (each for each in (Int4Linear, Int8Linear, Nf4Linear, UnpackedNf4Linear) if isinstance(layer, each)), None
        )
        if kind is None or name not in plain:
            continue
        weight = plain[name].weight.data
        with torch.inference_mode():
            plain[name].weight.data = dense(kind, weight).to(weight.dtype)
        changed += 1
    if isinstance(head := compact.model.lm_head, RescoredHead):
        with torch.inference_mode():
            coarse = layers.plain(dense(type(head.coarse), plain["lm_head"].weight.data).to(dtype), None)
        whole.model.lm_head = RescoredHead(coarse, head.rows)
    assert changed, "nothing is quantised"
    return whole


def dense(kind: type, weight: Any) -> Any:
    """`weight` [out, in] as that kind of layer has it, by arithmetic that knows no packing."""
    import torch

    from qwen_demo.models.cpu import int4
    from qwen_demo.models.cpu.int8 import Int8Linear
    from qwen_demo.models.cpu.nf4 import UnpackedNf4Linear
    from qwen_demo.models.cpu.sources import Int4Numbers

    if kind is int4.Int4Linear:
        return Int4Numbers(*int4.quantize(weight)).dense()
    if kind is Int8Linear:
        layer = Int8Linear.of(weight)
        return layer.numbers.float() * layer.scales.float()[:, None]
    return UnpackedNf4Linear.of(weight, None).dequantized(torch.float32)


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    import torch

    from qwen_demo.engines import distance

    asked = about_examples(options)
    exact = distance.measure(loaded("none", torch.float32), asked)
    whole = distance.measure(loaded("none", torch.bfloat16), asked)
    rows = [row("bf16", "float32", distance.Distance.between(exact, whole))]
    for kind in options.kinds:
        compact = loaded(kind, torch.bfloat16)
        ours = distance.measure(compact, asked)
        rows.append(row(kind, "bf16", distance.Distance.between(whole, ours)))
        same = distance.measure(unpacked(compact, torch.bfloat16), asked)
        rows.append(row(kind, f"{kind}, unpacked", distance.Distance.between(same, ours)))
    return rows


def row(weights: str, against: str, found: Any) -> dict[str, Any]:
    made = {"weights": weights, "against": against, **asdict(found)}
    print(made, file=sys.stderr, flush=True)
    return made


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--requests", type=int, default=32, help="about the images of examples/")
    parser.add_argument("--tokens", type=int, default=32, help="of the longest answer")
    parser.add_argument("--out", type=Path, help="folder for a JSON file of the figures")
    options = parser.parse_args(argv)
    rows = measure(options)
    print(machine.table(rows, COLUMNS))
    content = {"label": "embedded", "requests": options.requests, "tokens": options.tokens, "rows": rows}
    print(machine.write("cpu-exactness", content, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())

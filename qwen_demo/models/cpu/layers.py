"""Which layer of a model is kept how on a CPU, by the kind of weights that was asked for.

| kind | layers of the language model | vision encoder | output layer |
|---|---|---|---|
| `none` | compute dtype | compute dtype | compute dtype |
| `int8` | eight bits | as the files are | eight bits |
| `nf4`, `int4` | four bits | as the files are | four bits, whole for the likeliest words |
| `nf4-vision` | four bits | NF4 | four bits, whole for the likeliest words |
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from qwen_demo.models.cpu import int4, nf4
from qwen_demo.models.cpu.head import RescoredHead
from qwen_demo.models.cpu.int4 import Int4Linear
from qwen_demo.models.cpu.int8 import Int8Linear
from qwen_demo.models.cpu.nf4 import Nf4Linear, UnpackedNf4Linear
from qwen_demo.models.cpu.sources import Dense, Int4Numbers, Nf4Codes, Source
from qwen_demo.models.cpu.stored import StoredEmbedding, StoredLinear

Role = Literal["text", "vision", "head"]
KINDS: dict[str, type[nn.Module]] = {
    kind.__name__: kind
    for kind in (Int4Linear, Int8Linear, Nf4Linear, UnpackedNf4Linear, StoredLinear, StoredEmbedding)
}


@dataclass(frozen=True, slots=True)
class WeightsPlan:
    """How weights are kept.

    Attributes:
        kind: `none`, `int8`, `nf4`, `nf4-vision` or `int4`.
        dtype: computed with.
    """

    kind: str
    dtype: torch.dtype

    @property
    def layout(self) -> str:
        """What packed weights depend on besides the kind: equal where one may be read by the other."""
        return f"{self.dtype} {torch.backends.cpu.get_cpu_capability()} {int4.layout_block()} {nf4.has_fused_product()}"


def role_of(name: str) -> Role:
    """Of the linear layer of that name."""
    if name == "lm_head":
        return "head"
    return "vision" if name.startswith("model.visual.") else "text"


def linear(role: Role, source: Source, bias: torch.Tensor | None, plan: WeightsPlan) -> nn.Module:
    """The layer in the form that `plan` has for it. Weights that are in that form already are taken as they are."""
    bias = None if bias is None else bias.to(plan.dtype)
    if plan.kind != "none":
        if role == "head":
            return _head(source, plan)
        if role == "text" and (made := _quantized(source, bias, plan.kind)):
            return made
        if role == "vision" and plan.kind == "nf4-vision":
            return _vision_nf4(source, bias)
    weight = source.weight if isinstance(source, Dense) else source.dense()
    if plan.kind != "none" and weight.dtype != plan.dtype and weight.dtype in (torch.bfloat16, torch.float16):
        return StoredLinear(weight.clone(), bias)
    return plain(weight.to(plan.dtype, copy=True), bias)


def _head(source: Source, plan: WeightsPlan) -> nn.Module:
    """Four bits with whole weights behind them, which the source must go on holding; else eight bits."""
    coarse = _quantized(source, None, plan.kind) if plan.kind != "int8" and isinstance(source, Dense) else None
    if coarse is None or not isinstance(source, Dense):
        return Int8Linear.of_source(source)
    return RescoredHead(coarse, source.weight)


def plain(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    """PyTorch's own layer around these tensors."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta", dtype=weight.dtype)
    made.weight = nn.Parameter(weight, requires_grad=False)
    if bias is not None:
        made.bias = nn.Parameter(bias, requires_grad=False)
    return made


def _quantized(source: Source, bias: torch.Tensor | None, kind: str) -> nn.Module | None:
    """A layer of the language model; None if its sizes suit no product."""
    if kind == "int8":
        return Int8Linear.of_source(source, bias)
    if isinstance(source, Nf4Codes) and kind != "int4" and nf4.fits(*source.shape) and nf4.has_fused_product():
        return Nf4Linear.of_codes(source.codes, source.scales, source.shape[0], bias)
    rows, columns = source_shape(source)
    if isinstance(source, Int4Numbers) and kind == "int4" and int4.fits(rows, columns, _group(source)):
        return Int4Linear.of_numbers(source.numbers, source.scale, source.zero, bias)
    if not (int4 if kind == "int4" else nf4).fits(rows, columns):
        return None
    weight = source.weight if isinstance(source, Dense) else source.dense()
    if kind == "int4":
        return Int4Linear.of(weight, bias)
    return Nf4Linear.of(weight, bias) if nf4.has_fused_product() else UnpackedNf4Linear.of(weight, bias)


def source_shape(source: Source) -> tuple[int, int]:
    """Outputs and inputs of the layer."""
    if isinstance(source, Nf4Codes):
        return source.shape
    rows, columns = (source.weight if isinstance(source, Dense) else source.numbers).shape
    return rows, columns


def _vision_nf4(source: Source, bias: torch.Tensor | None) -> nn.Module:
    if isinstance(source, Nf4Codes):
        return UnpackedNf4Linear(source.codes.clone().view(source.shape[0], -1), source.scales, bias)
    return UnpackedNf4Linear.of(source.weight if isinstance(source, Dense) else source.dense(), bias)


def _group(source: Int4Numbers) -> int:
    return source.numbers.shape[1] // source.scale.shape[1]

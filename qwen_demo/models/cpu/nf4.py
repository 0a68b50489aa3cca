"""bitsandbytes' NF4 weights (Dettmers et al. 2023) for its fused product on CPUs with AVX512-BF16.

Elsewhere it has none, and unpacking a layer for every token takes seconds; `int4` serves there. A layer that the fused
product cannot take (its rows are no whole blocks) is unpacked whenever it is used: right for the vision encoder, which
always reads many rows.
"""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

BLOCK = 64
# Quantiles of a normal distribution between -1 and 1, with zero among them (QLoRA, appendix E).
VALUES = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
# Quantised at once: what stays in a core's cache.
PIECE = 1 << 18
# The fused product works on this many outputs at once.
OUTPUTS = 32


@functools.cache
def has_fused_product() -> bool:
    """Whether bitsandbytes' library has it for this processor."""
    from bitsandbytes.functional import has_avx512bf16

    return bool(has_avx512bf16()) and torch.backends.cpu.get_cpu_capability() == "AVX512"


def quantize(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[out, in] -> bitsandbytes' codes [out * in / 2] uint8, an even weight in the high bits, and scales float32.

    The nearest of sixteen values, counted by the bounds between them that a weight exceeds: a tenth of the time that
    bitsandbytes takes on a CPU. Rows that are no whole blocks share one with the next row, as they do there.
    """
    flat = weight.reshape(-1)
    whole = flat.numel() // PIECE * PIECE
    pieces = [*flat[:whole].split(PIECE), *([flat[whole:]] if whole < flat.numel() else [])]
    codes, scales = zip(*map(_quantize, pieces), strict=True)
    return torch.cat(codes), torch.cat(scales)


def _quantize(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    count = weight.numel()
    blocks = F.pad(weight.to(torch.float32, copy=True), (0, -count % BLOCK)).view(-1, BLOCK)
    scales = blocks.abs().amax(-1)
    blocks.div_(scales.clamp(min=torch.finfo(torch.float32).tiny)[:, None])
    number = torch.zeros(blocks.shape, dtype=torch.uint8)
    for low, high in itertools.pairwise(VALUES):
        number += blocks > (low + high) / 2
    number = number.view(-1)[: count + count % 2]
    return (number[::2] << 4) | number[1::2], scales


def fits(out_features: int, in_features: int) -> bool:
    """Whether the fused product takes a layer of these sizes."""
    return out_features % OUTPUTS == 0 and in_features % BLOCK == 0


def pack(codes: torch.Tensor, out_features: int) -> torch.Tensor:
    """bitsandbytes' codes -> the layout of its fused product, [out, in / 2] uint8.

    Of 32 outputs and a pair of inputs the 32 bytes hold outputs 0 to 15 in the low bits and 16 to 31 in the high ones,
    both inputs of an output side by side.
    """
    halves = codes.view(out_features // OUTPUTS, 2, OUTPUTS // 2, -1)
    even = (halves[:, 0] >> 4) | (halves[:, 1] & 0xF0)
    odd = (halves[:, 0] & 15) | (halves[:, 1] << 4)
    return torch.stack([even, odd], dim=-1).permute(0, 2, 1, 3).reshape(out_features, -1)


class Nf4Linear(nn.Module):
    """A linear layer through the fused product.

    Args:
        packed: [out, in / 2] uint8, see `pack`.
        scales: [in / 64, out] bfloat16.
        bias: [out] in the compute dtype.
    """

    packed: torch.Tensor
    scales: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, packed: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None = None):
        super().__init__()
        self.out_features, self.in_features = packed.shape[0], packed.shape[1] * 2
        self.register_buffer("packed", packed)
        self.register_buffer("scales", scales)
        self.register_buffer("bias", bias)
        # A table; the product looks at its second entry alone, to tell NF4 from FP4.
        self._code = torch.tensor([-1.0, -0.6961928])

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor | None) -> "Nf4Linear":
        """Of the weights [out, in] of a layer."""
        return cls.of_codes(*quantize(weight), weight.shape[0], bias)

    @classmethod
    def of_codes(cls, codes, scales, out_features: int, bias: torch.Tensor | None) -> "Nf4Linear":
        """Of what `quantize` gives, or a checkpoint holds."""
        scales = scales.view(out_features, -1).T.to(torch.bfloat16).contiguous()
        return cls(pack(codes, out_features), scales, bias)

    @classmethod
    def stacked(cls, layers: Sequence["Nf4Linear"]) -> "Nf4Linear":
        """Several layers of the same input as one, their outputs side by side. The layers' weights become views."""
        sizes = [layer.out_features for layer in layers]
        made = cls(
            torch.cat([layer.packed for layer in layers]),
            torch.cat([layer.scales for layer in layers], dim=1),
            stacked_bias(layers),
        )
        parts = zip(layers, made.packed.split(sizes), made.scales.split(sizes, dim=1), strict=True)
        for layer, packed, scales in parts:
            layer.packed, layer.scales = packed, scales
        return made

    @staticmethod
    def can_be_stacked(layers: Sequence["Nf4Linear"]) -> bool:
        """Always: all are whole blocks of outputs."""
        return bool(layers)

    @property
    def weight(self) -> torch.Tensor:
        """What stands for a layer's weight where its device is asked for."""
        return self.packed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, self.in_features).contiguous()
        shape = (self.out_features, self.in_features)
        product: Any = torch.ops.bitsandbytes.gemv_4bit.default
        out = product(rows, self.packed, shape, self.scales.contiguous(), self._code, BLOCK).to(x.dtype)
        if self.bias is not None:
            out = out.add_(self.bias)
        return out.view(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"


def stacked_bias(layers: Sequence[Any]) -> torch.Tensor | None:
    """Of layers side by side; None if none has one."""
    known = [layer.bias for layer in layers if layer.bias is not None]
    if not known:
        return None
    none = known[0].new_zeros
    return torch.cat([none(layer.out_features) if layer.bias is None else layer.bias for layer in layers])


class UnpackedNf4Linear(nn.Module):
    """A linear layer whose NF4 weights are unpacked for each use.

    Args:
        codes: [out, in / 2] uint8, bitsandbytes' own order.
        scales: [out * in / 64] float32.
        bias: [out] in the compute dtype.
    """

    codes: torch.Tensor
    scales: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, codes: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None = None):
        super().__init__()
        self.out_features, self.in_features = codes.shape[0], codes.shape[1] * 2
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales)
        self.register_buffer("bias", bias)

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor | None) -> "UnpackedNf4Linear":
        codes, scales = quantize(weight)
        return cls(codes.view(weight.shape[0], -1), scales, bias)

    @property
    def weight(self) -> torch.Tensor:
        return self.codes

    def dequantized(self, dtype: torch.dtype) -> torch.Tensor:
        """[out, in]."""
        shape = (self.out_features, self.in_features)
        unpack: Any = torch.ops.bitsandbytes.dequantize_4bit.default
        weight: torch.Tensor = unpack(self.codes.view(-1), self.scales, BLOCK, "nf4", shape, dtype)
        return weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.dequantized(x.dtype), self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"

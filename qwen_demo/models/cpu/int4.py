"""Four-bit weights for the product that PyTorch has for CPUs (`_weight_int4pack_mm_for_cpu`): AVX-512, AVX2 and NEON.

A group of weights along a row shares a scale and a zero: w = (q - 8) * scale + zero, with q from 0 to 15. A few rows are
multiplied by the fused product. For many it is slower than unpacking the layer once and multiplying in the compute
dtype, for which the packed layout must be known; it depends on the machine. Where the compute dtype is float32, weights
are unpacked to eight bits with a scale for each output, whose products take half as long (`onednn.py`); that rounds them
by a fifth of what four bits have rounded them by.
"""

import functools
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from qwen_demo.models.cpu import onednn
from qwen_demo.models.cpu.nf4 import stacked_bias
from qwen_demo.models.cpu.onednn import LARGEST, QuantizedRows

GROUP = 64
# The product works on whole blocks of this many outputs.
OUTPUTS = 16
# The fused product takes activations of other dtypes too, but fifty times as long.
FUSED_DTYPE = torch.bfloat16
# From this many rows on a layer is unpacked: 96 rows take the same time either way (EPYC with AVX512-BF16).
MANY_ROWS = 96
# Weights unpacked at once: what stays in a core's cache until it is multiplied.
PIECE = 1 << 20
# The same to eight bits.
PIECE_OF_BYTES = 1 << 22
# If more than this share of a layer's inputs hold something that stands out, all are multiplied in float32.
STANDING_OUT = 1 / 8
QUANTIZED_ROWS = 256


def fits(out_features: int, in_features: int, group: int = GROUP) -> bool:
    """Whether a layer of these sizes can be packed."""
    return out_features % OUTPUTS == 0 and in_features % group == 0


def quantize(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """[out, in] -> numbers from 0 to 15 [out, in] uint8, scales and zeros [out, in / GROUP] bfloat16.

    Least and largest weight of a group are kept up to rounding.
    """
    parts = zip(*map(_quantize, weight.split(QUANTIZED_ROWS)), strict=True)
    numbers, scale, zero = (torch.cat(part) for part in parts)
    return numbers, scale, zero


def _quantize(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    groups = weight.to(torch.float32, copy=True).view(weight.shape[0], -1, GROUP)
    least, most = groups.amin(-1), groups.amax(-1)
    scale = ((most - least) / 15).clamp(min=1e-8).to(torch.bfloat16)
    zero = (least + 8 * scale.float()).to(torch.bfloat16)
    # By the rounded scale and zero, which are those that will be multiplied by.
    groups.sub_(zero.float()[..., None]).mul_(1 / scale.float()[..., None]).add_(8).round_().clamp_(0, 15)
    return groups.to(torch.uint8).view(weight.shape), scale, zero


def pack(numbers: torch.Tensor) -> torch.Tensor:
    """[out, in] uint8 from 0 to 15 -> the product's own layout, [out, in / 2] uint8."""
    packed: torch.Tensor = torch._convert_weight_to_int4pack_for_cpu(numbers.int(), 1)
    return packed


@functools.cache
def layout_block() -> int:
    """Outputs that a block of the packed layout holds here; 0 if the layout is none that can be unpacked.

    A block is [in, outputs / 2]: the outputs' first half in the low four bits, the second in the high ones.
    """
    numbers = torch.randint(0, 16, (128, GROUP), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    packed = pack(numbers)
    for block in (64, 32):
        halves = packed.view(-1, GROUP, block // 2)
        unpacked = torch.cat([halves & 15, halves >> 4], dim=-1).transpose(1, 2).reshape(numbers.shape)
        if torch.equal(unpacked, numbers):
            return block
    return 0


class Int4Linear(nn.Module):
    """A linear layer with four-bit weights.

    Args:
        packed: [out, in / 2] uint8, see `pack`.
        scale_zero: [in / group, out, 2] bfloat16.
        bias: [out] in the compute dtype.
    """

    packed: torch.Tensor
    scale_zero: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, packed: torch.Tensor, scale_zero: torch.Tensor, bias: torch.Tensor | None = None):
        super().__init__()
        self.out_features, self.in_features = packed.shape[0], packed.shape[1] * 2
        self.group = self.in_features // scale_zero.shape[0]
        self.register_buffer("packed", packed)
        self.register_buffer("scale_zero", scale_zero)
        self.register_buffer("bias", bias)

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor | None) -> "Int4Linear":
        """Of the weights [out, in] of a layer."""
        return cls.of_numbers(*quantize(weight), bias)

    @classmethod
    def of_numbers(cls, numbers, scale, zero, bias: torch.Tensor | None) -> "Int4Linear":
        """Of what `quantize` gives."""
        return cls(pack(numbers), torch.stack([scale.T, zero.T], dim=-1).to(FUSED_DTYPE).contiguous(), bias)

    @classmethod
    def stacked(cls, layers: Sequence["Int4Linear"]) -> "Int4Linear":
        """Several layers of the same input as one, their outputs side by side. The layers' weights become views."""
        sizes = [layer.out_features for layer in layers]
        made = cls(
            torch.cat([layer.packed for layer in layers]),
            torch.cat([layer.scale_zero for layer in layers], dim=1),
            stacked_bias(layers),
        )
        parts = zip(layers, made.packed.split(sizes), made.scale_zero.split(sizes, dim=1), strict=True)
        for layer, packed, scale_zero in parts:
            layer.packed, layer.scale_zero = packed, scale_zero
        return made

    @staticmethod
    def can_be_stacked(layers: Sequence["Int4Linear"]) -> bool:
        """Whether their blocks are whole and their groups of one size."""
        block = layout_block()
        whole = bool(block) and all(layer.out_features % block == 0 for layer in layers)
        return whole and len({layer.group for layer in layers}) == 1

    @property
    def weight(self) -> torch.Tensor:
        """What stands for a layer's weight where its device is asked for."""
        return self.packed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, self.in_features)
        block = layout_block()
        unpacks = len(rows) >= MANY_ROWS and block and self.out_features % block == 0
        out = self._many(rows, block) if unpacks else self._fused(rows)
        return out.view(*x.shape[:-1], self.out_features)

    def _fused(self, x: torch.Tensor) -> torch.Tensor:
        product = torch.ops.aten._weight_int4pack_mm_for_cpu
        out = product(x.to(FUSED_DTYPE).contiguous(), self.packed, self.group, self.scale_zero.contiguous()).to(x.dtype)
        return out if self.bias is None else out.add_(self.bias)

    def _many(self, x: torch.Tensor, block: int) -> torch.Tensor:
        if x.dtype == torch.float32 and onednn.multiplies_bytes():
            rows = QuantizedRows.of(x)
            if rows.columns is None or len(rows.columns) <= STANDING_OUT * self.in_features:
                return self._by_bytes(rows, block)
        return self._unpacked(x, block)

    def _by_bytes(self, rows: QuantizedRows, block: int) -> torch.Tensor:
        out, first = torch.empty(len(rows.numbers), self.out_features), 0
        for numbers, scale in self.byte_pieces(block):
            rows.times(numbers, scale, out[:, first : first + len(scale)])
            first += len(scale)
        if rows.columns is not None and rows.rest is not None:
            out.addmm_(rows.rest, self._inputs(rows.columns, block))
        return out if self.bias is None else out.add_(self.bias)

    def _unpacked(self, x: torch.Tensor, block: int) -> torch.Tensor:
        out = torch.cat([x @ piece for piece in self.pieces(block, x.dtype)], dim=-1)
        return out if self.bias is None else out.add_(self.bias)

    def pieces(self, block: int, dtype: torch.dtype) -> Iterator[torch.Tensor]:
        """The weights, transposed, some outputs after the others: [in, outputs]. Each is valid until the next."""
        width, count = self.in_features, self.out_features // block
        packed = self.packed.view(count, width, block // 2)
        # [blocks, groups, 1, block]
        scale, zero = (
            each.reshape(-1, count, block).transpose(0, 1).unsqueeze(2).float() for each in self.scale_zero.unbind(-1)
        )
        least, scale = (zero - 8 * scale).to(dtype).contiguous(), scale.to(dtype).contiguous()
        step = max(1, PIECE // (width * block))
        room = torch.empty(step, width, block, dtype=dtype)
        for first in range(0, count, step):
            halves = packed[first : first + step]
            made = room[: len(halves)]
            made[..., : block // 2] = halves & 15
            made[..., block // 2 :] = halves >> 4
            groups = made.view(len(halves), -1, self.group, block)
            torch.addcmul(least[first : first + step], groups, scale[first : first + step], out=groups)
            yield made.transpose(0, 1).reshape(width, -1)

    def byte_pieces(self, block: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """The same in eight bits, [in, outputs] int8, and the outputs' scales float32.

        Made in sixteen bits, of which the upper eight are the numbers: q * factor + summand wraps around on its way, which
        changes nothing in a result that fits.
        """
        width, count, half = self.in_features, self.out_features // block, block // 2
        packed = self.packed.view(count, width, half)
        step, zero = self.scale_zero.float().unbind(-1)  # [groups, out]
        least = zero - 8 * step
        scale = torch.maximum(least.abs(), (zero + 7 * step).abs()).amax(0).div_(LARGEST).clamp_(min=1e-30)
        factor, summand = (
            (each * (256 / scale)).round_().to(torch.int16).view(-1, count, block).transpose(0, 1).unsqueeze(2)
            for each in (step, least)
        )
        summand = summand + 128  # rounds
        factor = factor.contiguous()
        blocks = max(1, PIECE_OF_BYTES // (width * block))
        room = torch.empty(blocks, width, block, dtype=torch.int16)
        numbers = torch.empty(blocks * width * block, dtype=torch.int8)
        for first in range(0, count, blocks):
            halves = packed[first : first + blocks]
            made = room[: len(halves)]
            made[..., :half] = halves & 15
            made[..., half:] = halves >> 4
            groups = made.view(len(halves), -1, self.group, block)
            groups.mul_(factor[first : first + blocks]).add_(summand[first : first + blocks])
            made.bitwise_right_shift_(8)
            piece = numbers[: made.numel()].view(width, len(halves), block)
            piece.copy_(made.transpose(0, 1))
            yield piece.view(width, -1), scale[first * block : (first + len(halves)) * block]

    def _inputs(self, columns: torch.Tensor, block: int) -> torch.Tensor:
        """The weights of some inputs, [columns, out] float32."""
        halves = self.packed.view(-1, self.in_features, block // 2)[:, columns]
        numbers = torch.cat([halves & 15, halves >> 4], dim=-1).transpose(0, 1).reshape(len(columns), -1)
        scale, zero = self.scale_zero[columns // self.group].float().unbind(-1)
        return (numbers.float() - 8) * scale + zero

    def dequantized(self) -> torch.Tensor:
        """[out, in] float32, by the product itself: slow, and right whatever the layout."""
        return self._fused(torch.eye(self.in_features)).T if self.bias is None else self._without_bias().dequantized()

    def _without_bias(self) -> "Int4Linear":
        return Int4Linear(self.packed, self.scale_zero, None)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, group={self.group}"

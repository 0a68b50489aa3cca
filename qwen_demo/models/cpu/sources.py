"""The weights of one linear layer as checkpoints hold them: plain, or quantised in one of the published layouts.

bitsandbytes' layouts are read as its `QuantState` and `Linear8bitLt` write them; GPTQ's and AWQ's as AutoGPTQ and
AutoAWQ do (`gemm`, four bits); FP8's as compressed-tensors and DeepSeek's block scales do.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from qwen_demo.errors import ModelLoadError

Tensors = Mapping[str, torch.Tensor]

# Endings of the tensors that belong to one layer's weights, besides `weight` itself.
PARTS = (
    "weight",
    "weight.absmax",
    "weight.quant_map",
    "weight.nested_absmax",
    "weight.nested_quant_map",
    "weight.quant_state.bitsandbytes__nf4",
    "weight.quant_state.bitsandbytes__fp4",
    "weight_format",
    "SCB",
    "qweight",
    "qzeros",
    "scales",
    "g_idx",
    "weight_scale_inv",
    "weight_scale",
    "input_scale",
)
AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
NIBBLES = torch.arange(0, 32, 4)


@dataclass(frozen=True, slots=True)
class Dense:
    """[out, in] in a floating dtype."""

    weight: torch.Tensor


@dataclass(frozen=True, slots=True)
class Nf4Codes:
    """bitsandbytes' codes [out * in / 2] uint8 in blocks of 64 and their scales float32."""

    codes: torch.Tensor
    scales: torch.Tensor
    shape: tuple[int, int]

    def dense(self) -> torch.Tensor:
        """[out, in] bfloat16."""
        return _dequantized(self.codes, self.scales, 64, "nf4", self.shape)


@dataclass(frozen=True, slots=True)
class Int4Numbers:
    """w = (q - 8) * scale + zero: numbers [out, in] uint8, scales and zeros [out, in / group]."""

    numbers: torch.Tensor
    scale: torch.Tensor
    zero: torch.Tensor

    def dense(self) -> torch.Tensor:
        """[out, in] float32."""
        groups = self.numbers.float().view(*self.scale.shape, -1)
        return ((groups - 8) * self.scale.float()[..., None] + self.zero.float()[..., None]).view(self.numbers.shape)


@dataclass(frozen=True, slots=True)
class Int8Numbers:
    """w = q * scale: numbers [out, in] int8, scales [out]."""

    numbers: torch.Tensor
    scales: torch.Tensor

    def dense(self) -> torch.Tensor:
        """[out, in] float32."""
        return self.numbers.float() * self.scales.float()[:, None]


Source = Dense | Nf4Codes | Int4Numbers | Int8Numbers


def read(parts: Tensors, *, zero_is_stored_less_one: bool = True) -> Source:
    """What the tensors of a layer say, by their endings (`PARTS`).

    Args:
        zero_is_stored_less_one: of GPTQ's zeros, in its first format.
    """
    if "SCB" in parts:
        return Int8Numbers(parts["weight"], parts["SCB"].float() / 127)
    if "weight.absmax" in parts:
        return _bitsandbytes(parts)
    if "qweight" in parts:
        # GPTQ packs along the inputs, AWQ along the outputs.
        return _gptq(parts, int(zero_is_stored_less_one)) if "g_idx" in parts else _awq(parts)
    weight = parts["weight"]
    for name in ("weight_scale_inv", "weight_scale"):
        if name in parts:
            return Dense(_scaled(weight, parts[name]))
    return Dense(weight)


def _bitsandbytes(parts: Tensors) -> Source:
    (kind,) = (name.rsplit("__", 1)[1] for name in parts if name.startswith("weight.quant_state"))
    state: dict[str, Any] = json.loads(bytes(parts[f"weight.quant_state.bitsandbytes__{kind}"].tolist()))
    absmax = parts["weight.absmax"]
    if "weight.nested_absmax" in parts:
        # The scales were quantised themselves, in blocks of their own and less their mean.
        values = parts["weight.nested_quant_map"].float()[absmax.long()]
        each = parts["weight.nested_absmax"].float().repeat_interleave(int(state["nested_blocksize"]))
        absmax = values * each[: len(values)] + float(state["nested_offset"])
    codes = parts["weight"].view(torch.uint8).reshape(-1)
    rows, columns = state["shape"]
    if kind == "nf4" and state["blocksize"] == 64 and columns % 2 == 0:
        return Nf4Codes(codes, absmax.float(), (rows, columns))
    return Dense(_dequantized(codes, absmax.float(), int(state["blocksize"]), kind, (rows, columns)))


def _dequantized(codes, absmax, block: int, kind: str, shape: tuple[int, int]) -> torch.Tensor:
    import bitsandbytes  # noqa: F401 declares the operator

    unpack: Any = torch.ops.bitsandbytes.dequantize_4bit.default
    weight: torch.Tensor = unpack(codes, absmax, block, kind, shape, torch.bfloat16)
    return weight


def _gptq(parts: Tensors, offset: int) -> Source:
    numbers = _unpacked(parts["qweight"].T).contiguous()  # [out, in]
    zeros = (_unpacked(parts["qzeros"]) + offset).T.float()  # [out, groups]
    scales = parts["scales"].T.float().contiguous()
    groups = parts["g_idx"].long()
    size = -(-numbers.shape[1] // scales.shape[1])
    if torch.equal(groups, torch.arange(len(groups)) // size):
        return _int4(numbers, scales, zeros)
    # Columns were put in order of importance: a group's are not side by side.
    return Dense((numbers.float() - zeros[:, groups]) * scales[:, groups])


def _awq(parts: Tensors) -> Source:
    ordered = [_unpacked(parts[name]).view(len(parts[name]), -1, 8) for name in ("qweight", "qzeros")]
    place = torch.tensor(AWQ_ORDER).argsort()
    numbers, zeros = (each[..., place].flatten(1).T.contiguous() for each in ordered)
    return _int4(numbers, parts["scales"].T.float().contiguous(), zeros.float())


def _int4(numbers: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor) -> Int4Numbers:
    return Int4Numbers(numbers, scales, (8 - zeros) * scales)


def _unpacked(packed: torch.Tensor) -> torch.Tensor:
    """[rows, n] int32 -> [rows, 8 * n] uint8, the lowest four bits first."""
    if packed.dtype != torch.int32:
        raise ModelLoadError(f"Packed weights of dtype {packed.dtype} are in a layout that is not known here.")
    return ((packed[..., None] >> NIBBLES) & 15).to(torch.uint8).flatten(1)


def _scaled(weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """FP8 weights [out, in] times a scale for all, for each output, or for each square block."""
    weight, scale = weight.to(torch.float32), scale.float()
    if scale.dim() == 2 and scale.shape[1] > 1:
        side = -(-weight.shape[1] // scale.shape[1])
        side = 1 << (side - 1).bit_length() if side > 1 else side  # blocks are powers of two, the last may be cut
        scale = scale.repeat_interleave(side, 0)[: weight.shape[0]].repeat_interleave(side, 1)[:, : weight.shape[1]]
    return (weight * scale.reshape(-1, 1) if scale.dim() < 2 else weight * scale).to(torch.bfloat16)

"""Eight-bit weights with a scale for each output.

Above all for the layer that turns hidden states into logits: in bfloat16 it takes as long for a token as all the
layers before it in four bits, and four bits would show in the choice between likely words.
"""

import torch
import torch.nn.functional as F
from torch import nn

from qwen_demo.models.cpu.sources import Dense, Int8Numbers, Source

# The product takes activations of this dtype.
FUSED_DTYPE = torch.bfloat16
# From this many rows on a layer is widened and multiplied in the compute dtype.
MANY_ROWS = 24
# Weights widened at once: what stays in a core's cache until it is multiplied.
PIECE = 1 << 20


class Int8Linear(nn.Module):
    """A linear layer with eight-bit weights.

    Args:
        numbers: [out, in] int8.
        scales: [out] bfloat16.
        bias: [out] in the compute dtype.
    """

    numbers: torch.Tensor
    scales: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, numbers: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None = None):
        super().__init__()
        self.out_features, self.in_features = numbers.shape
        self.register_buffer("numbers", numbers)
        self.register_buffer("scales", scales)
        self.register_buffer("bias", bias)

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor | None = None) -> "Int8Linear":
        """Of the weights [out, in] of a layer."""
        numbers = torch.empty(weight.shape, dtype=torch.int8)
        scales = torch.empty(weight.shape[0], dtype=FUSED_DTYPE)
        step = max(1, PIECE // weight.shape[1])
        for first in range(0, len(weight), step):
            rows = weight[first : first + step].float()
            scale = (rows.abs().amax(-1) / 127).clamp(min=1e-12).to(FUSED_DTYPE)
            numbers[first : first + step] = (rows / scale.float()[:, None]).round_().clamp_(-127, 127)
            scales[first : first + step] = scale
        return cls(numbers, scales, bias)

    @classmethod
    def of_source(cls, source: Source, bias: torch.Tensor | None = None) -> "Int8Linear":
        """Of weights as a checkpoint holds them; eight bits with a scale for each output are taken as they are."""
        if isinstance(source, Int8Numbers):
            return cls(source.numbers.clone(), source.scales.to(FUSED_DTYPE), bias)
        return cls.of(source.weight if isinstance(source, Dense) else source.dense(), bias)

    @property
    def weight(self) -> torch.Tensor:
        """What stands for a layer's weight where its device is asked for."""
        return self.numbers

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = x.reshape(-1, self.in_features)
        if len(rows) < MANY_ROWS:
            product = torch.ops.aten._weight_int8pack_mm
            out = product(rows.to(FUSED_DTYPE).contiguous(), self.numbers, self.scales).to(x.dtype)
        else:
            pieces = self.numbers.split(max(1, PIECE // self.in_features))
            out = torch.cat([F.linear(rows, piece.to(x.dtype)) for piece in pieces], dim=-1).mul_(self.scales)
        if self.bias is not None:
            out = out.add_(self.bias)
        return out.view(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}"

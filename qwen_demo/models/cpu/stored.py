"""Weights kept in half the size of what is computed with: a layer of bfloat16 weights on a processor that is slow at
bfloat16. They are widened when the layer is used, a piece at a time; that takes a fraction of the product's time where
many rows are read, as the vision encoder does.
"""

import torch
import torch.nn.functional as F
from torch import nn

from qwen_demo.models.cpu import onednn

# From this many rows on oneDNN's own layout pays in float32: a fifth less time for 1,024 rows.
MANY_ROWS = 256
# Weights widened at once: what stays in a core's cache until it is multiplied.
PIECE = 1 << 20


class StoredLinear(nn.Module):
    """A linear layer that computes in the dtype of its input.

    Args:
        weight: [out, in], in any dtype.
        bias: [out] in the compute dtype.
    """

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None):
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dtype == self.weight.dtype:
            return F.linear(x, self.weight, self.bias)
        rows = x.reshape(-1, self.in_features)
        packs = x.dtype == torch.float32 and len(rows) >= MANY_ROWS and onednn.has_linear()
        product = onednn.linear if packs else F.linear
        pieces = self.weight.split(max(1, PIECE // self.in_features))
        out = torch.cat([product(rows, piece.to(x.dtype)) for piece in pieces], dim=-1)
        out = out.view(*x.shape[:-1], self.out_features)
        return out if self.bias is None else out.add_(self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, kept in {self.weight.dtype}"


class StoredEmbedding(nn.Module):
    """A table of words whose rows are widened as they are looked up; of a table in a mapped file, only rows that are
    looked up come into memory.

    Args:
        weight: [words, width], in any dtype.
        dtype: of the result.
    """

    weight: torch.Tensor

    def __init__(self, weight: torch.Tensor, dtype: torch.dtype):
        super().__init__()
        self.dtype = dtype
        self.register_buffer("weight", weight, persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return F.embedding(ids, self.weight).to(self.dtype)

"""The layer that turns hidden states into logits: four bits for all words, whole weights for the likeliest.

In bfloat16 it takes as long for a token as all layers before it in four bits, and four bits alone would show in the
choice between likely words. So they only find the candidates, whose logits are then computed with whole weights; those
stay a mapping of the file, of which the rows of candidates come into memory.
"""

import torch
from torch import nn

# The likeliest word of the whole weights is among these many of the four-bit ones: their error is a tenth of what sets
# words apart, the likeliest lies several times that above the last of these.
CANDIDATES = 128
# Rows whose candidates are looked up at once.
ROWS = 16


class RescoredHead(nn.Module):
    """An output layer without a bias.

    Args:
        coarse: a layer with four-bit weights.
        rows: [words, width], the whole weights.
    """

    rows: torch.Tensor

    def __init__(self, coarse: nn.Module, rows: torch.Tensor):
        super().__init__()
        self.out_features, self.in_features = rows.shape
        self.coarse = coarse
        self.register_buffer("rows", rows, persistent=False)

    @property
    def weight(self) -> torch.Tensor:
        """What stands for a layer's weight where its device is asked for."""
        return self.rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., width] -> [..., words] float32."""
        flat = x.reshape(-1, self.in_features)
        logits: torch.Tensor = self.coarse(flat).float()
        for some, hidden in zip(logits.split(ROWS), flat.split(ROWS), strict=True):
            best = some.topk(min(CANDIDATES, self.out_features), sorted=False).indices
            whole = self.rows[best].float()
            # A sum for each row alone, so that its bits do not depend on the others.
            some.scatter_(1, best, (whole * hidden.float()[:, None]).sum(-1))
        return logits.view(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, whole weights of {CANDIDATES} words"

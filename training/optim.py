"""Muon for the hidden matrices, AdamW for everything else.

Muon: Jordan et al. 2024 (quintic Newton-Schulz); update scaled to AdamW's size as in Moonlight (0.2 * sqrt(larger side)).
"""

import torch

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@torch.no_grad()
def orthogonalised(matrices, steps=5):
    """(n, rows, columns) -> nearest semi-orthogonal matrices, roughly."""
    a, b, c = COEFFICIENTS
    x = matrices.bfloat16() if matrices.is_cuda else matrices.float()
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return (x.mT if tall else x).to(matrices.dtype)


class Muon:
    """Batches parameters by shape; a fused qkv matrix counts as three."""

    def __init__(self, named, weight_decay=0.05, momentum=0.95):
        self.weight_decay, self.momentum = weight_decay, momentum
        self.groups, self.moments = {}, {}
        for name, parameter in named:
            parts = 3 if name.endswith("attn.qkv.weight") else 1
            key = (parts, parameter.shape[0] // parts, parameter.shape[1])
            self.groups.setdefault(key, []).append(parameter)

    @torch.no_grad()
    def step(self, lr):
        """lr: 0-dim tensor on the parameters' device, so that a captured graph can change it."""
        for key, parameters in self.groups.items():
            parts, rows, columns = key
            gradient = torch.stack([p.grad for p in parameters])
            if key not in self.moments:
                self.moments[key] = torch.zeros_like(gradient)
            moment = self.moments[key]
            moment.lerp_(gradient, 1 - self.momentum)
            update = gradient.lerp_(moment, self.momentum).view(-1, rows, columns)
            update = orthogonalised(update).view(len(parameters), parts * rows, columns)
            update = update * (0.2 * max(rows, columns) ** 0.5 * lr)
            torch._foreach_mul_(parameters, 1 - lr * self.weight_decay)
            torch._foreach_sub_(parameters, list(update.unbind(0)))


def split_parameters(model):
    """(named matrices for Muon, other parameters)"""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and "embed_tokens" not in name and "lm_head" not in name:
            matrices.append((name, parameter))
        else:
            others.append(parameter)
    return matrices, others

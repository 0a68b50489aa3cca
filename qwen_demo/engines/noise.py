"""Random numbers that depend on a request's seed, the token's number and nothing else.

A counter-based generator (Salmon et al. 2011) with the mixing function of SplitMix64 (Steele,
Lea and Flood 2014): the same seed gives the same draws alone or in a batch, on any device, in
any engine. No state is kept, so nothing can be shared by accident.
"""

import secrets

import torch

_GOLDEN = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed integer
_MIX_1 = -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
_MIX_2 = -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB


def _shifted(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical shift to the right; torch's own keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mixed(x: torch.Tensor) -> torch.Tensor:
    x = (x ^ _shifted(x, 30)) * _MIX_1
    x = (x ^ _shifted(x, 27)) * _MIX_2
    return x ^ _shifted(x, 31)


def seed_of(asked: int | None) -> int:
    """A seed that fits int64: the one asked for, whatever its size, or a fresh one."""
    seed = secrets.randbits(64) if asked is None else asked
    return (seed + (1 << 63)) % (1 << 64) - (1 << 63)


def gumbel(seeds: torch.Tensor, steps: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Standard Gumbel noise for one token of each row.

    Args:
        seeds: [rows] int64.
        steps: [rows] int64, how many tokens the row's answer has already.
        vocabulary: size of the second dimension.

    Returns:
        [rows, vocabulary] float32. The largest of logits + noise is a draw from softmax(logits).
    """
    key = _mixed(_mixed(seeds + _GOLDEN) + steps * _GOLDEN)
    index = torch.arange(1, vocabulary + 1, device=seeds.device)
    bits = _shifted(_mixed(key[:, None] + index * _GOLDEN), 40)
    uniform = (bits.float() + 0.5) * 2.0**-24
    return -torch.log(-torch.log(uniform))

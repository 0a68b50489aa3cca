"""Where the patches of images lie in a pass of the vision encoder, and which of them attend to each other.

Depends on the grids alone, so a layout is made once for each set of image sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

Grid = tuple[int, int, int]  # patches in time, height and width


@dataclass(frozen=True, slots=True)
class AttentionSpans:
    """Runs of patches that attend to each other.

    Attributes:
        groups: for each distinct length: (length, [count * length] patch indices, or None when
            all runs have that length).
        starts: [runs + 1] int32, first patch of each run and the end.
        longest: patches of the longest run.
    """

    groups: tuple[tuple[int, torch.Tensor | None], ...]
    starts: torch.Tensor
    longest: int


@dataclass(frozen=True, slots=True)
class EncoderLayout:
    """What depends on the grids of the images of a pass alone.

    Attributes:
        tokens: of each image.
        order, back: [patches / 4] from raster order into windows, and back.
        cos, sin: [patches, 1, head_dim] of the two-dimensional rotary embedding; sin is signed.
        windows, frames: who attends to whom in window blocks and in full blocks.
    """

    tokens: tuple[int, ...]
    order: torch.Tensor
    back: torch.Tensor
    cos: torch.Tensor
    sin: torch.Tensor
    windows: AttentionSpans
    frames: AttentionSpans


def make_layout(config, grids: Sequence[Grid], device: torch.device) -> EncoderLayout:
    """Layout of the images of one pass (`config`: a `Qwen2_5_VLVisionConfig`)."""
    merge = config.spatial_merge_size
    unit = merge**2
    tokens = tuple(t * h * w // unit for t, h, w in grids)
    orders, windows, frames, rotations, before = [], [], [], [], 0
    for (t, h, w), count in zip(grids, tokens, strict=True):
        side = config.window_size // merge // config.patch_size
        order, lengths = _windows(t, h // merge, w // merge, side)
        orders.append(order + before)
        windows += [n * unit for n in lengths]
        frames += [h * w] * t
        rotations.append(_rotation(config, t, h, w))
        before += count
    order = torch.cat(orders)
    cos, sin = (torch.cat(both) for both in zip(*rotations, strict=True))
    cos, sin = (a.view(a.shape[0] // unit, -1)[order].view(a.shape)[:, None] for a in (cos, sin))
    return EncoderLayout(
        tokens,
        order.to(device),
        torch.argsort(order).to(device),
        cos.to(device, torch.float32),
        sin.to(device, torch.float32),
        _spans(windows, device),
        _spans(frames, device),
    )


def _rotation(config, t: int, h: int, w: int) -> tuple[torch.Tensor, torch.Tensor]:
    """[patches, head_dim] each, patches in raster order of merged squares."""
    merge = config.spatial_merge_size
    rows, columns = (
        axis.reshape(h // merge, merge, w // merge, merge).permute(0, 2, 1, 3).flatten().repeat(t)
        for axis in torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    )
    half = config.hidden_size // config.num_heads // 2
    theta = (getattr(config, "rope_parameters", None) or {}).get("rope_theta", 10000.0)
    frequencies = 1.0 / theta ** (torch.arange(0, half, 2, dtype=torch.float) / half)
    angles = torch.cat([rows[:, None] * frequencies, columns[:, None] * frequencies], dim=-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def _spans(lengths: list[int], device: torch.device) -> AttentionSpans:
    starts = torch.tensor([0, *lengths]).cumsum(0)
    groups = []
    for length in sorted(set(lengths)):
        runs = [torch.arange(int(a), int(a) + length) for a, n in zip(starts, lengths, strict=False) if n == length]
        groups.append((length, None if len(runs) == len(lengths) else torch.cat(runs).to(device)))
    return AttentionSpans(tuple(groups), starts.to(device, torch.int32), max(lengths))


def _windows(t: int, h: int, w: int, side: int) -> tuple[torch.Tensor, list[int]]:
    """Order of merged squares by windows of `side` x `side`, and the squares of each window.

    Windows at the lower and right border are smaller (Qwen2.5-VL report 2025, section 2.1.1).
    """
    squares = torch.arange(t * h * w).view(t, h, w)
    windows = [
        squares[frame, y : y + side, x : x + side].flatten()
        for frame in range(t)
        for y in range(0, h, side)
        for x in range(0, w, side)
    ]
    return torch.cat(windows), [len(window) for window in windows]

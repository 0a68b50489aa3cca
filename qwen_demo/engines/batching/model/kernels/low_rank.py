"""Few rows' low-rank products, each with its own adapter: down to the rank in one launch, up and added in another.

A row's result comes from its own numbers alone, in an order that does not depend on who else is in the pass. The inner
dimension of the first product is split among programs, which leave float32 parts for the second to add.
"""

from typing import Any

import torch
import triton
import triton.language as tl

MAX_ROWS = 64
MOST_PARTS = 3
COLUMNS = 128  # read at a time
EACH = 512  # columns of a program
DOWN_WARPS = 8
TILE = 256  # outputs of a program
UP_WARPS = 2


@triton.jit(do_not_specialize=["rows", "adapters"])
def _down(
    x, scales, a, numbers, low, rows, inputs,
    adapters, RANK: tl.constexpr, PARTS: tl.constexpr, COLUMNS: tl.constexpr, EACH: tl.constexpr, SCALED: tl.constexpr,
):  # fmt: skip
    row, part, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    number = tl.load(numbers + row)
    if number > 0:
        rank, column = tl.arange(0, RANK), tl.arange(0, COLUMNS)
        own = a + ((part * adapters + number - 1) * RANK + rank[:, None]) * inputs
        total = tl.zeros([RANK], tl.float32)
        for start in range(0, EACH, COLUMNS):
            at = split * EACH + start + column
            inside = at < inputs
            value = tl.load(x + row * inputs + at, mask=inside, other=0.0).to(tl.float32)
            weight = tl.load(own + at[None, :], mask=inside[None, :], other=0.0).to(tl.float32)
            total += tl.sum(weight * value[None, :], axis=1)
        if SCALED:
            total *= tl.load(scales + row).to(tl.float32)
        tl.store(low + ((split * rows + row) * PARTS + part) * RANK + rank, total)


@triton.jit(do_not_specialize=["rows", "splits"])
def _up_and_add(
    low, b, numbers, made, rows, splits, adapters, outputs, second, third, second_tile, third_tile,
    RANK: tl.constexpr, PARTS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    row, tile = tl.program_id(0), tl.program_id(1)
    number = tl.load(numbers + row)
    if number > 0:
        # Which of the layers that are one product: no tile has outputs of two.
        part = (tile >= second_tile).to(tl.int32) + (tile >= third_tile).to(tl.int32)
        first = tl.where(part == 0, 0, tl.where(part == 1, second, third))
        stop = tl.where(part == 0, second, tl.where(part == 1, third, outputs))
        tile -= tl.where(part == 0, 0, tl.where(part == 1, second_tile, third_tile))
        rank = tl.arange(0, RANK)
        each = tl.zeros([RANK], tl.float32)
        for split in range(splits):
            each += tl.load(low + ((split * rows + row) * PARTS + part) * RANK + rank)
        n = first + tile * TILE + tl.arange(0, TILE)
        inside = n < stop
        at = (n[:, None] * adapters + number - 1) * RANK + rank[None, :]
        weight = tl.load(b + at, mask=inside[:, None], other=0.0).to(tl.float32)
        total = tl.sum(weight * each[None, :], axis=1)
        there = made + row * outputs + n
        total += tl.load(there, mask=inside, other=0.0).to(tl.float32)
        tl.store(there, total.to(made.dtype.element_ty), mask=inside)


def fits(site) -> bool:
    """Whether `down` and `up_and_add` can stand in for a `GpuSite`'s `add`."""
    return len(site.outputs) <= MOST_PARTS


def down(x: Any, a: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
    """[splits, rows, parts, rank] float32, to be added up: each row's products with its own adapter's A.

    Args:
        x: [rows, inputs], or its eight-bit floats and their scales, [rows, 1] float32; at most MAX_ROWS rows.
        a: [parts, adapters, rank, inputs], parts being the layers that are one product.
        numbers: of each row its place in the table from 1, or 0 for none, [rows] int64; what it has of none is not written.
    """
    x, scales = x if isinstance(x, tuple) else (x, x)
    rows, inputs = x.shape
    parts, adapters, rank, _ = a.shape
    splits = triton.cdiv(inputs, EACH)
    low = torch.empty(splits, rows, parts, rank, dtype=torch.float32, device=x.device)
    _down[(rows, parts, splits)](
        x.contiguous(), scales, a, numbers, low, rows, inputs, adapters,
        RANK=rank, PARTS=parts, COLUMNS=COLUMNS, EACH=EACH, SCALED=scales is not x, num_warps=DOWN_WARPS,
    )  # fmt: skip
    return low


def up_and_add(
    made: torch.Tensor, low: torch.Tensor, b: torch.Tensor, numbers: torch.Tensor, outputs: tuple[int, ...]
) -> torch.Tensor:
    """Add the products of `down`'s result with B to `made`, in place.

    Args:
        made: [rows, outputs], or [splits, rows, outputs] float32 whose sum is meant; contiguous.
        b: [outputs, adapters, rank].
        outputs: of each part.
    """
    splits, rows, parts, rank = low.shape
    starts, tiles = [0], [0]
    for height in outputs:
        starts.append(starts[-1] + height)
        tiles.append(tiles[-1] + triton.cdiv(height, TILE))
    # Parts that are not there begin behind the last.
    starts += starts[-1:] * (MOST_PARTS - parts)
    tiles += tiles[-1:] * (MOST_PARTS - parts)
    _up_and_add[(rows, tiles[-1])](
        low, b, numbers, made, rows, splits, b.shape[1], b.shape[0], starts[1], starts[2], tiles[1], tiles[2],
        RANK=rank, PARTS=parts, TILE=TILE, num_warps=UP_WARPS,
    )  # fmt: skip
    return made

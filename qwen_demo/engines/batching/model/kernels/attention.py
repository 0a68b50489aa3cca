"""Attention over the slots of a cache: of single tokens, and of blocks of a prompt's tokens.

A single token sees the keys of its slot up to its own place; they are divided among several programs
(Dao et al. 2023, "Flash-Decoding"), whose results a second kernel joins. A block of a prompt's tokens passes over the
keys once (Dao et al. 2022, "FlashAttention"). Places are read on the device: one recorded step serves all.
"""

import torch
import triton
import triton.language as tl

from qwen_demo.engines.batching.model.kernels.pointwise import deinterleaved_column

MOST_SPLITS = 64
PROGRAMS = 264  # two for each of the 132 multiprocessors of an H100
BLOCK_TOKENS = 128  # of a prompt, for one program
LOG2_E = 1.4426950408889634


def splits_for(rows: int, kv_heads: int) -> int:
    """Into how many parts the keys of a slot are cut; a power of two."""
    splits = 1
    while splits < MOST_SPLITS and rows * kv_heads * splits < PROGRAMS:
        splits *= 2
    return splits


@triton.jit
def _attend_split(
    query, keys, values, slots, places, tops, sums, parts, splits, spare, scaling, slot_stride, head_stride,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, DIM: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    kv_head = tl.program_id(1)
    split = tl.program_id(2)
    GROUP: tl.constexpr = HEADS // KV_HEADS
    place = tl.load(places + row)
    # A row that nobody reads points at the spare place; one key keeps its result finite.
    count = tl.where(place >= spare, 1, place + 1).to(tl.int32)
    each = tl.cdiv(tl.cdiv(count, BLOCK), splits) * BLOCK
    start = split * each
    stop = tl.minimum(count, start + each)
    group = tl.arange(0, ROWS)
    dim = tl.arange(0, DIM)
    step = tl.arange(0, BLOCK)
    head = kv_head * GROUP + group
    real = group < GROUP
    q = tl.load(query + (row * HEADS + head[:, None]) * DIM + dim[None, :], mask=real[:, None], other=0.0)
    base = tl.load(slots + row).to(tl.int64) * slot_stride + kv_head * head_stride
    top = tl.full([ROWS], -1.0e30, tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    sums_of_values = tl.zeros([ROWS, DIM], tl.float32)
    for at in range(start, stop, BLOCK):
        token = at + step
        there = token < stop
        k = tl.load(keys + base + token[:, None] * DIM + dim[None, :], mask=there[:, None], other=0.0)
        score = tl.dot(q, tl.trans(k)) * scaling
        score = tl.where(there[None, :], score, -1.0e30)
        higher = tl.maximum(top, tl.max(score, 1))
        share = tl.exp(score - higher[:, None])
        fade = tl.exp(top - higher)
        total = total * fade + tl.sum(share, 1)
        v = tl.load(values + base + token[:, None] * DIM + dim[None, :], mask=there[:, None], other=0.0)
        sums_of_values = sums_of_values * fade[:, None] + tl.dot(share.to(v.dtype), v)
        top = higher
    to = ((row * KV_HEADS + kv_head) * splits + split) * GROUP + group
    tl.store(tops + to, top, mask=real)
    tl.store(sums + to, total, mask=real)
    tl.store(parts + to[:, None] * DIM + dim[None, :], sums_of_values, mask=real[:, None])


@triton.jit
def _join_splits(
    tops, sums, parts, out, HEADS: tl.constexpr, KV_HEADS: tl.constexpr, DIM: tl.constexpr, SPLITS: tl.constexpr,
    DEINTERLEAVED: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    head = tl.program_id(1)
    GROUP: tl.constexpr = HEADS // KV_HEADS
    split = tl.arange(0, SPLITS)
    dim = tl.arange(0, DIM)
    at = ((row * KV_HEADS + head // GROUP) * SPLITS + split) * GROUP + head % GROUP
    top = tl.load(tops + at)
    weight = tl.exp(top - tl.max(top, 0))
    total = tl.sum(tl.load(sums + at) * weight, 0)
    joined = tl.sum(tl.load(parts + at[:, None] * DIM + dim[None, :]) * weight[:, None], 0) / total
    place = deinterleaved_column(dim) if DEINTERLEAVED else dim
    tl.store(out + (row * HEADS + head) * DIM + place, joined.to(out.dtype.element_ty))


def attend(
    query, keys, values, slots, places, *, scaling: float, deinterleaved: bool = False, out: torch.Tensor | None = None
) -> torch.Tensor:
    """As `attention.decode` of the plain path, with places instead of a mask.

    Args:
        query: [rows, heads, dim].
        keys, values: [slots, kv_heads, length + 1, dim], slots and heads with the same strides in both.
        slots: [rows] int64.
        places: [rows] int64, of the last key that a row sees, its own; `length` for a row that nobody reads.
        out: where the result goes, if it has a place.

    Returns:
        [rows, heads * dim].
    """
    rows, heads, dim = query.shape
    kv_heads, spare = keys.shape[1], keys.shape[2] - 1
    splits = splits_for(rows, kv_heads)
    tops, sums = torch.empty(2, rows * heads * splits, dtype=torch.float32, device=query.device)
    parts = torch.empty(rows * heads * splits, dim, dtype=torch.float32, device=query.device)
    _attend_split[(rows, kv_heads, splits)](
        query, keys, values, slots, places, tops, sums, parts, splits, spare, scaling, keys.stride(0), keys.stride(1),
        HEADS=heads, KV_HEADS=kv_heads, DIM=dim, ROWS=max(16, triton.next_power_of_2(heads // kv_heads)), BLOCK=64,
        num_warps=4, num_stages=2,
    )  # fmt: skip
    out = torch.empty(rows, heads * dim, dtype=query.dtype, device=query.device) if out is None else out
    _join_splits[(rows, heads)](
        tops, sums, parts, out,
        HEADS=heads, KV_HEADS=kv_heads, DIM=dim, SPLITS=splits, DEINTERLEAVED=deinterleaved, num_warps=4,
    )  # fmt: skip
    return out


@triton.jit
def _attend_block(
    query, keys, values, blocks, out, scaling, slot_stride, head_stride,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, DIM: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    about = blocks + tl.program_id(0) * 4
    head = tl.program_id(1)
    row = tl.load(about)
    count = tl.load(about + 1).to(tl.int32)
    if count > 0:
        slot = tl.load(about + 2)
        place = tl.load(about + 3).to(tl.int32)
        own = tl.arange(0, ROWS)
        dim = tl.arange(0, DIM)
        step = tl.arange(0, BLOCK)
        at_query = ((row + own[:, None]) * HEADS + head) * DIM + dim[None, :]
        real = own[:, None] < count
        q = tl.load(query + at_query, mask=real, other=0.0)
        base = slot * slot_stride + (head // (HEADS // KV_HEADS)) * head_stride
        stop = place + count
        top = tl.full([ROWS], -1.0e30, tl.float32)
        total = tl.zeros([ROWS], tl.float32)
        sums_of_values = tl.zeros([ROWS, DIM], tl.float32)
        for at in range(0, stop, BLOCK):
            token = at + step
            there = token[:, None] < stop
            k = tl.load(keys + base + token[:, None] * DIM + dim[None, :], mask=there, other=0.0)
            score = tl.dot(q, tl.trans(k)) * scaling
            score = tl.where(token[None, :] <= place + own[:, None], score, -1.0e30)
            higher = tl.maximum(top, tl.max(score, 1))
            share = tl.exp2(score - higher[:, None])
            fade = tl.exp2(top - higher)
            total = total * fade + tl.sum(share, 1)
            v = tl.load(values + base + token[:, None] * DIM + dim[None, :], mask=there, other=0.0)
            sums_of_values = tl.dot(share.to(v.dtype), v, sums_of_values * fade[:, None])
            top = higher
        tl.store(out + at_query, (sums_of_values / total[:, None]).to(out.dtype.element_ty), mask=real)


def attend_blocks(query, keys, values, blocks, *, scaling: float, out: torch.Tensor) -> None:
    """Runs of prompts' tokens, each token over the keys of its slot up to its own place.

    Args:
        query: [rows, heads, dim].
        keys, values: as in `attend`.
        blocks: [blocks, 4] int64 of at most BLOCK_TOKENS rows each: first row, rows (0 for none), slot, place of the
            first row.
        out: [rows, heads * dim]; rows that are in no block are left as they are.
    """
    _, heads, dim = query.shape
    _attend_block[(blocks.shape[0], heads)](
        query, keys, values, blocks, out, scaling * LOG2_E, keys.stride(0), keys.stride(1),
        HEADS=heads, KV_HEADS=keys.shape[1], DIM=dim, ROWS=BLOCK_TOKENS, BLOCK=64, num_warps=8, num_stages=3,
    )  # fmt: skip

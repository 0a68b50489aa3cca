"""Attention of single tokens, each over the keys of its slot up to its own place.

A row is the newest token of an answer, or one of a short chunk of a prompt. Its keys are divided
among several programs (Dao et al. 2023, "Flash-Decoding"), whose results a second kernel joins.
Places are read on the device: one recorded step serves all.
"""

import torch
import triton
import triton.language as tl

from qwen_demo.engines.batching.model.kernels.pointwise import deinterleaved_column

MOST_SPLITS = 64
PROGRAMS = 264  # two for each of the 132 multiprocessors of an H100


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


def attend(query, keys, values, slots, places, *, scaling: float, deinterleaved: bool = False) -> torch.Tensor:
    """As `attention.decode` of the plain path, with places instead of a mask.

    Args:
        query: [rows, heads, dim].
        keys, values: [slots, kv_heads, length + 1, dim], slots and heads with the same strides in both.
        slots: [rows] int64.
        places: [rows] int64, of the last key that a row sees, its own; `length` for a row that nobody reads.

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
    out = torch.empty(rows, heads * dim, dtype=query.dtype, device=query.device)
    _join_splits[(rows, heads)](
        tops, sums, parts, out,
        HEADS=heads, KV_HEADS=kv_heads, DIM=dim, SPLITS=splits, DEINTERLEAVED=deinterleaved, num_warps=4,
    )  # fmt: skip
    return out

"""What stands between two matrix products: one launch each.

A product whose inner dimension is split leaves `parts` float32 sums; whoever reads its result adds
them up. A product over NF4 codes wants its input `deinterleaved`: within every 64 columns the even ones
come first, because a byte of codes holds two neighbouring columns.
"""

import torch
import triton
import triton.language as tl

from qwen_demo.models.fp8 import E4M3


@triton.jit
def deinterleaved_column(column):
    """Where a column goes when even ones come first in each run of 64."""
    return (column // 64) * 64 + (column % 64) // 2 + (column % 2) * 32


@triton.jit(do_not_specialize=["rows"])
def _add_norm(
    state, delta, weight, out, rows, eps, WIDTH: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr,
    DEINTERLEAVED: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    column = tl.arange(0, BLOCK)
    inside = column < WIDTH
    kind = out.dtype.element_ty
    x = tl.load(state + row * WIDTH + column, mask=inside, other=0.0).to(tl.float32)
    if PARTS > 0:
        added = tl.zeros([BLOCK], tl.float32)
        for part in tl.static_range(PARTS):
            added += tl.load(delta + (part * rows + row) * WIDTH + column, mask=inside, other=0.0).to(tl.float32)
        # Rounded where the plain path rounds.
        x = (x + added.to(kind).to(tl.float32)).to(kind)
        tl.store(state + row * WIDTH + column, x, mask=inside)
        x = x.to(tl.float32)
    scale = tl.rsqrt(tl.sum(x * x, axis=0) / WIDTH + eps)
    gain = tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    place = deinterleaved_column(column) if DEINTERLEAVED else column
    tl.store(out + row * WIDTH + place, (x * scale * gain).to(kind), mask=inside)


def add_norm(state, delta, norm, *, parts: int, deinterleaved: bool) -> torch.Tensor:
    """state += delta in place, then the RMS norm of it.

    Args:
        state: [rows, width].
        delta: None for parts 0; [rows, width] for 1; else [parts, rows, width] float32.
        norm: has `weight` [width] and `eps`, or transformers' name of it.
    """
    rows, width = state.shape
    out = torch.empty_like(state)
    block = triton.next_power_of_2(width)
    eps = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon
    _add_norm[(rows,)](
        state, state if delta is None else delta, norm.weight, out, rows, eps,
        WIDTH=width, BLOCK=block, PARTS=parts, DEINTERLEAVED=deinterleaved, num_warps=8,
    )  # fmt: skip
    return out


@triton.jit
def _silu_and_mul(both, out, WIDTH, BLOCK: tl.constexpr, DEINTERLEAVED: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < WIDTH
    kind = out.dtype.element_ty
    gate = tl.load(both + row * 2 * WIDTH + column, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(both + row * 2 * WIDTH + WIDTH + column, mask=inside, other=0.0).to(tl.float32)
    opened = (gate / (1.0 + tl.exp(-gate))).to(kind).to(tl.float32)
    place = deinterleaved_column(column) if DEINTERLEAVED else column
    tl.store(out + row * WIDTH + place, (opened * up).to(kind), mask=inside)


def silu_and_mul(both: torch.Tensor, *, deinterleaved: bool = False) -> torch.Tensor:
    """silu(gate) * up for [rows, 2 * width], gates first -> [rows, width]."""
    rows, width = both.shape[0], both.shape[1] // 2
    out = torch.empty(rows, width, dtype=both.dtype, device=both.device)
    _silu_and_mul[(rows, triton.cdiv(width, 1024))](
        both, out, width, BLOCK=1024, DEINTERLEAVED=deinterleaved, num_warps=4
    )
    return out


@triton.jit
def _scaled_row(x, out, scales, row, column, inside, WIDTH):
    """Store a row in e4m3 and by what it is to be multiplied; 448 is the largest of that kind."""
    scale = tl.maximum(tl.max(tl.abs(x), 0), 1.0e-12) / 448.0
    tl.store(scales + row, scale)
    x = tl.minimum(tl.maximum(x / scale, -448.0), 448.0)
    tl.store(out + row * WIDTH + column, x.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["rows"])
def _add_norm_fp8(
    state, delta, weight, out, scales, rows, eps, WIDTH: tl.constexpr, BLOCK: tl.constexpr, ADDS: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < WIDTH
    kind = state.dtype.element_ty
    x = tl.load(state + row * WIDTH + column, mask=inside, other=0.0).to(tl.float32)
    if ADDS:
        x += tl.load(delta + row * WIDTH + column, mask=inside, other=0.0).to(tl.float32)
        x = x.to(kind)
        tl.store(state + row * WIDTH + column, x, mask=inside)
        x = x.to(tl.float32)
    scale = tl.rsqrt(tl.sum(x * x, axis=0) / WIDTH + eps)
    gain = tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    _scaled_row((x * scale * gain).to(kind).to(tl.float32), out, scales, row, column, inside, WIDTH)


def add_norm_fp8(state, delta, norm) -> tuple[torch.Tensor, torch.Tensor]:
    """As `add_norm`, its result quantised as `fp8.quantised` does it; `delta` in one part or None."""
    rows, width = state.shape
    out, scales = _empty_fp8(rows, width, state.device)
    _add_norm_fp8[(rows,)](
        state, state if delta is None else delta, norm.weight, out, scales, rows, norm.eps,
        WIDTH=width, BLOCK=triton.next_power_of_2(width), ADDS=delta is not None, num_warps=8,
    )  # fmt: skip
    return out, scales


@triton.jit
def _silu_and_mul_fp8(both, out, scales, WIDTH, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < WIDTH
    kind = both.dtype.element_ty
    gate = tl.load(both + row * 2 * WIDTH + column, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(both + row * 2 * WIDTH + WIDTH + column, mask=inside, other=0.0).to(tl.float32)
    opened = (gate / (1.0 + tl.exp(-gate))).to(kind).to(tl.float32)
    _scaled_row((opened * up).to(kind).to(tl.float32), out, scales, row, column, inside, WIDTH)


def silu_and_mul_fp8(both: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """As `silu_and_mul`, its result quantised."""
    rows, width = both.shape[0], both.shape[1] // 2
    out, scales = _empty_fp8(rows, width, both.device)
    _silu_and_mul_fp8[(rows,)](both, out, scales, width, BLOCK=triton.next_power_of_2(width), num_warps=16)
    return out, scales


@triton.jit
def _quantise(x, out, scales, WIDTH, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < WIDTH
    _scaled_row(
        tl.load(x + row * WIDTH + column, mask=inside, other=0.0).to(tl.float32),
        out,
        scales,
        row,
        column,
        inside,
        WIDTH,
    )


def quantise(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """As `fp8.quantised`."""
    rows, width = x.shape
    out, scales = _empty_fp8(rows, width, x.device)
    _quantise[(rows,)](x.contiguous(), out, scales, width, BLOCK=triton.next_power_of_2(width), num_warps=8)
    return out, scales


def _empty_fp8(rows: int, width: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    scales = torch.empty(rows, 1, dtype=torch.float32, device=device)
    return torch.empty(rows, width, dtype=E4M3, device=device), scales


@triton.jit
def _summed(source, bias, at, bias_at, size, PARTS: tl.constexpr):
    x = tl.load(source + at).to(tl.float32)
    if PARTS > 1:
        for part in tl.static_range(1, PARTS):
            x += tl.load(source + part * size + at).to(tl.float32)
        x += tl.load(bias + bias_at).to(tl.float32)
    return x


@triton.jit
def _apply_rope_and_store(
    qkv, bias, cos, sin, slots, places, query, keys, values, slot_stride, head_stride,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, DIM: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    head = tl.program_id(1)
    kind = query.dtype.element_ty
    half = tl.arange(0, DIM // 2)
    width = (HEADS + 2 * KV_HEADS) * DIM
    size = tl.num_programs(0) * width
    own = head * DIM + half
    other = own + DIM // 2
    first = _summed(qkv, bias, row * width + own, own, size, PARTS).to(kind).to(tl.float32)
    second = _summed(qkv, bias, row * width + other, other, size, PARTS).to(kind).to(tl.float32)
    stored = tl.load(slots + row).to(tl.int64) * slot_stride + tl.load(places + row) * DIM
    if head < HEADS + KV_HEADS:
        c = tl.load(cos + row * (DIM // 2) + half)
        s = tl.load(sin + row * (DIM // 2) + half)
        rotated_first = (first * c - second * s).to(kind)
        rotated_second = (second * c + first * s).to(kind)
        if head < HEADS:
            to = query + (row * HEADS + head) * DIM
            tl.store(to + half, rotated_first)
            tl.store(to + DIM // 2 + half, rotated_second)
        else:
            to = keys + stored + (head - HEADS) * head_stride
            tl.store(to + half, rotated_first)
            tl.store(to + DIM // 2 + half, rotated_second)
    else:
        to = values + stored + (head - HEADS - KV_HEADS) * head_stride
        tl.store(to + half, first.to(kind))
        tl.store(to + DIM // 2 + half, second.to(kind))


def apply_rope_and_store(qkv, bias, cos, sin, slots, places, keys, values, *, heads: int, parts: int) -> torch.Tensor:
    """Rotary embedding of queries and keys; keys and values go to their places in the cache.

    Args:
        qkv: [rows, (heads + 2 * kv_heads) * dim] with bias for parts 1; else [parts, rows, ...] float32 without.
        cos, sin: [rows, dim / 2] float32.
        slots, places: [rows] int64.
        keys, values: [slots, kv_heads, length + 1, dim], innermost contiguous.

    Returns:
        queries [rows, heads, dim].
    """
    rows, kv_heads, dim = qkv.shape[-2], keys.shape[1], keys.shape[3]
    query = torch.empty(rows, heads, dim, dtype=keys.dtype, device=keys.device)
    _apply_rope_and_store[(rows, heads + 2 * kv_heads)](
        qkv, qkv if bias is None else bias, cos, sin, slots, places, query, keys, values, keys.stride(0), keys.stride(1),
        HEADS=heads, KV_HEADS=kv_heads, DIM=dim, PARTS=parts, num_warps=1,
    )  # fmt: skip
    return query


@triton.jit
def _apply_rope(
    qkv, cos, sin, out, HEADS: tl.constexpr, DIM: tl.constexpr, HEADS_BLOCK: tl.constexpr, HALF_BLOCK: tl.constexpr,
):  # fmt: skip
    patch = tl.program_id(0).to(tl.int64)
    which = tl.program_id(1)
    head = tl.arange(0, HEADS_BLOCK)[:, None]
    half = tl.arange(0, HALF_BLOCK)[None, :]
    inside = (head < HEADS) & (half < DIM // 2)
    at = head * DIM + half
    source = qkv + (patch * 3 + which) * HEADS * DIM + at
    target = out + (which * tl.num_programs(0) + patch) * HEADS * DIM + at
    first = tl.load(source, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(source + DIM // 2, mask=inside, other=0.0).to(tl.float32)
    if which < 2:
        c = tl.load(cos + patch * DIM + half, mask=half < DIM // 2, other=0.0)
        s = tl.load(sin + patch * DIM + DIM // 2 + half, mask=half < DIM // 2, other=0.0)
        rotated = first * c - second * s
        second = second * c + first * s
        first = rotated
    kind = out.dtype.element_ty
    tl.store(target, first.to(kind), mask=inside)
    tl.store(target + DIM // 2, second.to(kind), mask=inside)


def apply_rope(
    qkv: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """As `vision.apply_rope`."""
    patches, _, heads, dim = qkv.shape
    out = torch.empty(3, patches, heads, dim, dtype=qkv.dtype, device=qkv.device)
    blocks = {"HEADS_BLOCK": triton.next_power_of_2(heads), "HALF_BLOCK": triton.next_power_of_2(dim // 2)}
    _apply_rope[(patches, 3)](qkv, cos, sin, out, HEADS=heads, DIM=dim, **blocks, num_warps=4)
    query, key, value = out.unbind(0)
    return query, key, value

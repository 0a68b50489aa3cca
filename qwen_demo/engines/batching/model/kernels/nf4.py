"""Few rows times a matrix in NF4, from bitsandbytes' own codes.

Codes lie as bitsandbytes packs them: [rows, columns / 2] bytes, the even column in the high half
of its byte, one scale for 64 columns. They become bf16 in registers; the scale is applied to the
sums of its 64 columns. The inner dimension may be split among programs, which then leave float32
parts for the reader to add.
"""

import functools

import torch
import triton
import triton.language as tl

LEVELS = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip

MAX_ROWS = 64
TILE = 64
GROUPS = 2  # of 64 columns, taken at a time
PROGRAMS = 132


def table_words() -> tuple[list[int], list[int]]:
    """The sixteen levels in bf16 as 32-bit words: four low bytes each, four high bytes each."""
    bits = [int(b) & 0xFFFF for b in torch.tensor(LEVELS).to(torch.bfloat16).view(torch.int16).tolist()]

    def words(shift: int) -> list[int]:
        return [sum((bits[4 * w + i] >> shift & 255) << 8 * i for i in range(4)) for w in range(4)]

    return words(0), words(8)


def _lookup() -> str:
    """PTX that turns four bytes of codes ($4) into bf16: $0, $1 from their high halves, $2, $3 from the low ones.

    `prmt` picks four bytes at a time out of eight by three bits of each nibble; the fourth bit
    chooses between the tables of negative and of positive levels.
    """
    low, high = table_words()
    lines = ["{", ".reg .b32 codes, index, upper, a, b, c, d;", "mov.b32 codes, $4;"]
    for to_high, to_low in (("$0", "$2"), ("$1", "$3")):
        lines += [
            "and.b32 index, codes, 0x7777;",
            "shr.u32 upper, codes, 3;",
            "and.b32 upper, upper, 0x1111;",
            "prmt.b32 upper, 0xFF00, 0, upper;",
            f"prmt.b32 a, {low[0]:#x}, {low[1]:#x}, index;",
            f"prmt.b32 b, {low[2]:#x}, {low[3]:#x}, index;",
            f"prmt.b32 c, {high[0]:#x}, {high[1]:#x}, index;",
            f"prmt.b32 d, {high[2]:#x}, {high[3]:#x}, index;",
            "lop3.b32 a, upper, b, a, 0xCA;",
            "lop3.b32 c, upper, d, c, 0xCA;",
            f"prmt.b32 {to_low}, a, c, 0x6240;",
            f"prmt.b32 {to_high}, a, c, 0x7351;",
            "shr.u32 codes, codes, 16;",
        ]
    return "\n".join([*lines, "}"])


LOOKUP = tl.constexpr(_lookup())


@triton.jit(do_not_specialize=["rows", "splits"])
def _product(
    x, codes, scales, bias, out, levels, rows, splits, height, half_width,
    ROWS: tl.constexpr, TILE: tl.constexpr, GROUPS: tl.constexpr, BIAS: tl.constexpr, INLINE: tl.constexpr,
):  # fmt: skip
    n = tl.program_id(0) * TILE + tl.arange(0, TILE)
    split = tl.program_id(1)
    m = tl.arange(0, ROWS)
    byte = tl.arange(0, 32)
    inside = m < rows
    groups = half_width // 32
    each = tl.cdiv(groups // GROUPS, splits) * GROUPS
    start = split * each
    stop = tl.minimum(groups, start + each)
    code_at = codes + n[:, None].to(tl.int64) * half_width + byte[None, :]
    x_at = x + m[:, None] * (2 * half_width) + byte[None, :]
    scale_at = scales + n * groups
    total = tl.zeros([TILE, ROWS], tl.float32)
    for first in range(start, stop, GROUPS):
        for extra in tl.static_range(GROUPS):
            group = first + extra
            packed = tl.load(code_at + group * 32)
            scale = tl.load(scale_at + group).to(tl.float32)
            even = tl.load(x_at + group * 64, mask=inside[:, None], other=0.0)
            odd = tl.load(x_at + group * 64 + 32, mask=inside[:, None], other=0.0)
            if INLINE:
                high, low = tl.inline_asm_elementwise(
                    LOOKUP, "=r,=r,=r,=r,r", [packed], dtype=(tl.bfloat16, tl.bfloat16), is_pure=True, pack=4
                )
            else:
                high = tl.load(levels + (packed >> 4).to(tl.int32))
                low = tl.load(levels + (packed & 15).to(tl.int32))
            product = tl.dot(high, tl.trans(even))
            product = tl.dot(low, tl.trans(odd), product)
            total += product * scale[:, None]
    if BIAS:
        total += tl.load(bias + n).to(tl.float32)[:, None]
    to = out + split * rows * height + m[None, :] * height + n[:, None]
    tl.store(to, total.to(out.dtype.element_ty), mask=inside[None, :])


@functools.cache
def _levels(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor(LEVELS, device=device).to(dtype)


def splits_for(height: int, half_width: int) -> int:
    """Into how many parts the inner dimension is cut so that every multiprocessor has work."""
    splits = 1
    while height // TILE * splits < PROGRAMS and splits * 2 * GROUPS * 32 <= half_width and splits < 8:
        splits *= 2
    return splits


def fits(linear) -> bool:
    """Whether `product` can stand in for a `FusedNf4`."""
    height, width = linear.state.shape
    state = linear.state
    kind = state.quant_type == "nf4" and state.blocksize == 64 and state.absmax.dtype == torch.float32
    return kind and height % TILE == 0 and width % (64 * GROUPS) == 0


def product(x: torch.Tensor, linear, *, split: bool = True) -> tuple[torch.Tensor, int]:
    """x @ weight.T of a `FusedNf4`.

    Args:
        x: [rows, width], deinterleaved; at most MAX_ROWS.
        split: whether the result may come in parts.

    Returns:
        [rows, height] with bias and 1, or [parts, rows, height] float32 without bias and the number of parts.
    """
    rows, width = x.shape
    height = linear.state.shape[0]
    splits = splits_for(height, width // 2) if split else 1
    if splits == 1:
        out, bias = torch.empty(rows, height, dtype=x.dtype, device=x.device), linear.bias
    else:
        out, bias = torch.empty(splits, rows, height, dtype=torch.float32, device=x.device), None
    _product[(height // TILE, splits)](
        x, linear.codes, linear.state.absmax, x if bias is None else bias, out, _levels(x.device, x.dtype),
        rows, splits, height, width // 2,
        ROWS=16 if rows <= 16 else 32 if rows <= 32 else 64, TILE=TILE, GROUPS=GROUPS,
        BIAS=bias is not None, INLINE=x.is_cuda and x.dtype == torch.bfloat16, num_warps=4, num_stages=4,
    )  # fmt: skip
    return out, splits


def join_parts(made: torch.Tensor, parts: int, bias: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor:
    """What `product` gave, summed and with its bias."""
    if parts == 1:
        return made
    made = made.sum(0)
    return (made if bias is None else made + bias).to(dtype)


def deinterleaved(x: torch.Tensor) -> torch.Tensor:
    """[rows, width] as `product` wants it."""
    return x.view(x.shape[0], -1, 32, 2).transpose(2, 3).reshape(x.shape)

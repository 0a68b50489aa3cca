"""Whether the kernels may run on this device: each against the plain calls that it stands in for.

Where one differs or fails, a warning says so and the plain path serves.
"""

import logging
from collections.abc import Callable

import torch
import torch.nn.functional as F

from qwen_demo.engines.batching.job import PrefillChunk, SequenceState
from qwen_demo.engines.batching.kv_cache import DecodeView, KVCache, MixedView, PrefillView
from qwen_demo.engines.batching.model import attention as plain_attention
from qwen_demo.engines.batching.model.adapter_rows import Masked
from qwen_demo.engines.batching.model.adapter_sites import GpuSite
from qwen_demo.engines.batching.model.decoder import LeanDecoder
from qwen_demo.engines.batching.model.kernels import attention, low_rank, nf4, pointwise
from qwen_demo.engines.batching.model.kernels.step import KernelStep, MixedRows, linears
from qwen_demo.engines.batching.model.linear import Fp8
from qwen_demo.engines.batching.model.vision import apply_rope
from qwen_demo.models import fp8

log = logging.getLogger(__name__)

# bf16 keeps eight bits; results of sums in another order stay well inside this share of their norm.
TOLERANCE = 0.02
# What is rounded otherwise before it is quantised to eight bits may come to the next of few values.
TOLERANCE_FP8 = 0.05


@torch.inference_mode()
def checked_step(decoder, cache: KVCache, rows: int) -> KernelStep | None:
    """A step whose kernels gave the plain path's results on this device; None with a warning if they did not.

    Args:
        rows: the largest batch.
    """
    if rows > nf4.MAX_ROWS or not KernelStep.fits(decoder):
        return None
    tolerance = TOLERANCE_FP8 if isinstance(decoder.layers[0].qkv, Fp8) else TOLERANCE
    if not _are_right("the decode step", lambda: kernel_errors(decoder), "the plain path serves", tolerance):
        return None
    product, low = _product_is_right(decoder, rows), _low_rank_is_right(decoder, rows)
    return KernelStep(decoder, cache, product=product, low_rank=low)


def _are_right(whose: str, measure: Callable[[], dict[str, float]], instead: str, tolerance: float = TOLERANCE) -> bool:
    try:
        worst = measure()
    except Exception:
        log.warning("the kernels of %s do not run here; %s", whose, instead, exc_info=True)
        return False
    log.info("kernels of %s against the plain path: %s", whose, format_errors(worst))
    right = all(error < tolerance for error in worst.values())
    if not right:
        log.warning("the kernels of %s are wrong here (%s); %s", whose, format_errors(worst), instead)
    return right


def _low_rank_is_right(decoder: LeanDecoder, rows: int) -> bool:
    if decoder.adapters is None or not all(low_rank.fits(site) for site in decoder.adapters.layers[0].all):
        return False
    some = [n for n in (1, 5, rows) if n <= rows]
    return _are_right("adapters", lambda: low_rank_errors(decoder, some), "the plain path serves them")


def _product_is_right(decoder: LeanDecoder, rows: int) -> bool:
    if not KernelStep.product_fits(decoder):
        return False
    some = [n for n in (1, 17, 33, rows) if n <= rows]
    return _are_right("NF4 products", lambda: product_errors(decoder, some), "bitsandbytes' serve")


def format_errors(errors: dict[str, float]) -> str:
    return ", ".join(f"{name} {error:.1e}" for name, error in errors.items())


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """Norm of the difference as a share of the norm; infinite if anything is not finite."""
    a, b = a.double(), b.double()
    share = float((a - b).norm() / b.norm())
    return share if share == share else float("inf")


def low_rank_errors(decoder: LeanDecoder, rows: list[int]) -> dict[str, float]:
    """Differences between the adapters' kernels and their plain products, on two adapters made up here."""
    assert decoder.adapters is not None
    like = decoder.norm.weight
    dice = torch.Generator(device=like.device).manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=dice, device=like.device, dtype=torch.float32).to(like.dtype)

    errors = {}
    for known in decoder.adapters.layers[0].all:
        width = known.a.shape[3]
        site = GpuSite(known.names, known.outputs, width, adapters=2, rank=decoder.adapters.rank, like=like)
        site.a.copy_(random(*site.a.shape))
        site.b.copy_(random(*site.b.shape))
        for count in rows:
            numbers = (torch.arange(count, device=like.device) + 1) % 3
            mask = (numbers[:, None] == torch.arange(1, 3, device=like.device))[:, :, None].to(like.dtype)
            x = random(count, width)
            expected = site.add(like.new_zeros(count, sum(known.outputs)), x, Masked(numbers, mask))
            made = like.new_zeros(count, sum(known.outputs))
            low = low_rank.down(x, site.a, numbers)
            made = low_rank.up_and_add(made, low, site.b, numbers, known.outputs)
            errors[f"{known.names[0].rpartition('.')[2]}/{count}"] = difference(made, expected)
    return errors


def kernel_errors(decoder: LeanDecoder, rows: int = 5) -> dict[str, float]:
    """Differences between each kernel and the plain calls, on numbers and slots made up here.

    Args:
        rows: 2 to 5.
    """
    layer, device = decoder.layers[0], decoder.norm.weight.device
    dice = torch.Generator(device=device).manual_seed(0)
    dtype, width = decoder.norm.weight.dtype, decoder.norm.weight.shape[0]

    def random(*shape: int, kind: torch.dtype = dtype) -> torch.Tensor:
        return torch.randn(shape, generator=dice, device=device, dtype=torch.float32).to(kind)

    state, delta = random(rows, width), random(rows, width)
    total = state + delta
    normed = pointwise.add_norm(state, delta, layer.norm_1, parts=1, deinterleaved=False)
    errors = {"norm": max(difference(normed, layer.norm_1(total)), difference(state, total))}
    both = random(rows, 3000)
    gate, up = both.chunk(2, dim=-1)
    errors["silu_and_mul"] = difference(pointwise.silu_and_mul(both), F.silu(gate) * up)
    qkv, cos, sin = random(70, 3, 6, 80), *random(2, 70, 1, 40, kind=torch.float32)
    cos, sin = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)
    pairs = zip(pointwise.apply_rope(qkv, cos, sin), apply_rope(qkv, cos, sin), strict=True)
    errors["apply_rope"] = max(difference(made, expected) for made, expected in pairs)
    if isinstance(layer.qkv, Fp8):
        errors["fp8"] = _fp8_error(layer, random(rows, width), random(rows, 2 * layer.mlp.down.weight.shape[1]))
    return errors | _attention_errors(decoder, rows, random)


def _fp8_error(layer, x: torch.Tensor, both: torch.Tensor) -> float:
    """What the kernels quantise, and a product with it, against the same in float32."""

    def of(rows: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        return rows.float() * scales

    gate, up = both.chunk(2, dim=-1)
    pairs = [
        (of(*pointwise.quantise(x)), of(*fp8.quantised(x))),
        (of(*pointwise.add_norm_fp8(x.clone(), None, layer.norm_1)), of(*fp8.quantised(layer.norm_1(x)))),
        (of(*pointwise.silu_and_mul_fp8(both)), of(*fp8.quantised(F.silu(gate) * up))),
        (layer.qkv(x), F.linear(of(*fp8.quantised(x)), of(layer.qkv.weight, layer.qkv.scales), layer.qkv.bias.float())),
    ]
    return max(difference(made, expected) for made, expected in pairs)


def _attention_errors(decoder: LeanDecoder, rows: int, random) -> dict[str, float]:
    heads, kv_heads, dim = decoder.heads, decoder.kv_heads, decoder.head_dim
    device, dtype = decoder.norm.weight.device, decoder.norm.weight.dtype
    spare = KVCache([device], slots=rows, length=320, kv_heads=kv_heads, head_dim=dim, dtype=dtype)
    spare.layer(0).copy_(random(*spare.layer(0).shape))
    other = KVCache([device], slots=rows, length=320, kv_heads=kv_heads, head_dim=dim, dtype=dtype)
    other.layer(0).copy_(spare.layer(0))
    qkv = random(rows, (heads + 2 * kv_heads) * dim)
    places = torch.tensor([3, 319, 64, 63, 200], device=device)[:rows]
    # Rotated by the decoder's own code for the plain side, one position on all axes.
    cos, sin = decoder.cos_sin((places + 7).expand(3, -1), torch.float32)
    rotated = qkv.view(cos.shape).float()
    rotated = (rotated * cos + rotated.roll(dim // 2, -1) * sin).to(dtype)
    view = DecodeView(other, places, 320, dtype)
    keys, values = view.put(rotated[:, heads:], 0)
    expected = plain_attention.decode(rotated[:, :heads].contiguous(), keys, values, view.mask, decoder.scaling)
    slots = torch.arange(rows, device=device)
    step = KernelStep(decoder, spare, product=False)
    half = step.half_cos_sin((places + 7).expand(3, -1))
    query = pointwise.apply_rope_and_store(qkv, None, *half, slots, places, *spare.layer(0), heads=heads, parts=1)
    keys, values = spare.layer(0)
    made = attention.attend(query, keys, values, slots, places, scaling=decoder.scaling)
    errors = {
        "apply_rope_and_store": difference(spare.layer(0), other.layer(0)),
        "attention": difference(made, expected),
    }
    return errors | _pass_errors(decoder, step, spare, random)


def _pass_errors(decoder: LeanDecoder, step: KernelStep, cache: KVCache, random) -> dict[str, float]:
    """Two chunks of prompts through one layer, plain and by both ways of the kernels."""
    device, dtype = decoder.norm.weight.device, decoder.norm.weight.dtype
    chunks = [PrefillChunk(SequenceState(slot=0), 0, 9), PrefillChunk(SequenceState(slot=1), 30, 37)]
    view = PrefillView(cache, chunks, dtype)
    x = random(16, decoder.norm.weight.shape[0])
    steps = torch.arange(16, device=device)
    positions = torch.stack([steps, steps // 2, steps % 5])
    layers, decoder.layers = decoder.layers, decoder.layers[:1]
    try:
        expected = decoder.hidden(x, positions, view)
        stored = cache.layer(0).clone()
        made = step.prefill(x, positions, view)
        errors = {"prefill": max(difference(made, expected), difference(cache.layer(0), stored))}
        made = step.decode(x, positions, view.slots, view.places)
        return errors | {
            "decode": difference(made, expected),
            "mixed": _mixed_error(decoder, step, cache, x, positions),
        }
    finally:
        decoder.layers = layers


def _mixed_error(decoder: LeanDecoder, step: KernelStep, cache: KVCache, x, positions) -> float:
    """A token of slot 0, an idle slot's, and two chunks of slot 1, in one pass."""
    device, dtype = x.device, x.dtype
    places = torch.tensor([25, cache.length], device=device)
    chunks = [PrefillChunk(SequenceState(slot=1), 60, 69), PrefillChunk(SequenceState(slot=1), 0, 5)]
    prompts = PrefillView(cache, chunks, dtype)
    view = MixedView(DecodeView(cache, places, 64, dtype), prompts, 2)
    expected = decoder.hidden(x, positions, view)
    stored = cache.layer(0).clone()
    blocks = torch.tensor([[2, 9, 1, 60], [11, 5, 1, 0], [0, 0, 0, 0]], device=device)
    slots = torch.cat([torch.arange(2, device=device), prompts.slots])
    rows = MixedRows(x, positions, slots, torch.cat([places, prompts.places]), 2, blocks)
    made = step.mixed(rows)
    read = [0, *range(2, 16)]  # an idle slot's result means nothing
    return max(difference(made[read], expected[read]), difference(cache.layer(0), stored))


def product_errors(decoder: LeanDecoder, sizes: list[int]) -> dict[str, float]:
    """Differences between the NF4 kernel and a product with dequantised weights, by layer and rows."""
    from bitsandbytes.functional import dequantize_4bit

    errors, layer, dtype = {}, decoder.layers[0], decoder.norm.weight.dtype
    for name, linear in zip(("qkv", "out", "gate_up", "down"), linears(layer), strict=True):
        weight = dequantize_4bit(linear.codes, linear.state).to(dtype)
        for rows in sizes:
            x = torch.randn(rows, weight.shape[1], device=weight.device).to(dtype)
            product, parts = nf4.product(nf4.deinterleaved(x), linear, split=name != "gate_up")
            made = nf4.join_parts(product, parts, linear.bias, dtype)
            errors[f"{name}/{rows}"] = difference(made, F.linear(x, weight, linear.bias))
    return errors

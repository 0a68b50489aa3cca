"""The lean decoder's decode step from kernels, and the check that decides whether they may run."""

import logging

import torch
import torch.nn.functional as F

from qwen_demo.engines.batching import attention as plain_attention
from qwen_demo.engines.batching.cache import DecodeView, SlotCache
from qwen_demo.engines.batching.decoder import LeanDecoder
from qwen_demo.engines.batching.kernels import attention, nf4, pointwise
from qwen_demo.engines.batching.linear import FEW_ROWS, FusedNf4, Plain
from qwen_demo.engines.batching.vision import turn

log = logging.getLogger(__name__)

# bf16 keeps eight bits; results of sums in another order stay well inside this share of their norm.
TOLERANCE = 0.02


class KernelStep:
    """One token for each of the first slots: embeddings -> hidden states after the last norm.

    Args:
        decoder: whose weights and norms these are.
        cache: where keys and values go.
        product: whether NF4 products run in the kernel; else in bitsandbytes.
    """

    def __init__(self, decoder: LeanDecoder, cache: SlotCache, *, product: bool):
        self._decoder, self._cache = decoder, cache
        self.product = product

    @staticmethod
    def fits(decoder) -> bool:
        """Whether the kernels know these shapes: fused linear layers, heads of a power of two."""
        if not isinstance(decoder, LeanDecoder):
            return False
        layer = decoder.layers[0]
        if not all(isinstance(linear, Plain | FusedNf4) for linear in linears(layer)):
            return False
        # What is added to the residual comes without a bias, and heads are whole runs of 64 columns.
        bare = layer.out.bias is None and layer.mlp.down.bias is None
        return bare and decoder.head_dim in (64, 128, 256)

    @staticmethod
    def product_fits(decoder: LeanDecoder) -> bool:
        return all(isinstance(linear, FusedNf4) and nf4.fits(linear) for linear in linears(decoder.layers[0]))

    def __call__(self, x: torch.Tensor, positions: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """x: [rows, hidden]; positions, places: [rows] int64. Gives [rows, hidden]."""
        decoder, paired = self._decoder, self.product
        cos, sin = self._angles(positions)
        state, delta, parts = x.clone(), None, 0
        for index, layer in enumerate(decoder.layers):
            keys, values = self._cache.layer(index)
            normed = pointwise.add_norm(state, delta, layer.norm_1, parts=parts, paired=paired)
            qkv, parts = self._apply(layer.qkv, normed)
            query = pointwise.turn_and_store(
                qkv, layer.qkv.bias, cos, sin, places, keys, values, heads=decoder.heads, parts=parts
            )
            seen = attention.decode(query, keys, values, places, scaling=decoder.scaling, paired=paired)
            delta, parts = self._apply(layer.out, seen)
            normed = pointwise.add_norm(state, delta, layer.norm_2, parts=parts, paired=paired)
            both, _ = self._apply(layer.mlp.gate_up, normed, split=False)
            delta, parts = self._apply(layer.mlp.down, pointwise.gated(both, paired=paired))
        return pointwise.add_norm(state, delta, decoder.norm, parts=parts, paired=False)

    def lend(self, blocks) -> None:
        """Let the passes over prompts and these encoder blocks use what kernels they can."""
        for owner in (*self._decoder.layers, *blocks):
            owner.mlp.gated = pointwise.gated
        for block in blocks:
            block.turn = pointwise.turn
        if self.product:
            for linear in (linear for layer in self._decoder.layers for linear in linears(layer)):
                linear.few = nf4.few

    def _apply(self, linear, x: torch.Tensor, *, split: bool = True) -> tuple[torch.Tensor, int]:
        return nf4.product(x, linear, split=split) if self.product else (linear(x), 1)

    def _angles(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[rows, head_dim / 2] float32: a token of an answer has one position on all three axes."""
        rotary = self._decoder.rotary
        angles = positions.float()[:, None] * rotary.inv_freq.float()
        return angles.cos() * rotary.attention_scaling, angles.sin() * rotary.attention_scaling


def linears(layer) -> tuple:
    return layer.qkv, layer.out, layer.mlp.gate_up, layer.mlp.down


@torch.inference_mode()
def usable(decoder, cache: SlotCache, rows: int) -> KernelStep | None:
    """A step whose kernels gave the plain path's results on this device; None with a warning if they did not.

    Args:
        rows: the largest batch.
    """
    if rows > FEW_ROWS or not KernelStep.fits(decoder):
        return None
    try:
        worst = checked(decoder, min(rows, 5))
    except Exception:
        log.warning("the kernels of the decode step do not run here; the plain path serves", exc_info=True)
        return None
    log.info("kernels of the decode step against the plain path: %s", told(worst))
    if not all(error < TOLERANCE for error in worst.values()):
        log.warning("the kernels of the decode step are wrong here (%s); the plain path serves", told(worst))
        return None
    return KernelStep(decoder, cache, product=_product_is_right(decoder, rows))


def _product_is_right(decoder: LeanDecoder, rows: int) -> bool:
    if not KernelStep.product_fits(decoder):
        return False
    try:
        worst = checked_products(decoder, [n for n in (1, 17, 33, rows) if n <= rows])
    except Exception:
        log.warning("the NF4 kernel does not run here; bitsandbytes' serves", exc_info=True)
        return False
    log.info("NF4 kernel against dequantised weights: %s", told(worst))
    right = all(error < TOLERANCE for error in worst.values())
    if not right:
        log.warning("the NF4 kernel is wrong here (%s); bitsandbytes' serves", told(worst))
    return right


def told(errors: dict[str, float]) -> str:
    return ", ".join(f"{name} {error:.1e}" for name, error in errors.items())


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """Norm of the difference as a share of the norm; infinite if anything is not finite."""
    a, b = a.double(), b.double()
    share = float((a - b).norm() / b.norm())
    return share if share == share else float("inf")


def checked(decoder: LeanDecoder, rows: int) -> dict[str, float]:
    """Differences between each kernel and the plain calls, on numbers made up here."""
    layer, device = decoder.layers[0], decoder.norm.weight.device
    dice = torch.Generator(device=device).manual_seed(0)
    dtype, width = decoder.norm.weight.dtype, decoder.norm.weight.shape[0]

    def random(*shape: int, kind: torch.dtype = dtype) -> torch.Tensor:
        return torch.randn(shape, generator=dice, device=device, dtype=torch.float32).to(kind)

    state, delta = random(rows, width), random(rows, width)
    total = state + delta
    normed = pointwise.add_norm(state, delta, layer.norm_1, parts=1, paired=False)
    errors = {"norm": max(difference(normed, layer.norm_1(total)), difference(state, total))}
    both = random(rows, 3000)
    gate, up = both.chunk(2, dim=-1)
    errors["gate"] = difference(pointwise.gated(both), F.silu(gate) * up)
    qkv, cos, sin = random(70, 3, 6, 80), *random(2, 70, 1, 40, kind=torch.float32)
    cos, sin = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)
    pairs = zip(pointwise.turn(qkv, cos, sin), turn(qkv, cos, sin), strict=True)
    errors["turn"] = max(difference(made, expected) for made, expected in pairs)
    return errors | _checked_attention(decoder, rows, random)


def _checked_attention(decoder: LeanDecoder, rows: int, random) -> dict[str, float]:
    heads, kv_heads, dim = decoder.heads, decoder.kv_heads, decoder.head_dim
    device, dtype = decoder.norm.weight.device, decoder.norm.weight.dtype
    spare = SlotCache([device], slots=rows, length=320, kv_heads=kv_heads, head_dim=dim, dtype=dtype)
    spare.layer(0).copy_(random(*spare.layer(0).shape))
    other = SlotCache([device], slots=rows, length=320, kv_heads=kv_heads, head_dim=dim, dtype=dtype)
    other.layer(0).copy_(spare.layer(0))
    qkv = random(rows, (heads + 2 * kv_heads) * dim)
    places = torch.tensor([3, 319, 64, 63, 200], device=device)[:rows]
    # Rotated by the decoder's own code for the plain side, one position on all axes.
    cos, sin = decoder.angles((places + 7).expand(3, -1), torch.float32)
    turned = qkv.view(cos.shape).float()
    turned = (turned * cos + turned.roll(dim // 2, -1) * sin).to(dtype)
    view = DecodeView(other, places, 320, dtype)
    keys, values = view.put(turned[:, heads:], 0)
    expected = plain_attention.decode(turned[:, :heads].contiguous(), keys, values, view.mask, decoder.scaling)
    half = KernelStep(decoder, spare, product=False)._angles(places + 7)
    query = pointwise.turn_and_store(qkv, None, *half, places, *spare.layer(0), heads=heads, parts=1)
    made = attention.decode(query, *spare.layer(0), places, scaling=decoder.scaling)
    return {"rotation": difference(spare.layer(0), other.layer(0)), "attention": difference(made, expected)}


def checked_products(decoder: LeanDecoder, sizes: list[int]) -> dict[str, float]:
    """Differences between the NF4 kernel and a product with dequantised weights, by layer and rows."""
    from bitsandbytes.functional import dequantize_4bit

    errors, layer, dtype = {}, decoder.layers[0], decoder.norm.weight.dtype
    for name, linear in zip(("qkv", "out", "gate_up", "down"), linears(layer), strict=True):
        weight = dequantize_4bit(linear.codes, linear.state).to(dtype)
        for rows in sizes:
            x = torch.randn(rows, weight.shape[1], device=weight.device).to(dtype)
            made = nf4.product(nf4.paired(x), linear, split=name != "gate_up")
            made = nf4.joined(*made, linear.bias, dtype)
            errors[f"{name}/{rows}"] = difference(made, F.linear(x, weight, linear.bias))
    return errors

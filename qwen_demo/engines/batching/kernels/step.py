"""The lean decoder's decode step from kernels, and the check that decides whether they may run."""

import logging

import torch
import torch.nn.functional as F

from qwen_demo.engines.batching import attention as plain_attention
from qwen_demo.engines.batching.cache import DecodeView, Part, PrefillView, SlotCache
from qwen_demo.engines.batching.decoder import LeanDecoder
from qwen_demo.engines.batching.kernels import attention, nf4, pointwise
from qwen_demo.engines.batching.linear import FusedNf4, Plain
from qwen_demo.engines.batching.vision import turn

log = logging.getLogger(__name__)

# bf16 keeps eight bits; results of sums in another order stay well inside this share of their norm.
TOLERANCE = 0.02


class KernelStep:
    """All layers of the lean decoder, with kernels: a token of each slot, or pieces of prompts.

    Args:
        decoder: whose weights and norms these are.
        cache: where keys and values go.
        product: whether NF4 products of few rows run in the kernel; else in bitsandbytes.
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

    def few(self, x: torch.Tensor, positions: torch.Tensor, slots: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """At most FEW_ROWS tokens, each seeing its slot up to its own place; gives what `LeanDecoder.hidden` does.

        Args:
            x: [rows, hidden] embeddings.
            positions: [3, rows] int64.
            slots, places: [rows] int64.
        """

        def attend(query, keys, values, layer):
            scaling = self._decoder.scaling
            return attention.attend(query, keys, values, slots, places, scaling=scaling, paired=self.product)

        return self._layers(x, positions, slots, places, attend, product=self.product)

    def read(self, x: torch.Tensor, positions: torch.Tensor, view: PrefillView) -> torch.Tensor:
        """Pieces of prompts, of any length; as `LeanDecoder.hidden`."""

        def attend(query, keys, values, layer):
            return self._decoder.attend_pieces(query.transpose(0, 1), view.seen(layer), view)

        return self._layers(x, positions, view.slots, view.places, attend, product=False)

    def _layers(self, x, positions, slots, places, attend, *, product: bool) -> torch.Tensor:
        decoder = self._decoder
        cos, sin = self._angles(positions)
        state, delta, parts = x.clone(), None, 0

        def times(linear, x: torch.Tensor, *, split: bool = True) -> tuple[torch.Tensor, int]:
            return nf4.product(x, linear, split=split) if product else (linear(x), 1)

        for index, layer in enumerate(decoder.layers):
            keys, values = self._cache.layer(index)
            normed = pointwise.add_norm(state, delta, layer.norm_1, parts=parts, paired=product)
            qkv, parts = times(layer.qkv, normed)
            query = pointwise.turn_and_store(
                qkv, layer.qkv.bias, cos, sin, slots, places, keys, values, heads=decoder.heads, parts=parts
            )
            delta, parts = times(layer.out, attend(query, keys, values, index))
            normed = pointwise.add_norm(state, delta, layer.norm_2, parts=parts, paired=product)
            both, _ = times(layer.mlp.gate_up, normed, split=False)
            delta, parts = times(layer.mlp.down, pointwise.gated(both, paired=product))
        normed = pointwise.add_norm(state, delta, decoder.norm, parts=parts, paired=False)
        return normed if decoder.ends else state

    def lend(self, blocks) -> None:
        """Let these encoder blocks use what kernels they can."""
        for block in blocks:
            block.mlp.gated, block.turn = pointwise.gated, pointwise.turn

    def _angles(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[rows, head_dim / 2] float32 each."""
        angles, scale = self._decoder.turns(positions), self._decoder.rotary.attention_scaling
        return angles.cos() * scale, angles.sin() * scale


def linears(layer) -> tuple:
    return layer.qkv, layer.out, layer.mlp.gate_up, layer.mlp.down


@torch.inference_mode()
def usable(decoder, cache: SlotCache, rows: int) -> KernelStep | None:
    """A step whose kernels gave the plain path's results on this device; None with a warning if they did not.

    Args:
        rows: the largest batch.
    """
    if rows > nf4.FEW_ROWS or not KernelStep.fits(decoder):
        return None
    try:
        worst = checked(decoder)
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


def checked(decoder: LeanDecoder, rows: int = 5) -> dict[str, float]:
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
    slots = torch.arange(rows, device=device)
    step = KernelStep(decoder, spare, product=False)
    half = step._angles((places + 7).expand(3, -1))
    query = pointwise.turn_and_store(qkv, None, *half, slots, places, *spare.layer(0), heads=heads, parts=1)
    made = attention.attend(query, *spare.layer(0), slots, places, scaling=decoder.scaling)
    errors = {"rotation": difference(spare.layer(0), other.layer(0)), "attention": difference(made, expected)}
    return errors | _checked_passes(decoder, step, spare, random)


def _checked_passes(decoder: LeanDecoder, step: KernelStep, cache: SlotCache, random) -> dict[str, float]:
    """Two pieces of prompts through one layer, plain and by both ways of the kernels."""
    device, dtype = decoder.norm.weight.device, decoder.norm.weight.dtype
    view = PrefillView(cache, [Part(0, 0, 9), Part(1, 30, 37)], dtype)
    x = random(16, decoder.norm.weight.shape[0])
    steps = torch.arange(16, device=device)
    positions = torch.stack([steps, steps // 2, steps % 5])
    layers, decoder.layers = decoder.layers, decoder.layers[:1]
    try:
        expected = decoder.hidden(x, positions, view)
        stored = cache.layer(0).clone()
        read = step.read(x, positions, view)
        errors = {"read": max(difference(read, expected), difference(cache.layer(0), stored))}
        few = step.few(x, positions, view.slots, view.places)
        return errors | {"few": difference(few, expected)}
    finally:
        decoder.layers = layers


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

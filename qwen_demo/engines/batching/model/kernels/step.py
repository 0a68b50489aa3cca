"""The lean decoder's passes from kernels. `checks.py` decides whether they may run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from qwen_demo.engines.batching.kv_cache import KVCache, PrefillView
from qwen_demo.engines.batching.model.adapter_rows import Masked
from qwen_demo.engines.batching.model.decoder import LeanDecoder
from qwen_demo.engines.batching.model.kernels import attention, low_rank, nf4, pointwise
from qwen_demo.engines.batching.model.linear import Fp8, FusedNf4, Plain

if TYPE_CHECKING:
    from qwen_demo.engines.batching.model.adapter_sites import GpuSite
    from qwen_demo.engines.batching.model.adapters import AdapterTable


class MixedRows(NamedTuple):
    """The rows of a pass over answers and prompts.

    Attributes:
        x: [rows, hidden] embeddings.
        positions: [3, rows] int64.
        slots, places: [rows] int64.
        single: how many of the first rows are single tokens, each of its own slot.
        blocks: [blocks, 4] int64, runs among the other rows, see `attention.attend_blocks`.
    """

    x: torch.Tensor
    positions: torch.Tensor
    slots: torch.Tensor
    places: torch.Tensor
    single: int
    blocks: torch.Tensor


class KernelStep:
    """All layers of the lean decoder, with kernels: a token of each slot, or chunks of prompts.

    Args:
        decoder: whose weights and norms these are.
        cache: where keys and values go.
        product: whether NF4 products of few rows run in the kernel; else in bitsandbytes.
        low_rank: whether adapters' products of few rows run in kernels, too.
    """

    def __init__(self, decoder: LeanDecoder, cache: KVCache, *, product: bool, low_rank: bool = False):
        self._decoder, self._cache = decoder, cache
        self.product, self._low_rank = product, low_rank
        self._fp8 = isinstance(decoder.layers[0].qkv, Fp8)
        device = decoder.norm.weight.device
        # Adapters' first products need not wait for the layer's own.
        self._side = torch.cuda.Stream(device) if device.type == "cuda" and low_rank else None

    @property
    def adapters(self) -> "AdapterTable | None":
        return self._decoder.adapters

    @staticmethod
    def fits(decoder) -> bool:
        """Whether the kernels know these shapes: fused linear layers, heads of a power of two."""
        if not isinstance(decoder, LeanDecoder):
            return False
        layer = decoder.layers[0]
        if not all(isinstance(linear, Plain | FusedNf4 | Fp8) for linear in linears(layer)):
            return False
        # What is added to the residual comes without a bias, and heads are whole runs of 64 columns.
        bare = layer.out.bias is None and layer.mlp.down.bias is None
        return bare and decoder.head_dim in (64, 128, 256)

    @staticmethod
    def product_fits(decoder: LeanDecoder) -> bool:
        return all(isinstance(linear, FusedNf4) and nf4.fits(linear) for linear in linears(decoder.layers[0]))

    def decode(
        self, x: torch.Tensor, positions: torch.Tensor, slots: torch.Tensor, places: torch.Tensor
    ) -> torch.Tensor:
        """At most MAX_ROWS tokens, each seeing its slot up to its own place; gives what `LeanDecoder.hidden` does.

        Args:
            x: [rows, hidden] embeddings.
            positions: [3, rows] int64.
            slots, places: [rows] int64.
        """

        def attend(query, keys, values, layer):
            scaling = self._decoder.scaling
            return attention.attend(query, keys, values, slots, places, scaling=scaling, deinterleaved=self.product)

        return self._layers(x, positions, slots, places, attend, product=self.product)

    def mixed(self, rows: MixedRows) -> torch.Tensor:
        """Single tokens and runs of prompts' tokens in one pass; the rest as `decode`."""
        single, scaling = rows.single, self._decoder.scaling

        def attend(query, keys, values, layer):
            out = query.new_empty(query.shape[0], query.shape[1] * query.shape[2])
            attention.attend(
                query[:single],
                keys,
                values,
                rows.slots[:single],
                rows.places[:single],
                scaling=scaling,
                out=out[:single],
            )
            attention.attend_blocks(query, keys, values, rows.blocks, scaling=scaling, out=out)
            return out

        return self._layers(rows.x, rows.positions, rows.slots, rows.places, attend, product=False)

    def prefill(self, x: torch.Tensor, positions: torch.Tensor, view: PrefillView) -> torch.Tensor:
        """Chunks of prompts, of any length, as `view` has them; the rest as `LeanDecoder.hidden`."""

        def attend(query, keys, values, layer):
            return self._decoder.attend_chunks(query.transpose(0, 1), view.seen(layer), view)

        return self._layers(x, positions, view.slots, view.places, attend, product=False)

    def _layers(self, x, positions, slots, places, attend, *, product: bool) -> torch.Tensor:
        decoder = self._decoder
        cos, sin = self.half_cos_sin(positions)
        state, delta, parts = x.clone(), None, 0

        def times(linear, x: Any, *, split: bool = True) -> tuple[torch.Tensor, int]:
            return nf4.product(x, linear, split=split) if product else (linear(x), 1)

        def norm(norm) -> Any:
            if self._fp8:
                return pointwise.add_norm_fp8(state, delta, norm)
            return pointwise.add_norm(state, delta, norm, parts=parts, deinterleaved=product)

        def opened(both: torch.Tensor) -> Any:
            return (
                pointwise.silu_and_mul_fp8(both) if self._fp8 else pointwise.silu_and_mul(both, deinterleaved=product)
            )

        adapters = decoder.adapters
        rows = None if adapters is None else adapters.rows(slots)
        few = self._low_rank and len(slots) <= low_rank.MAX_ROWS

        def adapted(name: str, index: int, linear, x: Any, own: Any = None, *, split: bool = True):
            """`times` and the adapters' products beside it; `own`: what they read, `x` if left out."""
            if adapters is None or rows is None:
                return times(linear, x, split=split)
            assert isinstance(rows, Masked), "the kernels' passes are a GPU's"
            site: GpuSite = getattr(adapters.layers[index], name)
            own = x if own is None else own
            if not few:
                made, parts = times(linear, x, split=split)
                return site.add(made, own, rows, deinterleaved=product), parts
            with self._aside():
                low = low_rank.down(own, site.deinterleaved if product else site.a, rows.numbers)
            made, parts = times(linear, x, split=split)
            self._join()
            return low_rank.up_and_add(made, low, site.b, rows.numbers, site.outputs), parts

        for index, layer in enumerate(decoder.layers):
            keys, values = self._cache.layer(index)
            qkv, parts = adapted("qkv", index, layer.qkv, norm(layer.norm_1))
            query = pointwise.apply_rope_and_store(
                qkv, layer.qkv.bias, cos, sin, slots, places, keys, values, heads=decoder.heads, parts=parts
            )
            attended = attend(query, keys, values, index)
            given = pointwise.quantise(attended) if self._fp8 else attended
            delta, parts = adapted("out", index, layer.out, given, attended)
            both, _ = adapted("gate_up", index, layer.mlp.gate_up, norm(layer.norm_2), split=False)
            delta, parts = adapted("down", index, layer.mlp.down, opened(both))
        normed = pointwise.add_norm(state, delta, decoder.norm, parts=parts, deinterleaved=False)
        return normed if decoder.ends else state

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """What is launched in here runs beside what comes after it, until `_join`."""
        if self._side is None:
            yield
            return
        self._side.wait_stream(torch.cuda.current_stream(self._side.device))
        with torch.cuda.stream(self._side):
            yield

    def _join(self) -> None:
        if self._side is not None:
            torch.cuda.current_stream(self._side.device).wait_stream(self._side)

    @staticmethod
    def install(blocks) -> None:
        """Let these encoder blocks use what kernels they can."""
        for block in blocks:
            block.mlp.silu_and_mul, block.apply_rope = pointwise.silu_and_mul, pointwise.apply_rope
            block.add_norm = _add_norm

    def half_cos_sin(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[3, rows] int64 -> [rows, head_dim / 2] float32 each."""
        angles, scale = self._decoder.angles(positions), self._decoder.rotary.attention_scaling
        return angles.cos() * scale, angles.sin() * scale


def _add_norm(x: torch.Tensor, delta: torch.Tensor | None, norm) -> torch.Tensor:
    """For the vision encoder: `pointwise.add_norm` with transformers' RMS norm."""
    return pointwise.add_norm(x, delta, norm, parts=int(delta is not None), deinterleaved=False)


def linears(layer) -> tuple:
    return layer.qkv, layer.out, layer.mlp.gate_up, layer.mlp.down

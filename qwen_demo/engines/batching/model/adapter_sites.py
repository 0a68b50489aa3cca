"""The low-rank products beside one fused linear layer, and where their numbers lie for each device."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from qwen_demo.engines.batching.model.adapter_rows import Masked, Ordered
from qwen_demo.models import adapters as folders

Halves = Mapping[str, tuple[torch.Tensor, torch.Tensor]]
RANKS = (8, 16, 32, 64)
# A product of fewer columns than 12 adds up in another order than a wider one.
FEWEST_COLUMNS = 16


class _Site:
    """All adapters' numbers beside one fused layer.

    Args:
        names, outputs: of the layers that are one product.
        adapters, rank: how many there is room for, and of which rank.
        like: of the model's dtype on its device.
        deinterleaved: inputs may come in the order of the NF4 kernel's.
    """

    def __init__(
        self,
        names: Sequence[str],
        outputs: Sequence[int],
        inputs: int,
        *,
        adapters: int,
        rank: int,
        like: torch.Tensor,
        deinterleaved: bool = False,
    ):
        self.names, self.outputs, self._rank = tuple(names), tuple(outputs), rank
        self._allocate(inputs, adapters, like, deinterleaved)

    def _allocate(self, inputs: int, adapters: int, like: torch.Tensor, deinterleaved: bool) -> None:
        raise NotImplementedError


class GpuSite(_Site):
    """Room for all adapters side by side, so that one product serves every row and shapes never change."""

    def _allocate(self, inputs: int, adapters: int, like: torch.Tensor, deinterleaved: bool) -> None:
        self.a = like.new_zeros(len(self.outputs), adapters, self._rank, inputs)
        self.b = like.new_zeros(sum(self.outputs), adapters, self._rank)
        self.deinterleaved = self.a.clone() if deinterleaved else like.new_empty(0)

    @property
    def nbytes(self) -> int:
        return self.a.nbytes + self.b.nbytes + self.deinterleaved.nbytes

    def put(self, place: int, halves: Halves) -> None:
        """Write an adapter's part, zeros where it has none."""
        a, b = torch.zeros_like(self.a[:, place]), torch.zeros(sum(self.outputs), self._rank)
        start = 0
        for part, (name, height) in enumerate(zip(self.names, self.outputs, strict=True)):
            if name in halves:
                low, high = halves[name]
                a[part, : len(low)] = low.to(a)
                b[start : start + height, : len(low)] = high.cpu()
            start += height
        self.a[:, place] = a
        self.b[:, place] = b.to(self.b)
        if len(self.deinterleaved):
            from qwen_demo.engines.batching.model.kernels.nf4 import deinterleaved

            self.deinterleaved[:, place] = deinterleaved(a.flatten(0, 1)).view(a.shape)

    def add(self, made: torch.Tensor, x: Any, rows: Masked, *, deinterleaved: bool = False) -> torch.Tensor:
        """Add these products to `made`, in place.

        Args:
            made: [rows, outputs], or [parts, rows, outputs] float32 whose sum is meant.
            x: [rows, inputs], or its eight-bit floats and their scales.
            deinterleaved: whether `x` has the order of the NF4 kernel.
        """
        if isinstance(x, tuple):
            x = x[0].to(self.a.dtype) * x[1].to(self.a.dtype)
        a = self.deinterleaved if deinterleaved else self.a
        low = F.linear(x, a.flatten(0, 2)).view(-1, *a.shape[:3]) * rows.mask[:, None]
        whole = made[0] if made.ndim == 3 else made
        parts = zip(whole.split(self.outputs, -1), self.b.split(self.outputs), strict=True)
        for part, (to, high) in enumerate(parts):
            if to.dtype == low.dtype:
                to.addmm_(low[:, part].flatten(1), high.flatten(1).T)
            else:
                to += low[:, part].flatten(1) @ high.flatten(1).T
        return made


class CpuSite(_Site):
    """Each adapter's numbers by themselves, as reading them is what a step with adapters waits for.

    The layers that are one product have their A side by side and their B apart. What no row's adapter has is not read:
    neither layers nor ranks.
    """

    def _allocate(self, inputs: int, adapters: int, like: torch.Tensor, deinterleaved: bool) -> None:
        assert not deinterleaved
        width = self._rank * len(self.outputs)
        # Each kind of numbers in the layout that its products read quickest.
        if like.dtype == torch.float32:
            self.a = like.new_zeros(adapters, inputs, width)
        else:
            self.a = like.new_zeros(adapters, width, inputs).transpose(1, 2)
        self.b = [like.new_zeros(adapters, self._rank, height) for height in self.outputs]
        # Of each layer and adapter; 0 where it leaves the layer as it is.
        self._ranks = [[0] * adapters for _ in self.outputs]
        self._views: dict[tuple[int, int], _Views] = {}

    @property
    def nbytes(self) -> int:
        return self.a.nbytes + sum(b.nbytes for b in self.b)

    def put(self, place: int, halves: Halves) -> None:
        """Write an adapter's part, zeros where it has none."""
        self.a[place] = 0
        self._views = {}
        for part, (name, b) in enumerate(zip(self.names, self.b, strict=True)):
            b[place] = 0
            self._ranks[part][place] = 0
            if name in halves:
                low, high = halves[name]
                rank, column = len(low), part * self._rank
                self.a[place, :, column : column + rank] = low.T
                b[place, :rank] = high.T
                self._ranks[part][place] = rank

    def add(self, made: torch.Tensor, x: torch.Tensor, rows: Ordered) -> torch.Tensor:
        """Add these products to [rows, outputs], in place."""
        self.add_to(made.split(self.outputs, -1), x, rows)
        return made

    def add_to(self, made: Sequence[torch.Tensor], x: torch.Tensor, rows: Ordered) -> None:
        """The same where each layer's outputs are a tensor of their own."""
        for block in rows.blocks:
            span = block.span.start, block.span.stop
            views = self._views.get(span)
            if views is None:
                views = self._views[span] = self._seen(block.span)
            if not views.parts:
                continue
            own = block.gathered(x)
            low = None if views.a is None else torch.matmul(own, views.a)
            for part, a, columns, b in views.parts:
                block.add(made[part], torch.matmul(own, a) if low is None else low[..., columns], b)

    def _seen(self, span: slice) -> "_Views":
        """What of these adapters has to be read."""
        ranks = [max(part[span]) for part in self._ranks]
        least = min(self._rank, max(FEWEST_COLUMNS, *ranks))
        rank = next(each for each in (*RANKS, self._rank) if each >= least)
        one = span.stop - span.start == 1
        a = self.a[span.start] if one else self.a[span]
        parts = []
        for part, (every_b, there) in enumerate(zip(self.b, ranks, strict=True)):
            if there:
                columns = slice(part * self._rank, part * self._rank + rank)
                b = every_b[span.start, :rank] if one else every_b[span, :rank]
                parts.append((part, a[..., columns], columns, b))
        return _Views(a if rank == self._rank else None, parts)


@dataclass(frozen=True, slots=True)
class _Views:
    """Of some neighbouring adapters.

    Attributes:
        a: of all layers side by side; None where ranks are so much lower than the room that each layer's is read apart.
        parts: of each layer that one of them changes its number, its A, where its columns are in `a`, its B.
    """

    a: torch.Tensor | None
    parts: list[tuple[int, torch.Tensor, slice, torch.Tensor]]


Site = GpuSite | CpuSite


@dataclass(frozen=True, slots=True)
class LayerSites:
    """Of one layer of the decoder."""

    qkv: Any
    out: Any
    gate_up: Any
    down: Any

    @classmethod
    def of(cls, number: int, shapes: folders.Shapes, like: torch.Tensor, **room: Any) -> "LayerSites":
        """`room`: as `_Site` has it."""
        kind = CpuSite if like.device.type == "cpu" else GpuSite

        def site(*leaves: str) -> Site:
            names = [f"{folders.LANGUAGE}{number}.{leaf}" for leaf in leaves]
            return kind(names, [shapes[name][0] for name in names], shapes[names[0]][1], like=like, **room)

        attention = [f"self_attn.{kind}_proj" for kind in "qkv"]
        return cls(
            site(*attention), site("self_attn.o_proj"), site("mlp.gate_proj", "mlp.up_proj"), site("mlp.down_proj")
        )

    @property
    def all(self) -> tuple[Site, ...]:
        return self.qkv, self.out, self.gate_up, self.down

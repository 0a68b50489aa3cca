"""Low-rank adapters beside the lean decoder's products: rows of different ones, and of none, in one pass.

A table of fixed size keeps what is loaded, all layers' A and B at one rank, smaller ones filled with zeros. Which slot
answers with which is a number for each slot: 0 is none. On a GPU a pass multiplies with all of the table and a mask
takes what is not a row's own, so that shapes never change and passes can be recorded. On a CPU rows are put together by
adapter, so that each is read once, and padded to where a row's result does not depend on how many there are.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from qwen_demo.engines.batching.model.adapter_rows import Grouped, Masked, Rows, Runs
from qwen_demo.errors import AdapterRefused, InvalidRequest, Overloaded
from qwen_demo.models import adapters as folders
from qwen_demo.sentences import Sentence
from qwen_demo.types import Adapter

Halves = Mapping[str, tuple[torch.Tensor, torch.Tensor]]
RANKS = (8, 16, 32, 64)


class Site:
    """The products beside one fused linear layer.

    Args:
        outputs: of each of the layers that are one product.
        names: of those layers.
    """

    def __init__(self, names: Sequence[str], outputs: Sequence[int], inputs: int):
        self.names, self.outputs, self.inputs = tuple(names), tuple(outputs), inputs
        self.a = self.b = self.deinterleaved = torch.empty(0)
        self._rank = 0

    def allocate(self, adapters: int, rank: int, like: torch.Tensor, *, deinterleaved: bool = False) -> None:
        """`deinterleaved`: inputs may come in the order of the NF4 kernel's."""
        self._rank, height, width = rank, sum(self.outputs), rank * len(self.outputs)
        self.a = like.new_zeros(adapters, width, self.inputs)
        # On a GPU all adapters' columns side by side, for one product.
        on_cpu = like.device.type == "cpu"
        self.b = like.new_zeros((adapters, height, width) if on_cpu else (height, adapters, width))
        self.deinterleaved = self.a.clone() if deinterleaved else self.deinterleaved

    def put(self, place: int, halves: Halves) -> None:
        """Write an adapter's part, zeros where it has none."""
        a, b = torch.zeros_like(self.a[place]), torch.zeros(sum(self.outputs), self.a.shape[1])
        start = 0
        for part, (name, height) in enumerate(zip(self.names, self.outputs, strict=True)):
            if name in halves:
                low, high = halves[name]
                column = part * self._rank
                a[column : column + len(low)] = low.to(a)
                b[start : start + height, column : column + len(low)] = high.cpu()
            start += height
        self.a[place] = a
        if self.b.device.type == "cpu":
            self.b[place] = b
        else:
            self.b[:, place] = b.to(self.b)
        if len(self.deinterleaved):
            from qwen_demo.engines.batching.model.kernels.nf4 import deinterleaved

            self.deinterleaved[place] = deinterleaved(a)

    def add(self, made: torch.Tensor, x: Any, rows: Rows, *, deinterleaved: bool = False) -> torch.Tensor:
        """Add these products to `made`, in place.

        Args:
            made: [rows, outputs], or [parts, rows, outputs] float32 whose sum is meant.
            x: [rows, inputs], or its eight-bit floats and their scales.
            deinterleaved: whether `x` has the order of the NF4 kernel.
        """
        if not isinstance(rows, Masked):
            return rows.add(made, x, self.a, self.b)
        if isinstance(x, tuple):
            x = x[0].to(self.a.dtype) * x[1].to(self.a.dtype)
        low = F.linear(x, (self.deinterleaved if deinterleaved else self.a).flatten(0, 1))
        low = (low.view(len(low), self.a.shape[0], -1) * rows.mask).flatten(1)
        high = self.b.flatten(1).T
        if made.ndim == 3:
            made[0] += low @ high
            return made
        return made.addmm_(low, high)


@dataclass(frozen=True, slots=True)
class LayerSites:
    """Of one layer of the decoder."""

    qkv: Site
    out: Site
    gate_up: Site
    down: Site

    @classmethod
    def of(cls, number: int, shapes: folders.Shapes) -> "LayerSites":
        def site(*leaves: str) -> Site:
            names = [f"{folders.LANGUAGE}{number}.{leaf}" for leaf in leaves]
            return Site(names, [shapes[name][0] for name in names], shapes[names[0]][1])

        attention = [f"self_attn.{kind}_proj" for kind in "qkv"]
        return cls(
            site(*attention), site("self_attn.o_proj"), site("mlp.gate_proj", "mlp.up_proj"), site("mlp.down_proj")
        )

    @property
    def all(self) -> tuple[Site, ...]:
        return self.qkv, self.out, self.gate_up, self.down


@dataclass(slots=True)
class _Place:
    """Of the table: what is there, for how many requests, and since when for none."""

    digest: str = ""
    users: int = 0
    used_s: float = 0.0


class AdapterTable:
    """What is loaded, and which slot answers with what.

    `acquire` and `release` may be called on any thread; everything else belongs to the thread that runs the model.

    Args:
        shapes: outputs and inputs of the base's linear layers by name.
        layers: how many the decoder has.
        size: how many adapters are kept.
        rank: the highest.
        slots: how many requests run at once.
        like: a tensor of the model's dtype on its device.
        check_base: raises `AdapterRefused` where an adapter is for another model.

    Attributes:
        active: whether any row of the next pass has an adapter; set before it.
    """

    def __init__(
        self,
        shapes: folders.Shapes,
        layers: int,
        *,
        size: int,
        rank: int,
        slots: int,
        like: torch.Tensor,
        check_base: Callable[[folders.AdapterFolder], None] = lambda adapter: None,
    ):
        self._shapes, self._check_base = shapes, check_base
        self.rank = next(each for each in RANKS if each >= rank)
        self.layers = [LayerSites.of(number, shapes) for number in range(layers)]
        self._like = like.new_empty(0)
        for layer in self.layers:
            for site in layer.all:
                site.allocate(size, self.rank, self._like)
        self._places = [_Place() for _ in range(size)]
        self._numbers = torch.arange(1, size + 1, device=like.device)
        self._of_slot = [0] * slots
        self._of_slot_there = torch.zeros(slots, dtype=torch.int64, device=like.device)
        self._lock = threading.Lock()
        self._known: tuple[tuple[int, ...], bool, Grouped | Runs] | None = None
        self.active = False

    @property
    def nbytes(self) -> int:
        return sum(
            t.nbytes for layer in self.layers for site in layer.all for t in (site.a, site.b, site.deinterleaved)
        )

    def keep_deinterleaved(self) -> None:
        """For the NF4 kernel; before anything is loaded."""
        for layer in self.layers:
            for site in layer.all:
                site.allocate(len(self._places), self.rank, self._like, deinterleaved=True)

    def acquire(self, adapter: Adapter) -> int:
        """The number in the table, where it stays until it is released as often.

        Raises:
            AdapterRefused: the folder holds none for this model.
            Overloaded: every place answers with another one.
        """
        with self._lock:
            for number, place in enumerate(self._places, 1):
                if place.digest == adapter.digest:
                    place.users += 1
                    return number
            free = [number for number, place in enumerate(self._places, 1) if not place.users]
            if not free:
                one = Sentence(
                    "The only place for an adapter answers with another one. Try again when those answers have ended "
                    "(an operator can raise --max-adapters)."
                )
                more = Sentence(
                    "All {count} places for adapters answer with others. Try again when those answers have ended "
                    "(an operator can raise --max-adapters).",
                    count=len(self._places),
                )
                raise Overloaded(one if len(self._places) == 1 else more, retry_after_s=1.0)
            halves = self._read(adapter)
            number = min(free, key=lambda each: (bool(self._places[each - 1].digest), self._places[each - 1].used_s))
            self._places[number - 1] = _Place(users=1)
            try:
                self._put(number - 1, halves)
            except BaseException:
                self._places[number - 1].users = 0
                raise
            self._places[number - 1].digest = adapter.digest
            return number

    def release(self, number: int) -> None:
        with self._lock:
            place = self._places[number - 1]
            place.users -= 1
            place.used_s = time.monotonic()

    def _read(self, adapter: Adapter) -> Halves:
        if not adapter.folder:
            raise InvalidRequest(f"The adapter {adapter.name} is not on this machine.", field="model")
        found = folders.look(Path(adapter.folder))
        self._check_base(found)
        if found.vision:
            raise AdapterRefused(
                f"{found.folder} changes the vision encoder ({len(found.vision)} of its {len(found.shapes)} layers, "
                f"{found.vision[0]} first), which all requests share. Learn it with the language model's layers alone, or "
                "merge it into its base (qwen-demo finetune merge)."
            )
        folders.check_fits(found, self._shapes)
        if found.rank > self.rank:
            raise AdapterRefused(
                f"{found.folder} has the rank {found.rank}, and this server keeps room for {self.rank} "
                "(an operator can raise --adapter-rank)."
            )
        return folders.tensors(found, adapter.digest)

    @torch.inference_mode()
    def _put(self, place: int, halves: Halves) -> None:
        for layer in self.layers:
            for site in layer.all:
                site.put(place, halves)
        if self._like.is_cuda:
            # Other streams read it as soon as a request names it.
            torch.cuda.current_stream(self._like.device).synchronize()

    def give(self, slot: int, number: int) -> None:
        """The slot answers with that adapter."""
        if self._of_slot[slot] != number:
            self._of_slot[slot] = number
            self._of_slot_there[slot] = number

    def swap(self, a: int, b: int) -> None:
        first, second = self._of_slot[a], self._of_slot[b]
        self.give(a, second)
        self.give(b, first)

    def any_of(self, slots: Sequence[int]) -> bool:
        return any(self._of_slot[slot] for slot in slots)

    def rows(self, slots: torch.Tensor, *, single: bool) -> Rows | None:
        """Of a pass, from the slot of each row, [rows] int64; None where none has an adapter.

        Args:
            single: whether each row is a slot's only one.
        """
        if not self.active:
            return None
        if slots.device.type != "cpu":
            mask = self._of_slot_there[slots][:, None] == self._numbers
            return Masked(mask[:, :, None].to(self._like.dtype))
        numbers = tuple([self._of_slot[slot] for slot in slots.tolist()])
        if not any(numbers):
            return None
        if self._known is None or self._known[:2] != (numbers, single):
            self._known = numbers, single, (Grouped if single else Runs).of(numbers)
        return self._known[2]

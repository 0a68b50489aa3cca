"""Low-rank adapters beside the lean decoder's products: rows of different ones, and of none, in one pass.

A table of fixed size keeps what is loaded, all layers' A and B at one rank, smaller ones filled with zeros. Which slot
answers with which is a number for each slot: 0 is none. On a GPU kernels read few rows' own numbers, and a pass of more
rows multiplies with all of the table, where a mask takes what is not a row's own: so shapes never change, and passes can
be recorded. On a CPU a pass puts its rows in the order of their adapters, so that each adapter is read once, and fills
them up to where a row's result does not depend on how many there are.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from qwen_demo.engines.batching.model.adapter_rows import Masked, Ordered, Rows
from qwen_demo.engines.batching.model.adapter_sites import RANKS, Halves, LayerSites
from qwen_demo.errors import AdapterRefused, InvalidRequest, Overloaded
from qwen_demo.models import adapters as folders
from qwen_demo.sentences import Sentence
from qwen_demo.types import Adapter


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
        self._like = like.new_empty(0)
        self.layers = self._room(layers, size)
        self._places = [_Place() for _ in range(size)]
        self._numbers = torch.arange(1, size + 1, device=like.device)
        self._of_slot = [0] * slots
        self._of_slot_there = torch.zeros(slots, dtype=torch.int64, device=like.device)
        self._lock, self._loading = threading.Lock(), threading.Lock()
        self._known: tuple[tuple[int, ...], Ordered] | None = None
        self.active = False

    @property
    def nbytes(self) -> int:
        return sum(site.nbytes for layer in self.layers for site in layer.all)

    def keep_deinterleaved(self) -> None:
        """For the NF4 kernel; before anything is loaded."""
        layers, self.layers = len(self.layers), []
        self.layers = self._room(layers, len(self._places), deinterleaved=True)

    def _room(self, layers: int, adapters: int, *, deinterleaved: bool = False) -> list[LayerSites]:
        room = {"adapters": adapters, "rank": self.rank, "deinterleaved": deinterleaved}
        return [LayerSites.of(number, self._shapes, self._like, **room) for number in range(layers)]

    def acquire(self, adapter: Adapter) -> int:
        """The number in the table, where it stays until it is released as often.

        Raises:
            AdapterRefused: the folder holds none for this model.
            Overloaded: every place answers with another one.
        """
        # Loading takes seconds, for which `release`, on the thread of all answers, does not wait.
        with self._loading:
            if number := self._loaded(adapter):
                return number
            halves = self._read(adapter)
            with self._lock:
                free = {number: self._places[number - 1] for number in self._free()}
                number = min(free, key=lambda each: (bool(free[each].digest), free[each].used_s))
                self._places[number - 1] = _Place(users=1)
            try:
                self._put(number - 1, halves)
            except BaseException:
                self._places[number - 1].users = 0
                raise
            self._places[number - 1].digest = adapter.digest
            return number

    def _free(self) -> list[int]:
        return [number for number, place in enumerate(self._places, 1) if not place.users]

    def _loaded(self, adapter: Adapter) -> int:
        """The number of an adapter that is there, taken once more; 0 where it has to be read. Raises `Overloaded`."""
        with self._lock:
            for number, place in enumerate(self._places, 1):
                if place.digest == adapter.digest:
                    place.users += 1
                    return number
            if not self._free():
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
        return 0

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

    def rows(self, slots: torch.Tensor) -> Rows | None:
        """Of a pass, from the slot of each row, [rows] int64; None where none has an adapter."""
        if not self.active:
            return None
        if slots.device.type != "cpu":
            there = self._of_slot_there[slots]
            mask = there[:, None] == self._numbers
            return Masked(there, mask[:, :, None].to(self._like.dtype))
        numbers = tuple([self._of_slot[slot] for slot in slots.tolist()])
        if not any(numbers):
            return None
        if self._known is None or self._known[0] != numbers:
            self._known = numbers, Ordered.of(numbers)
        return self._known[1]

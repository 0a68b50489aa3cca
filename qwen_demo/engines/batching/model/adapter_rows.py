"""The rows of a pass by their adapters, as each device multiplies them."""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from qwen_demo.engines.batching.model.attention import MIN_ROWS


@dataclass(frozen=True)
class Grouped:
    """Single tokens of many slots on a CPU, by adapter.

    Attributes:
        own: the rows that have one, [own] int64.
        others: the rows without.
        span: of the table, from the first to the last among them.
        taken: rows of each adapter of `span`, [adapters * most] int64, filled up with any.
        back: where `own` lie in `taken`.
    """

    own: torch.Tensor
    others: torch.Tensor
    span: slice
    taken: torch.Tensor
    back: torch.Tensor

    @classmethod
    def of(cls, numbers: Sequence[int]) -> "Grouped":
        """Of each row's number in the table, 0 for none; at least one has one."""
        places: dict[int, list[int]] = {}
        for row, number in enumerate(numbers):
            places.setdefault(number, []).append(row)
        others = places.pop(0, [])
        # Of fewer rows a product's last bits would depend on how many there are.
        most = max(MIN_ROWS, *map(len, places.values()))
        taken: list[int] = []
        own: list[int] = []
        back: list[int] = []
        for number in range(min(places), max(places) + 1):
            rows = places.get(number, [])
            back += range(len(taken), len(taken) + len(rows))
            own += rows
            taken += rows + [0] * (most - len(rows))
        span = slice(min(places) - 1, max(places))
        return cls(torch.tensor(own), _int64(others), span, torch.tensor(taken), torch.tensor(back))

    @functools.cached_property
    def inner(self) -> "Grouped":
        """The same among `own` alone."""
        taken = torch.zeros_like(self.taken)
        taken[self.back] = own = torch.arange(len(self.own))
        return Grouped(own, _int64(()), self.span, taken, self.back)

    def add(self, made: torch.Tensor, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Add to [rows, outputs] the products of `x` with [adapters, rank, inputs] and [adapters, outputs, rank]."""
        taken = x.index_select(0, self.taken).view(self.span.stop - self.span.start, -1, x.shape[1])
        high = torch.bmm(torch.bmm(taken, a[self.span].transpose(1, 2)), b[self.span].transpose(1, 2))
        return made.index_add_(0, self.own, high.flatten(0, 1).index_select(0, self.back))


@dataclass(frozen=True)
class Runs:
    """Chunks of prompts on a CPU: runs of rows with one adapter each.

    Attributes:
        own, others: as in `Grouped`.
        runs: rows and place in the table of each.
    """

    own: torch.Tensor
    others: torch.Tensor
    runs: tuple[tuple[slice, int], ...]

    @classmethod
    def of(cls, numbers: Sequence[int]) -> "Runs":
        runs, start = [], 0
        for number, rows in itertools.groupby(numbers):
            stop = start + len(list(rows))
            if number:
                runs.append((slice(start, stop), number - 1))
            start = stop
        own = [row for row, number in enumerate(numbers) if number]
        return cls(_int64(own), _int64([row for row, number in enumerate(numbers) if not number]), tuple(runs))

    @functools.cached_property
    def inner(self) -> "Runs":
        """The same among `own` alone."""
        runs, start = [], 0
        for rows, place in self.runs:
            runs.append((slice(start, stop := start + rows.stop - rows.start), place))
            start = stop
        return Runs(torch.arange(start), _int64(()), tuple(runs))

    def add(self, made: torch.Tensor, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """As `Grouped.add`."""
        for rows, place in self.runs:
            made[rows] += F.linear(F.linear(x[rows], a[place]), b[place])
        return made


@dataclass(frozen=True, slots=True)
class Masked:
    """Rows of a pass on a GPU: of each row and adapter 1 or 0, [rows, adapters, 1] in the model's dtype."""

    mask: torch.Tensor


Rows = Grouped | Runs | Masked


def _int64(rows: Sequence[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.int64)

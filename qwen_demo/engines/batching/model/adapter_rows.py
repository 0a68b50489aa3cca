"""The rows of a pass by their adapters, as each device multiplies them."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from qwen_demo.engines.batching.model.attention import MIN_ROWS


@dataclass(frozen=True)
class Block:
    """Neighbouring rows whose adapters are neighbours in the table: one product for all of them.

    Attributes:
        rows: of the pass, in the order of `Ordered`.
        span: of the table.
        each: how many rows every adapter has; 0 where that differs.
        taken: of the block's rows, [adapters * most] int64, each adapter's filled up with any; None if nothing is missing.
        back: where the block's rows lie in `taken`.
    """

    rows: slice
    span: slice
    each: int
    taken: torch.Tensor | None
    back: torch.Tensor

    @classmethod
    def of(cls, first_row: int, first_place: int, counts: Sequence[int]) -> "Block":
        """`counts`: rows of each adapter, in the order of the table."""
        # Of fewer rows a product's last bits would depend on how many there are.
        most = max(MIN_ROWS, *counts)
        starts = itertools.accumulate(counts[:-1], initial=0)
        taken = [
            start + row if row < count else 0
            for start, count in zip(starts, counts, strict=True)
            for row in range(most)
        ]
        back = [place * most + row for place, count in enumerate(counts) for row in range(count)]
        return cls(
            slice(first_row, first_row + sum(counts)),
            slice(first_place, first_place + len(counts)),
            counts[0] if len(set(counts)) == 1 else 0,
            None if min(counts) == most else _int64(taken),
            _int64(back),
        )

    def gathered(self, x: torch.Tensor) -> torch.Tensor:
        """Of all rows of the pass, [adapters, most, inputs]; without its first dimension where there is one adapter."""
        x = self._own(x)
        x = x if self.taken is None else x.index_select(0, self.taken)
        count = self.span.stop - self.span.start
        return x if count == 1 else x.view(count, -1, x.shape[1])

    def add(self, made: torch.Tensor, low: torch.Tensor, b: torch.Tensor) -> None:
        """Add to the block's rows of [rows, outputs] the products of [adapters, most, rank] and [adapters, rank, outputs]."""
        own = self._own(made)
        if low.ndim == 2:
            if self.taken is None and own.dtype == torch.float32:
                own.addmm_(low, b)  # the same bits, which in bfloat16 it has not
            else:
                own.add_((low @ b)[: len(own)])
            return
        products = torch.bmm(low, b)
        if self.each:
            own.unflatten(0, (len(b), self.each)).add_(products[:, : self.each])
        else:
            own.add_(products.flatten(0, 1).index_select(0, self.back))

    def _own(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.rows.stop - self.rows.start == len(x) else x[self.rows]


@dataclass(frozen=True)
class Ordered:
    """Rows of a pass on a CPU: those without an adapter first, then by adapter.

    Attributes:
        order: the pass's own rows in this order, [rows] int64; None where that is theirs already.
        inverse: back to their own.
        others: how many have none.
        blocks: of the rest.
    """

    order: torch.Tensor | None
    inverse: torch.Tensor
    others: int
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, numbers: Sequence[int]) -> "Ordered":
        """Of each row's number in the table, 0 for none."""
        order = sorted(range(len(numbers)), key=numbers.__getitem__)
        inverse = sorted(range(len(order)), key=order.__getitem__)
        others = numbers.count(0)
        blocks = tuple(_blocks([numbers[row] - 1 for row in order[others:]], others))
        return cls(None if order == inverse == [*range(len(order))] else _int64(order), _int64(inverse), others, blocks)

    def put_in_order(self, x: torch.Tensor) -> torch.Tensor:
        """Of the pass's own rows, these."""
        return x if self.order is None else x.index_select(0, self.order)

    def put_back(self, x: torch.Tensor) -> torch.Tensor:
        """Of these rows, the pass's own."""
        return x if self.order is None else x.index_select(0, self.inverse)

    @property
    def inner(self) -> "Ordered":
        """Of those with an adapter alone."""
        return Ordered(None, self.inverse, 0, tuple(_moved(block, -self.others) for block in self.blocks))


@dataclass(frozen=True, slots=True)
class Masked:
    """Rows of a pass on a GPU.

    Attributes:
        numbers: of each row its adapter's place in the table from 1, 0 for none, [rows] int64.
        mask: of each row and adapter 1 or 0, [rows, adapters, 1] in the model's dtype.
    """

    numbers: torch.Tensor
    mask: torch.Tensor


Rows = Ordered | Masked


def _blocks(places: Sequence[int], first_row: int) -> Iterator[Block]:
    """Of ascending places: neighbours together, where filling up at most doubles the rows."""
    start, counts = 0, list[int]()
    for place, rows in itertools.groupby(places):
        count = len(list(rows))
        filled = [max(MIN_ROWS, each) for each in (*counts, count)]
        if counts and (place != start + len(counts) or len(filled) * max(filled) > 2 * sum(filled)):
            yield Block.of(first_row, start, counts)
            first_row, counts = first_row + sum(counts), []
        start = start if counts else place
        counts.append(count)
    if counts:
        yield Block.of(first_row, start, counts)


def _moved(block: Block, rows: int) -> Block:
    return Block(
        slice(block.rows.start + rows, block.rows.stop + rows), block.span, block.each, block.taken, block.back
    )


def _int64(rows: Sequence[int]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.int64)

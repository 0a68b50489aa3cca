"""Low-rank products of rows with many adapters: what each row's own adapter gives, however rows and ranks are mixed."""

import pytest
import torch

from qwen_demo.engines.batching.model.adapter_rows import Masked, Ordered
from qwen_demo.engines.batching.model.adapter_sites import CpuSite, GpuSite
from qwen_demo.engines.batching.model.attention import MIN_ROWS

NAMES, OUTPUTS, INPUTS = ("q", "k", "v"), (48, 16, 16), 64
# Of each adapter: the layers that it changes, and its rank.
KINDS = [(NAMES, 16), ((), 0), (("q", "v"), 3), (NAMES, 40), (("k",), 1), (("q",), 64)]


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def halves(number: int):
    layers, rank = KINDS[number]
    return {
        name: (drawn(rank, INPUTS, seed=9 * number + part), drawn(OUTPUTS[part], rank, seed=9 * number + part + 5))
        for part, name in enumerate(NAMES)
        if name in layers
    }


def expected(x: torch.Tensor, numbers: list[int]) -> torch.Tensor:
    """Row by row."""
    made = torch.zeros(len(x), sum(OUTPUTS))
    for row, number in enumerate(numbers):
        for name, columns in zip(NAMES, made[row].split(OUTPUTS), strict=True):
            if number and name in (own := halves(number - 1)):
                columns += own[name][1] @ (own[name][0] @ x[row])
    return made


def site(kind, rank: int = 64):
    made = kind(NAMES, OUTPUTS, INPUTS, adapters=len(KINDS), rank=rank, like=torch.empty(0))
    for number in range(len(KINDS)):
        made.put(number, halves(number))
    return made


ROWS = {
    "one of each and none": [3, 0, 6, 1, 2, 5, 4, 0],
    "two of each": [1, 2, 3, 4, 5, 6] * 2,
    "one adapter alone": [4] * 9,
    "one row": [3],
    "neighbours of very different counts": [1] * 30 + [2, 3, 3] + [4] * 20,
    "with gaps": [6, 6, 1, 0, 1, 4],
    "low ranks and absent layers alone": [3, 2, 5, 2],
}


@pytest.mark.parametrize("numbers", ROWS.values(), ids=ROWS)
@torch.inference_mode()
def test_each_row_gets_what_its_own_adapter_gives(numbers):
    x, base = drawn(len(numbers), INPUTS, seed=1), drawn(len(numbers), sum(OUTPUTS), seed=2)
    rows = Ordered.of(numbers)
    order = torch.arange(len(numbers)) if rows.order is None else rows.order
    made = site(CpuSite).add(base[order].clone(), x[order], rows)[rows.inverse]
    torch.testing.assert_close(made, base + expected(x, numbers), rtol=1e-4, atol=1e-3)
    there = torch.tensor(numbers)
    mask = (there[:, None] == torch.arange(1, len(KINDS) + 1)).float()[:, :, None]
    beside = site(GpuSite).add(base.clone(), x, Masked(there, mask))
    torch.testing.assert_close(beside, base + expected(x, numbers), rtol=1e-4, atol=1e-3)


@torch.inference_mode()
def test_on_a_cpu_a_row_has_the_same_bits_alone_and_among_others():
    numbers = [number for number in range(len(KINDS) + 1) for _ in range(number + 1)]
    x, sites = drawn(len(numbers), INPUTS, seed=3), site(CpuSite)
    together = sites.add(torch.zeros(len(x), sum(OUTPUTS)), x, Ordered.of(numbers))
    for row, number in enumerate(numbers):
        if number:
            alone = sites.add(torch.zeros(1, sum(OUTPUTS)), x[row : row + 1], Ordered.of([number]))
            assert torch.equal(alone[0], together[row])


@pytest.mark.parametrize("numbers", ROWS.values(), ids=ROWS)
def test_blocks_take_every_row_once_and_fill_up_to_twice_as_many_at_most(numbers):
    rows = Ordered.of(numbers)
    ordered = sorted(numbers)
    seen = []
    for block in rows.blocks:
        own = ordered[block.rows]
        assert set(own) == set(range(block.span.start + 1, block.span.stop + 1))
        filled = len(own) if block.taken is None else len(block.taken)
        assert MIN_ROWS * len(set(own)) <= filled <= 2 * sum(max(MIN_ROWS, own.count(each)) for each in set(own))
        seen += own
    assert seen == [number for number in ordered if number]


@torch.inference_mode()
def test_a_place_that_another_adapter_takes_has_nothing_of_the_former():
    x, sites = drawn(2, INPUTS, seed=4), site(CpuSite)
    rows = Ordered.of([4, 4])
    sites.add(torch.zeros(2, sum(OUTPUTS)), x, rows)
    sites.put(3, halves(4))
    made = sites.add(torch.zeros(2, sum(OUTPUTS)), x, rows)
    torch.testing.assert_close(made, expected(x, [5, 5]), rtol=1e-4, atol=1e-3)

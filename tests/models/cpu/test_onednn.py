"""Products for many rows in float32: near float32's own whatever stands out of a row, and of a row alone."""

import pytest
import torch
import torch.nn.functional as F

from qwen_demo.models.cpu import int4, onednn
from qwen_demo.models.cpu.int4 import Int4Linear
from qwen_demo.models.cpu.onednn import LARGEST, QuantizedRows
from qwen_demo.models.cpu.sources import Int4Numbers
from qwen_demo.models.cpu.stored import MANY_ROWS, StoredLinear

IN, OUT = 2048, 192
EIGHT_BITS = 0.02


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def apart(made: torch.Tensor, exact: torch.Tensor) -> float:
    return float((made - exact).norm() / exact.norm())


@pytest.fixture(scope="module")
def layer():
    return Int4Linear.of(normal(OUT, IN) * 0.05, normal(OUT, seed=1))


@pytest.fixture(scope="module")
def held():
    return Int4Numbers(*int4.quantize(normal(OUT, IN) * 0.05)).dense()


@pytest.fixture
def in_bytes(monkeypatch):
    """A processor that has the product; elsewhere the rows are multiplied as the product would."""

    def times(self, numbers, scale, out):
        out.copy_((self.numbers.float() - LARGEST) @ numbers.float() * scale * self.scale)

    if not onednn.multiplies_bytes():
        monkeypatch.setattr(onednn, "multiplies_bytes", lambda: True)
        monkeypatch.setattr(QuantizedRows, "times", times)


@pytest.mark.usefixtures("in_bytes")
@pytest.mark.parametrize("rows", [1, 3, 97, 130])
@torch.inference_mode()
def test_the_product_is_near_float32_s_for_odd_numbers_of_rows(layer, held, rows):
    x = normal(rows, IN, seed=rows)
    made = layer._by_bytes(QuantizedRows.of(x), int4.layout_block())
    assert apart(made, F.linear(x, held, layer.bias)) < EIGHT_BITS


@pytest.mark.usefixtures("in_bytes")
@torch.inference_mode()
def test_what_stands_out_of_a_row_costs_its_other_inputs_nothing(layer, held):
    x = normal(130, IN)
    plain = layer(x)
    x[3, 17], x[60:, 40], x[5, 17] = 3000.0, -500.0, 30.0
    made, exact = layer(x), F.linear(x, held, layer.bias)
    assert QuantizedRows.of(x).columns.tolist() == [17, 40]  # type: ignore[union-attr]
    x[:, [17, 40]] = 0
    rest = F.linear(x, held)
    assert ((made - exact).norm(dim=-1) / rest.norm(dim=-1)).max() < 0.05
    others = [row for row in range(60) if row not in (3, 5)]
    assert torch.allclose(made[others], plain[others], atol=0.02)


@pytest.mark.usefixtures("in_bytes")
@torch.inference_mode()
def test_a_row_does_not_depend_on_the_others(layer):
    x = normal(130, IN)
    together = layer(x)
    x[1:] *= torch.logspace(-3, 3, 129)[:, None]
    x[7, 17], x[60:, 40] = 3000.0, -500.0
    assert torch.equal(layer(x)[0], together[0])


@pytest.mark.usefixtures("in_bytes")
@torch.inference_mode()
def test_where_much_stands_out_all_is_multiplied_in_float32(layer, held):
    x = normal(130, IN) * 0.001
    x[torch.arange(520) % 130, torch.arange(520)] = 1.0
    assert len(QuantizedRows.of(x).columns) > int4.STANDING_OUT * IN  # type: ignore[arg-type]
    assert apart(layer(x), F.linear(x, held, layer.bias)) < 1e-5


@pytest.mark.usefixtures("in_bytes")
@torch.inference_mode()
def test_rows_of_zeros_and_numbers_that_are_none(layer):
    x = normal(130, IN)
    x[0], x[1, 5] = 0, float("nan")
    made = layer(x)
    assert torch.equal(made[0], layer.bias)
    assert made[1].isnan().all() and made[2:].isfinite().all()


@torch.inference_mode()
def test_weights_in_eight_bits_are_near_those_in_four(layer, held, monkeypatch):
    monkeypatch.setattr(int4, "PIECE_OF_BYTES", IN * 64)
    pieces = [numbers.float() * scale for numbers, scale in layer.byte_pieces(int4.layout_block())]
    assert len(pieces) > 1
    weight = torch.cat(pieces, dim=-1).T
    # Half a number, and what the rounded factors of sixteen groups' numbers add to it.
    number = max(float(scale.max()) for _, scale in layer.byte_pieces(int4.layout_block()))
    assert (weight - held).abs().max() <= 0.54 * number


def test_the_largest_numbers_do_not_saturate_in_sixteen_bits():
    assert 2 * (2 * LARGEST) * LARGEST < 1 << 15


@torch.inference_mode()
def test_the_product_is_exact_where_it_is_used():
    if not onednn.multiplies_bytes():
        return
    numbers = torch.full((IN, 96), LARGEST, dtype=torch.int8)
    numbers[:, 1::2] = -LARGEST
    rows = QuantizedRows(torch.full((5, IN), 2 * LARGEST, dtype=torch.uint8), torch.full((5, 1), 0.5))
    out = torch.empty(5, 200)[:, 7:103]
    rows.times(numbers, torch.full((96,), 2.0), out)
    assert torch.equal(out, (numbers[0] * 1.0 * LARGEST * IN).expand(5, -1))


@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@torch.inference_mode()
def test_widened_weights_give_many_rows_what_they_give_few(bias):
    stored = StoredLinear((normal(75, 40) * 0.1).bfloat16(), normal(75, seed=1) if bias else None)
    x = normal(MANY_ROWS + 3, 40)
    assert torch.allclose(stored(x), F.linear(x, stored.weight.float(), stored.bias), atol=1e-5)
    assert stored(x.view(7, -1, 40)).shape == (7, (MANY_ROWS + 3) // 7, 75)

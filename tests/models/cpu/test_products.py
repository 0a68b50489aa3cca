"""Compact weights: each kind's product is that of the weights which it says it holds, for few rows and for many."""

import bitsandbytes  # noqa: F401 declares the operators
import pytest
import torch
import torch.nn.functional as F
from bitsandbytes.functional import dequantize_4bit, quantize_4bit

from qwen_demo.models.cpu import int4, nf4
from qwen_demo.models.cpu.int4 import Int4Linear
from qwen_demo.models.cpu.int8 import Int8Linear
from qwen_demo.models.cpu.nf4 import Nf4Linear, UnpackedNf4Linear
from qwen_demo.models.cpu.sources import Int4Numbers
from qwen_demo.models.cpu.stored import StoredEmbedding, StoredLinear

OUT, IN = 256, 128
ROWS = (1, 2, 5, 23, 24, 95, 96, 130)
DTYPES = (torch.float32, torch.bfloat16)


@pytest.fixture(scope="module")
def weight():
    return (torch.randn(OUT, IN, generator=torch.Generator().manual_seed(0)) * 0.05).bfloat16()


def inputs(rows: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(rows, IN, generator=torch.Generator().manual_seed(rows)).to(dtype)


def close(made: torch.Tensor, exact: torch.Tensor, within: float = 0.01) -> bool:
    """Within what bfloat16 activations and results round to."""
    return bool((made.float() - exact).norm() <= within * exact.norm())


def int4_of(weight):
    numbers, scale, zero = int4.quantize(weight)
    return Int4Linear.of(weight, None), Int4Numbers(numbers, scale, zero).dense()


def int8_of(weight):
    made = Int8Linear.of(weight)
    return made, made.numbers.float() * made.scales.float()[:, None]


def unpacked_nf4_of(weight):
    made = UnpackedNf4Linear.of(weight, None)
    return made, made.dequantized(torch.float32)


def stored_of(weight):
    return StoredLinear(weight, None), weight.float()


def nf4_of(weight):
    codes, scales = nf4.quantize(weight)
    held = UnpackedNf4Linear(codes.view(OUT, -1), scales).dequantized(torch.float32)
    return Nf4Linear.of(weight, None), held


KINDS = {"int4": int4_of, "int8": int8_of, "unpacked nf4": unpacked_nf4_of, "stored": stored_of}
if nf4.has_fused_product():
    KINDS["nf4"] = nf4_of


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_a_product_is_that_of_the_weights_it_holds_for_any_number_of_rows(weight, kind, dtype):
    layer, held = KINDS[kind](weight)
    for rows in ROWS:
        x = inputs(rows, dtype)
        made = layer(x)
        assert made.dtype == dtype and made.shape == (rows, OUT)
        # Prompts in float32 are read in eight bits where `onednn.multiplies_bytes`.
        in_bytes = kind == "int4" and dtype == torch.float32 and rows >= int4.MANY_ROWS
        assert close(made, x.float() @ held.T, 0.02 if in_bytes else 0.01), rows
    nested = layer(x.view(2, -1, IN))
    assert torch.equal(nested.view(made.shape), made)


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_a_bias_is_added_once(weight, kind):
    layer, _ = KINDS[kind](weight)
    bias = torch.linspace(-3, 3, OUT)
    for rows in (3, 130):
        x = inputs(rows, torch.float32)
        without = layer(x)
        layer.bias = bias
        assert torch.allclose(layer(x), without + bias, atol=0.02)
        layer.bias = None


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"stored"}))
@torch.inference_mode()
def test_what_is_held_is_near_the_weights(weight, kind):
    _, held = KINDS[kind](weight)
    error = (held - weight.float()).norm() / weight.float().norm()
    assert error < (0.02 if kind == "int8" else 0.12)


@torch.inference_mode()
def test_a_row_is_the_same_alone_and_among_others_in_a_step(weight):
    """Running answers are rows of one product: to the last bit, so that company changes no answer."""
    for kind in sorted(KINDS.keys() & {"int4", "nf4", "int8"}):
        layer, _ = KINDS[kind](weight)
        x = inputs(20, torch.bfloat16)
        alone = torch.cat([layer(row[None]) for row in x])
        assert all(torch.equal(layer(x[:rows]), alone[:rows]) for rows in (2, 3, 4, 8, 20)), kind


def test_quantising_leaves_the_weights_as_they_were():
    weight = torch.randn(32, 128)
    before = weight.clone()
    int4.quantize(weight), nf4.quantize(weight), Int8Linear.of(weight)
    assert torch.equal(weight, before)


@pytest.mark.parametrize("shape", [(64, 128), (40, 90), (7, 18), (1280, 36)])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_nf4_codes_are_bitsandbytes_own(shape, dtype):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    weight[0, :4] = 0
    codes, scales = nf4.quantize(weight)
    expected, state = quantize_4bit(weight, blocksize=64, quant_type="nf4")
    assert torch.equal(codes, expected.view(-1))
    assert torch.equal(scales, state.absmax)
    if shape[1] % 2 == 0:
        held = UnpackedNf4Linear(codes.view(shape[0], -1), scales).dequantized(dtype)
        assert torch.equal(held, dequantize_4bit(expected, state).view(shape))


def test_a_block_of_zeros_stays_zero():
    weight = torch.zeros(64, 128)
    assert Int4Linear.of(weight, None)(torch.ones(3, 128)).abs().max() == 0
    assert Int8Linear.of(weight)(torch.ones(3, 128)).abs().max() == 0
    assert UnpackedNf4Linear.of(weight, None)(torch.ones(3, 128)).abs().max() == 0


def test_layers_whose_sizes_suit_no_product_are_told_apart():
    assert int4.fits(2048, 11008) and nf4.fits(2048, 11008)
    assert not int4.fits(2048, 3420) and not nf4.fits(2048, 3420)
    assert not int4.fits(1000, 2048) and not nf4.fits(2064, 2048)


def test_the_packed_layout_is_known_on_this_machine():
    """Where it is not, prompts are read by the product for few rows: right, and slow."""
    assert int4.layout_block() in (32, 64)


@torch.inference_mode()
def test_an_unknown_layout_is_multiplied_all_the_same(weight, monkeypatch):
    layer, held = int4_of(weight)
    monkeypatch.setattr(int4, "layout_block", lambda: 0)
    x = inputs(130, torch.float32)
    assert close(layer(x), x @ held.T)


@torch.inference_mode()
def test_rows_of_a_table_are_widened_as_they_are_looked_up(weight):
    table = StoredEmbedding(weight, torch.float32)
    ids = torch.tensor([3, 3, 255])
    assert torch.equal(table(ids), F.embedding(ids, weight.float()))


@pytest.mark.parametrize("kind", sorted(KINDS.keys() & {"int4", "nf4"}))
@torch.inference_mode()
def test_stacked_layers_give_each_one_s_outputs_and_stay_usable(weight, kind):
    layers = [KINDS[kind](part)[0] for part in (weight, weight.flip(0), weight[:64])]
    layers[0].bias, layers[2].bias = torch.ones(OUT), torch.full((64,), 3.0)
    x = inputs(5, torch.float32)
    expected = torch.cat([layer(x) for layer in layers], dim=-1)
    assert type(layers[0]).can_be_stacked(layers)
    stacked = type(layers[0]).stacked(layers)
    assert torch.equal(stacked(x), expected)
    many = inputs(130, torch.float32)
    assert close(stacked(many), torch.cat([layer(many) for layer in layers], dim=-1), 0.02)
    assert torch.equal(torch.cat([layer(x) for layer in layers], dim=-1), expected)
    assert layers[1].packed.untyped_storage().data_ptr() == stacked.packed.untyped_storage().data_ptr()

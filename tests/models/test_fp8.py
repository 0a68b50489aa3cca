"""Eight-bit floats: how far from the weights they were made of, and who may ask for them."""

import copy

import pytest
import torch
from torch import nn

from qwen_demo.engines.batching.model.decoder import LeanDecoder
from qwen_demo.engines.batching.model.linear import Fp8
from qwen_demo.errors import ModelLoadError
from qwen_demo.models import fp8
from qwen_demo.models.load import load
from qwen_demo.settings import Settings


def share(made: torch.Tensor, expected: torch.Tensor) -> float:
    return float((made - expected).norm() / expected.norm())


def test_a_row_keeps_its_largest_value_and_three_bits_of_the_others():
    x = torch.randn(8, 256) * torch.logspace(-6, 3, 8)[:, None]
    rows, scales = fp8.quantised(x)
    back = rows.float() * scales
    assert rows.dtype == torch.float8_e4m3fn and scales.shape == (8, 1)
    torch.testing.assert_close(back.abs().amax(1), x.abs().amax(1))
    assert all(share(*pair) < 0.04 for pair in zip(back, x, strict=True))


def test_a_row_of_zeros_stays_one():
    rows, scales = fp8.quantised(torch.zeros(2, 16))
    assert not rows.float().any() and scales.isfinite().all()


@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_layer_gives_what_it_was_made_of_gave(bias):
    torch.manual_seed(0)
    linear = nn.Linear(128, 96, bias=bias)
    x = torch.randn(2, 5, 128)
    made = fp8.Fp8Linear(linear)(x)
    assert made.shape == (2, 5, 96) and share(made, linear(x)) < 0.06


@torch.inference_mode()
def test_stacked_layers_give_what_each_gives_and_hold_nothing_twice():
    torch.manual_seed(0)
    layers = [fp8.Fp8Linear(nn.Linear(64, width)) for width in (48, 16)]
    x = torch.randn(3, 64)
    expected = torch.cat([layer(x) for layer in layers], 1)
    both = Fp8(*layers)
    torch.testing.assert_close(both(x), expected)
    torch.testing.assert_close(both(fp8.quantised(x)), expected)
    torch.testing.assert_close(both.add(x, expected), 2 * expected)
    assert layers[1].weight.untyped_storage().data_ptr() == both.weight.untyped_storage().data_ptr()
    torch.testing.assert_close(torch.cat([layer(x) for layer in layers], 1), expected)


def test_the_decoder_alone_is_quantised_and_its_fast_path_knows_it(loaded):
    model = copy.deepcopy(loaded.model)
    fp8.quantise(model)
    decoder = LeanDecoder(model)
    assert isinstance(decoder.layers[0].qkv, Fp8) and isinstance(decoder.layers[0].mlp.down, Fp8)
    left = {type(module) for module in (model.lm_head, *model.model.visual.modules()) if hasattr(module, "in_features")}
    assert left == {nn.Linear}


@pytest.mark.parametrize(("capability", "told"), [(None, "no CUDA GPU"), ((8, 6), "this one has 8.6")])
def test_cards_without_it_are_told_so_before_anything_is_loaded(monkeypatch, capability, told):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    with pytest.raises(ModelLoadError, match=told) as refused:
        fp8.refuse_elsewhere()
    assert "nf4, int8 or none" in str(refused.value)


def test_asking_for_it_on_this_machine_is_refused():
    with pytest.raises(ModelLoadError, match=r"compute capability 8\.9"):
        load(Settings(model="embedded", quantization="fp8"))

"""Fused and packed products are those of the modules they replace."""

import copy

import bitsandbytes as bnb
import pytest
import torch
from torch import nn

from qwen_demo.engines.batching.model.linear import FusedNf4, GatedMlp, Modules, Packed, Plain, kind_for

HIDDEN = 128


def linears(*sizes: int, bias: bool = True) -> list[nn.Linear]:
    torch.manual_seed(0)
    return [nn.Linear(HIDDEN, size, bias=bias).requires_grad_(False) for size in sizes]


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj, self.up_proj = linears(256, 256, bias=False)
        self.down_proj = nn.Linear(256, HIDDEN, bias=False).requires_grad_(False)

    def forward(self, x):
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


KINDS = [Plain, Modules, *([Packed] if Packed.available() else [])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_stack_of_linears_gives_their_outputs_side_by_side(kind, bias):
    modules = linears(64, 32, 96, bias=bias)
    x, residual = torch.randn(5, HIDDEN), torch.randn(5, 192)
    expected = torch.cat([m(x) for m in modules], -1)
    fused = kind(*copy.deepcopy(modules))
    assert torch.allclose(fused(x), expected, atol=1e-5)
    assert torch.allclose(fused.add(x, residual), expected + residual, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@torch.inference_mode()
def test_the_gated_mlp_is_the_model_s(kind):
    mlp, x, residual = Mlp(), torch.randn(7, HIDDEN), torch.randn(7, HIDDEN)
    assert torch.allclose(GatedMlp(copy.deepcopy(mlp), kind).add(x, residual), mlp(x) + residual, atol=1e-5)


def test_fusing_leaves_modules_that_work_and_share_their_weights():
    modules = linears(64, 32)
    x = torch.randn(3, HIDDEN)
    before = [m(x) for m in modules]
    fused = Plain(*modules)
    assert all(torch.equal(m(x), y) for m, y in zip(modules, before, strict=True))
    assert modules[1].weight.data_ptr() == fused.weight[64:].data_ptr()


def nf4(modules: list[nn.Linear]) -> list[nn.Module]:
    made = []
    for linear in modules:
        q = bnb.nn.Linear4bit(HIDDEN, linear.out_features, bias=linear.bias is not None, compute_dtype=torch.float32)
        q.weight = bnb.nn.Params4bit(
            linear.weight.data, requires_grad=False, compress_statistics=True, quant_type="nf4", module=q
        ).to("cpu")
        q.bias = linear.bias
        q.support_avx512bf16_for_cpu = False  # the CPU's own packing has no rows to stack
        made.append(q.requires_grad_(False))
    return made


@torch.inference_mode()
def test_stacked_nf4_codes_give_what_each_layer_gives():
    modules = nf4(linears(64, 32, 96))
    x = torch.randn(5, HIDDEN)
    expected = torch.cat([m(x) for m in modules], -1)
    assert FusedNf4.fits(modules)
    fused = FusedNf4(*modules)
    assert torch.allclose(fused(x), expected, atol=1e-5)
    assert torch.allclose(torch.cat([m(x) for m in modules], -1), expected, atol=1e-5)
    for held in (m.weight.data for m in modules), (m.weight.quant_state.absmax for m in modules):
        assert len({t.untyped_storage().data_ptr() for t in held}) == 1  # views: nothing small is left between gaps


def test_the_kind_follows_the_weights():
    assert kind_for(nn.ModuleList(linears(64))) is (Packed if Packed.available() else Plain)
    assert kind_for(nn.ModuleList(linears(64)).to(torch.bfloat16)) is Plain
    assert kind_for(nn.ModuleList(nf4(linears(64)))) is Modules

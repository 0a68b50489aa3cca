"""The part of the GPU paths that needs no GPU: widths with columns of zeros, when kernels stay out, their arithmetic."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from qwen_demo.engines.batching import memory_plan as planning
from qwen_demo.engines.batching.kv_cache import KVCache
from qwen_demo.engines.batching.model.decoder import LeanDecoder
from qwen_demo.engines.batching.model.linear import padded, silu_and_mul
from qwen_demo.engines.batching.model.stages import PipelineStages
from qwen_demo.engines.batching.runner import ModelRunner, make_kernel_step
from qwen_demo.settings import Settings
from tests.conftest import ROOT


class Mlp(nn.Module):
    def __init__(self, bias: bool):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(64, 300, bias=bias), nn.Linear(64, 300, bias=bias)
        self.down_proj = nn.Linear(300, 64, bias=bias)

    def forward(self, x):
        return self.down_proj(nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_columns_of_zeros_change_nothing(bias):
    torch.manual_seed(0)
    mlp = Mlp(bias).requires_grad_(False)
    x, expected = torch.randn(5, 64), copy.deepcopy(mlp)
    gate_up, down = padded(mlp)
    assert gate_up.weight.shape == (2 * 384, 64) and down.weight.shape == (64, 384)
    torch.testing.assert_close(down(silu_and_mul(gate_up(x))), expected(x))
    torch.testing.assert_close(mlp(x), expected(x))  # the modules' weights are views of the new ones
    assert mlp.down_proj.weight.data_ptr() == down.weight.data_ptr()


def test_kernels_are_for_cuda_alone():
    cache = KVCache([torch.device("cpu")], slots=1, length=8, kv_heads=1, head_dim=64, dtype=torch.bfloat16)
    assert make_kernel_step(decoder=None, cache=cache, slots=1) is None


def test_steps_that_cannot_be_recorded_run_without(loaded, monkeypatch):
    """On every device, if it fails on one."""
    model = loaded.model
    plan = planning.make_plan(Settings(slots=2, slot_tokens=512, kv_cache_mib=64), model, 200_704, 1024)
    runner = ModelRunner(model, LeanDecoder(model), plan, cuda_graphs=False)
    plain = SimpleNamespace(product=False, adapters=None, decode=lambda x, positions, slots, places: 2 * x)
    stages = runner._small_step = runner.kernels = PipelineStages(runner.cache, [plain])
    stages.record(3, [1, 2])
    runner.graphs = SimpleNamespace(warm_up=lambda: None)

    def record(*size):
        raise RuntimeError("no graphs here")

    monkeypatch.setattr(stages.steps[0].graphs, "_record", record)
    runner.warm_up()
    assert runner.graphs is None
    x, numbers = torch.randn(2, 3), torch.arange(2)
    assert torch.equal(stages.decode(x, numbers.expand(3, -1), numbers, numbers), 2 * x)


def interpreted(*parts: str) -> dict:
    """In Triton's interpreter, in float32; on a GPU the engine compares them once more at its start."""
    script = Path(__file__).with_name("interpreted.py")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, script, *parts]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_kernels_compute_what_the_plain_path_does():
    errors = interpreted("stages")["stages"]
    assert {"stages/prefill", "stages/decode", "stages/prefill stored", "stages/decode stored"} == errors.keys()
    assert all(error < 1e-5 for error in errors.values()), errors


@pytest.mark.slow
def test_kernels_compute_it_alone_with_other_weights_and_in_mixed_passes():
    found = interpreted("fits", "fp8", "step", "mixed", "vision", "products", "low rank", "adapted")
    assert found["fits"] == [True, True, False]
    errors = found["step"] | found["products"]
    assert {"norm", "silu_and_mul", "apply_rope", "apply_rope_and_store", "attention"} <= errors.keys()
    assert {"prefill", "decode", "qkv/1", "down/17"} <= errors.keys()
    assert all(error < 1e-5 for error in errors.values()), errors
    mixed = found["mixed"]
    assert {"mixed/137", "mixed/150", "mixed/150 state", "mixed/0 stored"} <= mixed.keys()
    assert all(error < 1e-5 for error in mixed.values()), mixed
    assert found["vision"] < 1e-5
    adapted = found["low rank"] | found["adapted"]
    assert adapted.pop("effect") > 0.1
    assert {"float8/3", "float32/2", "step"} <= adapted.keys()
    assert all(error < 1e-5 for error in adapted.values()), adapted
    # The interpreter rounds what comes to a power of two in e4m3 to half of it.
    assert found["fp8"].pop("fp8") < 0.15
    assert all(error < 0.03 for error in found["fp8"].values()), found["fp8"]

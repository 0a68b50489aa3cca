"""Which four-bit weights a CPU gets, and in which numbers it computes."""

import pytest
import torch

from qwen_demo.models import machine
from qwen_demo.models.cpu import nf4, speed
from qwen_demo.models.cpu.speed import Speed, quickest_four_bits


@pytest.mark.parametrize(
    ("speeds", "kind"),
    [
        ({"int4": Speed(1, 1)}, "int4"),
        ({"int4": Speed(1, 1), "nf4": Speed(1.1, 1.1)}, "nf4"),
        ({"int4": Speed(1, 1), "nf4": Speed(1.1, 2)}, "int4"),
        ({"int4": Speed(3, 1), "nf4": Speed(1, 1)}, "nf4"),
    ],
)
def test_nf4_is_taken_unless_int4_is_clearly_quicker(monkeypatch, caplog, speeds, kind):
    monkeypatch.setattr(speed, "measured", lambda dtype: speeds)
    with caplog.at_level("INFO"):
        assert quickest_four_bits(torch.float32) == kind
    assert f"four-bit weights on this CPU: {kind}" in caplog.text


def test_only_what_runs_here_is_measured():
    speeds = speed.measured(torch.float32)
    assert ("nf4" in speeds) == nf4.has_fused_product()
    assert all(made.written > 0 and made.read > 0 for made in speeds.values())


@pytest.mark.parametrize(("bfloat16_s", "quick"), [(0.2, True), (0.8, True), (1.0, False), (7.0, False)])
def test_bfloat16_is_computed_with_where_it_is_quick(monkeypatch, bfloat16_s, quick):
    monkeypatch.setattr(machine, "least_seconds", lambda work: bfloat16_s if work().dtype == torch.bfloat16 else 1.0)
    machine.is_quick_at_bfloat16.cache_clear()
    try:
        assert machine.is_quick_at_bfloat16() is quick
        expected = torch.bfloat16 if quick else torch.float32
        assert machine.dtype_for("cpu", small=False) == expected
        assert machine.dtype_for("cpu", small=True) == torch.float32
    finally:
        machine.is_quick_at_bfloat16.cache_clear()


def test_apple_gpus_compute_in_bfloat16():
    assert machine.dtype_for("mps", small=False) == machine.dtype_for("mps", small=True) == torch.bfloat16


@pytest.mark.parametrize(("has_bfloat16", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_older_gpus_compute_in_float16(monkeypatch, has_bfloat16, dtype):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bfloat16)
    assert machine.dtype_for("cuda:0", small=False) == dtype

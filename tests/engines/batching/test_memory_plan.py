"""Memory is planned from what is free, and the numbers add up."""

from types import SimpleNamespace

import pytest
import torch

from qwen_demo.engines.batching import memory_plan as planning
from qwen_demo.errors import SettingsError
from qwen_demo.settings import Settings

MIB = 1 << 20
QWEN_7B = SimpleNamespace(hidden_size=3584, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4)


def plan(loaded, context_tokens: int = 4096, **changes) -> planning.MemoryPlan:
    return planning.make_plan(Settings(**changes), loaded.model, 200_704, context_tokens)


def test_a_token_of_the_7b_model_takes_56_kib():
    assert planning.token_bytes(QWEN_7B, torch.bfloat16) == 56 * 1024


def test_the_cache_fits_its_memory_and_every_slot_the_longest_request(loaded):
    per_token = planning.token_bytes(loaded.model.config.text_config, torch.float32)
    for mib in (16, 64, 300, 3000):
        made = plan(loaded, kv_cache_mib=mib)
        assert made.cache_bytes == (made.slots + made.kept) * made.slot_tokens * per_token <= mib * MIB
        assert 1 <= made.slots <= planning.SLOTS["cpu"] and made.slot_tokens <= 4096


def test_with_little_memory_there_are_fewer_slots_before_there_are_shorter_ones(loaded):
    per_token = planning.token_bytes(loaded.model.config.text_config, torch.float32)
    mib = 8 * 4096 * per_token // MIB
    made = plan(loaded, kv_cache_mib=mib)
    assert (made.slots, made.kept, made.slot_tokens) == (6, 2, 4096)
    one = plan(loaded, kv_cache_mib=mib // 16)
    assert one.slots == 1 and 512 <= one.slot_tokens < 4096


def test_what_was_asked_for_is_kept_where_it_fits(loaded):
    made = plan(loaded, slots=4, slot_tokens=1000, kv_cache_mib=200)
    assert (made.slots, made.kept, made.slot_tokens) == (4, 4, 1000)
    assert plan(loaded, slots=4, slot_tokens=1000, kv_cache_mib=200, reuse=False).kept == 0


def test_a_limit_of_the_whole_process_bounds_the_cache(loaded):
    with pytest.raises(SettingsError, match=r"0\.00 GiB"):
        plan(loaded, memory_limit_gib=0.01)


def test_on_a_gpu_half_is_left_to_an_engine_to_compare_with(loaded, monkeypatch):
    monkeypatch.setattr(planning, "layer_devices", lambda model: [torch.device("cuda", 0)])
    for name, value in (("mem_get_info", (2 << 30, 8 << 30)), ("memory_reserved", 0), ("memory_allocated", 0)):
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    alone, beside = plan(loaded), plan(loaded, compare_engine="generate")
    assert beside.cache_bytes == pytest.approx(alone.cache_bytes / 2, rel=0.1)
    assert (
        plan(loaded, compare_engine="generate", kv_cache_mib=64).cache_bytes
        == plan(loaded, kv_cache_mib=64).cache_bytes
    )


def on_cuda(monkeypatch, loaded, free: int) -> None:
    """As if the model were on a GPU with so much memory left."""
    monkeypatch.setattr(planning, "layer_devices", lambda model: [torch.device("cuda", 0)] * 8)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    for name in ("memory_reserved", "memory_allocated"):
        monkeypatch.setattr(torch.cuda, name, lambda device: 0)


@pytest.mark.parametrize(
    ("changes", "mixes"),
    [
        ({}, True),
        ({"mixed_steps": False}, False),
        ({"kernels": False}, False),
        ({"cuda_graphs": False}, False),
        ({"slots": 128}, False),
    ],
    ids=str,
)
def test_answers_and_prompts_share_passes_where_all_it_takes_is_there(loaded, monkeypatch, changes, mixes):
    on_cuda(monkeypatch, loaded, 40 << 30)
    made = plan(loaded, **changes)
    assert bool(made.pass_tokens) is mixes
    if mixes:
        assert made.prefill_tokens + made.slots == planning.MIXED_ROWS["Linear"]


def test_with_little_memory_recordings_leave_it_to_the_cache(loaded, monkeypatch):
    on_cuda(monkeypatch, loaded, 3 << 30)
    assert plan(loaded).pass_tokens == 0 and plan(loaded).prefill_tokens == planning.PREFILL_TOKENS["cuda"]


def test_large_images_leave_less_room():
    small, large = (
        planning.step_bytes(
            SimpleNamespace(
                vision_config=SimpleNamespace(patch_size=14, hidden_size=1280, intermediate_size=3420),
                text_config=SimpleNamespace(hidden_size=3584, intermediate_size=18944, vocab_size=152064),
            ),
            torch.bfloat16,
            pixels,
            1024,
            16,
        )
        for pixels in (200_704, 12_845_056)
    )
    assert small < large

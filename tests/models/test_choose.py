"""`--model` and `--quantization`: what is loaded and why, on machines that this one is not."""

import os
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import httpx
import huggingface_hub
import pytest
import torch

from qwen_demo.errors import ModelLoadError
from qwen_demo.models import by_transformers, machine, memory
from qwen_demo.models.choose import EMBEDDED_DIR, choose
from qwen_demo.models.cpu import speed
from qwen_demo.models.hub import cache
from qwen_demo.models.load import load
from qwen_demo.settings import Settings

GIB = memory.GIB
BIG, SMALL = "Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen2.5-VL-3B-Instruct"


@pytest.fixture
def gpu(monkeypatch):
    def with_free(*gib: float):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gib))
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index=0: (int(gib[index] * GIB), 80 * GIB))

    return with_free


@pytest.fixture
def hub(monkeypatch):
    def answers(*, cached: tuple[str, ...] = (), online: bool | Exception = True):
        def info(self, *args, **kwargs):
            assert kwargs["timeout"] <= 5
            if online is not True:
                raise online

        monkeypatch.setattr(cache, "cached_folder", lambda model, revision: Path(model) if model in cached else None)
        monkeypatch.setattr(huggingface_hub.HfApi, "model_info", info)

    return answers


def test_without_a_gpu_auto_is_the_embedded_model(hub):
    hub(online=AssertionError("nobody asked for gigabytes"))
    choice = choose(Settings())
    assert (choice.embedded, choice.quantization) == (True, "none")
    assert "no CUDA GPU" in choice.reason


@pytest.mark.parametrize(
    ("free", "quantization", "expected"),
    [
        (80, "auto", BIG),
        (10, "auto", BIG),
        (7, "auto", SMALL),
        (24, "none", BIG),
        (12, "none", SMALL),
        (14, "int8", BIG),
    ],
)
def test_auto_takes_the_largest_that_fits(gpu, hub, free, quantization, expected):
    gpu(free)
    hub()
    choice = choose(Settings(quantization=quantization))
    assert choice.model_id == expected
    assert choice.quantization == ("nf4" if quantization == "auto" else quantization)
    assert f"{free:.1f} GiB" in choice.reason


def test_auto_on_a_gpu_that_is_too_small_says_so(gpu, hub):
    gpu(4)
    hub()
    choice = choose(Settings())
    assert choice.embedded
    assert "4.0 GiB" in choice.reason


def test_several_gpus_count_together_with_a_device_map_only(gpu, hub):
    gpu(6, 6)
    hub()
    assert choose(Settings()).model_id == SMALL
    assert choose(Settings(device_map="auto")).model_id == BIG


@pytest.mark.parametrize("failure", [OSError("no route"), httpx.ConnectTimeout("slow")])
def test_auto_without_hub_and_cache_is_the_embedded_model(gpu, hub, failure):
    gpu(80)
    hub(online=failure)
    choice = choose(Settings())
    assert choice.embedded
    assert "hub" in choice.reason


def test_auto_takes_what_the_cache_has(gpu, hub):
    gpu(80)
    hub(cached=(BIG,), online=OSError("no route"))
    assert choose(Settings()).model_id == BIG


@pytest.fixture
def memory_of(monkeypatch):
    monkeypatch.setattr(speed, "quickest_four_bits", lambda dtype: "int4")
    return lambda gib: monkeypatch.setattr(machine, "available_memory", lambda: int(gib * GIB))


@pytest.mark.parametrize(
    ("fetched", "gib", "expected"),
    [((SMALL,), 6, SMALL), ((BIG,), 9, BIG), ((BIG, SMALL), 20, BIG), ((BIG, SMALL), 6, SMALL)],
)
def test_without_a_gpu_auto_takes_what_was_fetched_and_fits(hub, memory_of, fetched, gib, expected):
    hub(cached=fetched, online=AssertionError("what is here needs no hub"))
    memory_of(gib)
    choice = choose(Settings())
    assert (choice.model_id, choice.quantization) == (expected, "int4")
    assert f"{gib:.1f} GiB" in choice.reason


def test_without_a_gpu_what_was_fetched_and_does_not_fit_is_named(hub, memory_of):
    hub(cached=(BIG, SMALL))
    memory_of(3)
    choice = choose(Settings())
    assert choice.embedded
    assert "3.0 GiB" in choice.reason and SMALL in choice.reason


def test_a_kind_that_the_machine_has_no_products_for_is_refused_by_name_under_auto(gpu, hub, memory_of):
    hub(cached=(SMALL,))
    memory_of(64)
    with pytest.raises(ModelLoadError, match="fp8 needs an NVIDIA GPU"):
        choose(Settings(quantization="fp8"))
    gpu(24)
    with pytest.raises(ModelLoadError, match="int4 is for CPUs"):
        choose(Settings(quantization="int4"))


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere", "nonsense", "a/b/c"])
def test_a_name_that_can_be_nothing_is_refused_with_a_remedy(name):
    with pytest.raises(ModelLoadError, match="embedded"):
        choose(Settings(model=name))


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelLoadError, match=r"config\.json"):
        choose(Settings(model=str(tmp_path)))


def test_a_model_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ModelLoadError, match="llama"):
        load(Settings(model=str(tmp_path)))


def test_a_damaged_folder_is_refused_with_cause_and_remedy(tmp_path):
    (tmp_path / "config.json").write_text((EMBEDDED_DIR / "config.json").read_text())
    with pytest.raises(ModelLoadError, match="could not be loaded"):
        load(Settings(model=str(tmp_path)))


def test_a_hub_model_that_cannot_be_reached_is_an_error_and_no_fallback(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelLoadError, match="--model embedded"):
        load(Settings(model="Qwen/Qwen2.5-VL-7B-Instruct"))


def test_the_embedded_folder_goes_the_way_of_any_local_folder():
    loaded = load(Settings(model=str(EMBEDDED_DIR), threads=1))
    assert not loaded.info.embedded
    assert type(loaded.model).__name__ == "Qwen2_5_VLForConditionalGeneration"


def test_pixel_bounds_of_the_settings_hold():
    loaded = load(Settings(model="embedded", max_pixels=28 * 28 * 80, threads=1))
    assert loaded.info.max_pixels == 28 * 28 * 80
    assert loaded.info.min_pixels <= loaded.info.max_pixels


@pytest.fixture
def zerogpu(monkeypatch, gpu):
    """A GPU that is told of, and that tells nothing of its memory outside of a call."""
    gpu()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: pytest.fail("there is no GPU now"))
    monkeypatch.setattr(machine, "on_zerogpu", lambda: True)


def test_on_zerogpu_auto_is_the_largest_model_unquantised(zerogpu, hub):
    hub()
    choice = choose(Settings())
    assert (choice.model_id, choice.quantization) == (BIG, "none")
    assert "ZeroGPU has room for it" in choice.reason
    assert choose(Settings(model=SMALL)).quantization == "none"
    assert choose(Settings(model=SMALL, quantization="int8")).quantization == "int8"


def test_on_zerogpu_without_the_hub_auto_is_the_embedded_model(zerogpu, hub):
    hub(online=httpx.ConnectError("no network"))
    assert choose(Settings()).embedded


def test_apples_gpu_loads_without_the_threads_that_load_ahead_and_a_cuda_gpu_with_them(monkeypatch):
    seen = {}
    monkeypatch.setattr(by_transformers, "_quantization", lambda order: ("none", {}))
    monkeypatch.setattr(by_transformers, "told", lambda order: nullcontext())
    monkeypatch.setattr(by_transformers, "_compute_in", lambda model, dtype: None)

    def loaded(order, place, arguments):
        seen[place] = os.environ.get("HF_DEACTIVATE_ASYNC_LOAD")

    monkeypatch.setattr(by_transformers, "_from_pretrained", loaded)
    monkeypatch.delenv("HF_DEACTIVATE_ASYNC_LOAD", raising=False)
    for place in ("mps", "cuda:0"):
        by_transformers.read(SimpleNamespace(device=place, dtype=torch.bfloat16, merging=None))
    assert seen == {"mps": "1", "cuda:0": None}
    assert "HF_DEACTIVATE_ASYNC_LOAD" not in os.environ

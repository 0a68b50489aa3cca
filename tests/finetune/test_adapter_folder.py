"""An adapter's folder is read with suspicion: nothing pickled, nothing missing, nothing more, and on its own base alone."""

import json

import pytest
import torch
from safetensors.torch import save_file

from qwen_demo.errors import ModelLoadError
from qwen_demo.finetune.adapter_folder import check_base, check_fits, check_whole, read_adapter

LAYER = "base_model.model.model.language_model.layers.0.self_attn.q_proj"
A, B = f"{LAYER}.lora_A.weight", f"{LAYER}.lora_B.weight"


@pytest.fixture
def folder(tmp_path):
    def made(tensors=None, base=None, **config):
        if tensors is None:
            tensors = {A: torch.zeros(4, 8), B: torch.zeros(6, 4)}
        save_file(tensors, tmp_path / "adapter_model.safetensors")
        config = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": "embedded", **config}
        (tmp_path / "adapter_config.json").write_text(json.dumps(config))
        if base:
            (tmp_path / "base.json").write_text(json.dumps(base))
        return tmp_path

    return made


def test_a_whole_folder_is_its_layers_by_name(folder):
    adapter = read_adapter(folder())
    ((name, (a, b)),) = adapter.modules.items()
    assert name == "model.language_model.layers.0.self_attn.q_proj" and adapter.base == "embedded"
    assert (a.shape, b.shape) == ((4, 8), (6, 4))
    check_fits(adapter, {name: (6, 8)})


@pytest.mark.parametrize("name", ["adapter_model.bin", "optimizer.pt", "x.PKL"])
def test_a_folder_with_a_pickled_file_is_refused(folder, name):
    (folder() / name).write_bytes(b"")
    with pytest.raises(ModelLoadError, match=f"holds {name}: pickled"):
        read_adapter(folder())


@pytest.mark.parametrize(
    ("tensors", "config", "words"),
    [
        ({A: torch.zeros(4, 8)}, {}, "one half of their weights"),
        ({A: torch.zeros(4, 8), B: torch.zeros(6, 4), "lm_head.weight": torch.zeros(2)}, {}, "no low-rank weights, lm"),
        ({A: torch.zeros(4, 8), B: torch.zeros(6, 3)}, {}, "has the shapes"),
        ({A: torch.zeros(3, 8), B: torch.zeros(6, 3)}, {}, "has the shapes"),
        ({}, {}, "holds no low-rank weights"),
        (None, {"peft_type": "IA3"}, "of the kind IA3"),
        (None, {"use_dora": True}, "use_dora"),
        (None, {"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ],
    ids=["half", "strange", "rank of both", "rank of config", "empty", "kind", "dora", "more modules"],
)
def test_what_is_no_whole_low_rank_adapter_is_refused(folder, tensors, config, words):
    with pytest.raises(ModelLoadError, match=words):
        read_adapter(folder(tensors, **config))


def test_damaged_or_missing_files_are_errors_of_ours(folder):
    path = folder()
    (path / "adapter_model.safetensors").write_bytes(b"\x08")
    with pytest.raises(ModelLoadError, match="damaged"):
        read_adapter(path)
    (path / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelLoadError, match=r"has no adapter_model\.safetensors"):
        read_adapter(path)
    (path / "adapter_config.json").write_text("[]")
    with pytest.raises(ModelLoadError, match="holds no object"):
        read_adapter(path)


def test_an_adapter_for_another_base_is_refused_with_both_names(folder):
    adapter = read_adapter(folder(base={"model": "ours/first", "fingerprint": "a" * 64}))
    check_base(adapter, "elsewhere", "a" * 64)
    with pytest.raises(ModelLoadError, match=r"learnt on ours/first \(aaaa.* is ours/second \(bbbb"):
        check_base(adapter, "ours/second", "b" * 64)
    with pytest.raises(ModelLoadError, match="which this model does not have"):
        check_fits(adapter, {})
    with pytest.raises(ModelLoadError, match="is 6 x 8, and this model's is 16 x 8"):
        check_fits(adapter, {"model.language_model.layers.0.self_attn.q_proj": (16, 8)})


def test_a_key_that_was_learnt_and_not_saved_is_an_error(folder):
    whole = {A: (4, 8), B: (6, 4)}
    check_whole(folder(), whole)
    with pytest.raises(ModelLoadError, match=r"1 keys are missing and 0 are too many, base_model\.more first"):
        check_whole(folder(), whole | {"base_model.more": (1,)})
    with pytest.raises(ModelLoadError, match="1 are too many"):
        check_whole(folder(), {A: (4, 8)})

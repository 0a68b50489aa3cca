"""An adapter merged into its base, as a checkpoint that stock transformers reads or as the model loads: peft's own merge."""

import copy
import json
import shutil
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from transformers import AutoConfig

from qwen_demo.errors import AdapterRefused, ModelLoadError
from qwen_demo.finetune.base import described
from qwen_demo.models import adapters, by_transformers, merging
from qwen_demo.models.checkpoint import Checkpoint
from qwen_demo.models.choose import EMBEDDED_DIR, Choice
from qwen_demo.models.cpu.int4 import Int4Linear
from qwen_demo.models.load import load
from qwen_demo.models.reading import ReadingOrder
from qwen_demo.server.cli import main
from qwen_demo.settings import Settings
from qwen_demo.settings.choosing import offers_models
from tests.engines.batching.conftest import generate_alone
from tests.engines.batching.test_adapters import question, save

EVERYWHERE = r"model\.language_model\..*\.(q_proj|down_proj)|model\.visual\.blocks\.0\.attn\.(qkv|proj)"


@pytest.fixture(scope="module")
def base(loaded, tmp_path_factory):
    """The embedded model in float32, so that peft's sums and ours can be the same."""
    folder = tmp_path_factory.mktemp("base") / "model"
    shutil.copytree(EMBEDDED_DIR, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.index.json"))
    loaded.model.save_pretrained(folder, max_shard_size="8MB")
    return folder


@pytest.fixture(scope="module")
def adapter(loaded, tmp_path_factory):
    return save(loaded.model, tmp_path_factory.mktemp("merged") / "a", 3, rank=5, targets=EVERYWHERE, use_rslora=True)


@pytest.mark.slow
def test_a_merged_checkpoint_has_pefts_weights_and_its_answers(loaded, base, adapter, tmp_path):
    from peft import PeftModel
    from transformers import Qwen2_5_VLForConditionalGeneration

    out = tmp_path / "merged"
    merging.merge(adapter, Checkpoint.of(base), "embedded", out)
    assert (out / "tokenizer.json").exists() and not (out / "doubt.json").exists()
    ours = Qwen2_5_VLForConditionalGeneration.from_pretrained(out, dtype=torch.float32)
    stock = Qwen2_5_VLForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    before = {name: tensor.clone() for name, tensor in stock.state_dict().items()}
    with warnings.catch_warnings(action="ignore"):
        theirs = PeftModel.from_pretrained(stock, adapter).merge_and_unload()
    expected = theirs.state_dict()
    torch.testing.assert_close(ours.state_dict(), expected, rtol=1e-5, atol=1e-6)
    changed = {name.removesuffix(".weight") for name, old in before.items() if not torch.equal(old, expected[name])}
    assert changed == set(adapters.look(adapter).shapes)
    asked = question("What do you see in this image, in all of its colours?")
    answers = [generate_alone(replace(loaded, model=model.eval()), asked) for model in (ours, theirs)]
    assert answers[0] == answers[1] != generate_alone(loaded, asked)


def test_an_adapter_is_merged_as_the_model_loads_and_the_model_says_so(loaded, adapter):
    """In float32 with peft's weights; where they are quantised, before that."""
    from peft import PeftModel

    with warnings.catch_warnings(action="ignore"):
        theirs = PeftModel.from_pretrained(copy.deepcopy(loaded.model), adapter).merge_and_unload()
    ours = load(Settings(model="embedded", merge_adapter=str(adapter), threads=1))
    torch.testing.assert_close(ours.model.state_dict(), theirs.state_dict(), rtol=1e-5, atol=1e-6)
    assert (ours.info.model_id, ours.info.merged) == ("embedded", "a")
    assert ours.info.reason.endswith("; the adapter a is merged into it")
    four_bits = load(
        Settings(
            model="embedded", quantization="int4", adapters=(f"forms={adapter}",), merge_adapter="forms", threads=1
        )
    )
    assert four_bits.info.merged == "forms"
    layer = "model.language_model.layers.1.mlp.down_proj"
    expected = Int4Linear.of(ours.model.get_submodule(layer).weight, None)
    assert torch.equal(four_bits.model.get_submodule(layer).packed, expected.packed)


def test_whole_weights_that_transformers_read_are_merged_in_place_and_quantised_ones_are_refused(loaded, base, adapter):
    def order(quantization: str):
        choice = Choice(str(base), "embedded", None, quantization, "for a test")
        merging = merging_of(base)
        config = AutoConfig.from_pretrained(base)
        settings = Settings(model=str(base))
        return ReadingOrder(
            choice, merging[0], config, "cpu", torch.float32, "sdpa", settings, lambda text: None, merging[1]
        )

    def merging_of(folder):
        checkpoint = Checkpoint.of(folder)
        return checkpoint, merging.Merging.of(adapter, checkpoint, "embedded")

    model, _ = by_transformers.read(order("none"))
    layer = "model.visual.blocks.0.attn.qkv"
    a, b = adapters.tensors(adapters.look(adapter))[layer]
    torch.testing.assert_close(
        model.get_submodule(layer).weight.data,
        loaded.model.get_submodule(layer).weight.data + b @ a,
        rtol=1e-5,
        atol=1e-6,
    )
    with pytest.raises(ModelLoadError, match=r"in nf4.*finetune merge ADAPTER --base embedded"):
        by_transformers.read(order("nf4"))


def test_what_cannot_be_merged_at_the_start_is_said_there(adapter, tmp_path):
    named = json.loads((adapter / adapters.CONFIG).read_text()) | {"base_model_name_or_path": "Qwen/Another"}
    other = shutil.copytree(adapter, tmp_path / "other")
    (other / adapters.CONFIG).write_text(json.dumps(named))
    with pytest.raises(ModelLoadError, match=r"--merge-adapter: .*Qwen/Another.*embedded"):
        load(Settings(model="embedded", merge_adapter=str(other), threads=1))
    with pytest.raises(ModelLoadError, match="finetune merge"):
        described(Settings(model="embedded", merge_adapter=str(adapter)))
    for more in (
        {"adapters": ("a=a", "b=b"), "merge_adapter": "a"},
        {"adapters_dir": tmp_path, "merge_adapter": "a"},
        {"engine": "remote", "base_url": "http://127.0.0.1:1/v1", "merge_adapter": "a"},
    ):
        with pytest.raises(ValidationError, match=r"merge.adapter"):
            Settings(**more)
    alone = Settings(adapters=("a=x",), merge_adapter="a")
    assert (alone.named_adapters, alone.has_adapters, alone.merged_folder) == ({}, False, Path("x"))
    assert not offers_models(alone)


def quantised(base, tmp_path):
    folder = tmp_path / "quantised"
    shutil.copytree(base, folder)
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_quantised_base_is_refused_with_what_helps(base, adapter, tmp_path):
    with pytest.raises(AdapterRefused, match=r"nf4.*unquantised"):
        merging.merge(adapter, Checkpoint.of(quantised(base, tmp_path)), "embedded", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_breaks_off_leaves_no_folder(base, adapter, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("No space left on device")

    monkeypatch.setattr(merging, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        merging.merge(adapter, Checkpoint.of(base), "embedded", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_command_merges_and_refuses_a_folder_that_is_there_and_another_base(base, adapter, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["finetune", "merge", str(adapter), "--base", "embedded", "--out", str(out)]
    assert main(command) == 0
    assert Checkpoint.of(out).files
    assert main(command) != 0
    assert "is there already" in capsys.readouterr().err
    named = json.loads((adapter / adapters.CONFIG).read_text()) | {"base_model_name_or_path": "Qwen/Another"}
    other = shutil.copytree(adapter, tmp_path / "other")
    (other / adapters.CONFIG).write_text(json.dumps(named))
    assert main(["finetune", "merge", str(other), "--base", "embedded", "--out", str(tmp_path / "no")]) != 0
    said = capsys.readouterr().err
    assert "Qwen/Another" in said and "embedded" in said

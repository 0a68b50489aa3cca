"""An adapter merged into its base is a checkpoint that stock transformers reads, and answers as peft's own merge."""

import json
import shutil
import warnings
from dataclasses import replace

import pytest
import torch

from qwen_demo.errors import AdapterRefused
from qwen_demo.models import adapters, merging
from qwen_demo.models.checkpoint import Checkpoint
from qwen_demo.models.choose import EMBEDDED_DIR
from qwen_demo.server.cli import main
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

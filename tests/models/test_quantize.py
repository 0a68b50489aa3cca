"""Checkpoints with quantised weights that this program writes: transformers' formats, near the original's answers."""

import json

import pytest
import torch
from safetensors.torch import load_file

from qwen_demo.engines.distance import Distance, measure
from qwen_demo.errors import ModelLoadError
from qwen_demo.models.checkpoint import Checkpoint
from qwen_demo.models.choose import EMBEDDED_DIR
from qwen_demo.models.load import load
from qwen_demo.models.quantize import KINDS, bitsandbytes_parts, gptq_parts, write_quantized
from qwen_demo.server import quantize as command
from qwen_demo.server.cli import main
from qwen_demo.settings import Settings
from tests.conftest import ROOT, image, question
from tests.models import published


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder of each kind."""
    base = tmp_path_factory.mktemp("quantized")
    for kind in KINDS:
        write_quantized(Checkpoint.of(EMBEDDED_DIR), kind, base / kind)
    return base


def weights_of(folder) -> dict[str, torch.Tensor]:
    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


@pytest.fixture(scope="module")
def requests():
    return [
        question("What color is the circle?", image(colour), max_new_tokens=8) for colour in ("red", "blue", "green")
    ]


@pytest.fixture(scope="module")
def original(loaded, requests):
    return measure(loaded, requests)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_loads_by_itself_and_answers_as_the_original(written, original, requests, kind):
    made = load(Settings(model=str(written / kind), threads=1))
    assert kind.split("-")[0] in made.info.quantization
    measured = measure(made, requests)
    distance = Distance.between(original, measured)
    assert distance.same_answers == 1
    assert 0 < distance.logits < 0.25
    assert measured.weights_gib < 0.5 * original.weights_gib


def test_bitsandbytes_files_are_what_its_own_layer_saves(written):
    """Tensor for tensor, so that transformers on a GPU reads them."""
    import bitsandbytes as bnb

    weight = torch.randn(64, 128).bfloat16()
    layer = bnb.nn.Linear4bit(
        128, 64, bias=False, compute_dtype=torch.bfloat16, compress_statistics=False, quant_type="nf4"
    )
    layer.weight = bnb.nn.Params4bit(
        weight, requires_grad=False, compress_statistics=False, quant_type="nf4", module=layer
    ).to("cpu")
    expected = layer.state_dict()
    made = bitsandbytes_parts(weight)
    assert made.keys() == expected.keys()
    assert all(torch.equal(made[name].view(-1), expected[name].view(-1)) for name in made)
    said = json.loads((written / "nf4" / "config.json").read_text())["quantization_config"]
    assert said["quant_method"] == "bitsandbytes" and said["load_in_4bit"]
    assert said["llm_int8_skip_modules"] == ["lm_head", "model.visual"]


def test_transformers_itself_reads_bitsandbytes_files(written, loaded):
    """Its own modules, as on a GPU."""
    from transformers import AutoConfig

    from qwen_demo.models.by_transformers import read
    from qwen_demo.models.choose import Choice
    from qwen_demo.models.reading import ReadingOrder

    folder = written / "nf4"
    order = ReadingOrder(
        Choice(str(folder), str(folder), None, "auto", "for a test"),
        Checkpoint.of(folder),
        AutoConfig.from_pretrained(folder),
        "cpu",
        torch.float32,
        "sdpa",
        Settings(model=str(folder)),
        lambda text: None,
    )
    model, label = read(order)
    assert label == "nf4, bitsandbytes"
    layer = model.model.language_model.layers[0].mlp.up_proj
    assert type(layer).__name__ == "Linear4bit" and layer.weight.quant_state.quant_type == "nf4"
    assert type(model.model.visual.blocks[0].mlp.up_proj) is torch.nn.Linear
    prompt = loaded.prompts.build(question("What color is the circle?", image("red")))
    with torch.inference_mode():
        ours, theirs = (each(**prompt.model_inputs("cpu")).logits[0, -1].float() for each in (loaded.model, model))
    assert (ours - theirs).norm() < 0.3 * ours.norm()


def test_gptq_files_hold_what_their_layout_says():
    weight = torch.randn(64, 128)
    parts, expected = gptq_parts(weight), published.gptq(weight)
    assert parts.keys() == expected.keys()
    assert {name: part.dtype for name, part in parts.items()} == {name: part.dtype for name, part in expected.items()}
    assert torch.equal(parts["qzeros"], expected["qzeros"])
    assert (parts["qweight"] != expected["qweight"]).float().mean() < 0.01  # halves are rounded either way


def test_names_and_whole_layers_stay_as_they_were(written):
    before, after = weights_of(EMBEDDED_DIR), weights_of(written / "nf4")
    kept = before.keys() & after.keys()
    whole = {name for name in kept if before[name].dtype == after[name].dtype}
    assert {name for name in before if name.startswith("visual.")} <= whole
    assert all(torch.equal(before[name], after[name]) for name in whole)
    index = json.loads((written / "nf4" / "model.safetensors.index.json").read_text())
    assert index["weight_map"].keys() == after.keys()
    assert (written / "nf4" / "tokenizer.json").read_bytes() == (EMBEDDED_DIR / "tokenizer.json").read_bytes()


def test_a_quantised_checkpoint_and_a_folder_in_use_are_refused(written, tmp_path):
    with pytest.raises(ModelLoadError, match="already"):
        write_quantized(Checkpoint.of(written / "nf4"), "int4", tmp_path / "again")
    with pytest.raises(ModelLoadError, match="not empty"):
        write_quantized(Checkpoint.of(EMBEDDED_DIR), "nf4", written / "nf4")


@pytest.mark.slow
def test_the_command_writes_and_reports(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "ANSWER_TOKENS", 8)
    out = tmp_path / "out"
    images = [str(ROOT / "examples" / name) for name in ("shapes.png", "boxes.png")]
    assert main(["quantize", "embedded", "--to", "int4", "--out", str(out), "--images", *images]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{out}\n") and "weights in memory, GiB" in said and "Logits of the first token are" in said
    report = json.loads((out / "quantization_report.json").read_text())
    assert report["after"]["file_gb"] < report["before"]["file_gb"]
    assert 0 <= report["distance"]["same_tokens"] <= 1


@pytest.mark.parametrize("words", [["embedded", "--to", "int3", "--out", "x"], ["embedded", "--to", "nf4"]])
def test_a_command_that_cannot_work_says_so(words, capsys):
    assert main(["quantize", *words]) == 2
    assert "--help" in capsys.readouterr().err

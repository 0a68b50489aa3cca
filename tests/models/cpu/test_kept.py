"""Quantised weights kept for the next start: found again, to the last bit, and bounded in size and age."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from qwen_demo.models import torchvision_shim
from qwen_demo.models.checkpoint import Checkpoint
from qwen_demo.models.choose import Choice
from qwen_demo.models.cpu import kept, load, reader
from qwen_demo.models.cpu.kept import KeptWeights
from qwen_demo.models.cpu.layers import WeightsPlan
from qwen_demo.models.merging import Merging
from qwen_demo.models.reading import ReadingOrder
from qwen_demo.settings import Settings
from tests.models import published

torchvision_shim.install()
from transformers import AutoConfig  # noqa: E402 after the shim

DAY_S = 86_400


@pytest.fixture(autouse=True)
def small_is_worth_keeping(monkeypatch):
    monkeypatch.setattr(kept, "WORTH_BYTES", 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return published.write(tmp_path_factory.mktemp("kept") / "model", published.weights())


@pytest.fixture
def order(folder, tmp_path):
    said: list[str] = []

    def made(kind: str = "int4", **settings):
        settings = {"model": str(folder), "weights_cache_dir": tmp_path / "cache", "quantization": kind, **settings}
        config = AutoConfig.from_pretrained(folder)
        choice = Choice(str(folder), str(folder), None, kind, "for a test")
        checkpoint = Checkpoint.of(folder)
        return ReadingOrder(
            choice,
            checkpoint,
            config,
            "cpu",
            torch.float32,
            "sdpa",
            Settings(**settings),
            lambda text: said.append(text),
        )

    made.said = said
    return made


def state(model) -> dict[str, torch.Tensor]:
    return dict(model.state_dict())


@pytest.mark.parametrize("kind", ["int4", "int8", "nf4-vision"])
def test_the_second_start_reads_what_the_first_has_quantised(order, kind, monkeypatch):
    first, label = load.read(order(kind))
    monkeypatch.setattr(load, "read_into", lambda *_: pytest.fail("quantised again"))
    second, label_again = load.read(order(kind))
    assert label == label_again == kind
    made, expected = state(second), state(first)
    assert made.keys() == expected.keys()
    assert all(
        torch.equal(made[name], expected[name]) and made[name].dtype == expected[name].dtype for name in expected
    )
    assert any("from the cache" in text for text in order.said)
    ids = torch.arange(20)[None]
    with torch.inference_mode():
        assert torch.equal(second(input_ids=ids).logits, first(input_ids=ids).logits)


def test_the_table_of_words_is_mapped_not_read(order):
    load.read(order())
    second, _ = load.read(order())
    table = second.model.language_model.embed_tokens.weight
    assert "words.safetensors" in Path("/proc/self/maps").read_text()
    assert table.dtype == torch.bfloat16


def test_an_output_layer_of_its_own_is_kept_too(tmp_path, order, monkeypatch):
    weights = published.weights()
    weights["lm_head.weight"] = weights["model.language_model.embed_tokens.weight"].flip(0)
    folder = published.write(tmp_path / "untied", weights, tie_word_embeddings=False)
    one = order()
    own = replace(one, checkpoint=Checkpoint.of(folder), config=AutoConfig.from_pretrained(folder))
    first, _ = load.read(own)
    monkeypatch.setattr(load, "read_into", lambda *_: pytest.fail("quantised again"))
    second, _ = load.read(own)
    assert torch.equal(second.lm_head.rows, weights["lm_head.weight"])
    ids = torch.arange(20)[None]
    with torch.inference_mode():
        assert torch.equal(second(input_ids=ids).logits, first(input_ids=ids).logits)


def test_a_quantised_output_layer_is_one_of_its_own(tmp_path):
    config = {"tie_word_embeddings": False}
    for name, tied in (("lm_head.qweight", False), ("model.norm.weight", True)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(config))
        save_file({name: torch.zeros(1)}, folder / "model.safetensors")
        assert Checkpoint.of(folder).ties_embeddings is tied


def test_other_weights_other_files_and_other_layouts_are_other_entries(order, folder, monkeypatch):
    def entry(kind="int4", dtype=torch.float32):
        return KeptWeights.of(order(kind), WeightsPlan(kind, dtype)).folder

    one = entry()
    assert one == entry() != entry("int8")
    assert one != entry(dtype=torch.bfloat16)
    merged = replace(order(), merging=Merging("of an adapter", {}))
    assert one != KeptWeights.of(merged, WeightsPlan("int4", torch.float32)).folder
    file = folder / "model.safetensors"
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert one != entry()


def test_nothing_is_kept_where_nothing_is_gained(order, monkeypatch):
    assert KeptWeights.of(order("none"), WeightsPlan("none", torch.float32)) is None
    assert KeptWeights.of(order(weights_cache_gib=0), WeightsPlan("int4", torch.float32)) is None
    monkeypatch.setattr(kept, "WORTH_BYTES", 10**9)
    assert KeptWeights.of(order(), WeightsPlan("int4", torch.float32)) is None


def entries(order) -> list[str]:
    root = order().settings.weights_cache_dir
    return sorted(path.name for path in root.iterdir()) if root.exists() else []


def test_what_is_damaged_is_made_anew(order, caplog):
    load.read(order())
    (name,) = entries(order)
    shard = next((order().settings.weights_cache_dir / name).glob("weights-*"))
    shard.write_bytes(shard.read_bytes()[:1000])
    model, _ = load.read(order())
    assert "made anew" in caplog.text
    assert not any(parameter.is_meta for parameter in model.parameters())
    assert entries(order) == [name]
    load.read(order())
    assert caplog.text.count("made anew") == 1


def test_what_nobody_used_for_long_goes(order):
    load.read(order())
    (name,) = entries(order)
    manifest = order().settings.weights_cache_dir / name / "manifest.json"
    os.utime(manifest, (time.time() - 31 * DAY_S,) * 2)
    load.read(order("int8"))
    assert len(entries(order)) == 1 and name not in entries(order)


def test_use_keeps_an_entry_young(order):
    load.read(order())
    (name,) = entries(order)
    manifest = order().settings.weights_cache_dir / name / "manifest.json"
    os.utime(manifest, (time.time() - 29 * DAY_S,) * 2)
    load.read(order())
    assert time.time() - manifest.stat().st_mtime < DAY_S


def test_the_least_recently_used_makes_room(order):
    load.read(order())
    size = sum(path.stat().st_size for path in order().settings.weights_cache_dir.rglob("*.safetensors"))
    (name,) = entries(order)
    load.read(order("int8", weights_cache_gib=1.5 * size / (1 << 30)))
    assert len(entries(order)) == 1 and name not in entries(order)


def test_what_is_larger_than_the_cache_is_not_kept(order):
    load.read(order(weights_cache_gib=0.001))
    assert entries(order) == []


@pytest.mark.parametrize("error", [OSError("No space left"), SafetensorError("I/O error: No space left")])
def test_a_full_disk_costs_the_next_start_alone(order, monkeypatch, caplog, error):
    def full(*_):
        raise error

    monkeypatch.setattr(kept, "save_file", full)
    model, _ = load.read(order())
    assert not any(parameter.is_meta for parameter in model.parameters())
    assert "not kept" in caplog.text and entries(order) == []


def test_progress_tells_bytes_files_and_seconds(order, monkeypatch):
    from qwen_demo.models import progress

    monkeypatch.setattr(progress, "REPORT_EVERY_S", 0.0)
    said = []
    one = order()
    plan = WeightsPlan("int4", torch.float32)
    model = reader.empty_model(one.config, torch.float32, "sdpa")
    reader.read_into(model, one.checkpoint, plan, said.append)
    values = [sentence.values for sentence in said]
    assert [value["done"] for value in values] == sorted(value["done"] for value in values)
    assert 0 < values[-1]["done"] <= values[-1]["total"]
    assert all(value["file"] == value["files"] == 1 and value["seconds"] >= 0 for value in values)
    assert "s left" in said[-1]

"""What runs on a lent GPU still runs: on the tiny architecture, on a CPU."""

import json
import sys
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer

from benchmarks import device_map, gpu_cases, memory, random_checkpoint
from benchmarks.architectures import from_disk, load, settings
from qwen_demo.models.choose import EMBEDDED_DIR


@pytest.fixture(scope="module")
def tiny():
    return load("tiny", "fp32", context_tokens=4096)


@pytest.mark.slow
async def test_all_kinds_of_requests_are_answered_at_once(tiny):
    made = await gpu_cases.served(tiny, {})
    assert (made["answers"], made["decoder"]) == (11, "LeanDecoder")
    assert made["follow_up_cached_tokens"] > 500 and made["encoder_hits"] == 1


async def test_memory_is_told_for_what_fits_and_what_does_not(tiny):
    case = memory.Case("fp32", image="252x252", users=2, slot_tokens=512)
    row = await memory.work(case, tiny)
    assert row["outcome"] == "works, 2 at once"
    assert 0 < row["cache_gib"] < row["peak_gib"] <= row["process_gib"]
    small = memory.Case("fp32", image="252x252", limit_gib=0.1)
    assert (await memory.work(small, tiny))["outcome"].startswith("refused: Memory for keys and values: 0.00 GiB")


def test_a_case_is_measured_once_and_has_room_for_its_image():
    made = memory.cases(SimpleNamespace(weights="nf4,bf16", images="1036x756,1988x1008", users="1,8"))
    assert len(made) == len(set(made)) == 7
    assert {case.slot_tokens for case in made if case.image == "1988x1008"} == {4096}
    assert [case.limit_gib for case in made].count(16.0) == 1
    assert memory.cases(SimpleNamespace(weights="nf4-vision", images="", users="")) == list(memory.LIMITS[2:])


def test_a_checkpoint_of_random_weights_goes_through_the_products_loader(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["memory", "--architecture", "tiny", "--checkpoint", str(tmp_path)])
    memory.main()
    loaded = from_disk(settings(model=str(tmp_path), quantization="nf4", threads=1), context_tokens=512)
    assert loaded.info.quantization == "nf4" and loaded.info.context_tokens == 512
    layer = loaded.model.model.language_model.layers[0]
    assert type(layer.mlp.up_proj).__name__ in ("Nf4Linear", "UnpackedNf4Linear")
    # A prompt of the embedded model's template puts an image where this model looks for one.
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.token_to_id("<|image_pad|>") == loaded.model.config.image_token_id


def test_every_token_of_a_random_checkpoint_is_some_text():
    """Also beyond the special tokens, which keep their numbers."""
    shipped = json.loads((EMBEDDED_DIR / "tokenizer.json").read_text())
    tokenizer = Tokenizer.from_str(json.dumps(random_checkpoint.wordy(shipped, 4000)))
    assert tokenizer.get_vocab_size() == 4000
    assert [tokenizer.decode([number]) for number in (3072, 3999)] == ["w3072", "w3999"]
    for token in shipped["added_tokens"]:
        assert tokenizer.token_to_id(token["content"]) == token["id"]


@pytest.mark.slow
async def test_one_device_is_no_map_and_answers_the_same(monkeypatch):
    def opened(loaded, **changes):
        return gpu_cases.Opened(loaded, **{**changes, "slots": 4})

    monkeypatch.setattr(device_map, "Opened", opened)
    options = SimpleNamespace(requests=2, tokens=4)
    made = await device_map.trained(options, "fp32", "spread")
    assert made["placed"] == {"cpu": 8}
    assert [row["identical"] for row in made["rows"]] == [1.0, 1.0, 1.0]
    assert json.dumps(made)

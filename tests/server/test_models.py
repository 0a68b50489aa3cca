"""`qwen-demo models` and `pull` in the terminal."""

import os
import signal
import subprocess
import sys

import pytest

from qwen_demo.errors import ModelLoadError
from qwen_demo.models import machine
from qwen_demo.models.cpu import speed
from qwen_demo.models.cpu.speed import Speed
from qwen_demo.models.hub import cache
from qwen_demo.models.hub.catalog import KNOWN
from qwen_demo.models.hub.listing import Listing, RemoteFile
from qwen_demo.server import models
from qwen_demo.server.cli import main
from tests.conftest import ROOT
from tests.models.hub.hub_server import Hub, hub_server

GIB = 1 << 30
SMALL = "Qwen/Qwen2.5-VL-3B-Instruct"


@pytest.fixture
def here(monkeypatch, tmp_path):
    """A CPU with 8 GiB of free memory, whose int4 reads a weight in 5 ps and writes it in 20."""
    speeds = dict.fromkeys(("int4", "int8", "none"), Speed(20e-12, 5e-12))
    monkeypatch.setattr(speed, "measured", lambda dtype: speeds)
    monkeypatch.setattr(machine, "available_memory", lambda: 8 * GIB)
    monkeypatch.setattr(models, "cached_folder", lambda model, revision: tmp_path if model == SMALL else None)


def test_each_model_is_named_with_what_it_needs_here(here, capsys):
    assert main(["models"]) == 0
    embedded, small, large, hint = capsys.readouterr().out.splitlines()
    assert embedded.startswith("embedded: comes with the program")
    assert (
        small
        == f"{SMALL}: fetched; int4 needs 4.4 GiB of 8.0 free, fits; about 7 s to the first token, then 16 tokens/s"
    )
    assert "16.6 GB to fetch; int4 needs 6.5 GiB of 8.0 free, fits; about 13 s" in large
    assert "pull 3b" in hint


def test_without_a_measurement_it_is_quick(here, capsys, monkeypatch):
    monkeypatch.setattr(speed, "measured", lambda dtype: pytest.fail("measured"))
    assert main(["models", "--quick"]) == 0
    assert f"{SMALL}: fetched" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("size", [100 * GIB])
def test_what_does_not_fit_is_refused_before_it_is_fetched(here, size):
    listing = Listing("a/b", "main", "c", (RemoteFile("model.safetensors", size, "e", True),))
    with pytest.raises(ModelLoadError, match=r"needs about 50\.0 GiB .* 8\.0 GiB are free.*--anyway"):
        models.refuse_what_does_not_fit(listing)


def test_a_known_model_is_judged_by_its_own_sizes(here, monkeypatch):
    listing = Listing(SMALL, "main", "c", (RemoteFile("model.safetensors", 7 * GIB, "e", True),))
    models.refuse_what_does_not_fit(listing)
    monkeypatch.setattr(machine, "available_memory", lambda: 3 * GIB)
    with pytest.raises(ModelLoadError, match="3B"):
        models.refuse_what_does_not_fit(listing)


def test_sizes_of_the_known_models_are_those_of_their_architectures():
    from benchmarks.architectures import config
    from qwen_demo.models.cpu.reader import empty_model

    def count(module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    for known, name in zip(KNOWN.values(), ("7b", "3b"), strict=True):
        import torch

        model = empty_model(config(name, 128_000), torch.bfloat16, "sdpa")
        text = model.model.language_model
        assert known.layers == count(text.layers) + count(text.norm)
        assert (known.vision, known.words) == (count(model.model.visual), count(text.embed_tokens))


def pulling(hub: Hub, home, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "qwen_demo", "pull", *words],
        cwd=ROOT,
        env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_pull_is_interrupted_and_goes_on(tmp_path):
    files = {"config.json": b"{}", "model.safetensors": os.urandom(4 << 20)}
    with hub_server(Hub({"a/b": files}, slow={"model.safetensors"})) as hub:
        first = pulling(hub, tmp_path, "a/b")
        assert first.stderr is not None
        while "of 0.00 GB" not in (line := first.stderr.readline()) and line:
            pass
        while not hub.sent("model.safetensors"):
            assert first.poll() is None
        first.send_signal(signal.SIGINT)
        hub.go.set()
        _, errors = first.communicate(timeout=60)
        assert first.returncode == 130 and "a/b goes on from there" in errors
        hub.slow.clear()
        second = pulling(hub, tmp_path, "a/b")
        out, errors = second.communicate(timeout=60)
        assert second.returncode == 0, errors
        assert "Downloading a/b" in errors
        assert cache.Path(out.strip(), "model.safetensors").read_bytes() == files["model.safetensors"]


@pytest.mark.parametrize("words", [["nonsense"], []])
def test_a_name_that_can_be_no_model_is_wrong_usage(words, capsys):
    assert main(["pull", *words]) == 2
    assert "error:" in capsys.readouterr().err

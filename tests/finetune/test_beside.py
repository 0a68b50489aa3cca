"""Training that shares a card or a machine with a server."""

import os
import subprocess
import sys

import pytest
import torch

from qwen_demo.engines import right_of_way
from qwen_demo.engines.right_of_way import GoesFirst
from qwen_demo.errors import OutOfMemory
from qwen_demo.finetune import beside
from qwen_demo.settings import Settings
from tests.conftest import ROOT

# In a process of its own, as a limit stays.
OVER = """import torch
from qwen_demo.errors import OutOfMemory
from qwen_demo.finetune.beside import bounded
from qwen_demo.settings import Settings
try:
    with bounded(Settings(model="embedded", memory_limit_gib=1.5)):
        fits = torch.empty(1 << 20)
        torch.empty(1 << 32)
except OutOfMemory as error:
    print(error)"""


class Network(torch.nn.Module):
    def forward(self, number):
        return number + 1


class Model:
    """The two parts of a model that work is done in."""

    def __init__(self):
        self.model = self
        self.visual, self.language_model = Network(), Network()


@pytest.fixture
def paused(monkeypatch):
    """Seconds of work that a pause was asked for, in the place of each pause."""
    found = []
    monkeypatch.setattr(
        right_of_way.GivesWay, "after", lambda way, worked_s, over: found.append((way.is_asked, over()))
    )
    return found


def test_training_gives_way_between_passes_over_images_and_words(tmp_path, paused):
    model = Model()
    beside.give_way(model, Settings(model="embedded", give_way_file=tmp_path / "first"))
    assert model.visual(1) == 2 and paused == []
    first = GoesFirst(tmp_path / "first")
    first.tell(True)
    assert [model.language_model(1), model.language_model(2)] == [2, 3]
    first.tell(False)
    model.visual(1)
    assert paused == [(True, False), (True, False), (False, False)]


def test_training_alone_has_no_pauses(paused):
    model = Model()
    beside.give_way(model, Settings(model="embedded"))
    model.visual(1), model.visual(1)
    assert paused == []


def test_on_a_gpu_the_allocator_keeps_to_the_limit(monkeypatch):
    limits = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(beside, "cap_allocator", limits.append)
    with (
        pytest.raises(OutOfMemory, match="than --memory-limit-gib 12 allows"),
        beside.bounded(Settings(model="embedded", memory_limit_gib=12)),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")
    with pytest.raises(OutOfMemory, match="than is free"), beside.bounded(Settings(model="embedded")):
        raise torch.OutOfMemoryError("CUDA out of memory")
    assert limits == [12]


@pytest.mark.slow
def test_on_a_cpu_the_process_keeps_to_the_limit():
    words = [sys.executable, "-c", OVER]
    said = subprocess.run(words, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=True).stdout
    assert "more memory than --memory-limit-gib 1.5 allows" in said

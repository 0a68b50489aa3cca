"""Adapters of every rank and reach beside weights of every kind: among others a row gets what it gets alone."""

import asyncio
import copy
import json
from dataclasses import replace

import pytest
import torch

from benchmarks.adapters_exact import gap
from qwen_demo.models import adapters
from qwen_demo.models.cpu import int4
from qwen_demo.models.load import load
from qwen_demo.settings import Settings
from qwen_demo.types import Answer, Sampling, collect
from tests.engines.batching.test_adapters import ATTENTION, known, question, save

MLP = r"model\.language_model\..*\.(gate_proj|up_proj|down_proj)"
KINDS = [
    {"rank": 1},
    {"rank": 64, "use_rslora": True},
    {"rank": 5, "targets": MLP},
    {"rank": 16, "targets": ATTENTION},
    {"rank": 8, "targets": ["q_proj", "down_proj"], "layers_to_transform": [0, 2], "layers_pattern": "layers"},
]
CLOSE = 0.25  # of a logarithm of probability; what differs in its adapter is off by more
WEAK = (0, 2, 4)  # of few ranks or layers: at their usual scale they change no word
WORDS = "What do you see in this image, in all of its colours?"


@pytest.fixture(scope="module")
def folders(loaded, tmp_path_factory):
    root = tmp_path_factory.mktemp("kinds")
    made = [save(loaded.model, root / f"a{seed}", seed, **kind) for seed, kind in enumerate(KINDS)]
    for folder in (made[number] for number in WEAK):
        config = json.loads((folder / adapters.CONFIG).read_text())
        (folder / adapters.CONFIG).write_text(json.dumps(config | {"lora_alpha": 6 * config["lora_alpha"]}))
    return made


def weights(loaded, kind: str):
    if kind == "bfloat16":
        return replace(loaded, model=copy.deepcopy(loaded.model).to(torch.bfloat16))
    return load(Settings(model="embedded", quantization=kind, threads=1))


async def asked(loaded, folders, started, kind: str) -> tuple[list[Answer], list[Answer]]:
    """Answers with each adapter and with none: of rows alone, and among each other."""
    own = weights(loaded, kind)
    room = {
        "adapters": tuple(f"a{n}={folder}" for n, folder in enumerate(folders)),
        "max_adapters": len(folders),
        "adapter_rank": 64,
    }
    requests = [question(WORDS, known(n, folder) if folder else None) for n, folder in enumerate([*folders, None])]
    requests = [replace(request, sampling=Sampling(8, top_logprobs=5)) for request in requests]
    async with started(loaded=own, **room) as engine:
        alone = [await collect(engine.stream(request)) for request in requests]
    async with started(loaded=own, **room) as engine:
        among = await asyncio.gather(*(collect(engine.stream(request)) for request in requests))
    assert all(answer.text != alone[-1].text for answer in alone[:-1]), "an adapter changes nothing"
    return alone, among


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nf4", "int8"])
async def test_where_the_base_answers_among_others_as_alone_so_do_adapters(loaded, folders, started, kind):
    alone, among = await asked(loaded, folders, started, kind)
    assert [[each.token for each in answer.logprobs] for answer in among] == [
        [each.token for each in answer.logprobs] for answer in alone
    ]


@pytest.mark.slow
@pytest.mark.parametrize("many_rows", [20, 1000])
async def test_beside_int4_each_way_to_multiply_gives_a_row_the_same_bits(
    loaded, folders, started, monkeypatch, many_rows
):
    """Prompts of 37 tokens unpacked to eight bits, and by the fused product; by default the length of the pass decides."""
    monkeypatch.setattr(int4, "MANY_ROWS", many_rows)
    alone, among = await asked(loaded, folders, started, "int4")
    assert [answer.logprobs for answer in among] == [answer.logprobs for answer in alone]


@pytest.mark.slow
async def test_in_bfloat16_their_likeliest_words_are_as_likely(loaded, folders, started):
    alone, among = await asked(loaded, folders, started, "bfloat16")
    gaps = [gap(*pair) for pair in zip(alone, among, strict=True)]
    assert max(gaps) < CLOSE
    assert min(gap(alone[n], alone[n - 1]) for n in range(len(alone))) > CLOSE, "the measure tells nothing"

"""Does company change what an adapter says? Rows of several adapters and of none in one batch, against each alone.

    python -m benchmarks.adapters_exact                                                    the embedded model
    python -m benchmarks.adapters_exact --device cuda --architecture 7b --weights nf4     random weights, true shapes

Each answer comes with its likeliest words' logarithms of probability. `gap` is how far the likeliest one is off at most,
as long as both answers say the same and once more; `base gap` is that of rows without an adapter in an engine that has
none loaded, which is what other shapes of a batch change by themselves; `least effect` is the smallest gap between rows
of different adapters, each alone: an adapter that is mixed up would be off by that much. Random weights give nearly flat
distributions, where the smallest difference changes a word: there gaps tell more than identical answers do.
"""

import argparse
import asyncio
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks import machine
from benchmarks.adapters import parsed, parser_of, write_adapter

RANKS = (1, 5, 16, 64)
STRENGTH = 30  # of an adapter, as alpha over rank: with random weights it changes about every word
COLUMNS = {
    "weights": "weights",
    "rows": "rows",
    "identical": "identical",
    "gap": "gap",
    "base_gap": "base gap",
    "least_effect": "least effect",
}


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = parser_of(__doc__, 16)
    parser.add_argument("--rows", type=int, default=3, help="of each adapter, and without one")
    parser.add_argument("--strength", type=int, default=STRENGTH, help="alpha over rank of the adapters")
    return parsed(parser, argv)


def gap(one: Any, other: Any) -> float:
    """How far the logarithm of the likeliest word's probability is off at most, as long as both say the same."""
    most = 0.0
    for a, b in zip(one.logprobs, other.logprobs, strict=False):
        there = dict(reversed(b.top))  # two tokens may be the same text; the likelier one counts
        most = max(most, abs(a.top[0][1] - there.get(a.top[0][0], min(there.values()))))
        if a.token != b.token:
            break
    return most


def said(answer: Any) -> list:
    return [each.token for each in answer.logprobs]


def requests(options: argparse.Namespace, known: list) -> list:
    """The same questions for each of `known`, adapters or None."""
    from benchmarks.engine import question
    from qwen_demo.types import Sampling

    sampling = Sampling(options.tokens, top_logprobs=5)
    made = []
    for row in range(options.rows):
        drawn = SimpleNamespace(image="none", images="own", words=30 + 17 * row, tokens=options.tokens)
        for number, adapter in enumerate(known):
            asked = question(drawn, row, 1)
            made.append(replace(asked, adapter=adapter, sampling=sampling, request_id=f"{row}-{number}"))
    return made


async def answers(loaded: Any, made: Any, asked: list, at_once: bool) -> list:
    from qwen_demo.engines.batching.engine import BatchingEngine
    from qwen_demo.types import collect

    engine = BatchingEngine(made, loader=lambda *_: loaded)
    await engine.start()
    try:
        if at_once:
            return await asyncio.gather(*(collect(engine.stream(each)) for each in asked))
        return [await collect(engine.stream(each)) for each in asked]
    finally:
        await engine.close()


async def measured(options: argparse.Namespace, folder: Path) -> dict:
    from benchmarks.architectures import load, settings
    from qwen_demo.models import adapters

    loaded = load(options.architecture, options.weights, context_tokens=4096)
    folders = {f"r{rank}": write_adapter(loaded.model, folder / f"r{rank}", rank, rank) for rank in RANKS}
    for place in folders.values():
        config = json.loads((place / adapters.CONFIG).read_text())
        (place / adapters.CONFIG).write_text(json.dumps(config | {"lora_alpha": options.strength * config["r"]}))
    known = [adapters.named(name, place, 8 << 30) for name, place in folders.items()]
    room = {"slots": options.rows * (len(RANKS) + 1), "slot_tokens": 1024, "reuse": False}
    plain = settings(**room)
    own = settings(
        **room,
        has_adapters=True,
        named_adapters=folders,
        max_adapters=len(RANKS),
        adapter_rank=max(RANKS),
        adapter_mib=8192,
    )
    asked = requests(options, [*known, None])
    alone, among = [await answers(loaded, own, asked, at_once) for at_once in (False, True)]
    without = requests(options, [None] * (len(RANKS) + 1))
    base_alone, base_among = [await answers(loaded, plain, without, at_once) for at_once in (False, True)]
    kinds = len(RANKS) + 1
    effects = [
        gap(alone[row * kinds + one], alone[row * kinds + other])
        for row in range(options.rows)
        for one in range(kinds)
        for other in range(one)
    ]
    return {
        "weights": options.weights,
        "rows": len(asked),
        "identical": sum(said(a) == said(b) for a, b in zip(alone, among, strict=True)) / len(asked),
        "gap": max(map(gap, alone, among)),
        "base_gap": max(map(gap, base_alone, base_among)),
        "least_effect": min(effects),
    }


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    with tempfile.TemporaryDirectory(prefix="qwen-demo-") as folder:
        row = asyncio.run(measured(options, Path(folder)))
    print(machine.table([row], COLUMNS))
    told = {key: getattr(options, key) for key in ("architecture", "tokens", "strength")}
    kind = f"adapters-exact-{options.architecture}-{options.weights}"
    print(machine.write(kind, {**told, **row, "ranks": RANKS}, options.out))


if __name__ == "__main__":
    main()

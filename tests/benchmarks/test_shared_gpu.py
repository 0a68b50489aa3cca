"""Two servers on one GPU: what is asked when, and what is made of it; servers are started on GPU machines alone."""

import json
import statistics
from pathlib import Path

import pytest

from benchmarks import shared_gpu
from benchmarks.closed_loop import Column
from qwen_demo.engines.right_of_way import GivesWay, GoesFirst
from qwen_demo.engines.scripted import Script
from tests.api.conftest import start  # noqa: F401 a fixture
from tests.conftest import ROOT


def test_rounds_go_back_and_forth_so_that_nobody_is_always_first():
    options, settings = shared_gpu.arguments(["--model", "7b=/a:b:20", "--model", "3b=/c:12.5", "--slots", "16"])
    assert [(one.checkpoint, one.limit_gib) for one in options.model] == [(Path("/a:b"), 20.0), (Path("/c"), 12.5)]
    assert (options.column, settings) == (Column(8, 6, 1036, 756, 64), ["--slots", "16"])
    big, small = (shared_gpu.Running(model, "", 0.0) for model in options.model)
    made = [[one.model.name for one in asked] for asked, _ in shared_gpu.turns([big, small], 2)]
    assert made == [["7b"], ["3b"], ["7b", "3b"], ["7b", "3b"], ["3b"], ["7b"]]
    besides = [beside for _, beside in shared_gpu.turns([big, small], 2, give_way=True)]
    assert besides == [*besides[:4], *reversed(besides[:4])] and len(set(besides[:4])) == 3
    with pytest.raises(SystemExit):
        shared_gpu.arguments(["--model", "7b=/a:20"])


async def test_each_model_that_is_asked_gets_a_row_that_says_who_was_beside_it(start):  # noqa: F811
    app = start(Script(["a "] * 8, gap_s=0.01))
    model = shared_gpu.Model("one", Path(), 1.0)
    running = [shared_gpu.Running(model, app.url, 0.0), shared_gpu.Running(model, app.url, 0.0)]
    alone = await shared_gpu.turn(running[:1], shared_gpu.IDLE, Column(1, 2, 56, 56, 8), 1)
    both = await shared_gpu.turn(running, shared_gpu.BUSY, Column(1, 2, 56, 56, 8), 2)
    assert [row["beside"] for row in alone + both] == ["an idle one", "a busy one", "a busy one"]
    assert all(row["errors"] == 0 and row["tokens_per_s"] > 0 and row["ttft_p50_s"] > 0 for row in alone + both)


def test_the_table_has_the_share_of_each_and_what_went_wrong():
    def row(beside, tokens_per_s, errors=0):
        made = {"model": "7b", "beside": beside, "tokens_per_s": tokens_per_s, "ttft_p50_s": 0.1, "gap_p99_ms": 9.0}
        return made | {"errors": errors} | ({"first_error": "error 500"} if errors else {})

    record = {"rows": [row("an idle one", 400.0), row("a busy one", 240.0, 1)], "memory": [{"model": "7b"}], "card": {}}
    record["card"] = {"peak GiB": 31.0}
    shown = shared_gpu.show(record)
    assert "0.60 of what one alone gives" in shown and "error 500" in shown


def test_nobody_gives_way_in_the_turns_that_are_without_it(tmp_path):
    first, way = GoesFirst(tmp_path / "first"), GivesWay(tmp_path / "first")
    with shared_gpu.kept_from(tmp_path / "first", shared_gpu.BUSY):
        first.tell(True)
        assert not way.is_asked
    with shared_gpu.kept_from(tmp_path / "first", shared_gpu.GIVES_WAY):
        first.tell(True)
        assert way.is_asked


def test_the_page_says_what_was_measured_and_both_kept_to_their_limits():
    page = (ROOT / "docs" / "deploy-shared-gpu.md").read_text(encoding="utf-8")
    results = ROOT / "benchmarks" / "results"
    record = json.loads((results / "shared-gpu-7b-3b-nf4-1-x-nvidia-h100-80gb-hbm3.json").read_text())
    for name in ("7b", "3b"):
        alone, shared = (
            statistics.median(row["tokens_per_s"] for row in record["rows"] if (row["model"], row["beside"]) == each)
            for each in ((name, "an idle one"), (name, "a busy one"))
        )
        assert f"| {name.upper()} | {alone:.0f} | {shared:.0f} | {shared / alone:.2f} |" in page
    assert all(row["errors"] == 0 for row in record["rows"])
    assert all(engine["process GiB"] < engine["limit GiB"] and not engine["restarts"] for engine in record["memory"])
    told = sum(engine["process GiB"] for engine in record["memory"])
    assert abs(told - record["card"]["peak GiB"]) < 0.02 * told


def test_the_page_says_what_giving_way_was_measured_to_cost_and_gain():
    page = (ROOT / "docs" / "deploy-shared-gpu.md").read_text(encoding="utf-8")
    record = json.loads((ROOT / "benchmarks" / "results" / "shared-gpu-give-way-amd-epyc-2-cores.json").read_text())
    sides = (shared_gpu.IDLE, shared_gpu.BUSY, shared_gpu.GIVES_WAY)

    def of(model: str, figure: str) -> list[float]:
        each = [[row for row in record["rows"] if (row["model"], row["beside"]) == (model, side)] for side in sides]
        return [statistics.median(row[figure] for row in rows) for rows in each]

    for model, name in (("large", "first"), ("small", "second")):
        speeds = " | ".join(f"{value:.0f}" for value in of(model, "tokens_per_s"))
        waits = " / ".join(f"{value:.1f}" for value in of(model, "ttft_p50_s"))
        assert f"| {name} | {speeds} | {waits} |" in page
    alone, shared, gives_way = of("large", "tokens_per_s")
    assert f"keeps {gives_way / alone:.2f} of what it has alone, in the place of {shared / alone:.2f}" in " ".join(
        page.split()
    )
    assert all(row["errors"] == 0 for row in record["rows"])

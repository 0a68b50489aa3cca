"""A server beside a training: how updates are counted, and what the page says of a result."""

import json
import statistics

import pytest

from benchmarks import beside_training
from benchmarks.beside_training import ALONE, BUSY, GIVES_WAY
from tests.conftest import ROOT


def test_updates_are_counted_between_the_lines_around_a_turn():
    told = [(0.0, 1), (5.0, 11), (10.0, 21), (15.0, 121)]
    assert beside_training.rate(told, 5.0, 10.0) == 2
    assert beside_training.rate(told, 4.0, 11.0) == pytest.approx(120 / 15)
    assert beside_training.rate(told[:1], 0.0, 1.0) == 0


def test_both_models_and_their_limits_are_asked_for():
    options, settings = beside_training.arguments(["--server", "7b=/a:b:20", "--taught", "3b=/c:40.5", "--slots", "8"])
    assert (options.server.limit_gib, options.taught.limit_gib, settings) == (20, 40.5, ["--slots", "8"])
    with pytest.raises(SystemExit):
        beside_training.arguments(["--server", "7b=/a:20"])


def test_the_page_says_what_was_tried():
    path = ROOT / "benchmarks" / "results" / "beside-training-embedded-amd-epyc-2-cores.json"
    record = json.loads(path.read_text())
    page = " ".join((ROOT / "docs" / "deploy-shared-gpu.md").read_text(encoding="utf-8").split())

    def of(beside: str, figure: str) -> float:
        return statistics.median(row[figure] for row in record["rows"] if row["beside"] == beside)

    alone, busy, gives_way = (of(beside, "tokens_per_s") for beside in (ALONE, BUSY, GIVES_WAY))
    assert (
        f"{alone:.0f} tokens/s of the server alone became {busy:.0f} beside a training that made "
        f"{of(BUSY, 'updates_per_s'):.2f} updates a second, and {gives_way:.0f} beside one that gave way and made "
        f"{of(GIVES_WAY, 'updates_per_s'):.2f}."
    ) in page
    assert "| idle |" in beside_training.show(record)
    assert all(row["errors"] == 0 for row in record["rows"])

"""The flood benchmark still runs: one caller floods, another asks, and both leave figures."""

import math

import pytest

from benchmarks import flood
from benchmarks.flood_ways import WAYS


@pytest.mark.slow
def test_one_way_is_measured(monkeypatch):
    monkeypatch.setattr(flood, "BEGIN_S", 0.2)
    row = flood.measure("scripted", "messages", seconds=0.5)
    assert row["way"] == WAYS["messages"][0]
    assert row["idle median s"] >= 0.2
    assert row["flood median s"] >= 0.2
    assert row["ratio"] > 0 and row["stop ms"] >= 0
    assert row["refused"] == 0
    assert "messages that are none" in flood.table([row])


def test_without_an_answer_there_is_no_figure():
    row = flood.Asked(refused=3).row()
    assert all(math.isnan(value) for value in row.values())

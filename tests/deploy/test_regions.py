"""The simulation of several regions behind docs/capacity.md, on a made-up GPU."""

import json

import pytest

from benchmarks import capacity, machine, regions
from tests.conftest import ROOT
from tests.deploy.test_capacity import MADE_UP

LINE = (
    "| {users} | {regions} | {GPUs in each} | {failed, begun} | {moved} | {first token p95 s, before:.2f} | "
    "{first token p95 s, loss:.2f} | {first token p95 s, after:.2f} | {an hour:.1f} | {per million tokens:.2f} |"
)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(capacity, "SIMULATED_S", 400.0)


def plan(count: int = 3, gpus: int = 2, users: int = 150, notice_s: float | None = 6.0) -> regions.Plan:
    return regions.Plan(count, gpus, users, think_s=10, tokens=50, distance_s=0.08, notice_s=notice_s)


def test_the_regions_that_are_left_have_what_everybody_needs():
    all_of_it, _ = capacity.needed(MADE_UP, 1500, 10, 50)
    for count in (2, 3, 5):
        each = regions.needed_each(MADE_UP, plan(count, users=1500))
        assert (count - 1) * each >= all_of_it > (count - 1) * (each - 1)


def test_a_lost_region_costs_what_it_had_begun_and_nothing_else():
    seen = regions.World(MADE_UP, plan()).play()
    assert seen.begun_failed > 0
    assert seen.unbegun_failed == 0
    assert seen.moved > 0
    assert 0 < seen.elsewhere < seen.ended


def test_what_was_sent_to_a_lost_region_waits_until_it_is_noticed():
    late, soon = (regions.World(MADE_UP, plan(notice_s=notice_s)).play() for notice_s in (20.0, 1.0))
    assert late.moved > 5 * soon.moved
    assert 15 < max(first_s for _, first_s in late.firsts) < 25


def test_without_a_loss_everybody_stays_in_their_region():
    seen = regions.World(MADE_UP, plan(notice_s=None)).play()
    assert (seen.begun_failed, seen.moved, seen.elsewhere) == (0, 0, 0)


def test_a_full_region_gives_to_the_others():
    """65 of the 130 people are at home in a region whose GPU has 16 slots."""
    crowded = regions.Plan(2, 1, 130, think_s=0.5, tokens=50, distance_s=0.08, notice_s=None)
    world = regions.World(MADE_UP, crowded)
    world.fleet[1] += [capacity.Gpu() for _ in range(8)]
    assert world.play().elsewhere > 0


def test_too_few_gpus_for_the_loss_show_as_a_queue():
    enough, few = (regions.row(MADE_UP, plan(2, gpus, 200), 2.5) for gpus in (4, 1))
    assert few["first token p95 s, after"] > 3 * enough["first token p95 s, after"]


def test_one_region_is_the_simulation_that_is_held_to_the_measurement():
    told = regions.one_region_is_the_single_machine(MADE_UP, 100, 10, 50)
    assert told["requests/s, regions"] == pytest.approx(told["requests/s, one queue"], rel=0.05)


def test_it_reads_a_result_of_this_repository_and_its_page_says_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    results = ROOT / "benchmarks" / "results"
    measured = next(results.glob("gpu-7b-nf4-*.json"))
    assert regions.main([str(measured), "--users", "30", "--regions", "2"]) == 0
    assert "failed, begun" in capsys.readouterr().out
    page = (ROOT / "docs" / "capacity.md").read_text(encoding="utf-8")
    for name in ("embedded-fp32", "7b-nf4"):
        record = json.loads((results / f"regions-{name}-amd-epyc-2-cores.json").read_text())
        rows = [row for row in record["rows"] if row["region lost"]]
        assert len(rows) == 6 and all(row["failed, not begun"] == 0 for row in rows)
        for row in rows:
            assert LINE.format(**row) in page
        one = record["one region"]
        assert one["requests/s, regions"] == pytest.approx(one["requests/s, one queue"], rel=0.02)

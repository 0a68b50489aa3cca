"""The arithmetic of docs/capacity.md and the simulation that checks it, on a made-up GPU."""

import json

import pytest

from benchmarks import capacity, machine
from tests.conftest import ROOT

# 50 ms to read a question; a step takes 10 ms alone and 20 ms with 16 answers.
MADE_UP = capacity.Rates(0.05, ((1, 0.01), (16, 0.02)))


def measured(rates: capacity.Rates, tokens: int = 64) -> dict:
    """What `benchmarks.engine` would have written about a GPU with these rates."""
    rows = [
        {"engine": "batching", "users": users, **capacity.crowd(rates, users, tokens), "gap_p50_ms": 1000 * step_s}
        for users, step_s in rates.steps
    ]
    return {"options": {"tokens": str(tokens)}, "rows": rows, "label": "made up", "hardware": "nothing"}


def test_steps_between_two_measurements_are_on_the_line_between_them():
    assert [MADE_UP.step_s(n) for n in (0, 1, 16, 99)] == [0.01, 0.01, 0.02, 0.02]
    assert MADE_UP.step_s(8) == pytest.approx(0.01 + 0.01 * 7 / 15)


def test_the_rates_come_back_from_what_a_benchmark_would_measure():
    found = capacity.rates(measured(MADE_UP), "batching")
    assert found.steps == MADE_UP.steps
    assert found.read_s == pytest.approx(MADE_UP.read_s, rel=0.3)
    with pytest.raises(ValueError, match="batching"):
        capacity.rates(measured(MADE_UP), "vllm")


def test_one_request_alone_takes_its_reading_and_its_steps():
    alone = capacity.crowd(MADE_UP, 1, 11)
    assert alone["ttft_p50_s"] == pytest.approx(0.05)
    assert 11 / alone["tokens_per_s"] == pytest.approx(0.05 + 10 * 0.01)


def test_the_simulated_load_is_the_computed_one_and_users_are_served_in_time():
    gpus, asked = capacity.needed(MADE_UP, 200, think_s=20, tokens=100)
    seen = capacity.simulate(MADE_UP, gpus, 200, 20, 100).row()
    assert seen["requests/s"] == pytest.approx(asked, rel=0.1)
    assert seen["requests/s"] / gpus < 0.8 * MADE_UP.requests_per_s(100)
    assert seen["first token p95 s"] < 1


def test_too_few_gpus_show_as_a_queue():
    gpus, asked = capacity.needed(MADE_UP, 400, think_s=20, tokens=100)
    seen = capacity.simulate(MADE_UP, gpus // 2, 400, 20, 100).row()
    assert seen["first token p95 s"] > 3
    assert seen["requests/s"] < 0.9 * asked


def test_it_reads_a_result_of_this_repository(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    monkeypatch.setattr(capacity, "SIMULATED_S", 200.0)
    (path, *_) = sorted((ROOT / "benchmarks" / "results").glob("gpu-7b-nf4-*.json"))
    assert capacity.main([str(path), "--users", "10,30"]) == 0
    made = json.loads(next(tmp_path.glob("capacity-*.json")).read_text())
    assert [row["users"] for row in made["rows"]] == [10, 30]
    for row in made["again"]:
        if row["users"] >= 8:
            assert row["tokens/s, simulated"] == pytest.approx(row["tokens/s, measured"], rel=0.2)
    assert "per million tokens" in capsys.readouterr().out


def test_the_page_has_the_rows_of_its_results():
    page = (ROOT / "docs" / "capacity.md").read_text(encoding="utf-8")
    record = json.loads((ROOT / "benchmarks" / "results" / "capacity-embedded-fp32-amd-epyc-2-cores.json").read_text())
    for row in record["again"]:
        told = (
            "| {users} | {tokens/s, measured:.0f} | {tokens/s, simulated:.0f} | {first token p50 s, measured:.2f} | "
            "{first token p50 s, simulated:.2f} |"
        )
        assert told.format(**row) in page
    for row in record["rows"]:
        told = "{first token p50 s:.2f} | {first token p95 s:.2f} | {answer p50 s:.2f} | {of what they could:.0%} |"
        assert f"| {row['users']} | {row['GPUs']} | " in page and told.format(**row).replace("%", " %") in page


@pytest.mark.parametrize("name", ["engine-embedded-fp32-*", "gpu-7b-nf4-*", "gpu-7b-bf16-*"])
def test_each_measured_row_is_played_within_a_tenth_also_by_rates_made_without_it(name):
    (path,) = (ROOT / "benchmarks" / "results").glob(f"{name}.json")
    record = json.loads(path.read_text())
    found, tokens = machine.crowds(record)
    rows = [row for row in found if row["engine"] == "batching"]
    for row in capacity.again(record, capacity.rates(record, "batching"), "batching"):
        assert row["tokens/s, simulated"] == pytest.approx(row["tokens/s, measured"], rel=0.1)
    for left_out in rows[1:-1]:
        others = {"options": {"tokens": str(tokens)}, "rows": [row for row in rows if row is not left_out]}
        played = capacity.crowd(capacity.rates(others, "batching"), left_out["users"], tokens)
        assert played["tokens_per_s"] == pytest.approx(left_out["tokens_per_s"], rel=0.1)

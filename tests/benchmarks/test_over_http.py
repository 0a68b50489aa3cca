"""The benchmark over HTTP starts checkouts in turn, counts what happens, and the documents show what it prints."""

import json

import pytest

from benchmarks import machine, over_http, over_http_tables, processes
from benchmarks.closed_loop import Column, crowd, summary
from benchmarks.running import ROOT
from benchmarks.users import Outcome

MEASURED = "over-http-7b-1-x-nvidia-h100-80gb-hbm3.json"


@pytest.mark.slow
def test_a_checkout_is_started_asked_and_told_about(tmp_path, capsys):
    asked = ["--checkpoint", "embedded", "--tree", f"here={ROOT}", "--quantization", "none", "--out", str(tmp_path)]
    assert over_http.main([*asked, "--columns", "2x2,56x84,3", "--engine", "scripted"]) == 0
    result = json.loads(next(tmp_path.glob("over-http-embedded-*.json")).read_text())
    (row,) = result["rows"]
    assert (row["server"], row["column"], row["requests"], row["errors"]) == (
        "here",
        "2 users, 56 x 84, 3 tokens",
        4,
        0,
    )
    assert row["tokens_an_answer"] == 3 and row["tokens_per_s"] == pytest.approx(3 * row["requests_per_s"])
    assert 0 < row["gap_p50_ms"] <= row["gap_p99_ms"]
    assert row["ttft_p50_s"] < row["latency_p95_s"] < row["wall_s"]
    used = {share["role"]: share for share in result["processes"]}
    assert used["front"]["resident_mib"] > 50 and used["front"]["cpu_s"] > 0 and "decoders" in used
    assert "| here, none | 0 |" in capsys.readouterr().out


async def test_a_server_that_is_not_there_is_counted_as_errors():
    row = await crowd("http://127.0.0.1:9", Column.read("2x1,56x56,3"), 0, {})
    assert row["errors"] == row["requests"] == 2
    assert row["first_error"].startswith("error BrokenAnswer")


def test_only_whole_answers_count_and_gaps_end_with_their_answer():
    class Asked:
        tokens = None

        def __init__(self, *times):
            self.times = list(times)

    good, late, broken = Asked(1.0, 1.01, 1.03), Asked(9.0, 9.01), Asked(1.0, 5.0)
    ends = [Outcome("answered", 2.0, 0.5), Outcome("answered", 3.0, 0.7), Outcome("error", 4.0, 0.1, detail="gone")]
    row = summary(Column.read("3x1,56x56,3"), [good, late, broken], ends, 10.0)
    assert (row["errors"], row["first_error"]) == (1, "error gone")
    assert row["tokens_per_s"] == pytest.approx(0.5)
    assert row["ttft_p50_s"] == pytest.approx(0.6) and row["latency_p95_s"] == 3.0
    assert (row["gap_p50_ms"], row["gap_p99_ms"]) == (pytest.approx(10), pytest.approx(20))


def test_a_second_round_goes_the_other_way():
    options, settings = over_http.arguments(
        ["--checkpoint", "x", "--tree", "a=/a", "--tree", "/b", "--rounds", "2", "--max-running", "8"]
    )
    made = [(turn.name, turn.quantization, turn.round) for turn in over_http.turns(options)]
    assert made[:4] == [("a", "none", 1), ("b", "none", 1), ("a", "nf4", 1), ("b", "nf4", 1)]
    assert made[4:] == [(name, kind, 2) for name, kind, _ in reversed(made[:4])]
    assert settings == ["--max-running", "8"]


@pytest.mark.parametrize(
    ("command", "root", "expected"),
    [
        (["python", "/a/app.py"], True, "front"),
        (["python", "-P", "/a/qwen_demo/engines/process/boot.py", "15", "17"], False, "engine"),
        (["python", "-c", "serve(qwen_demo.media.zygote_process)"], False, "decoders"),
        (["git", "status"], False, "other"),
    ],
)
def test_a_process_has_the_role_that_its_command_names(command, root, expected):
    assert processes.role(command, root) == expected


def test_the_document_shows_what_is_printed_of_the_kept_result():
    record = json.loads((machine.RESULTS / MEASURED).read_text())
    shown = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for line in over_http_tables.compact(record).splitlines()[2:]:
        assert line + "\n" in shown
    assert over_http_tables.compact(record) in over_http_tables.show(record)

"""The benchmarks that speak HTTP still run, and count what happens. A few seconds, on the scripted engine."""

import asyncio
import io
import json
import subprocess

import PIL.Image
import psutil
import pytest

from benchmarks import faults, load, machine, soak
from benchmarks.harm import alive, eventually
from benchmarks.running import app, scrape
from benchmarks.streams import end_of
from benchmarks.users import FRONTS, Question, connect, image


@pytest.fixture(scope="module")
def full_app(tmp_path_factory):
    """Two requests run, four wait, the next is turned away."""
    uploads = tmp_path_factory.mktemp("uploads")
    flags = ["--max-running", "2", "--max-waiting", "4", "--upload-dir", str(uploads), *soak.SETTINGS[2:]]
    with app("scripted", flags) as url:
        yield url, uploads


@pytest.mark.slow
def test_the_load_test_tells_answers_from_rejections(full_app, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    asked = ["--url", full_app[0], "--users", "2,9", "--seconds", "0.5", "--tokens", "3"]
    assert load.main(asked) == 0
    result = json.loads(next(tmp_path.glob("load-url-*.json")).read_text())
    assert [(row["front"], row["users"]) for row in result["rows"]] == [
        ("rest", 2), ("rest", 9), ("gradio", 2), ("gradio", 9),
    ]  # fmt: skip
    for row in result["rows"]:
        assert row["errors"] == 0
        assert row["answered"] >= 2
        assert (row["rejected"] > 0) is (row["users"] == 9)
        assert 0.2 <= row["first token p50 s"] <= row["p50 s"]
        assert row["p50 s"] <= row["p95 s"] <= row["p99 s"]
        assert row["tokens/s"] > 0 and row["server CPU ms a request"] > 0
    assert "cores" in result["hardware"]
    assert "| rest | 2 |" in capsys.readouterr().out


@pytest.mark.parametrize("front", FRONTS)
async def test_a_server_that_fails_is_an_error_and_no_answer(full_app, front):
    async with connect(full_app[0]) as http:
        user = FRONTS[front](http, Question("hi", 10**9, more={"temperature": 9}))
        outcome = await user.ask()
    assert outcome.kind == "error"
    assert {"rest": "temperature", "gradio": "max_new_tokens"}[front] in outcome.detail
    async with connect("http://127.0.0.1:9") as http:
        assert (await FRONTS[front](http, Question("hi", 5)).ask()).kind == "error"


@pytest.mark.slow
def test_the_soak_test_counts_and_measures(full_app):
    url, uploads = full_app
    done = asyncio.run(soak.run(url, uploads, seconds=2.5, users=1, pause_s=0.1, sample_s=0.5))
    assert not done.wrong
    for who in (
        "rest: answered",
        "gradio: answered",
        "rest, leaves: left",
        "bad request: refused",
        "bad upload: refused",
    ):
        assert done.counts[who], done.counts
    row = soak.summary(done, warm_up_s=0.5)
    assert row["still running"] == 0 and row["MiB at end"] > 50 and row["open files, end"] > 3
    assert scrape(url).requests >= done.counts["rest: answered"]


def test_memory_per_request_is_the_slope_of_the_late_samples():
    done = soak.Soak("", None, 0, 0)
    for minute, memory in enumerate([100, 300, 320, 330, 340, 350]):
        figures = {"rss_mib": memory, "fds": 9, "upload_mib": 0, "running": 0, "waiting": 0}
        done.samples.append({"seconds": 60 * minute, "requests": 1000 * minute, **figures})
    assert soak.summary(done, warm_up_s=120)["MiB per 1,000 requests"] == pytest.approx(10)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 5), (0.95, 10), (0.99, 10), (0.1, 1)])
def test_quantiles_are_values_that_were_measured(share, expected):
    assert load.quantile(list(range(1, 11)), share) == expected
    assert load.quantile([], share) == 0


def test_images_differ_and_are_as_large_as_said():
    assert image(1) == image(1) != image(2)
    assert PIL.Image.open(io.BytesIO(image(3))).size == (448, 448)
    assert 20_000 < len(image(3)) < 100_000


def test_a_faults_row_is_the_median_of_its_rounds():
    rounds = [{"told s": told, "answers lost": 8} for told in (0.2, 9.0, 0.3)]
    assert faults.median("engine killed", rounds) == {"fault": "engine killed", "told s": 0.3, "answers lost": 8}


@pytest.mark.parametrize(
    ("last", "broken", "end"),
    [
        ("data: [DONE]", "", ("", "", True)),
        (
            'data: {"error": {"code": "engine_failed", "message": "It ended."}}',
            "",
            ("engine_failed", "It ended.", False),
        ),
        ('{"error": {"code": "not_ready", "message": "Not yet."}}', "", ("not_ready", "Not yet.", False)),
        ('data: {"choices": []}', "ReadError()", ("broken", "ReadError()", False)),
        ('data: {"choices": []}', "", ("broken", 'data: {"choices": []}', False)),
        ("", "", ("broken", "", False)),
    ],
)
def test_a_stream_that_only_stops_is_broken_and_not_done(last, broken, end):
    found = end_of(last, broken)
    assert (found.code, found.message, found.done) == end


def test_a_process_that_ended_is_not_alive_though_nobody_has_buried_it():
    with subprocess.Popen(["sleep", "60"]) as process:
        seen = psutil.Process(process.pid)
        assert alive([seen]) == [seen]
        process.kill()
        eventually(lambda: not alive([seen]), "it stayed")
        assert process.returncode is None

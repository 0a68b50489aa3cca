"""One caller floods while another asks: `python -m benchmarks.flood`.

For each way of `flood_ways.py` a program is started. One caller (127.0.0.2) asks it one short question after the
other, first alone and then while another caller (127.0.0.1) floods from a process of lower priority. Told: how long
answers take, the longest time in which the event loop answered nobody, and how much memory the front takes beyond what
it had.

    python -m benchmarks.flood --engine embedded --ways questions,images --seconds 10
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks import machine
from benchmarks.flood_ways import PAUSE_S, WAYS
from benchmarks.running import ENGINES, ROOT, read_address

# Of a usual length for its engine: the scripted one says it again.
QUESTION, TOKENS = "Tell me what you see in an image, and what you do not.", 40
OTHER = "127.0.0.2"  # Linux takes every address of 127.0.0.0/8 for its own
BUDGET_MIB = 512
FLAGS = ("--canary-s", "0", "--memory-budget-mib", str(BUDGET_MIB), "--max-running", "8")
# More than the program's own memory and the budget: Python, allocators and the system's buffers.
SLACK_MIB = 256
# What a question may take under a flood before it counts as lost.
PATIENCE_S = 60.0
BEGIN_S = 1.0


@dataclass
class Asked:
    """What the other caller saw.

    Attributes:
        answers_s: seconds that each answer took.
        refused: how often it was told to come back, or got nothing.
    """

    answers_s: list[float] = field(default_factory=list)
    refused: int = 0

    def row(self) -> dict[str, float]:
        if not self.answers_s:
            return {"median s": float("nan"), "p95 s": float("nan")}
        ordered = sorted(self.answers_s)
        return {"median s": statistics.median(ordered), "p95 s": ordered[int(0.95 * (len(ordered) - 1))]}


@contextlib.contextmanager
def started(engine: str) -> Iterator[tuple[str, subprocess.Popen]]:
    with tempfile.TemporaryDirectory() as uploads:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", "0", *ENGINES[engine], *FLAGS, "--upload-dir", uploads],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield read_address(process), process
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@contextlib.contextmanager
def flooding(way: str, url: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.flood_ways", way, url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: os.nice(10),
        text=True,
    )
    try:
        if process.stdout.readline().strip() != "flooding":
            raise RuntimeError(f"the flood of {way} did not begin")
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def ask_on(url: str, seconds: float) -> Asked:
    """One short question after the other for so long, at least three."""
    asked, body = Asked(), {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": TOKENS}
    deadline = time.monotonic() + seconds
    with httpx.Client(
        base_url=url, timeout=PATIENCE_S, transport=httpx.HTTPTransport(local_address=OTHER, retries=0)
    ) as http:
        while time.monotonic() < deadline or len(asked.answers_s) + asked.refused < 3:
            began = time.perf_counter()
            try:
                answer = http.post("/v1/chat/completions", json=body)
            except httpx.HTTPError:
                asked.refused += 1
                continue
            if answer.status_code == 200:
                asked.answers_s.append(time.perf_counter() - began)
            else:
                asked.refused += 1
            time.sleep(PAUSE_S)
    return asked


def scrape(url: str) -> dict[str, float]:
    """The longest stop in ms; memory in MiB."""
    with httpx.Client(timeout=PATIENCE_S, transport=httpx.HTTPTransport(local_address=OTHER)) as http:
        text = http.get(f"{url}/metrics").raise_for_status().text
    found = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    return {
        "stop ms": found["qwen_event_loop_longest_stop_seconds"] * 1000,
        "memory MiB": found["process_resident_memory_bytes"] / (1 << 20),
    }


class Watch:
    """Looks at the metrics now and again."""

    def __init__(self, url: str):
        self._url, self._over = url, threading.Event()
        self.most = {"stop ms": 0.0, "memory MiB": 0.0}
        self._thread = threading.Thread(target=self._look_on)

    def _look_on(self) -> None:
        while not self._over.wait(0.5):
            with contextlib.suppress(httpx.HTTPError):
                seen = scrape(self._url)
                self.most = {name: max(self.most[name], value) for name, value in seen.items()}

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def measure(engine: str, way: str, seconds: float) -> dict:
    with started(engine) as (url, _):
        ask_on(url, 1.0)
        idle = ask_on(url, seconds / 2).row()
        before = scrape(url)
        with flooding(way, url), Watch(url) as watch:
            time.sleep(BEGIN_S)
            asked = ask_on(url, seconds)
        flooded = asked.row()
    return {
        "engine": engine,
        "way": WAYS[way][0],
        "idle median s": idle["median s"],
        "idle p95 s": idle["p95 s"],
        "flood median s": flooded["median s"],
        "flood p95 s": flooded["p95 s"],
        "ratio": flooded["median s"] / idle["median s"],
        "refused": asked.refused,
        "stop ms": watch.most["stop ms"],
        "stop idle ms": before["stop ms"],
        "memory MiB": watch.most["memory MiB"] - before["memory MiB"],
    }


def table(rows: list[dict]) -> str:
    lines = [
        "| engine | one caller floods with | another's answer alone: median, p95 s | meanwhile: median, p95 s | ratio | "
        "loop's longest stop ms | memory beyond the start's MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['engine']} | {row['way']} | {row['idle median s']:.2f}, {row['idle p95 s']:.2f} | "
            f"{row['flood median s']:.2f}, {row['flood p95 s']:.2f} | {row['ratio']:.1f} | {row['stop ms']:.0f} | "
            f"{row['memory MiB']:.0f} |"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default="scripted", choices=["scripted", "embedded"], help="who answers")
    parser.add_argument("--ways", default=",".join(WAYS), help="names of flood_ways.WAYS, comma-separated")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each flood lasts")
    options = parser.parse_args(argv)
    rows = []
    for way in options.ways.split(","):
        rows.append(measure(options.engine, way, options.seconds))
        print(table(rows[-1:]).splitlines()[-1], f"refused {rows[-1]['refused']}", flush=True)
    print(table(rows))
    found = {"label": options.engine, "budget_mib": BUDGET_MIB, "seconds": options.seconds, "rows": rows}
    path = machine.write("flood", found)
    print(f"written to {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""A running app to measure: started here with chosen settings, or somebody's by its address.

What is measured of the process itself comes from its own `/metrics`, so both are measured alike.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.proxy import free_ports

ROOT = Path(__file__).parents[1]
# All users of a benchmark come from one address.
CROWD = {"QWEN_DEMO_CALLER_SHARE": "1", "QWEN_DEMO_CALLER_CONNECTIONS": "4096"}
ENGINES = {"scripted": ["--engine", "scripted"], "embedded": ["--model", "embedded"]}


@dataclass(frozen=True)
class Figures:
    """One scrape of `/metrics`.

    Attributes:
        cpu_s: CPU time of the server's process since its start.
        tokens: tokens of answers since its start.
    """

    cpu_s: float
    rss_mib: float
    fds: int
    tokens: int
    requests: int
    running: int
    waiting: int


def scrape(url: str) -> Figures:
    text = httpx.get(f"{url}/metrics", timeout=60).raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def total(name: str, **labels: str) -> float:
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    return Figures(
        cpu_s=total("process_cpu_seconds_total"),
        rss_mib=(total("process_resident_memory_bytes") + total("qwen_engine_process_resident_bytes")) / (1 << 20),
        fds=int(total("process_open_fds")),
        tokens=int(total("qwen_tokens_total", kind="completion")),
        requests=int(total("qwen_requests_total") + total("qwen_rejected_total")),
        running=int(total("qwen_running")),
        waiting=int(total("queue_length")),
    )


@contextlib.contextmanager
def app(engine: str, settings: list[str]) -> Iterator[str]:
    """`python app.py` on a free port; gives its address once it is ready. It must end well.

    Args:
        engine: a name of `ENGINES`.
        settings: flags of `app.py`.
    """
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", "0", *ENGINES[engine], *settings],
        cwd=ROOT,
        env={**os.environ, **CROWD, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield read_address(process)
    finally:
        process.terminate()
        try:
            code = process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            process.wait()
            process.stdout.close()
    if code:
        raise RuntimeError(f"the app ended with {code}")


def read_address(process: subprocess.Popen) -> str:
    url = ""
    for line in process.stdout:
        if "demo: http" in line:
            url = line.split()[2]
        if line.startswith("Ready after"):
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return url
    raise RuntimeError("the app ended before it was ready; start it by hand to see why: python app.py")


@contextlib.contextmanager
def serving(
    command: Sequence[str],
    *,
    log_variable: str,
    variables: Mapping[str, str] | None = None,
    health: str = "/v1/models",
    patience_s: float = 400,
    folder: Path | None = None,
) -> Iterator[str]:
    """Somebody else's server on a free port; gives its address once it answers.

    Args:
        command: `{port}` in it, and the variable PORT, tell the server where to listen.
        log_variable: environment variable that names a file for what the server prints.
        variables: more of the server's environment.
        health: path that answers 200 when the model is loaded.
        folder: where it is started.
    """
    (port,) = free_ports(1)
    with Path(os.environ.get(log_variable, os.devnull)).open("wb") as out:
        process = subprocess.Popen(
            [part.format(port=port) for part in command],
            env={**os.environ, **CROWD, "PORT": str(port), **(variables or {})},
            stdout=out,
            stderr=out,
            cwd=folder,
        )
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + patience_s
    try:
        while not _answers(url + health):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start; set {log_variable} to a file to see why")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False

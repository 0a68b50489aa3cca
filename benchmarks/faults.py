"""What callers see when a process of the program is killed, stopped or out of memory: `python -m benchmarks.faults`.

Each fault strikes while eight answers stream and a visitor's Gradio session is open. Told: until the last of those
whom it hit had an error. Ready again: until `/ready` said 200 once more, 0 where it did all the time. Next answer:
until the next question was answered. The front is started again by hand, at once.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from gradio_client import Client

from benchmarks import machine
from benchmarks.harm import (
    LOOK_EVERY_S,
    PATIENCE_S,
    Program,
    alive,
    ask_and_kill_its_decoder,
    drawn,
    eventually,
    without_memory,
)
from benchmarks.running import ENGINES, ROOT, read_address
from benchmarks.streams import End, Streams

FLAGS = ("--no-repetition-guard", "--max-running", "16", "--grace-s", "90")


@contextlib.contextmanager
def started(*flags: str) -> Iterator[tuple[Program, subprocess.Popen]]:
    with tempfile.TemporaryDirectory() as uploads:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", "0", *ENGINES["embedded"], *FLAGS, "--upload-dir", uploads, *flags],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield Program(read_address(process), process.pid), process
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


class Visitor:
    """A Gradio session that was opened before the fault and asks again after it."""

    def __init__(self, program: Program):
        self._client = Client(program.url, verbose=False)
        self.ask()

    def ask(self) -> None:
        if not self._client.predict(question="Who are you?", max_new_tokens=4, api_name="/ask"):
            raise RuntimeError("the visitor got no answer")


def engine_lost(program: Program, strike: Callable[[psutil.Process], None]) -> dict:
    """A fault that takes the engine's process with all that it works on."""
    visitor, streams, page_s = Visitor(program), Streams(program.url), []
    streams.wait_until_begun()
    engine, struck = program.engine(), time.perf_counter()
    strike(engine)
    ends = streams.ends()
    told = max(end.at for end in ends) - struck
    while not program.is_ready:
        asked = time.perf_counter()
        for path in ("/", "/health", "/metrics"):
            program.get(path).raise_for_status()
        page_s.append(time.perf_counter() - asked)
        time.sleep(LOOK_EVERY_S)
    ready = time.perf_counter() - struck
    program.ask().raise_for_status()
    answered = time.perf_counter() - struck
    visitor.ask()
    eventually(lambda: not alive([engine]), "the old process stayed")
    return _row(told, ready, answered, ends) | {"page s": max(page_s)}


def _row(told: float, ready: float | None, answered: float, ends: list[End]) -> dict:
    return {"told s": told, "ready again s": ready, "next answer s": answered, "answers lost": _lost(ends)}


def _lost(ends: list[End]) -> int:
    return sum(not end.done for end in ends)


def out_of_memory(program: Program) -> dict:
    """For an image, while the others' answers go on. The server is ready throughout."""
    visitor, streams = Visitor(program), Streams(program.url, tokens=300)
    streams.wait_until_begun()
    image, engine = drawn(), program.engine()
    with without_memory(engine):
        struck = time.perf_counter()
        refused = program.ask(image=image)
        told = time.perf_counter() - struck
        if refused.json()["error"]["code"] != "out_of_memory" or not program.is_ready:
            raise RuntimeError(f"another end: {refused.text}")
    ends = streams.ends()
    return _unlost(program, visitor, engine, told, ends)


def decoder_killed(program: Program) -> dict:
    """In the middle of an image."""
    visitor, streams = Visitor(program), Streams(program.url, tokens=300)
    streams.wait_until_begun()
    engine = program.engine()
    refused, struck = ask_and_kill_its_decoder(program)
    told = time.perf_counter() - struck
    if refused.status_code != 400:
        raise RuntimeError(f"another end: {refused.text}")
    ends = streams.ends()
    return _unlost(program, visitor, engine, told, ends)


def _unlost(program: Program, visitor: Visitor, engine: psutil.Process, told: float, ends: list[End]) -> dict:
    """A fault that takes one request, and nothing else."""
    asked = time.perf_counter()
    program.ask(image=drawn((448, 448))).raise_for_status()
    answered = told + time.perf_counter() - asked
    visitor.ask()
    if program.engine() != engine:
        raise RuntimeError("the engine's process is another")
    return _row(told, 0.0, answered, ends)


def front_killed() -> dict:
    """And started again by whoever watches over it, at once."""
    with started() as (program, process):
        streams = Streams(program.url)
        streams.wait_until_begun()
        family, struck = program.family(), time.perf_counter()
        process.kill()
        ends = streams.ends()
        told = max(end.at for end in ends) - struck
        process.wait()
        eventually(lambda: not alive(family), "a process was left behind")
        gone = time.perf_counter() - struck
    began = time.perf_counter()
    with started() as (program, _):
        ready = gone + time.perf_counter() - began
        program.ask().raise_for_status()
        answered = gone + time.perf_counter() - began
    return _row(told, ready, answered, ends) | {"all gone s": gone}


def terminated() -> dict:
    """SIGTERM to the front: what is being written is written to its end."""
    with started() as (program, process):
        streams = Streams(program.url, tokens=300)
        streams.wait_until_begun()
        family, struck = program.family(), time.perf_counter()
        process.terminate()
        ends = streams.ends()
        if code := process.wait(PATIENCE_S):
            raise RuntimeError(f"exit code {code}")
        eventually(lambda: not alive(family), "a process was left behind")
        return {"answers lost": _lost(ends), "all gone s": time.perf_counter() - struck}


FAULTS: dict[str, Callable[[Program], dict]] = {
    "engine killed": lambda program: engine_lost(program, psutil.Process.kill),
    "engine stopped": lambda program: engine_lost(program, psutil.Process.suspend),
    "engine out of memory for an image": out_of_memory,
    "decoder killed in the middle of an image": decoder_killed,
}
WHOLE: dict[str, Callable[[], dict]] = {"front killed": front_killed, "front told to end (SIGTERM)": terminated}


def median(fault: str, rounds: list[dict]) -> dict:
    keys = dict.fromkeys(key for one in rounds for key in one)
    return {"fault": fault, **{key: statistics.median(one[key] for one in rounds) for key in keys}}


def measure(rounds: int) -> tuple[list[dict], dict[str, list[dict]]]:
    """The medians, and what they are made of."""
    found: dict[str, list[dict]] = {}
    with started() as (program, _):
        for fault, strike in FAULTS.items():
            found[fault] = [strike(program) for _ in range(rounds)]
    for fault, whole in WHOLE.items():
        found[fault] = [whole() for _ in range(rounds)]
    return [median(fault, each) for fault, each in found.items()], found


COLUMNS = {
    "fault": "fault",
    "told s": "told after s",
    "ready again s": "ready again after s",
    "next answer s": "next answer after s",
    "answers lost": "of eight answers lost",
    "all gone s": "no process left after s",
    "page s": "page, health and metrics meanwhile, worst s",
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder for the result (default: benchmarks/results)")
    options = parser.parse_args(argv)
    load = os.getloadavg()[0]
    rows, found = measure(options.rounds)
    print(machine.table(rows, COLUMNS))
    told = {"rounds": options.rounds, "rows": rows, "each": found, "load_average_before": load}
    print(machine.write("faults-embedded", told, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The engine's process when its front ends: in order, by a signal to all, or without a word."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.conftest import ROOT
from tests.engines.process.test_faults import running

PATIENCE_S = 120
# A front with a process, which it tells of, and an answer that is being written.
FRONT = """
import asyncio
from tests.conftest import question
from tests.engines.process.conftest import started

async def main():
    async with started() as engine:
        stream = engine.stream(question("Count", max_new_tokens={tokens}))
        await anext(stream)
        print(engine.pid, flush=True)
        async for event in stream:
            {then}
        print("the answer ended", flush=True)

asyncio.run(main())
"""


@contextlib.contextmanager
def front(then: str = "pass", tokens: int = 400) -> Iterator[tuple[subprocess.Popen, int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", FRONT.format(then=then, tokens=tokens)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while running(pid):
        assert time.monotonic() < deadline, "the engine's process was left behind"
        time.sleep(0.01)


def test_a_front_that_is_killed_leaves_no_process():
    with front() as (process, pid):
        os.kill(process.pid, signal.SIGKILL)
        gone(pid)


def test_a_stopped_process_does_not_outlive_its_killed_front():
    with front() as (process, pid):
        os.kill(pid, signal.SIGSTOP)
        os.kill(process.pid, signal.SIGKILL)
        gone(pid)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_all_processes_are_left_to_the_front(number):
    with front(tokens=100) as (process, pid):
        os.kill(pid, number)
        assert process.stdout.readline() == "the answer ended\n"
        process.wait(PATIENCE_S)
        assert process.returncode == 0
        gone(pid)


@pytest.mark.slow
def test_a_front_that_was_stopped_itself_finds_its_engine_well():
    with front("await asyncio.sleep(0.01)", tokens=100) as (process, pid):
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(3)  # longer than the silence that it bears
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdout.readline() == "the answer ended\n"
        gone(pid)


def test_importing_the_front_s_side_brings_no_torch():
    code = (
        "import sys; import qwen_demo.engines.process.engine, qwen_demo.engines.process.child; "
        "print(sorted({'torch', 'transformers', 'gradio', 'fastapi'} & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert json.loads(out.replace("'", '"')) == []

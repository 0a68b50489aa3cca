"""The process that decodes videos: bounded, killed in time, without rights, not believed."""

import asyncio
import json
import subprocess
import sys

import pytest

from qwen_demo.errors import MediaRefused
from qwen_demo.media import Clip, videos, workers
from tests.conftest import until
from tests.media.test_video import HANG_GUARD_S, LIMITS, decode


@pytest.fixture
def worker(monkeypatch, tmp_path):
    """Puts another program in the worker's place; gives the processes that were started."""
    started: list[asyncio.subprocess.Process] = []
    create = asyncio.create_subprocess_exec

    async def spy(*args, **kwargs):
        started.append(await create(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spy)

    def use(program: str) -> list[asyncio.subprocess.Process]:
        (tmp_path / "worker.py").write_text("import sys, time, os\n" + program)
        monkeypatch.setattr(videos, "_WORKER", tmp_path / "worker.py")
        return started

    return use


async def test_a_worker_that_hangs_is_killed_at_the_time_out(worker):
    started = worker("time.sleep(600)")
    with pytest.raises(MediaRefused, match="took longer than"):
        await decode("plain.mp4", video_timeout_s=0.3)
    assert [process.returncode for process in started] == [-9]


async def test_a_worker_that_hangs_after_its_answer_is_killed_too(worker):
    started = worker('print(\'{"refused": "damaged", "values": []}\', flush=True)\ntime.sleep(600)')
    with pytest.raises(MediaRefused, match="damaged"):
        await decode("plain.mp4")
    assert [process.returncode for process in started] == [-9]


async def test_a_worker_dies_with_the_task_that_waits_for_it(worker):
    started = worker("time.sleep(600)")
    task = asyncio.create_task(decode("plain.mp4"))
    async with asyncio.timeout(HANG_GUARD_S):
        await until(lambda: started)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [process.returncode for process in started] == [-9]


GOOD = {"width": 28, "height": 28, "times_s": [0, 1], "fps": 1, "duration_s": 2}


@pytest.mark.parametrize(
    "program",
    [
        "os._exit(3)",
        "os.kill(os.getpid(), 11)",
        "print('not json')",
        "print('[1, 2]')",
        "print('{}')",
        "print('x' * 5_000_000)",
        f"print({json.dumps(json.dumps({**GOOD, 'width': 10**9}))})",
        f"print({json.dumps(json.dumps({**GOOD, 'width': 2000, 'height': 2000}))})\nsys.stdout.write('x' * 24_000_000)",
        f"print({json.dumps(json.dumps({**GOOD, 'width': -28, 'height': -28}))})",
        f"print({json.dumps(json.dumps({**GOOD, 'width': 'a'}))})",
        f"print({json.dumps(json.dumps({**GOOD, 'times_s': [0] * 1000}))})",
        f"print({json.dumps(json.dumps({**GOOD, 'fps': float('nan')}))})",
        f"print({json.dumps(json.dumps(GOOD))} + 'x' * 100)",
        f"print({json.dumps(json.dumps(GOOD))})\nsys.stdout.write('x' * {28 * 28 * 3 * 2 + 1})",
    ],
)
async def test_a_worker_that_was_taken_over_is_not_believed(worker, program):
    worker(program)
    with pytest.raises(MediaRefused, match="damaged"):
        await decode("plain.mp4")


async def test_few_videos_are_decoded_at_once(worker):
    started = worker("time.sleep(0.2)")
    tasks = [asyncio.create_task(decode("plain.mp4")) for _ in range(6)]
    most = 0
    while not all(task.done() for task in tasks):
        most = max(most, sum(process.returncode is None for process in started))
        await asyncio.sleep(0.01)
    assert len(started) == 6 and most == 2
    for task in tasks:
        assert isinstance(task.exception(), MediaRefused)


async def test_the_event_loop_runs_on_while_a_video_is_decoded():
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.005)

    ticking = asyncio.create_task(tick())
    await decode("plain.mp4")
    ticking.cancel()
    assert ticks > 5


PROBE = """
import json, os, runpy, socket, sys
real = runpy.run_path(REAL)
job = json.loads(sys.argv[1])
real["_give_up_rights"](job)
def attempt(action):
    try:
        action()
        return "done"
    except Exception as error:
        return type(error).__name__
print(json.dumps({
    "environment": dict(os.environ),
    "file": attempt(lambda: open("/etc/passwd")),
    "socket": attempt(socket.socket),
    "memory": attempt(lambda: bytearray(6 << 30)),
    "command": attempt(lambda: os.system("true") and 1 / 0),
}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_the_worker_has_no_files_no_network_no_secrets_and_bounded_memory(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "secret")
    program = tmp_path / "probe.py"
    program.write_text(PROBE.replace("REAL", repr(str(videos._WORKER))))
    job = {**videos._job("MP4", Clip(), LIMITS), "worker": str(program)}
    command = [sys.executable, "-I", "-c", workers.BOOT, json.dumps(job)]
    result = subprocess.run(command, capture_output=True, env={}, check=True, stdin=subprocess.DEVNULL)
    found = json.loads(result.stdout)
    assert "secret" not in json.dumps(found["environment"])
    assert found["file"] == found["socket"] == "OSError"
    assert found["memory"] == "MemoryError"


async def test_the_server_gives_the_worker_an_empty_environment(worker, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    worker("print('{\"refused\": \"' + ('leaked' if 'HF_TOKEN' in os.environ else 'nothing') + '\", \"values\": []}')")
    with pytest.raises(MediaRefused, match="no pictures"):
        await decode("plain.mp4")

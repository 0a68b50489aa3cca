"""What callers, health and the next question see when the engine's process breaks, is stopped, or hangs."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from qwen_demo.engines.process.engine import ProcessEngine
from qwen_demo.errors import EngineFailed, EngineRestarting, NotReady, OutOfMemory
from qwen_demo.types import collect
from tests.conftest import image, question, until
from tests.engines.process.conftest import QUICK, made, started
from tests.engines.process.test_engine import said

# No new start comes in between: what is seen is the state right after the fault.
PATIENT = replace(QUICK, backoff_s=3600)
ONCE = replace(QUICK, tries=1)
FAULTS = {
    "killed": ("kill", "killed by SIGKILL"),
    "crashed": ("exit 3", "exit code 3"),
    "stuck in its loop": ("hang", "stuck"),
    "stuck with Python's lock": ("lock", "sign of life"),
    "ill": ("ill", "ill"),
}


async def pid_of(engine: ProcessEngine) -> int:
    return int(await said(engine, "pid"))


async def eight_streams(engine: ProcessEngine) -> list[asyncio.Task]:
    """Each has had its first word."""
    streams = [engine.stream(question(f"Count {n}", image(), max_new_tokens=400)) for n in range(8)]
    for stream in streams:
        await anext(stream)
    return [asyncio.create_task(collect(stream)) for stream in streams]


async def ends_of(tasks: list[asyncio.Task]) -> list[BaseException]:
    async with asyncio.timeout(120):
        return await asyncio.gather(*tasks, return_exceptions=True)


async def recovered(engine: ProcessEngine, restarts: int = 1) -> None:
    await until(lambda: engine.health().ready and engine.health().stats["restarts"] == restarts)


@pytest.mark.parametrize(("number", "how"), [(signal.SIGKILL, "killed by SIGKILL"), (signal.SIGSTOP, "stopped")])
async def test_killed_or_stopped_in_the_middle_of_eight_streams_it_tells_all_and_comes_back(number, how):
    async with started() as engine:
        pid = await pid_of(engine)
        tasks = await eight_streams(engine)
        os.kill(pid, number)
        ends = await ends_of(tasks)
        assert [type(end) for end in ends] == [EngineRestarting] * 8
        assert all(how in str(end) for end in ends)
        await recovered(engine)
        assert await pid_of(engine) != pid
        assert await said(engine, "Count", image(), max_new_tokens=2) == "0 1 "
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize(("order", "how"), FAULTS.values(), ids=FAULTS)
async def test_whatever_breaks_every_caller_is_told_and_the_next_question_is_answered(order, how):
    async with started() as engine:
        tasks = [*await eight_streams(engine), asyncio.create_task(collect(engine.stream(question("Count"))))]
        ordered = asyncio.create_task(collect(engine.stream(question(order))))
        ends = [end for end in await ends_of([*tasks, ordered]) if isinstance(end, Exception)]
        assert len(ends) >= 8
        assert all(type(end) is EngineRestarting and how in str(end) for end in ends)
        await recovered(engine)
        assert await said(engine, "Count", max_new_tokens=2) == "0 1 "


async def test_out_of_memory_fails_its_request_alone():
    async with started() as engine:
        others = asyncio.create_task(said(engine, "Count", max_new_tokens=50))
        with pytest.raises(OutOfMemory):
            await said(engine, "exhaust")
        assert len((await others).split()) == 50
        assert engine.health().stats["restarts"] == 0


async def test_when_memory_ends_the_system_takes_the_engine_not_the_front():
    here = await asyncio.to_thread(Path("/proc/self/oom_score_adj").read_text)
    async with started() as engine:
        assert int(await said(engine, "score")) > int(here)


async def test_while_it_is_down_health_says_why_and_requests_are_refused_at_once():
    async with started(bounds=PATIENT) as engine:
        tasks = await eight_streams(engine)
        os.kill(await pid_of(engine), signal.SIGKILL)
        await ends_of(tasks)
        health = engine.health()
        assert (health.ready, health.running, health.waiting) == (False, 0, 0)
        assert health.detail == "The engine's process ended (killed by SIGKILL); it is being started again"
        assert health.detail.values["how"].values == {"signal": "SIGKILL"}
        assert not engine.health().failed
        with pytest.raises(NotReady, match="being started again"):
            await said(engine, "Hello")


async def test_closing_a_stream_of_a_process_that_is_gone_returns():
    async with started(bounds=PATIENT) as engine:
        stream = engine.stream(question("Count", max_new_tokens=400))
        await anext(stream)
        os.kill(await pid_of(engine), signal.SIGSTOP)
        async with asyncio.timeout(120):
            await stream.aclose()
        await until(lambda: not engine.health().ready)


async def test_after_three_failures_in_a_row_it_is_left():
    async with started() as engine:
        for failures in range(3):
            await recovered(engine, failures)
            with pytest.raises(EngineFailed):
                await said(engine, "exit 3")
        await until(lambda: engine.health().failed)
        assert not engine.health().ready
        assert "3 times in a row (last: exit code 3)" in engine.health().detail
        with pytest.raises(NotReady, match="Restart the program"):
            await said(engine, "Hello")


@pytest.mark.slow
async def test_an_answered_question_makes_up_for_failures():
    async with started() as engine:
        for failures in range(5):
            await recovered(engine, failures)
            assert await said(engine, "Count", max_new_tokens=1) == "0 "
            with pytest.raises(EngineFailed):
                await said(engine, "exit 3")
        await recovered(engine, 5)
        assert not engine.health().failed


async def test_one_that_cannot_be_started_again_is_left_with_its_reason(tmp_path):
    async with started("Obedient", "clay", str(tmp_path)) as engine:
        with pytest.raises(EngineFailed):
            await said(engine, "exit 3")
        await until(lambda: engine.health().failed)
        assert "The card is gone." in engine.health().detail


async def test_it_can_be_closed_while_it_starts():
    engine = made("Slow")
    starting = asyncio.create_task(engine.start())
    await until(lambda: engine.health().detail == "loading")
    await engine.close()
    with pytest.raises(NotReady):
        await starting
    assert engine.health().detail == "closed" and not engine.health().failed


async def test_it_can_be_closed_while_it_is_down():
    async with started(bounds=PATIENT) as engine:
        with pytest.raises(EngineFailed):
            await said(engine, "exit 3")
        async with asyncio.timeout(120):
            await engine.close()
        assert engine.health().detail == "closed"


async def test_what_the_process_started_ends_with_it(tmp_path):
    async with started(bounds=ONCE) as engine:
        child = int(await said(engine, "spawn"))
        os.kill(await pid_of(engine), signal.SIGSTOP)
        await until(lambda: engine.health().failed)
    await until(lambda: not running(child))


def running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_process_that_talks_nonsense_is_replaced():
    async with started() as engine:
        tasks = await eight_streams(engine)
        process = engine._supervisor.process
        process._on_frame = Nonsense(process._on_frame)
        ends = await ends_of(tasks)
        assert all("no answer" in str(end) for end in ends)
        await recovered(engine)
        assert await said(engine, "Count", max_new_tokens=1) == "0 "


class Nonsense:
    """Cuts the first frame short."""

    def __init__(self, real):
        self._real, self._left = real, 1

    def __call__(self, kind: int, data: bytes) -> None:
        cut, self._left = len(data) - self._left, 0
        self._real(kind, data[:cut])

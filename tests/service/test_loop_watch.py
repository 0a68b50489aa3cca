"""The event loop's longest stop: seen, kept for a minute, told."""

import asyncio
import logging
import time

from qwen_demo.service.loop_watch import WINDOW_S, LoopWatch
from tests.conftest import until


async def done() -> None:
    pass


async def test_work_on_the_event_loop_is_seen(monkeypatch):
    monkeypatch.setattr("qwen_demo.service.loop_watch.SETTLES_S", 0)
    watch, loop = LoopWatch(), asyncio.get_running_loop()
    watching = asyncio.create_task(watch.watch(after=done))
    await asyncio.sleep(0.1)
    time.sleep(0.3)  # noqa: ASYNC251 it is what the watch is for
    await until(lambda: watch.longest_s(loop.time()) >= 0.25)
    watching.cancel()


async def test_while_the_program_starts_nothing_is_seen():
    watch, begun = LoopWatch(), asyncio.Event()
    watching = asyncio.create_task(watch.watch(after=begun.wait))
    await asyncio.sleep(0)
    time.sleep(0.05)  # noqa: ASYNC251
    await asyncio.sleep(0.05)
    assert watch.longest_s(asyncio.get_running_loop().time()) == 0
    watching.cancel()


def test_the_longest_of_a_minute_is_kept_and_then_the_next():
    watch = LoopWatch()
    for now, stopped_s in ((0.0, 0.1), (1.0, 0.4), (2.0, 0.2), (3.0, 0.3), (4.0, 0.01)):
        watch.saw(now, stopped_s)
    assert watch.longest_s(4.0) == 0.4
    assert watch.longest_s(1.5 + WINDOW_S) == 0.3
    assert watch.longest_s(3.5 + WINDOW_S) == 0.01
    assert watch.longest_s(5.0 + WINDOW_S) == 0.0


def test_a_long_stop_is_told_once_in_a_while(caplog):
    watch = LoopWatch()
    with caplog.at_level(logging.WARNING):
        for now in (0.0, 1.0, 20.0):
            watch.saw(now, 1.5)
        watch.saw(21.0, 0.1)
    assert [record.getMessage()[:30] for record in caplog.records] == ["nobody was answered for 1.5 s:"] * 2

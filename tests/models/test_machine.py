"""What a machine lends a model: processors that are idle, memory."""

import os

import pytest
import torch

from qwen_demo.models import machine
from qwen_demo.models.load import threads_for
from qwen_demo.settings import Settings


@pytest.fixture
def machine_with(monkeypatch, tmp_path):
    def given(
        processors: int, load: float, *, allowed: int | None = None, quota: str = "max 100000", now: int | None = None
    ):
        (tmp_path / "cpu.max").write_text(quota)
        monkeypatch.setattr(machine, "CPU_QUOTA", tmp_path / "cpu.max")
        monkeypatch.setattr(os, "cpu_count", lambda: processors)
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(allowed or processors), raising=False)
        monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
        monkeypatch.setattr(machine, "busy_processors", lambda: round(load) if now is None else now)
        monkeypatch.setattr(torch, "get_num_threads", lambda: processors)
        machine.idle_threads.cache_clear()

    yield given
    machine.idle_threads.cache_clear()


@pytest.mark.parametrize(
    ("processors", "load", "limits", "threads"),
    [
        (8, 0.2, {}, 8),
        (8, 3.0, {}, 5),
        (8, 30.0, {}, 4),  # others end; half of them are ours
        (2, 2.0, {}, 1),
        (1, 5.0, {}, 1),
        (64, 20.0, {"quota": "200000 100000"}, 2),  # a container's two of a large machine, of which many are idle
        (64, 63.0, {"quota": "400000 100000"}, 2),
        (64, 0.0, {"quota": "150000 100000"}, 2),
        (16, 0.0, {"allowed": 4}, 4),
        (2, 1.9, {"now": 0}, 2),  # what kept it busy in the last minute has ended
        (8, 1.0, {"now": 6}, 7),  # a moment's work
    ],
)
def test_threads_are_as_many_as_there_are_idle_processors(machine_with, processors, load, limits, threads):
    machine_with(processors, load, **limits)
    assert machine.idle_threads() == threads


def test_processors_are_busy_as_the_system_counts_them(monkeypatch, tmp_path):
    times = tmp_path / "stat"
    monkeypatch.setattr(machine, "PROCESSOR_TIMES", times)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert machine.busy_processors() == 4  # not told
    ticks = os.sysconf("SC_CLK_TCK")
    clock = [100.0]
    monkeypatch.setattr(machine.time, "perf_counter", lambda: clock[0])

    def asleep(seconds):
        clock[0] += 2.0  # three processors of four idle or waiting for a disk, as a loaded machine wakes us late
        times.write_text(f"cpu  9 9 9 {1000 + 4 * ticks} {500 + 2 * ticks} 0 0 0 0 0\ncpu0 1 1 1 1 1\n")

    times.write_text("cpu  1 1 1 1000 500 0 0 0 0 0\ncpu0 1 1 1 1 1\n")
    monkeypatch.setattr(machine.time, "sleep", asleep)
    assert machine.busy_processors() == 1


def test_who_says_threads_gets_them_and_a_gpu_leaves_them_to_pytorch(machine_with):
    machine_with(8, 2.0)
    assert threads_for(Settings(), "cpu", embedded=False) == 6
    assert threads_for(Settings(), "cpu", embedded=True) == 2
    assert threads_for(Settings(threads=7), "cpu", embedded=True) == 7
    assert threads_for(Settings(), "cuda:0", embedded=False) == 0
    machine_with(1, 0.0)
    assert threads_for(Settings(), "cpu", embedded=True) == 1

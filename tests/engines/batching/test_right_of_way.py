"""Engines on one machine: who pauses while whose questions wait, for how long, and who is let go meanwhile."""

import asyncio
import subprocess
import sys
from dataclasses import replace

import pytest

from qwen_demo.engines import right_of_way
from qwen_demo.engines.generate import GenerateEngine
from qwen_demo.engines.right_of_way import GivesWay, GoesFirst
from qwen_demo.errors import SettingsError
from qwen_demo.server import engines
from qwen_demo.settings import Settings
from qwen_demo.types import ModelInfo, collect
from tests.conftest import image, question, until
from tests.engines.batching.conftest import alone

HOLDER = """import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "first"


def never() -> bool:
    return False


def test_a_pause_lasts_while_questions_wait_and_ends_with_them(path):
    first, way = GoesFirst(path), GivesWay(path)
    way.after(10.0, never)
    assert not way.is_asked and way.paused_s == 0
    first.tell(True)
    asked = iter([False, False, True])
    way.after(10.0, lambda: next(asked))
    assert way.is_asked and 0 < way.paused_s < 10
    first.tell(False)
    assert not way.is_asked


def test_nobody_starves_beside_one_whose_questions_always_wait(path):
    first, way = GoesFirst(path), GivesWay(path)
    first.tell(True)
    way.after(0.01, never)
    assert way.is_asked and way.paused_s >= 0.04


def test_several_that_give_way_do_not_take_each_other_for_one_that_goes_first(path):
    ways = [GivesWay(path) for _ in range(3)]
    assert not any(way.is_asked for way in ways)
    firsts = [GoesFirst(path), GoesFirst(path)]
    for first in firsts:
        first.tell(True)
    assert [first.is_held for first in firsts] == [True, False]
    firsts[0].tell(False)
    firsts[1].tell(True)  # told again and again
    assert firsts[1].is_held and all(way.is_asked for way in ways)


def test_the_lock_goes_with_its_process_however_that_ends(path):
    way = GivesWay(path)
    with subprocess.Popen(
        [sys.executable, "-S", "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        assert way.is_asked
        holder.kill()
    assert not way.is_asked


async def test_an_engine_that_goes_first_says_so_while_a_question_has_no_place(started, path):
    way = GivesWay(path)
    async with started(slots=1, go_first_file=path) as engine:
        assert engine.health().stats["goes_first"] == 0
        streams = [engine.stream(question(words, max_new_tokens=64)) for words in ("One?", "Two?")]
        tasks = [asyncio.create_task(collect(stream)) for stream in streams]
        await asyncio.sleep(0)  # both have come, and nothing of an answer can have
        assert way.is_asked and engine.health().stats["goes_first"] == 1
        await asyncio.gather(*tasks)
        await until(lambda: not way.is_asked)
        waits = asyncio.create_task(collect(engine.stream(question("Three?"))))
        await asyncio.sleep(0)
        assert way.is_asked
    await asyncio.gather(waits, return_exceptions=True)
    assert not way.is_asked  # nor does one that has been closed


async def test_an_engine_that_gives_way_says_the_same_and_tells_how_long_it_paused(started, loaded, answer_ids, path):
    first, asked = GoesFirst(path), question("What is this?", image())
    first.tell(True)
    async with started(give_way_file=path) as engine:
        await collect(engine.stream(replace(asked, request_id="paced")))
        assert engine.health().stats["gave_way_seconds"] > 0
    assert answer_ids["paced"] == alone(loaded, asked)


@pytest.mark.usefixtures("endless")
async def test_who_leaves_in_a_pause_is_let_go_at_once_and_the_others_go_on_after_it(started, path, monkeypatch):
    monkeypatch.setattr(right_of_way, "PAUSE", 1e9)
    first = GoesFirst(path)
    async with started(give_way_file=path) as engine:
        stays, leaves = engine.stream(question("One?")), engine.stream(question("Two?"))
        await anext(stays)
        await anext(leaves)
        await until(lambda: first.tell(True) or first.is_held)
        await until(lambda: engine.health().stats["gave_way_seconds"] > 0)
        await leaves.aclose()
        assert engine.health().running == 1
        first.tell(False)
        assert [event async for event in stays]


async def test_an_engine_that_closes_in_a_pause_does_not_wait_for_its_end(started, path, monkeypatch):
    monkeypatch.setattr(right_of_way, "PAUSE", 1e9)
    first = GoesFirst(path)
    first.tell(True)
    async with started(give_way_file=path) as engine:
        stream = engine.stream(question("One?"))
        await anext(stream)
        loop, preprocessor = engine.loop, engine.preprocessor
    assert not loop.is_alive and not preprocessor.is_alive
    await stream.aclose()


async def test_the_reference_engine_keeps_to_it_too(loaded, path):
    first = GoesFirst(path)
    first.tell(True)
    engine = GenerateEngine(Settings(give_way_file=path), loader=lambda *_: loaded)
    await engine.start()
    await collect(engine.stream(question("What is this?", max_new_tokens=4)))
    assert engine.health().stats["gave_way_seconds"] > 0
    await engine.close()
    first.tell(False)
    way, engine = GivesWay(path), GenerateEngine(Settings(go_first_file=path, max_running=1), lambda *_: loaded)
    await engine.start()
    asked = [asyncio.create_task(collect(engine.stream(question(words)))) for words in ("One?", "Two?")]
    await asyncio.sleep(0)
    assert way.is_asked
    await asyncio.gather(*asked)
    assert not way.is_asked
    await engine.close()


class FirstEngine:
    info = ModelInfo(model_id="embedded", engine="batching")


def test_the_second_engine_of_a_comparison_gives_way_to_the_first(path):
    second = engines.build_compared(Settings(compare_engine="generate", go_first_file=path), FirstEngine())
    assert (second.settings.go_first_file, second.settings.give_way_file) == (None, path)


async def test_a_file_that_cannot_be_opened_is_told_at_the_start(started, tmp_path):
    for flag in ("go_first_file", "give_way_file"):
        with pytest.raises(SettingsError, match=f"--{flag.replace('_', '-')} {tmp_path}"):
            async with started(**{flag: tmp_path}):
                pass

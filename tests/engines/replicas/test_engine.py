"""Several engines as one: who answers, what is told of them, and what happens when one of them ends."""

import asyncio
import os
import signal
from contextlib import aclosing
from dataclasses import replace

import pytest

from qwen_demo.engines.replicas.engine import ReplicatedEngine
from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import EngineRestarting, ModelLoadError, NotReady
from qwen_demo.server.engines import build_server_engine
from qwen_demo.settings import Settings
from qwen_demo.types import Health, Message, Text, collect
from tests.conftest import image, question, until

SLOW = Script([f"{n} " for n in range(400)], gap_s=0.005)


class Mortal(ScriptedEngine):
    """Ends what it works on when it is told to die, as an engine's process does."""

    def __init__(self, script: Script = SLOW, **more):
        super().__init__(script, **more)
        self.failed = self.started = self.closed = False
        self._dying = asyncio.Event()

    async def start(self) -> None:
        self.started = True
        await super().start()
        self.info = replace(self.info, device="card")

    def die(self, *, failed: bool = False) -> None:
        self._ready, self.failed = False, failed
        self._dying.set()

    async def revive(self) -> None:
        self._dying.clear()
        await super().start()

    async def stream(self, request):
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                if self._dying.is_set():
                    raise EngineRestarting("gone")
                yield event

    def health(self) -> Health:
        return replace(super().health(), failed=self.failed, stats={"steps": 3, "step_seconds": 0.5})

    async def close(self) -> None:
        self.closed = True
        await super().close()


async def of(*replicas: ScriptedEngine, **more) -> ReplicatedEngine:
    engine = ReplicatedEngine(replicas, **more)
    await engine.start()
    return engine


async def test_a_crowd_is_shared_equally():
    replicas = [Mortal() for _ in range(3)]
    engine = await of(*replicas)
    answers = await asyncio.gather(
        *[collect(engine.stream(question(f"{n}", image(), max_new_tokens=20))) for n in range(12)]
    )
    assert [len(replica.requests) for replica in replicas] == [4, 4, 4]
    assert {answer.text for answer in answers} == {"".join(SLOW.words[:20])}
    assert engine.health().stats["replica_0_outstanding_tokens"] == 0


async def test_room_and_numbers_are_those_of_all():
    engine = await of(Mortal(max_running=3), Mortal(max_running=4))
    streams = [engine.stream(question(f"{n}")) for n in range(4)]
    await asyncio.gather(*map(anext, streams))
    health = engine.health()
    assert (health.ready, health.running, health.slots, health.failed) == (True, 4, 7, False)
    assert health.stats | {"steps": 6, "step_seconds": 0.5, "replicas": 2, "replicas_ready": 2} == health.stats
    assert health.stats["replica_1_requests"] == 2
    for stream in streams:
        await stream.aclose()
    assert engine.health().running == 0
    assert engine.info.device == "2 × card"


async def test_a_follow_up_goes_to_who_read_the_conversation():
    replicas = [Mortal(Script(["yes"])) for _ in range(4)]
    engine = await of(*replicas)
    request = question("Describe the image.", image(size=(1036, 756)))
    await collect(engine.stream(request))
    (first,) = (replica for replica in replicas if replica.requests)
    for turn in range(3):
        more = (Message("assistant", (Text("yes"),)), Message("user", (Text(f"{turn}?"),)))
        request = replace(request, messages=(*request.messages, *more))
        await collect(engine.stream(request))
    assert len(first.requests) == 4


async def test_one_dies_its_callers_are_told_and_the_others_serve():
    replicas = [Mortal(), Mortal()]
    engine = await of(*replicas)
    tasks = [asyncio.create_task(collect(engine.stream(question(f"{n}", max_new_tokens=40)))) for n in range(4)]
    await until(lambda: all(replica.health().running == 2 for replica in replicas))
    replicas[0].die()
    health = engine.health()
    assert health.ready and health.slots == 64 and health.stats["replicas_ready"] == 1
    assert health.detail == "1 of 2 replicas answer (number 0: loading)"
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(end, EngineRestarting) for end in ends] == [True, False, True, False]
    served = await asyncio.gather(*[collect(engine.stream(question(f"{n}"))) for n in range(4)])
    assert len(served) == 4 and len(replicas[1].requests) == 6 and len(replicas[0].requests) == 2


async def test_one_that_comes_back_serves_again_and_has_read_nothing():
    replicas = [Mortal(Script(["yes"])), Mortal(Script(["yes"]))]
    engine = await of(*replicas)
    request = question("Describe the image.", image())
    await collect(engine.stream(request))
    assert len(replicas[0].requests) == 1
    replicas[0].die()
    assert engine.health().stats["replicas_ready"] == 1
    await replicas[0].revive()
    assert engine.health().detail == "ready"
    await collect(engine.stream(request))  # the other one's turn, as both have to read all of it
    assert (len(replicas[0].requests), len(replicas[1].requests)) == (1, 1)


async def test_who_could_not_take_it_hands_it_on():
    """A replica that ends between the choice and the asking."""
    replicas = [Mortal(Script(["yes"])), Mortal(Script(["yes"]))]
    engine = await of(*replicas)
    replicas[0].health = lambda: Health(True)
    replicas[0]._ready = False
    assert (await collect(engine.stream(question("Hello")))).text == "yes"
    assert not replicas[0].requests and len(replicas[1].requests) == 1
    assert engine.health().stats["replica_0_outstanding_tokens"] == 0


async def test_where_none_answers_the_reason_is_told():
    replicas = [Mortal(), Mortal()]
    engine = await of(*replicas)
    replicas[0].die(failed=True)
    replicas[1].die()
    assert not engine.health().ready and not engine.health().failed
    with pytest.raises(NotReady, match="0 of 2 replicas answer"):
        await anext(engine.stream(question("Hello")))
    replicas[1].die(failed=True)
    assert engine.health().failed


async def test_one_that_does_not_start_ends_the_start_and_the_others():
    class Broken(Mortal):
        async def start(self) -> None:
            await until(lambda: good.started)
            raise ModelLoadError("The card is gone.")

    good = Mortal(load_s=3600.0)
    engine = ReplicatedEngine([good, Broken()])
    with pytest.raises(ModelLoadError, match="The card is gone"):
        await engine.start()
    assert good.closed and not engine.health().ready


async def test_closing_closes_all_and_asks_nobody_else():
    replicas = [Mortal(), Mortal()]
    engine = await of(*replicas)
    await engine.close()
    assert all(replica.closed for replica in replicas)
    with pytest.raises(NotReady):
        await anext(engine.stream(question("Hello")))


@pytest.mark.slow
async def test_two_processes_with_a_model_each_and_one_is_killed():
    settings = Settings(model="embedded", replicas=2, slots=2, slot_tokens=512, threads=1, warmup=False)
    engine = build_server_engine(settings)
    await engine.start()
    try:
        asked = [question("Who are you?", max_new_tokens=4) for _ in range(4)]
        answers = await asyncio.gather(*[collect(engine.stream(each)) for each in asked])
        assert len({answer.text for answer in answers}) == 1 and engine.health().slots == 4
        first, second = (seat.engine for seat in engine.roster.seats)
        assert first.pid != second.pid
        os.kill(first.pid, signal.SIGKILL)
        await until(lambda: engine.health().stats["replicas_ready"] == 1)
        assert (await collect(engine.stream(asked[0]))).text == answers[0].text
        await until(lambda: engine.health().stats["replicas_ready"] == 2, timeout_s=60)
        assert engine.health().stats["restarts"] == 1
        again = await asyncio.gather(*[collect(engine.stream(each)) for each in asked])
        assert {answer.text for answer in again} == {answers[0].text}

        leaving = asyncio.gather(*[collect(engine.stream(each)) for each in asked])
        await until(lambda: all(seat.ledger.requests == 2 for seat in engine.roster.seats))
        engine.roster.take_out(0)
        assert {answer.text for answer in await leaving} == {answers[0].text}
        await until(lambda: engine.roster.seat(0).stage == "out", timeout_s=60)
        assert first.pid is None and engine.health().stats["replicas_ready"] == 1
        engine.roster.bring_back(0)
        await until(lambda: engine.health().stats["replicas_ready"] == 2, timeout_s=60)
        assert (await collect(engine.roster.seat(0).engine.stream(asked[0]))).text == answers[0].text
    finally:
        await engine.close()

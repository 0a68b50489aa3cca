"""An operator takes a replica out and brings it back; no request is lost by it."""

import asyncio

import pytest

from qwen_demo.engines.replicas.engine import ReplicatedEngine
from qwen_demo.engines.scripted import Script
from qwen_demo.errors import InvalidRequest, ModelLoadError, NotFound, NotReady
from qwen_demo.types import collect
from tests.conftest import question, until
from tests.engines.replicas.test_engine import SLOW, Mortal

SHORT = Script(["yes"])


class Roomful:
    """A started engine of so many replicas, and all that ever sat in it."""

    def __init__(self, count: int = 2, script: Script = SLOW):
        self.made = [Mortal(script) for _ in range(count)]
        self.next = lambda: Mortal(script)
        self.engine = ReplicatedEngine(self.made[:], anew=self._anew)
        self.roster = self.engine.roster

    def _anew(self, number: int) -> Mortal:
        self.made.append(self.next())
        return self.made[-1]

    async def started(self) -> "Roomful":
        await self.engine.start()
        return self

    def asked(self, count: int, tokens: int = 40) -> list[asyncio.Task]:
        streams = [self.engine.stream(question(f"{n}", max_new_tokens=tokens)) for n in range(count)]
        return [asyncio.create_task(collect(stream)) for stream in streams]

    @property
    def stages(self) -> list[str]:
        return [seat.stage for seat in self.roster.seats]


async def test_one_goes_out_and_comes_back_in_a_crowd_that_loses_nothing():
    room = await Roomful().started()
    first, second = room.made
    before = room.asked(6)
    await until(lambda: first.health().running == 3)
    room.roster.take_out(0)
    assert room.stages == ["draining", "serving"] and not first.closed
    stats = room.engine.health().stats
    assert (stats["replicas_ready"], stats["replicas_out"], stats["replica_0_ready"]) == (1, 1, 0)
    during = room.asked(4)
    await until(lambda: room.stages[0] == "out")
    assert first.closed and len(first.requests) == 3 and len(second.requests) == 7
    assert room.engine.health().ready
    assert room.engine.health().detail == "1 of 2 replicas answer (number 0: taken out)"
    room.roster.bring_back(0)
    await until(lambda: room.stages == ["serving", "serving"])
    after = room.asked(4)
    answers = await asyncio.gather(*before, *during, *after)
    assert {answer.text for answer in answers} == {"".join(SLOW.words[:40])}
    assert len(room.made) == 3 and len(room.made[2].requests) >= 2 and len(first.requests) == 3
    assert room.engine.health().stats["replicas_ready"] == 2


async def test_what_is_asked_of_one_that_is_out_of_habit_goes_to_another():
    """Its conversations: the one that comes back has read nothing of them."""
    room = await Roomful(script=SHORT).started()
    request = question("Who are you?")
    await collect(room.engine.stream(request))
    room.roster.take_out(0)
    await collect(room.engine.stream(request))
    await until(lambda: room.stages[0] == "out")
    room.roster.bring_back(0)
    await until(lambda: room.stages[0] == "serving")
    await collect(room.engine.stream(request))
    assert [len(each.requests) for each in room.made] == [1, 2, 0]


async def test_the_last_one_that_answers_stays():
    room = await Roomful().started()
    room.roster.take_out(1)
    room.roster.take_out(1)
    with pytest.raises(InvalidRequest, match="Replica 0 is the only one that answers"):
        room.roster.take_out(0)
    other = await Roomful().started()
    other.made[1].die()
    with pytest.raises(InvalidRequest):
        other.roster.take_out(0)
    other.roster.take_out(1)  # one that is down may leave, and where the other fails then, all have failed
    other.made[0].die(failed=True)
    assert other.engine.health().failed
    with pytest.raises(NotReady):
        await anext(other.engine.stream(question("Hello")))


async def test_one_that_has_not_ended_stays_as_it_is():
    room = await Roomful().started()
    answers = room.asked(2)
    await until(lambda: room.made[0].health().running == 1)
    room.roster.take_out(0)
    room.roster.bring_back(0)
    room.roster.bring_back(0)
    assert room.stages == ["serving", "serving"]
    await asyncio.gather(*answers)
    assert not room.made[0].closed and len(room.made) == 2
    await asyncio.gather(*room.asked(2, tokens=1))
    assert len(room.made[0].requests) == 2


async def test_one_that_does_not_come_back_is_out_with_the_reason_and_may_be_tried_again():
    class Broken(Mortal):
        async def start(self) -> None:
            raise ModelLoadError("The card is gone.")

    room = await Roomful(script=SHORT).started()
    room.next, usual = Broken, room.next
    room.roster.take_out(0)
    await until(lambda: room.stages[0] == "out")
    room.roster.bring_back(0)
    await until(lambda: room.stages[0] == "out")
    assert room.roster.seat(0).detail == "The card is gone." and room.made[2].closed
    assert (await collect(room.engine.stream(question("Hello")))).text == "yes"
    room.next = usual
    room.roster.bring_back(0)
    await until(lambda: room.stages[0] == "serving")
    assert room.roster.seat(0).detail == ""


async def test_one_that_loads_may_be_taken_out_again():
    room = await Roomful().started()
    room.next = lambda: Mortal(load_s=3600.0)
    room.roster.take_out(0)
    await until(lambda: room.stages[0] == "out")
    room.roster.bring_back(0)
    await until(lambda: len(room.made) == 3 and room.made[2].started)
    assert room.stages[0] == "loading" and not room.engine.health().failed
    room.roster.take_out(0)
    with pytest.raises(InvalidRequest, match="just ending"):
        room.roster.bring_back(0)
    await until(lambda: room.stages[0] == "out")
    assert room.made[2].closed


@pytest.mark.parametrize("number", [-1, 2])
async def test_there_are_no_others(number):
    room = await Roomful().started()
    with pytest.raises(NotFound, match="from 0 to 1"):
        room.roster.take_out(number)


async def test_closing_ends_what_drains_and_what_loads():
    room = await Roomful(3).started()
    answers = room.asked(3, tokens=300)
    await until(lambda: room.made[1].health().running == 1)
    room.next = lambda: Mortal(load_s=3600.0)
    room.roster.take_out(1)
    answers[0].cancel()
    room.roster.take_out(0)
    await until(lambda: room.stages[0] == "out")
    room.roster.bring_back(0)
    await until(lambda: len(room.made) == 4 and room.made[3].started)
    await room.engine.close()
    assert all(each.closed for each in room.made)
    for answer in answers:
        answer.cancel()
    await asyncio.gather(*answers, return_exceptions=True)

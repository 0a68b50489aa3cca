"""Nobody takes all of the room: neither one caller nor those whose files are being opened; deadlines begin at the door."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import DeadlineExceeded, InvalidRequest, Overloaded
from qwen_demo.fairness import current_account
from qwen_demo.service.queue import Ticket
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import Answer, ChatRequest, collect
from tests.conftest import question, until

PATIENT = Script(["a"], first_s=600)


@contextlib.asynccontextmanager
async def serving(script: Script = PATIENT, **settings) -> Iterator[tuple[Service, ScriptedEngine]]:
    limits = Settings(**{"warmup": False, "canary_s": 0, "grace_s": 0, "max_running": 4, "max_waiting": 4, **settings})
    engine = ScriptedEngine(script, limits.max_running)
    service = Service(limits, engine)
    service.start()
    await service.loaded()
    yield service, engine
    await service.close()


class Crowd:
    """Questions of callers by name, all of which end with the block."""

    def __init__(self, service: Service):
        self._service, self.tasks = service, []

    def ask(self, name: str, request=None, **options) -> asyncio.Task[Answer]:
        token = current_account.set((name,) if name else ())
        events = self._service.answer(request or question("hello"), **options)
        self.tasks.append(asyncio.create_task(collect(events)))
        current_account.reset(token)
        return self.tasks[-1]

    async def __aenter__(self) -> "Crowd":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_one_caller_takes_a_part_of_slots_and_room_and_another_is_worked_on_at_once():
    async with serving() as (service, engine), Crowd(service) as crowd:
        for _ in range(6):
            crowd.ask("alice")
        await until(lambda: engine.health().running == 3 and service.status().waiting == 3)
        with pytest.raises(Overloaded, match=r"6 requests of yours .* one caller .* --caller-share"):
            await crowd.ask("alice")
        crowd.ask("bob")
        await until(lambda: engine.health().running == 4)
        assert service.in_flight == 7


async def test_a_caller_who_is_alone_leaves_one_slot_of_sixteen():
    async with serving(max_running=16, max_waiting=64) as (service, engine), Crowd(service) as crowd:
        for _ in range(20):
            crowd.ask("alice")
        await until(lambda: service.in_flight == 20 and engine.health().running == 15)
        crowd.ask("bob")
        await until(lambda: engine.health().running == 16)


async def test_beside_others_a_caller_has_three_slots_of_four():
    async with serving(max_running=16, max_waiting=64) as (service, engine), Crowd(service) as crowd:
        crowd.ask("bob")
        await until(lambda: engine.health().running == 1)
        for _ in range(15):
            crowd.ask("alice")
        await until(lambda: service.in_flight == 16 and engine.health().running == 13)


async def test_a_slot_that_is_free_goes_to_callers_in_turn():
    async with serving(max_running=2, max_waiting=20, caller_share=1.0) as (service, engine), Crowd(service) as crowd:
        for _ in range(6):
            crowd.ask("alice")
        bob = Ticket()
        crowd.ask("bob", ticket=bob)
        await until(lambda: service.status().waiting == 5)
        place = service.ahead_of(bob)
        assert place is not None and place > 0
        engine.script = Script(["b"])
        crowd.tasks[0].cancel()
        await until(lambda: service.in_flight < 6)
        assert (await crowd.tasks[6]).text == "b"


async def test_a_caller_without_a_name_has_all_of_it():
    async with serving() as (service, engine), Crowd(service) as crowd:
        for _ in range(8):
            crowd.ask("")
        await until(lambda: engine.health().running == 4 and service.status().waiting == 4)
        with pytest.raises(Overloaded, match="8 requests are running or waiting"):
            await crowd.ask("")


async def test_a_key_has_its_part_from_however_many_addresses():
    async with serving() as (service, engine), Crowd(service) as crowd:
        for number in range(6):
            token = current_account.set((f"address {number}", "key:a"))
            crowd.tasks.append(asyncio.create_task(collect(service.answer(question("hello")))))
            current_account.reset(token)
        await until(lambda: service.in_flight == 6)
        assert engine.health().running == 3
        with pytest.raises(Overloaded, match="of yours"):
            await crowd.ask("key:a")


async def test_prompts_of_one_caller_leave_room_for_those_of_others():
    async with serving(max_waiting_tokens=100) as (service, engine), Crowd(service) as crowd:
        crowd.ask("alice", question("x" * 180))
        await until(lambda: engine.health().running == 1)
        with pytest.raises(Overloaded, match="Prompts of yours of 61 tokens"):
            await crowd.ask("alice", question("x" * 90))
        crowd.ask("bob", question("x" * 90))
        await until(lambda: engine.health().running == 2)


async def never() -> ChatRequest:
    await asyncio.sleep(3600)
    raise AssertionError


async def test_a_question_in_words_finds_room_while_files_are_opened():
    async with serving(Script(["a"]), caller_share=1.0) as (service, _), Crowd(service) as crowd:
        for _ in range(6):
            crowd.ask("alice", never())
        await until(lambda: service.in_flight == 6)
        with pytest.raises(Overloaded, match="Files of 6 requests are being opened"):
            await crowd.ask("bob", never())

        async def words() -> ChatRequest:
            return question("hello")

        assert (await crowd.ask("bob", words(), opens_files=False)).text == "a"
        assert (await crowd.ask("bob")).text == "a"
        crowd.tasks[0].cancel()
        await until(lambda: service.in_flight == 5)
        assert (await crowd.ask("bob", words())).text == "a"


async def test_opening_files_counts_for_the_deadline_and_is_in_the_metrics():
    async with serving(request_timeout_s=0.05) as (service, engine), Crowd(service) as crowd:
        with pytest.raises(DeadlineExceeded, match=r"0\.05 s"):
            await crowd.ask("alice", never())
        assert service.in_flight == 0
        assert not engine.requests
    async with serving(Script(["a"])) as (service, _), Crowd(service) as crowd:

        async def late() -> ChatRequest:
            await asyncio.sleep(0.06)
            return question("hello")

        answer = await crowd.ask("alice", late())
        assert answer.finished.timing.media_s >= 0.06
        assert b'qwen_media_seconds_bucket{le="0.05"} 0.0' in service.metrics.text()
        assert b"qwen_media_seconds_count 1.0" in service.metrics.text()


async def test_waiting_for_a_place_counts_for_the_deadline_and_as_waiting():
    async with serving(max_running=1, caller_share=1.0, request_timeout_s=0.2) as (service, engine):
        async with Crowd(service) as crowd:
            waiting = [crowd.ask("alice") for _ in range(5)]
            await until(lambda: service.status().waiting == 4)
            for task in waiting:
                with pytest.raises(DeadlineExceeded):
                    await task
        assert service.in_flight == service.status().waiting == 0
        engine.script = Script(["b"])
        async with Crowd(service) as crowd:
            assert (await crowd.ask("alice")).text == "b"


async def test_time_in_line_is_time_of_the_answer():
    async with serving(Script(["a"], first_s=0.1), max_running=1) as (service, _), Crowd(service) as crowd:
        first, second = crowd.ask("alice"), crowd.ask("alice")
        await first
        timing = (await second).finished.timing
        assert timing.queue_s >= 0.05
        assert timing.total_s >= timing.ttft_s >= timing.queue_s + 0.1


async def test_a_text_that_no_model_of_this_length_reads_is_refused_before_its_tokens_are_counted():
    async with serving(Script(["a"])) as (service, engine), Crowd(service) as crowd:
        with pytest.raises(InvalidRequest, match=r"1000000 characters.*4096 tokens"):
            await crowd.ask("alice", question("x" * 1_000_000))
        assert not engine.requests
        assert (await crowd.ask("alice", question("x " * 1000))).text == "a"

"""Those who wait learn their own place, and the time that the service tells everybody."""

import asyncio
from contextlib import aclosing

import pytest

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.media import MediaLoader
from qwen_demo.service.queue import Ticket, WaitingQueue
from qwen_demo.service.service import Service
from qwen_demo.types import Finished
from qwen_demo.ui import chat
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.panels import answering
from tests.conftest import question, until


@pytest.fixture
async def service(settings):
    service = Service(settings.model_copy(update={"warmup": False}), ScriptedEngine(Script(["a ", "b"]), max_running=1))
    service.start()
    await service.loaded()
    yield service
    await service.close()


def test_of_those_without_a_word_the_newest_wait():
    line, tickets = WaitingQueue(), [Ticket() for _ in range(4)]
    for ticket in tickets:
        line.join(ticket, 10)
    assert [line.ahead(ticket, 2) for ticket in tickets] == [None, None, 0, 1]
    line.leave(tickets[0])
    line.leave(tickets[0])
    assert [line.ahead(ticket, 2) for ticket in tickets] == [None, None, 0, 1]
    assert line.ahead(tickets[3], 1) == 0 and line.ahead(tickets[3], 0) is None
    assert tickets[0].stage == "answering" and line.ahead(Ticket(), 3) is None


async def read(service: Service, ticket: Ticket) -> None:
    async with aclosing(service.answer(question("x"), ticket=ticket)) as events:
        assert [isinstance(event, Finished) async for event in events][-1]


async def test_each_learns_its_own_place_and_it_falls(service):
    service._engine.script = Script(["a"], first_s=0.2)
    tickets = [Ticket() for _ in range(4)]
    tasks = []
    for number, ticket in enumerate(tickets):
        tasks.append(asyncio.create_task(read(service, ticket)))
        await until(lambda: service.status().running + service.status().waiting == number + 1)  # noqa: B023
    assert [service.ahead_of(ticket) for ticket in tickets] == [None, 0, 1, 2]
    # The figure of the header and the metrics is that of a request that comes now: it has all before it.
    assert service.eta_s(3) == service.eta_s() == 3.0
    assert chat.progress(tickets[3], service) == "Waiting in line; 2 before you, about 2 s"
    await tasks[0]
    await until(lambda: service.status().waiting == 2)
    assert [service.ahead_of(ticket) for ticket in tickets] == [None, None, 0, 1]
    assert chat.progress(tickets[2], service) == "Waiting in line; next"
    await asyncio.gather(*tasks)
    assert not service._queue._tickets


async def test_the_stages_before_the_first_word_are_told(service):
    ticket = Ticket()
    ticket.since -= 2
    assert chat.progress(ticket, service) == "Opening the files, 2 s so far"
    service._queue.join(ticket, 1234)
    ticket.since -= 3
    assert chat.progress(ticket, service) == "Looking at it: about 1,234 tokens to read, 3 s so far"
    service._queue.leave(ticket)


async def test_who_leaves_while_waiting_leaves_the_line(service):
    service._engine.script = Script(["a"], first_s=5)
    tickets = [Ticket(), Ticket()]
    tasks = [asyncio.create_task(read(service, ticket)) for ticket in tickets]
    await until(lambda: service.status().waiting == 1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not service._queue._tickets


async def test_a_question_in_a_panel_is_told_its_place_too(service, settings, tmp_path):
    service._engine.script = Script(["a"], first_s=1.2)
    first = asyncio.create_task(read(service, Ticket()))
    await until(lambda: service.status().running == 1)
    request = chat.chat_request(
        Reader(MediaLoader.of(settings), [tmp_path]), chat.ask([], {"text": "x"}), question("x").sampling, "", None
    )
    async with aclosing(answering.answer(request, service)) as steps:
        notes = {step.note async for step in steps}
    assert "Waiting in line; next" in notes
    await first

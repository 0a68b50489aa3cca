"""Server-sent events on the wire."""

import asyncio

from qwen_demo.http import sse


class Wire:
    """What an application sends, and a client that stays."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.moved = asyncio.Event()

    async def send(self, message) -> None:
        self.sent.append(message.get("body", b""))
        self.moved.set()

    async def receive(self):
        await asyncio.Event().wait()


class Source:
    async def aclose(self) -> None:
        pass


async def test_a_comment_is_one_line_and_ends_no_event(monkeypatch):
    monkeypatch.setattr(sse, "COMMENT_EVERY_S", 0.01)
    wire, go_on = Wire(), asyncio.Event()

    async def chunks():
        yield sse.event("a")
        await go_on.wait()
        yield sse.event("b")

    answering = asyncio.create_task(sse.EventStream(chunks(), Source())({}, wire.receive, wire.send))
    while b"".join(wire.sent).count(b":") < 3:
        wire.moved.clear()
        await wire.moved.wait()
    go_on.set()
    await answering
    text = b"".join(wire.sent).decode()
    assert [line for line in text.split("\n\n") if not line.strip()] == [""]
    events = [block for block in text.split("\n\n") if block]
    assert len(events) == 2
    assert [block.splitlines()[-1] for block in events] == ["data: a", "data: b"]
    assert all(line.startswith(":") for line in events[1].splitlines()[:-1])


async def test_the_first_event_is_sent_before_anything_else_happens():
    wire = Wire()

    async def chunks():
        yield sse.event("first")
        await asyncio.Event().wait()

    answering = asyncio.create_task(sse.EventStream(chunks(), Source())({}, wire.receive, wire.send))
    while b"data: first\n\n" not in wire.sent:
        wire.moved.clear()
        await wire.moved.wait()
    answering.cancel()
    await asyncio.wait({answering})

"""What a reader gets of an answer, and when, while its words come faster than they can be sent."""

import asyncio
from contextlib import aclosing

import pytest

from qwen_demo.errors import EngineFailed, InvalidRequest
from qwen_demo.service.pacing import EVENT_STREAM, Pace, PacedStream
from qwen_demo.types import Finished, TextDelta, Timing, TokenLogprob, Usage
from tests.conftest import until

DONE = Finished("stop", Usage(5, 0, 2), Timing(ttft_s=0.1, decode_s=0.1, total_s=0.2))
FOREVER_S = 3600.0


class Source:
    """A stream that says what it is told to, when it is told to."""

    def __init__(self):
        self._events: asyncio.Queue = asyncio.Queue()
        self.taken = 0
        self.closed = False

    def say(self, *events) -> None:
        for event in events:
            self._events.put_nowait(event)

    async def stream(self):
        try:
            while True:
                event = await self._events.get()
                self.taken += 1
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.closed = True


@pytest.fixture
def source():
    return Source()


async def collected(stream: PacedStream) -> list:
    async with aclosing(stream):
        return [event async for event in stream]


async def test_words_that_come_while_the_reader_rests_go_together(source):
    async with aclosing(PacedStream(source.stream(), lambda: FOREVER_S)) as stream:
        source.say(TextDelta("one "))
        assert await anext(stream) == TextDelta("one ")
        source.say(TextDelta("two ", (TokenLogprob("two ", -1.0),)), TextDelta("three", (TokenLogprob("three", -2.0),)))
        await until(lambda: source.taken == 3)
        source.say(DONE)  # ends the rest, however long it is
        both = (TokenLogprob("two ", -1.0), TokenLogprob("three", -2.0))
        assert await anext(stream) == TextDelta("two three", both)
        assert await anext(stream) is DONE


async def test_without_a_pause_each_word_goes_by_itself(source):
    async with aclosing(PacedStream(source.stream(), lambda: 0.0)) as stream:
        for word in ("one ", "two ", "three"):
            source.say(TextDelta(word))
            assert await anext(stream) == TextDelta(word)


async def test_a_rest_ends_by_itself_when_its_time_is_over(source):
    async with aclosing(PacedStream(source.stream(), lambda: 0.05)) as stream:
        source.say(TextDelta("one "))
        assert await anext(stream) == TextDelta("one ")
        source.say(TextDelta("two"))
        assert await anext(stream) == TextDelta("two")


async def test_no_word_is_lost_of_those_that_come_at_once():
    async def fast():
        for n in range(1000):
            yield TextDelta(f"{n} ")
            await asyncio.sleep(0)
        yield DONE

    events = await collected(PacedStream(fast(), lambda: 0.1))
    words = [event.text for event in events if isinstance(event, TextDelta)]
    assert "".join(words) == "".join(f"{n} " for n in range(1000))
    assert words[0] == "0 "
    assert len(words) < 500
    assert events[-1] is DONE


async def test_an_error_comes_after_the_words_before_it(source):
    source.say(TextDelta("a"), TextDelta("b"), EngineFailed("broken"))
    seen = []
    with pytest.raises(EngineFailed):
        async with aclosing(PacedStream(source.stream(), lambda: FOREVER_S)) as stream:
            async for event in stream:
                seen.append(event)
    assert "".join(event.text for event in seen) == "ab"


async def test_while_nothing_comes_the_heart_beats(source):
    async with aclosing(PacedStream(source.stream(), lambda: 0.0, heartbeat_s=0.001)) as stream:
        assert [await anext(stream) for _ in range(3)] == [None, None, None]
        source.say(TextDelta("at last"))
        while (event := await anext(stream)) is None:
            pass
        assert event == TextDelta("at last")


async def test_closing_it_closes_what_it_reads(source):
    stream = PacedStream(source.stream(), lambda: 0.0)
    source.say(TextDelta("one "))
    await anext(stream)
    await stream.aclose()
    assert source.closed


async def test_a_refusal_is_known_before_anything_is_sent(source):
    source.say(InvalidRequest("no"))
    async with aclosing(PacedStream(source.stream(), lambda: 0.0)) as stream:
        with pytest.raises(InvalidRequest):
            await stream.begun(FOREVER_S)


async def test_a_stream_that_is_slow_to_begin_is_not_waited_for(source):
    async with aclosing(PacedStream(source.stream(), lambda: 0.0)) as stream:
        await stream.begun(0.001)
        source.say(TextDelta("late"))
        assert await anext(stream) == TextDelta("late")


def test_a_crowd_is_sent_to_less_often_and_a_few_at_once():
    assert EVENT_STREAM.pause_s(1) == EVENT_STREAM.pause_s(16) == 0
    assert 0 < EVENT_STREAM.pause_s(64) < 0.02
    assert EVENT_STREAM.pause_s(10_000) == 0.05
    assert Pace(0.1, 0.3, 0.001).pause_s(3) == 0.1

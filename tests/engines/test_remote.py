"""The remote engine in front of this program's own API, which speaks the same language as vLLM's."""

import asyncio
import contextlib
import json
import re
from collections.abc import Sequence

import pytest

from qwen_demo.engines.remote.engine import RemoteEngine
from qwen_demo.engines.remote.upstreams import Upstreams
from qwen_demo.engines.scripted import Script
from qwen_demo.errors import EngineFailed, InvalidRequest, ModelLoadError, NotReady, Overloaded, SettingsError
from qwen_demo.raster import Raster
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Image, Message, Text, Video, collect
from tests.api.conftest import start  # noqa: F401 a fixture
from tests.conftest import draw, image, question, until

NOWHERE = "http://127.0.0.1:1/v1"


HELLO = {"choices": [{"index": 0, "delta": {"content": "hello"}, "finish_reason": None}]}
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
BUSY = {"error": {"message": "The engine is busy.", "type": "Service Unavailable", "param": None, "code": 503}}


@contextlib.asynccontextmanager
async def other_program(*pieces: dict | bytes, models: Sequence[bytes] = ()):
    """A server that is not ours: says 200, sends these events or bytes, and hangs up. Gives its base URL.

    Args:
        models: what it sends in place of its list of models, as long as there is something.
    """

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if length := re.search(rb"content-length: (\d+)", head, re.I):
            await reader.readexactly(int(length.group(1)))
        events = [piece if isinstance(piece, bytes) else b"data: " + json.dumps(piece).encode() for piece in pieces]
        body, kind = b"".join(event + b"\n\n" for event in events), b"text/event-stream"
        if head.startswith(b"GET"):
            body, kind = (
                models[-1]
                if models
                else b'{"data": [{"id": "scripted", "object": "model", "created": 0, "owned_by": "x"}]}',
                b"application/json",
            )
        # A length that is never reached says that the answer broke off.
        more = b"9" if pieces and isinstance(pieces[-1], bytes) and kind == b"text/event-stream" else b""
        size = more + str(len(body)).encode()
        beginning = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: "
        writer.write(beginning + kind + b"\r\nContent-Length: " + size + b"\r\n\r\n" + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def remote(*urls: str, **settings) -> RemoteEngine:
    engine = RemoteEngine(Settings(engine="remote", base_url=",".join(urls), **settings))
    await engine.start()
    return engine


async def test_an_answer_passes_through_with_its_usage_and_reason(start):  # noqa: F811
    upstream = start()
    engine = await remote(upstream.url + "/v1")
    answer = await collect(engine.stream(question("hello", image("red"), seed=3, top_k=4, stop=("zzz",))))
    assert answer.text == "one two"
    assert answer.finished.reason == "stop"
    assert answer.finished.usage.completion_tokens == 2
    assert answer.finished.usage.image_tokens > 0
    assert answer.finished.timing.ttft_s > 0
    (seen,) = upstream.engine.requests
    assert isinstance(seen.messages[0].parts[0], Image)
    assert list(seen.messages[0].parts[0].pixels.getdata()) == list(image("red").pixels.getdata())
    assert (seen.sampling.seed, seen.sampling.top_k, seen.sampling.stop) == (3, 4, ("zzz",))
    await engine.close()


ODD = [
    {"choices": [{"index": 0, "finish_reason": "stop"}]},
    {"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]},
    {"choices": [{"index": 0, "delta": {"content": None}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": {"content": [{"token": "a"}]}}]},
]


@pytest.mark.parametrize("end", ODD)
@pytest.mark.parametrize("counts", [{"prompt_tokens": None, "completion_tokens": None}, {"prompt_tokens": 7}, {}])
async def test_chunks_that_leave_things_out_are_read(end, counts):
    async with other_program(HELLO, end, {"choices": [], "usage": counts}, {"choices": None}, b"data: [DONE]") as url:
        engine = await remote(url)
        answer = await collect(engine.stream(question("hello")))
        await engine.close()
    assert (answer.text, answer.finished.reason) == ("hello", "stop")
    assert answer.finished.usage.completion_tokens == 0


@pytest.mark.parametrize("reason", ["abort", "error", "insufficient_system_resource", "a word of tomorrow"])
async def test_what_the_other_side_broke_off_is_no_end(reason):
    async with other_program(HELLO, {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}) as url:
        engine = await remote(url)
        pieces = []
        with pytest.raises(NotReady, match=reason):
            async for event in engine.stream(question("hello")):
                pieces.append(event.text)
        await engine.close()
    assert pieces == ["hello"]


async def test_a_filter_of_the_other_side_is_passed_on():
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]}
    async with other_program(HELLO, end, b"data: [DONE]") as url:
        engine = await remote(url)
        assert (await collect(engine.stream(question("hello")))).finished.reason == "content_filter"
        await engine.close()


async def test_a_clip_and_a_message_to_continue_reach_the_other_side(start):  # noqa: F811
    upstream = start()
    engine = await remote(upstream.url + "/v1")
    clip = Video(Raster.of(*[draw("red", (56, 84))] * 4), (0, 0.5, 1, 1.5), 2.0, 2.0, "clip")
    messages = (Message("user", (clip, Text("what?"))), Message("assistant", (Text("It is"),)))
    assert (await collect(engine.stream(ChatRequest(messages, continue_final_message=True)))).text == "one two"
    (seen,) = upstream.engine.requests
    assert seen.continue_final_message
    (video, _), (words,) = seen.messages[0].parts, seen.messages[1].parts
    assert (video.raster.count, video.raster.size, video.times_s) == (4, (56, 84), clip.times_s)
    assert words == Text("It is")
    await engine.close()


@pytest.mark.parametrize("reason", ["length", "repetition"])
async def test_the_reason_is_true(start, reason):  # noqa: F811
    engine = await remote(start(Script(["a"], reason=reason)).url + "/v1")
    assert (await collect(engine.stream(question("hello")))).finished.reason == reason
    await engine.close()


async def test_closing_the_stream_frees_the_other_side(start):  # noqa: F811
    upstream = start(Script(["a "] * 500, gap_s=0.02))
    engine = await remote(upstream.url + "/v1")
    stream = engine.stream(question("hello", max_new_tokens=500))
    await anext(stream)
    assert upstream.engine.health().running == 1
    await stream.aclose()
    assert engine.health().running == 0
    await until(lambda: upstream.engine.health().running == 0)
    await engine.close()


async def test_overload_is_passed_on_with_its_retry_after(start):  # noqa: F811
    upstream = start(Script(["a"], first_s=600), max_running=1, max_waiting=0)
    engine = await remote(upstream.url + "/v1")
    busy = asyncio.create_task(collect(engine.stream(question("hello"))))
    await until(lambda: upstream.engine.health().running == 1)
    with pytest.raises(Overloaded, match="at its limit") as refused:
        await collect(engine.stream(question("hello")))
    assert refused.value.retry_after_s >= 1
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)
    await engine.close()


async def test_a_refusal_is_passed_on_in_words(start):  # noqa: F811
    engine = await remote(start().url + "/v1")
    with pytest.raises(InvalidRequest, match="temperature"):
        await collect(engine.stream(question("hello", temperature=9)))
    await engine.close()


@pytest.mark.slow
async def test_requests_are_spread_and_move_on_when_a_server_dies(start):  # noqa: F811
    script = Script(["a "] * 20, gap_s=0.02)
    first, second = start(script), start(script)
    engine = await remote(first.url + "/v1", second.url + "/v1", NOWHERE)
    await asyncio.gather(*[collect(engine.stream(question("hello"))) for _ in range(6)])
    assert len(first.engine.requests) == len(second.engine.requests) == 3
    await asyncio.to_thread(first.stop)
    answers = await asyncio.gather(*[collect(engine.stream(question("hello"))) for _ in range(4)])
    assert all(answer.text == "a " * 20 for answer in answers)
    assert engine.health().ready
    assert engine.health().stats["healthy_upstreams"] == 1
    await engine.close()


async def test_after_the_first_token_nothing_is_tried_again(start):  # noqa: F811
    dying, other = start(Script(["a "] * 500, gap_s=0.02)), start()
    engine = await remote(dying.url + "/v1", other.url + "/v1")
    stream = engine.stream(question("hello", max_new_tokens=500))
    await anext(stream)
    stopping = asyncio.create_task(asyncio.to_thread(dying.stop))
    with pytest.raises((EngineFailed, Overloaded)):
        async for _ in stream:
            pass
    await stopping
    assert not other.engine.requests
    await engine.close()


async def test_overload_that_is_told_inside_a_stream_is_overload():
    async with other_program(BUSY) as url:
        engine = await remote(url)
        with pytest.raises(Overloaded, match="The engine is busy"):
            await collect(engine.stream(question("hello")))
        await engine.close()


async def test_a_server_that_is_full_hands_over_to_one_that_is_not(start):  # noqa: F811
    async with other_program(BUSY) as url:
        engine = await remote(url, start().url + "/v1")
        answers = await asyncio.gather(*[collect(engine.stream(question("hello"))) for _ in range(4)])
        assert [answer.text for answer in answers] == ["one two"] * 4
        await engine.close()


@pytest.mark.parametrize(
    ("pieces", "told"),
    [
        ((HELLO, b": here it breaks off"), "connection .* broke"),
        ((HELLO, {"error": {"message": "CUDA error", "code": 500}}), "CUDA error"),
        ((HELLO, END, b": no end"), "connection .* broke"),
        ((HELLO, b"data: {nonsense"), "no JSON"),
        ((HELLO,), "without a reason"),
    ],
)
async def test_what_goes_wrong_inside_a_stream_is_told(pieces, told):
    async with other_program(*pieces) as url:
        engine = await remote(url)
        stream = engine.stream(question("hello"))
        assert (await anext(stream)).text == "hello"
        with pytest.raises(EngineFailed, match=told):
            await anext(stream)
        await engine.close()


async def test_readiness_follows_the_servers(start, monkeypatch):  # noqa: F811
    monkeypatch.setattr("qwen_demo.engines.remote.upstreams.CHECK_EVERY_S", 0.05)
    upstream = start()
    engine = await remote(upstream.url + "/v1")
    assert engine.health().ready
    await asyncio.to_thread(upstream.stop)
    await until(lambda: not engine.health().ready)
    assert "127.0.0.1" in engine.health().detail
    await engine.close()


@pytest.mark.slow
async def test_no_server_or_another_model_is_told_at_start(start):  # noqa: F811
    with pytest.raises(ModelLoadError, match="Start one"):
        await remote(NOWHERE)
    with pytest.raises(ModelLoadError, match="there is: scripted"):
        await remote(start().url + "/v1", model="Qwen/Qwen2.5-VL-7B-Instruct")
    with pytest.raises(SettingsError, match="--base-url"):
        RemoteEngine(Settings(engine="remote"))


@pytest.mark.parametrize("page", [b"<html>back soon</html>", b'{"data": null}', b'{"data": [{"id"'])
async def test_a_list_of_models_that_cannot_be_read_is_looked_at_again(start, monkeypatch, page):  # noqa: F811
    monkeypatch.setattr("qwen_demo.engines.remote.upstreams.CHECK_EVERY_S", 0.05)
    async with other_program(models=(odd := [])) as url:
        engine = await remote(url)
        odd.append(page)
        await until(lambda: not engine.health().ready)
        assert "cannot be read" in engine.health().detail
        odd.clear()
        await until(lambda: engine.health().ready)
        await engine.close()


async def test_a_password_in_an_address_is_told_to_nobody():
    upstreams = Upstreams(["http://alice:s3cret@gpu.example:8000/v1"], "key", 1.0)
    told = f"{upstreams.names}{upstreams.troubles}"
    assert "gpu.example:8000" in told and "s3cret" not in told and "alice" not in told
    await upstreams.close()


async def test_the_key_is_sent_and_not_shown(start, tmp_path):  # noqa: F811
    from qwen_demo.http.credentials import new_key

    key, hashed = new_key()
    (tmp_path / "keys").write_text(f"demo:{hashed}\n")
    upstream = start(api_keys_file=tmp_path / "keys")
    with pytest.raises(ModelLoadError):
        await remote(upstream.url + "/v1")
    engine = await remote(upstream.url + "/v1", remote_key=key)
    assert (await collect(engine.stream(question("hello")))).text == "one two"
    assert key not in repr(vars(engine))
    await engine.close()


async def test_what_arrives_together_goes_on_together():
    more = {"choices": [{"index": 0, "delta": {"content": " again"}, "finish_reason": None}]}
    async with other_program(HELLO, more, more, END) as url:
        engine = await remote(url)
        events = [event async for event in engine.stream(question("hello"))]
        assert "".join(event.text for event in events[:-1]) == "hello again again"
        assert len(events) == 2
        await engine.close()

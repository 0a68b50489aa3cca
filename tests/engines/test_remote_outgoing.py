"""What the remote engine tells servers of different kinds, and what it makes of their answers under a schema."""

import asyncio
import base64
import contextlib
import io
import json
from dataclasses import replace

import PIL.Image
import pytest

from qwen_demo.engines.remote.engine import RemoteEngine
from qwen_demo.engines.remote.outgoing import MODEL_BOUNDS, sent_pixels
from qwen_demo.errors import EngineFailed, InvalidRequest
from qwen_demo.media import make_image
from qwen_demo.models.pixels import PixelBounds
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Message, Sampling, Text, Tool, collect
from tests.api.conftest import start  # noqa: F401 a fixture
from tests.conftest import image, question

OWN_BOUNDS = {"min_pixels": 4 * 28 * 28, "max_pixels": 2560 * 28 * 28}
SAID = {"top_p": 1.0, "top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0}


class Server:
    """Another program's API, which keeps what it was sent.

    Args:
        owner: what it calls itself.
        refuses: fields that it answers with `refusal`.
        answer: its words, or the delta that holds them.
        refusal: the body of that answer, for the name of a field.
    """

    def __init__(self, owner="vllm", refuses=(), answer="yes", refusal=None, status=400):
        self.owner, self.refuses, self.answer, self.status = owner, set(refuses), answer, status
        self.refusal = refusal or (lambda name: {"error": {"message": f"Unrecognized request argument: {name}"}})
        self.bodies: list[dict] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        status, kind, body = 200, "application/json", b""
        if head.startswith("get"):
            body = json.dumps({"data": [{"id": "m", "object": "model", "created": 0, "owned_by": self.owner}]}).encode()
        else:
            length = int(head.partition("content-length: ")[2].partition("\r")[0])
            self.bodies.append(json.loads(await reader.readexactly(length)))
            if refused := sorted(self.refuses & self.bodies[-1].keys()):
                status, body = self.status, json.dumps(self.refusal(refused[0])).encode()
            else:
                kind, body = "text/event-stream", b"".join(self._events())
        writer.write(f"HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: {kind}\r\n".encode())
        writer.write(f"content-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    def _events(self):
        begun = self.answer if isinstance(self.answer, dict) else {"content": self.answer}
        for delta, reason in ((begun, None), ({}, "stop")):
            yield b"data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": reason}]}).encode() + b"\n\n"
        yield b"data: [DONE]\n\n"


@contextlib.asynccontextmanager
async def remote(*servers: Server, **settings):
    async with contextlib.AsyncExitStack() as stack:
        urls = []
        for server in servers:
            listening = await stack.enter_async_context(await asyncio.start_server(server, "127.0.0.1", 0))
            urls.append(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1")
        engine = RemoteEngine(Settings(engine="remote", base_url=",".join(urls), **settings))
        await engine.start()
        stack.push_async_callback(engine.close)
        yield engine


def image_in(body: dict) -> PIL.Image.Image:
    url = body["messages"][0]["content"][0]["image_url"]["url"]
    return PIL.Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2])))


# Sampling


async def test_what_asks_for_nothing_is_said_so_that_no_default_of_the_server_holds():
    server = Server()
    async with remote(server) as engine:
        await collect(engine.stream(question("hi")))
        await collect(engine.stream(question("hi", top_p=0.5, top_k=7, min_p=0.1, repetition_penalty=1.2)))
    assert {name: server.bodies[0][name] for name in SAID} == SAID
    assert server.bodies[0]["temperature"] == 0 and "mm_processor_kwargs" not in server.bodies[0]
    assert [server.bodies[1][name] for name in SAID] == [0.5, 7, 0.1, 1.2]


REFUSALS = {
    "in words": (400, lambda name: {"error": {"message": f"Unrecognized request argument supplied: {name}"}}),
    "by param": (400, lambda name: {"error": {"message": "Unknown parameter.", "param": name}}),
    "by place": (422, lambda name: {"detail": [{"loc": ["body", name], "msg": "Extra inputs are not permitted"}]}),
    "as text": (422, lambda name: f"unknown field `{name}`, expected one of model, messages"),
}


@pytest.mark.parametrize("how", REFUSALS)
async def test_what_a_strict_server_refuses_by_name_is_left_out_and_not_sent_again(how):
    status, refusal = REFUSALS[how]
    server = Server(refuses={*SAID} - {"top_p"} | {"mm_processor_kwargs"}, refusal=refusal, status=status)
    async with remote(server) as engine:
        assert (await collect(engine.stream(question("hi", image("red"))))).text == "yes"
        before = len(server.bodies)
        assert before == 5, "one more for each name"
        await collect(engine.stream(question("hi", image("red"))))
    assert len(server.bodies) == before + 1
    assert not server.refuses & server.bodies[-1].keys() and server.bodies[-1]["top_p"] == 1.0


async def test_what_a_caller_asks_for_is_not_left_out_in_silence():
    server = Server(refuses={"top_k"})
    async with remote(server) as engine:
        with pytest.raises(InvalidRequest, match="top_k"):
            await collect(engine.stream(question("hi", top_k=5)))
        assert (await collect(engine.stream(question("hi")))).text == "yes"
    assert len(server.bodies) == 3


# Sizes


async def test_a_server_that_takes_bounds_gets_them_and_the_image_as_it_is():
    server = Server("vllm")
    async with remote(server) as engine:
        await collect(engine.stream(question("what?", image("red", (300, 200)))))
        request = question("what?", image("red", (300, 200)))
        await collect(engine.stream(ChatRequest(request.messages, max_pixels=20 * 28 * 28)))
        info = engine.info
    assert [body["mm_processor_kwargs"] for body in server.bodies] == [OWN_BOUNDS, OWN_BOUNDS | {"max_pixels": 15680}]
    assert [image_in(body).size for body in server.bodies] == [(300, 200)] * 2
    assert (info.min_pixels, info.max_pixels) == tuple(OWN_BOUNDS.values())


@pytest.mark.parametrize(
    ("size", "bounds", "sent"),
    [
        ((300, 200), {}, (300, 200)),  # the server makes 308 x 196 of it itself, as the page's rule says
        ((2000, 1500), {}, None),  # ours are narrower than the model's
        ((300, 200), {"max_pixels": 20 * 28 * 28}, None),
        ((60, 60), {"min_pixels": 100 * 28 * 28}, None),
    ],
)
async def test_another_server_gets_images_in_the_size_in_which_the_model_is_to_see_them(size, bounds, sent):
    server = Server("sglang")
    async with remote(server) as engine:
        request = question("what?", image("red", size))
        request = ChatRequest(request.messages, **bounds)
        await collect(engine.stream(request))
        seen = PixelBounds.of(engine.info, request).seen(*size)
    assert "mm_processor_kwargs" not in server.bodies[0]
    assert image_in(server.bodies[0]).size == (sent or seen)
    assert MODEL_BOUNDS.seen(*image_in(server.bodies[0]).size) == seen, "what boxes are scaled by"


async def test_a_server_that_refuses_bounds_after_all_gets_resized_images():
    server = Server("vllm", refuses={"mm_processor_kwargs"})
    async with remote(server) as engine:
        await collect(engine.stream(question("what?", image("red", (2000, 1500)))))
        assert [image_in(body).size for body in server.bodies] == [(2000, 1500), engine_sees(engine, 2000, 1500)]


def engine_sees(engine: RemoteEngine, width: int, height: int) -> tuple[int, int]:
    return PixelBounds.of(engine.info).seen(width, height)


async def test_servers_of_two_kinds_see_the_same_size():
    first, second = Server("vllm"), Server("someone")
    async with remote(first, second) as engine:
        for _ in range(2):
            asking = [collect(engine.stream(question("what?", image("red", (2000, 1500))))) for _ in range(2)]
            await asyncio.gather(*asking)
        seen = engine_sees(engine, 2000, 1500)
    assert PixelBounds(**first.bodies[0]["mm_processor_kwargs"]).seen(*image_in(first.bodies[0]).size) == seen
    assert MODEL_BOUNDS.seen(*image_in(second.bodies[0]).size) == seen


def test_an_image_that_was_scaled_down_here_is_seen_as_the_original_would_be():
    kept = make_image(PIL.Image.new("RGB", (707, 353)), original_size=(4001, 1999))
    for theirs in (PixelBounds(3136, 100 * 784), MODEL_BOUNDS):
        wanted = PixelBounds(3136, 100 * 784)
        assert theirs.seen(*sent_pixels(kept, wanted, theirs).size) == wanted.seen(4001, 1999)


async def test_another_of_ours_tells_its_bounds(start):  # noqa: F811
    upstream = start()
    upstream.engine.info = replace(upstream.engine.info, max_pixels=50 * 784)
    engine = RemoteEngine(Settings(engine="remote", base_url=upstream.url + "/v1"))
    await engine.start()
    await collect(engine.stream(question("what?", image("red", (600, 600)))))
    assert engine.info.max_pixels == 50 * 784
    assert upstream.engine.requests[-1].max_pixels == 50 * 784
    await engine.close()


# Schemas

SCHEMA = json.dumps(
    {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}, sort_keys=True
)
FITS, OTHER = '{ "colour" : "red" }', '{"colour": "green"}'


@pytest.mark.parametrize(
    ("answer", "stop", "ends"),
    [
        (FITS, (), "stop"),
        (FITS, ("zzz",), "stop"),
        ('{"colour": "re', ("d",), "length"),
        (OTHER, (), EngineFailed),
        ("It is red.", (), EngineFailed),
        ('{"colour": "red"} Here you are.', (), EngineFailed),
        ("[" * 100_000, (), EngineFailed),
    ],
)
async def test_an_answer_that_is_called_whole_fits_its_schema(answer, stop, ends):
    async with remote(Server(answer=answer)) as engine:
        asking = collect(engine.stream(question("hi", json_schema=SCHEMA, stop=stop)))
        if isinstance(ends, str):
            assert (await asking).finished.reason == ends
            return
        with pytest.raises(EngineFailed, match="not the JSON that the schema asks for"):
            await asking


async def test_a_begun_answer_fits_together_with_its_beginning():
    messages = (Message("user", (Text("?"),)), Message("assistant", (Text('{"colour": '),)))
    async with remote(Server(answer='"red"}')) as engine:
        request = ChatRequest(messages, Sampling(json_schema=SCHEMA), continue_final_message=True)
        assert (await collect(engine.stream(request))).finished.reason == "stop"


async def test_an_answer_that_calls_a_tool_instead_of_the_json_is_no_failure():
    tools = (Tool("look", parameters='{"type": "object", "properties": {}}'),)
    request = ChatRequest(question("hi").messages, Sampling(json_schema=SCHEMA), tools=tools)
    call = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "look", "arguments": "{}"}}]}
    for delta in (call, {"content": '<tool_call>\n{"name": "look", "arguments": {}}\n</tool_call>'}):
        async with remote(Server(answer=delta)) as engine:
            assert (await collect(engine.stream(request))).finished.reason == "stop"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:1/schema"},
        {"type": "no such type"},
        {"type": "string", "pattern": "("},
    ],
    ids=["of another place", "no schema", "no pattern"],
)
async def test_a_schema_that_cannot_be_checked_leaves_the_answer_to_the_server(schema):
    async with remote(Server(answer='"aaa"')) as engine:
        answer = await collect(engine.stream(question("hi", json_schema=json.dumps(schema))))
    assert answer.finished.reason == "stop"


async def test_a_pattern_that_would_take_for_ever_does_not():
    slow = json.dumps({"type": "string", "pattern": "^(a|aa)+$(?=b)"})
    async with remote(Server(answer=json.dumps("a" * 60 + "c"))) as engine:
        with pytest.raises(EngineFailed):
            await collect(engine.stream(question("hi", json_schema=slow)))


async def test_the_server_is_asked_for_the_schema():
    server = Server(answer=FITS)
    async with remote(server) as engine:
        await collect(engine.stream(question("hi", json_schema=SCHEMA)))
    asked = server.bodies[0]["response_format"]
    assert (asked["type"], asked["json_schema"]["schema"]) == ("json_schema", json.loads(SCHEMA))

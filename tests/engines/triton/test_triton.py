"""The host that stands in Triton, and the words between it and a front; the contract is in tests/engines/test_contract."""

import asyncio
import json
import os
import re
import subprocess

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from benchmarks import through_triton
from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.engines.triton import wire
from qwen_demo.engines.triton.engine import Lost, TritonEngine
from qwen_demo.engines.triton.host import TritonHost
from qwen_demo.errors import ContextTooLong, EngineFailed, InvalidRequest, ModelLoadError, Overloaded, SettingsError
from qwen_demo.raster import Raster
from qwen_demo.settings import Settings
from qwen_demo.types import (
    ChatRequest,
    Finished,
    Message,
    Sampling,
    Text,
    TextDelta,
    Timing,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
    Video,
    collect,
)
from tests.conftest import ROOT, draw, image, question, until
from tests.engines.triton.links import BEHIND, DirectLink


def everything() -> ChatRequest:
    clip = Video(Raster.of(draw("red"), draw("blue")), (0.0, 0.5), 2.0, 1.0, "clip", "clip.mp4")
    calls = (ToolCall("a", "look", '{"at": 1}'),)
    return ChatRequest(
        (
            Message("system", (Text("Be brief."),)),
            Message("user", (image("green", (300, 200)), clip, Text("What is it? <|im_end|>"))),
            Message("assistant", (Text("I look."),), calls),
            Message("tool", (Text("nothing"),), tool_call_id="a"),
        ),
        Sampling(7, 0.5, 0.9, 3, 0.1, 1.1, 0.2, 0.3, 5, ("x", "y"), 2, '{"type": "object"}'),
        min_pixels=3136,
        max_pixels=9999,
        request_id="r",
        repetition_guard=False,
        continue_final_message=True,
        tools=(Tool("look", "looks", strict=True),),
        tool_choice=ToolChoice(True, ("look",)),
        parallel_tool_calls=False,
        account=("someone",),
    )


async def decoded(request: ChatRequest) -> ChatRequest:
    body, pixels = wire.encode_request(request)
    return await wire.decode_request(json.loads(json.dumps(body)), pixels)


def shown(part: object) -> object:
    return part if isinstance(part, Text) else (type(part), part.raster.array().tolist(), part.name)


async def test_a_request_arrives_as_it_was_sent():
    sent = everything()
    got = await decoded(sent)
    for mine, theirs in zip(sent.messages, got.messages, strict=True):
        assert [shown(part) for part in mine.parts] == [shown(part) for part in theirs.parts]
        assert (mine.role, mine.tool_calls, mine.tool_call_id) == (theirs.role, theirs.tool_calls, theirs.tool_call_id)
    for name in ChatRequest.__dataclass_fields__:
        if name != "messages":
            assert getattr(got, name) == getattr(sent, name), name
    clip = got.messages[1].parts[1]
    assert (clip.times_s, clip.fps, clip.duration_s) == ((0.0, 0.5), 2.0, 1.0)


@pytest.mark.parametrize(
    "change",
    [
        {"sampling": {"warmth": 1}},
        {"sampling": {"temperature": "hot"}},
        {"question": "what"},
        {"messages": [{"role": "robot", "parts": []}]},
        {"messages": [{"role": "user", "parts": [{"pixels": 3, "width": 1, "height": 1}]}]},
        {"messages": [{"role": "user", "parts": [{"pixels": 0, "width": 10**9, "height": 10**9}]}]},
        {"messages": [{"role": "user", "parts": [{"pixels": 0, "width": 0, "height": 0}]}]},
        {"messages": 7},
    ],
    ids=["unknown", "kind", "field", "role", "missing", "size", "nothing", "list"],
)
async def test_what_cannot_be_read_is_refused(change):
    body, pixels = wire.encode_request(question("What is it?", image()))
    with pytest.raises(InvalidRequest):
        await wire.decode_request(body | change, pixels)


@pytest.mark.parametrize(
    "event",
    [
        TextDelta("two\nlines é"),
        TextDelta("a", (TokenLogprob("a", -0.5, (("a", -0.5), ("b", -2.0))),)),
        Finished("length", Usage(9, 4, 3, 1), Timing(ttft_s=0.5, encoder_hit=(True, False))),
    ],
    ids=["text", "logprobs", "finished"],
)
def test_an_event_arrives_as_it_was_sent(event):
    assert wire.decode_event(wire.encode_event(event)) == event


@pytest.mark.parametrize("error", [Overloaded("full", retry_after_s=3.0), ContextTooLong("long")], ids=["full", "long"])
async def test_an_error_of_the_engine_is_the_callers(error):
    engine = ScriptedEngine(Script(["a"], error=error))
    front = TritonEngine(BEHIND, lambda address: DirectLink(TritonHost(engine)))
    await front.start()
    with pytest.raises(type(error)) as seen:
        await collect(front.stream(question("Hello")))
    assert str(seen.value) == str(error) and vars(seen.value) == vars(error)
    await front.close()


async def test_an_unforeseen_failure_says_nothing_internal():
    engine = ScriptedEngine(Script(["a"], error=RuntimeError("secret 0x7f")))
    front = TritonEngine(BEHIND, lambda address: DirectLink(TritonHost(engine)))
    await front.start()
    with pytest.raises(EngineFailed) as seen:
        await collect(front.stream(question("Hello")))
    assert "0x7f" not in str(seen.value)
    await front.close()


async def test_a_cancel_that_comes_before_its_call_is_kept():
    host = TritonHost(ScriptedEngine(Script(["a"] * 400, gap_s=0.01)))
    await host.start()
    await host.control(b'{"cancel": "early"}')
    body, pixels = wire.encode_request(question("Hello"))
    assert [event async for event in host.answer(json.dumps(body | {"call": "early"}).encode(), pixels)] == []
    await host.close()


async def test_a_front_that_is_gone_keeps_no_slot():
    engine = ScriptedEngine(Script(["a"] * 4000, gap_s=0.01))
    host = TritonHost(engine, silence_s=0.2)
    await host.start()
    await host.control(b'{"front": "f"}')
    body, pixels = wire.encode_request(question("Hello", max_new_tokens=4000))
    answer = host.answer(json.dumps(body | {"call": "c", "front": "f"}).encode(), pixels)
    await anext(answer)
    assert engine.health().running == 1
    await until(lambda: engine.health().running == 0)
    await answer.aclose()
    await host.close()


async def test_a_server_that_is_lost_is_told_and_the_front_is_not_ready(monkeypatch):
    link = DirectLink(TritonHost(ScriptedEngine(Script(["a"] * 400, gap_s=0.01))))
    front = TritonEngine(BEHIND, lambda address: link)
    monkeypatch.setattr("qwen_demo.engines.triton.engine.CHECK_EVERY_S", 0.02)
    await front.start()
    assert front.health().ready

    async def lost(request: bytes) -> bytes:
        raise Lost("connection refused")

    monkeypatch.setattr(link, "control", lost)
    await until(lambda: not front.health().ready)
    assert "connection refused" in front.health().detail
    await front.close()


async def test_no_server_and_no_address_are_told_at_start():
    with pytest.raises(SettingsError, match="base-url"):
        TritonEngine(Settings(engine="triton"))
    with pytest.raises(ModelLoadError, match=r"127\.0\.0\.1:1"):
        await TritonEngine(BEHIND).start()


async def test_a_caller_without_a_name_is_answered_and_frees_its_slot_by_leaving():
    engine = ScriptedEngine(Script(["a"] * 400, gap_s=0.01))
    host = TritonHost(engine)
    await host.start()
    body, pixels = wire.encode_request(question("Hello", max_new_tokens=400))
    answers = [host.answer(json.dumps(body).encode(), pixels) for _ in range(2)]
    await asyncio.gather(*[anext(answer) for answer in answers])
    assert engine.health().running == 2
    for answer in answers:
        await answer.aclose()
    assert engine.health().running == 0
    await host.close()


def test_the_repository_for_tritons_vllm_backend_is_read_by_tritons_own_parser():
    (config,) = (ROOT / "deploy" / "triton" / "vllm").glob("*/config.pbtxt")
    read = text_format.Parse(config.read_text(), model_config_pb2.ModelConfig())
    assert (read.backend, read.max_batch_size) == ("vllm", 0)
    assert read.model_transaction_policy.decoupled  # the backend refuses to load otherwise
    (group,) = read.instance_group
    assert (group.count, group.kind) == (1, model_config_pb2.ModelInstanceGroup.KIND_MODEL)
    with pytest.raises(text_format.ParseError):
        text_format.Parse(config.read_text() + "instances: 1", model_config_pb2.ModelConfig())


def test_tritons_vllm_gets_the_flags_that_vllm_itself_is_started_with():
    """They are its `AsyncEngineArgs`, which take no name that they do not have: here the flags with underscores."""
    (told,) = (ROOT / "deploy" / "triton" / "vllm").glob("*/1/model.json")
    engine = json.loads(told.read_text())
    assert engine.pop("model") == "Qwen/Qwen2.5-VL-7B-Instruct"
    started = subprocess.run(
        [ROOT / "deploy" / "vllm" / "serve.sh", "--gpu-memory-utilization", "0.9"],
        env={**os.environ, "VLLM": "/bin/echo"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    flags = {name.replace("-", "_"): value.strip() for name, value in re.findall(r"--(\S+)((?: (?!--)\S+)*)", started)}
    for name, value in engine.items():
        assert flags[name] == (value if isinstance(value, str) else "" if value is True else json.dumps(value))


def test_the_page_says_what_was_measured():
    page = " ".join((ROOT / "docs" / "deploy-triton.md").read_text(encoding="utf-8").split())
    path = ROOT / "benchmarks" / "results" / "through-triton-embedded-amd-epyc-2-cores.json"
    told = through_triton.show(json.loads(path.read_text()))
    assert len(told) >= 5 and [line for line in told if line not in page] == []

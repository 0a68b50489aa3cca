"""The way of a ZeroGPU Space, with a stand-in for the `spaces` library."""

import json
from pathlib import Path

import httpx
import pytest
from gradio_client import Client, handle_file

from qwen_demo.engines import tokens, zerogpu
from qwen_demo.engines.grammar import Grammars
from qwen_demo.engines.output import Output
from qwen_demo.errors import Overloaded
from qwen_demo.types import Held, Sampling, Tool
from tests.conftest import ROOT, draw, image, question
from tests.servers import running

STAND_IN = ROOT / "tests" / "zero_gpu_stand_in"


def grammars(loaded) -> Grammars:
    return Grammars(loaded.prompts.tokenizer, loaded.model.config.text_config.vocab_size, tokens.end_ids(loaded.model))


def test_elsewhere_it_is_not_used():
    assert not zerogpu.is_active()


def test_before_anything_is_measured_the_length_of_the_answer_counts():
    short, long = (zerogpu.BorrowingPace().seconds(tokens) for tokens in (16, 1024))
    assert zerogpu.START_S <= short < long <= zerogpu.LONGEST_S


def test_what_calls_took_is_what_is_asked_for():
    pace = zerogpu.BorrowingPace()
    pace.took(2.0, 100, 3.0)
    assert pace.seconds(100) == round(zerogpu.MARGIN * (2.0 + 0.03 * 100))
    for _ in range(20):
        pace.took(1.0, 100, 2.0)
    assert pace.seconds(1000) == pytest.approx(zerogpu.MARGIN * (1.0 + 0.02 * 1000), abs=1)


def test_a_slow_start_counts_at_once_and_an_answer_of_one_token_measures_no_rate():
    pace = zerogpu.BorrowingPace()
    pace.took(1.0, 100, 2.0)
    before = pace.token_s
    pace.took(9.0, 0, 0.0)
    assert pace.seconds(0) == round(zerogpu.MARGIN * 9)
    assert pace.token_s == before


def test_nothing_is_asked_for_beyond_the_bounds():
    pace = zerogpu.BorrowingPace()
    pace.took(0.01, 10, 0.01)
    assert pace.seconds(1) == zerogpu.LEAST_S
    assert pace.seconds(10**6) == zerogpu.LONGEST_S


def test_the_quota_s_own_words_reach_the_visitor(loaded, borrowed, monkeypatch):
    import gradio

    words = "You have exceeded your GPU quota (60s requested vs. 12s left). Try again in 3:14:15"

    def refused(*args, **kwargs):
        raise gradio.Error(words)

    monkeypatch.setattr(tokens, "run", refused)
    with pytest.raises(Overloaded, match="exceeded your GPU quota"):
        run(loaded, borrowed, loaded.prompts.build(question("hi")))
    assert zerogpu.refusal(RuntimeError(words)) == ""


@pytest.fixture
def borrowed(monkeypatch, loaded):
    monkeypatch.syspath_prepend(str(STAND_IN))
    yield zerogpu.borrowed(loaded.model, loaded.device, grammars(loaded))
    import sys

    for name in [name for name in sys.modules if name == "spaces" or name.startswith("spaces.")]:
        del sys.modules[name]


def run(loaded, function, prompt, stop_after=1000) -> list[int]:
    output = Output(loaded.prompts.tokenizer, tokens.end_ids(loaded.model), max_new_tokens=24)
    streamer = tokens.AnswerStreamer(loaded.prompts.tokenizer, output)
    should_stop = lambda: output.reason is not None or len(output.ids) >= stop_after  # noqa: E731
    function(prompt, Sampling(max_new_tokens=24), streamer=streamer, should_stop=should_stop)
    return output.ids


def test_borrowed_tokens_are_those_of_a_plain_run(loaded, borrowed):
    prompt = loaded.prompts.build(question("Describe the image.", image()))
    plain = run(
        loaded,
        lambda *args, **kwargs: tokens.run(loaded.model, loaded.device, grammars(loaded), *args, **kwargs),
        prompt,
    )
    assert run(loaded, borrowed, prompt) == plain
    assert run(loaded, borrowed, prompt, stop_after=3) == plain[:3]


def test_calls_are_held_and_brought_to_their_end_on_the_gpu_as_well(loaded, borrowed):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    held = Held(None, (Tool("weather", parameters=json.dumps(parameters)),), 1)
    prompt = loaded.prompts.build(question("What is the weather in Paris?"))
    ends = tokens.end_ids(loaded.model)
    output = Output(loaded.prompts.tokenizer, ends, max_new_tokens=60, repetition_guard=False, must_be_whole=True)
    streamer = tokens.AnswerStreamer(loaded.prompts.tokenizer, output)
    stop = lambda: output.reason is not None  # noqa: E731
    borrowed(prompt, Sampling(max_new_tokens=60), held, streamer=streamer, should_stop=stop)
    text = loaded.prompts.tokenizer.decode(output.ids[:-1])
    assert set(json.loads(text.removeprefix("<tool_call>").removesuffix("</tool_call>"))["arguments"]) == {"city"}
    assert (output.reason, output.ids[-1] in ends) == ("length", True)


def test_a_failure_on_the_gpu_reaches_the_caller(loaded, borrowed, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("CUDA said no")

    monkeypatch.setattr(tokens, "run", broken)
    with pytest.raises(RuntimeError, match="said no"):
        run(loaded, borrowed, loaded.prompts.build(question("hi")))


@pytest.fixture(scope="module")
def space():
    """The program as a Space on ZeroGPU runs it."""
    with running("--model", "embedded", "--log-json", ready=False, PYTHONPATH=str(STAND_IN)) as server:
        server.wait_for("Ready after [0-9]")
        yield server


@pytest.mark.slow
def test_a_space_on_zerogpu_answers(space, tmp_path):
    draw("red").save(tmp_path / "red.png")
    asked = len(space.lines)
    answer = Client(space.url, verbose=False).predict(
        question="What color is the circle?",
        image=handle_file(str(tmp_path / "red.png")),
        max_new_tokens=100,
        api_name="/ask",
    )
    assert "red" in answer
    space.wait_for("GPU borrowed for 26 s", after=asked)


@pytest.mark.slow
def test_a_space_on_zerogpu_has_the_api_too(space):
    body = {"messages": [{"role": "user", "content": "Who are you?"}], "max_tokens": 32}
    with httpx.Client(base_url=space.url, timeout=60) as http:
        answer = http.post("/v1/chat/completions", json=body).raise_for_status().json()
        assert "model" in answer["choices"][0]["message"]["content"]
        assert http.get("/health").json()["state"] == "ready"
        assert "qwen_requests_total" in http.get("/metrics").text


@pytest.mark.slow
def test_a_space_on_zerogpu_has_the_same_door(space):
    evil = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "ask", "arguments": {"question": "hi"}},
    }
    with httpx.Client(base_url=space.url, timeout=60, headers={"connection": "close"}) as http:
        for path in ("/", "/config", "/health", "/gradio_api/info"):
            answer = http.get(path, headers={"origin": evil["origin"]})
            assert "frame-ancestors" in answer.headers["content-security-policy"], path
            assert answer.headers["x-content-type-options"] == "nosniff", path
            assert "access-control-allow-origin" not in answer.headers, path
        for path in ("monitoring", "monitoring/summary", "gradio_api/deep_link?session_hash=x", "gradio_api/vibe-code",
                     "gradio_api/proxy=https://example.com/", "gradio_api/file=https://example.com/"):  # fmt: skip
            assert http.get(f"/{path}").status_code == 404, path
        for path in ("gradio_api/component_server", "gradio_api/process_recording"):
            assert http.post(f"/{path}", json={}).status_code == 404, path
        assert http.post("/gradio_api/call/ask", json={"data": []}, headers=evil).status_code == 403
        assert http.get("/config", headers={"host": "rebind.evil"}).status_code == 421
        large = {"session_hash": "a", "fn_index": 0, "event_id": "x" * (65 << 20)}
        assert http.post("/gradio_api/cancel", json=large).status_code == 413
        accept = {"accept": "application/json, text/event-stream", "x-forwarded-host": "127.0.0.1:1"}
        assert '"isError":false' in http.post("/gradio_api/mcp/", json=call, headers=accept).text


@pytest.mark.slow
def test_a_space_on_zerogpu_logs_in_json_and_ends_well(space):
    """The last of this file: it ends the program."""
    uploads = httpx.post(f"{space.url}/gradio_api/upload", files={"files": ("a.txt", b"x")}).json()
    assert Path(uploads[0]).exists()
    space.process.terminate()
    assert space.process.wait(timeout=60) == 0
    space.close()
    assert not Path(uploads[0]).exists()
    for line in space.lines:
        assert {"level", "message"} <= set(json.loads(line)), line

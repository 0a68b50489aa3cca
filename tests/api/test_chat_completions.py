"""The OpenAI-compatible route, through HTTP."""

import base64
import io
import json
import time

import pytest

from qwen_demo.engines.scripted import Script
from qwen_demo.errors import EngineFailed
from qwen_demo.types import Image, Text
from tests.conftest import draw

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def data_url(colour: str = "red") -> str:
    data = io.BytesIO()
    draw(colour).save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def with_image(url: str, detail: str | None = None) -> dict:
    image = {"url": url} | ({"detail": detail} if detail else {})
    content = [{"type": "image_url", "image_url": image}, {"type": "text", "text": "what?"}]
    return {"messages": [{"role": "user", "content": content}]}


def events(response) -> list[dict]:
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_an_answer_has_openais_shape(app):
    with app.client() as client:
        answer = client.post("/v1/chat/completions", json=HELLO | {"model": "scripted"}).json()
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "one two", "refusal": None}
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


def test_a_stream_gives_the_same_text_and_the_usage_if_asked(app):
    with app.client() as client:
        response = client.post(
            "/v1/chat/completions", json=HELLO | {"stream": True, "stream_options": {"include_usage": True}}
        )
        plain = client.post("/v1/chat/completions", json=HELLO | {"stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    chunks = events(response)
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"]) == "one two"
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"]][-1] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 2
    assert len({c["id"] for c in chunks}) == 1
    assert not any("usage" in chunk for chunk in events(plain))


@pytest.mark.parametrize(
    ("script", "limit", "reason"),
    [(Script(["a"] * 9), 4, "length"), (Script(["a"]), 4, "stop"), (Script(["a"], reason="repetition"), 4, "length")],
)
def test_the_finish_reason_is_true(app, script, limit, reason):
    app.engine.script = script
    with app.client() as client:
        choice = client.post("/v1/chat/completions", json=HELLO | {"max_tokens": limit}).json()["choices"][0]
    assert choice["finish_reason"] == reason
    assert choice["stop_reason"] == ("repetition" if script.reason == "repetition" else None)


def test_images_history_and_parameters_reach_the_engine(app):
    body = {
        "messages": [
            {"role": "developer", "content": "be brief"},
            with_image(data_url())["messages"][0],
            {"role": "assistant", "content": "red", "tool_calls": None, "refusal": None},
            {"role": "user", "content": "sure?"},
        ],
        "max_completion_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "seed": 3,
        "stop": ["x", "y"],
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "repetition_penalty": 1.1,
        "mm_processor_kwargs": {"max_pixels": 78400},
        "user": "somebody",
    }
    with app.client() as client:
        assert client.post("/v1/chat/completions", json=body).status_code == 200
    (request,) = app.engine.requests
    assert [m.role for m in request.messages] == ["system", "user", "assistant", "user"]
    assert isinstance(request.messages[1].parts[0], Image)
    assert request.messages[1].parts[1] == Text("what?")
    sampling = request.sampling
    assert (sampling.max_new_tokens, sampling.temperature, sampling.top_p, sampling.top_k) == (7, 0.5, 0.9, 5)
    assert (sampling.seed, sampling.stop, sampling.presence_penalty) == (3, ("x", "y"), 0.1)
    assert (sampling.frequency_penalty, sampling.repetition_penalty, request.max_pixels) == (0.2, 1.1, 78400)


def test_low_detail_bounds_the_image(app):
    with app.client() as client:
        client.post("/v1/chat/completions", json=with_image(data_url(), "low"))
    assert app.engine.requests[0].max_pixels == 256 * 28 * 28


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"tools": [{"type": "function"}]}, "tools.0.function"),
        ({"n": 2}, "n"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"logprobs": True}, "logprobs"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": -1}, "max_completion_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
    ],
)
def test_what_is_not_supported_is_refused_with_the_fields_name(app, change, field):
    with app.client() as client:
        response = client.post("/v1/chat/completions", json=HELLO | change)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"] or "").startswith(field)
    assert error["type"] == "invalid_request_error"


def test_several_meanings_are_refused(app):
    with app.client() as client:
        for change in (
            {"max_tokens": 1, "max_completion_tokens": 2},
            {"top_logprobs": 2},
        ):
            assert client.post("/v1/chat/completions", json=HELLO | change).status_code == 400


def test_another_model_is_not_found(app):
    with app.client() as client:
        response = client.post("/v1/chat/completions", json=HELLO | {"model": "gpt-9"})
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "model_not_found"
        assert client.get("/v1/models/scripted").json()["id"] == "scripted"
        assert client.get("/v1/models/gpt-9").status_code == 404


@pytest.mark.parametrize(
    "url",
    ["http://example.org/a.png", "file:///etc/passwd", "https://127.0.0.1/a.png", "data:image/png;base64,AAAA", "x"],
)
def test_a_image_that_may_not_be_had_is_refused(app, url):
    with app.client() as client:
        response = client.post("/v1/chat/completions", json=with_image(url))
    assert response.status_code == 400
    assert response.json()["error"]["code"].startswith("invalid_media")


def test_over_capacity_is_429_at_once_with_retry_after_for_streams_too(start):
    app = start(Script(["a"], first_s=600), max_running=1, max_waiting=0)
    with app.client() as client, client.stream("POST", "/v1/chat/completions", json=HELLO | {"stream": True}):
        for body in (HELLO, HELLO | {"stream": True}):
            began = time.monotonic()
            response = client.post("/v1/chat/completions", json=body)
            assert time.monotonic() - began < 50
            assert response.status_code == 429
            assert int(response.headers["retry-after"]) >= 1
            assert response.json()["error"]["code"] == "overloaded"


def test_a_image_is_not_opened_for_a_request_that_is_turned_away(start, monkeypatch):
    app = start(Script(["a"], first_s=600), max_running=1, max_waiting=0)
    opened = []

    async def load_url(*args, **kwargs):
        opened.append(args)

    monkeypatch.setattr("qwen_demo.media.MediaLoader.load_url", load_url)
    with app.client() as client, client.stream("POST", "/v1/chat/completions", json=HELLO | {"stream": True}):
        assert client.post("/v1/chat/completions", json=with_image(data_url())).status_code == 429
    assert not opened


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_the_slot(app, stream):
    app.engine.script = Script(["a "] * 1000, gap_s=0.02)
    with app.client() as client:
        try:
            body = HELLO | {"stream": stream, "max_tokens": 1000}
            with client.stream("POST", "/v1/chat/completions", json=body, timeout=0.5) as response:
                next(response.iter_lines())
        except Exception as error:
            assert type(error).__name__ == "ReadTimeout"
    deadline = time.monotonic() + 60
    while app.engine.health().running:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_error_before_the_first_token_has_its_status_and_one_after_it_is_an_event(app):
    app.engine.script = Script(["a"], error=EngineFailed("The model failed."), error_after=0)
    with app.client() as client:
        assert client.post("/v1/chat/completions", json=HELLO | {"stream": True}).status_code == 500
        app.engine.script = Script(["a", "b"], error=EngineFailed("The model failed."), error_after=1)
        response = client.post("/v1/chat/completions", json=HELLO | {"stream": True})
    assert response.status_code == 200
    last = json.loads(response.text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert last["error"]["code"] == "engine_failed"
    assert "[DONE]" not in response.text


def test_an_unexpected_failure_says_nothing_internal(app):
    app.engine.script = Script(["a"], error=RuntimeError("secret 0x7f"), error_after=0)
    with app.client() as client:
        response = client.post("/v1/chat/completions", json=HELLO)
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.json()["error"]["code"] == "internal_error"

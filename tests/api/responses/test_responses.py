"""`POST /v1/responses` through HTTP: shapes as OpenAI's own models have them, and names as the caller wrote them."""

import json
from dataclasses import replace

import httpx
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from qwen_demo.engines.scripted import Script
from qwen_demo.errors import EngineFailed, InvalidRequest
from qwen_demo.types import Image, Text
from tests.api.test_chat_completions import HELLO, data_url

EVENT = TypeAdapter(ResponseStreamEvent)
IMAGE = data_url()
ASKED = {"role": "user", "content": "hello"}


def post(app, **body):
    with app.client() as client:
        return client.post("/v1/responses", json={"input": "hello", **body})


def answer(app, **body) -> dict:
    response = post(app, **body)
    assert response.status_code == 200, response.text
    Response.model_validate(response.json())
    return response.json()


def refusal(app, **body) -> dict:
    response = post(app, **body)
    assert response.status_code == 400, response.text
    return response.json()["error"]


def events(app, **body) -> list[dict]:
    """Each as OpenAI's own models have it, numbered, and named on both lines."""
    response = post(app, stream=True, **body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [block.split("\n") for block in response.text.removesuffix("\n\n").split("\n\n")]
    found = [json.loads(data.removeprefix("data: ")) for _, data in lines]
    assert [name.removeprefix("event: ") for name, _ in lines] == [event["type"] for event in found]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    for event in found:
        assert EVENT.validate_python(event).type == event["type"]
    return found


def test_an_answer_has_openais_shape(app):
    got = answer(app, model="scripted", metadata={"session": "a"}, temperature=0.5)
    assert got["id"].startswith("resp_")
    assert (got["object"], got["status"], got["model"]) == ("response", "completed", "scripted")
    (message,) = got["output"]
    assert (message["type"], message["role"], message["status"]) == ("message", "assistant", "completed")
    assert message["content"] == [{"type": "output_text", "text": "one two", "annotations": [], "logprobs": []}]
    assert (got["usage"]["output_tokens"], got["usage"]["total_tokens"]) == (2, got["usage"]["input_tokens"] + 2)
    assert (got["metadata"], got["temperature"], got["store"]) == ({"session": "a"}, 0.5, False)


def test_metadata_is_given_back_as_far_as_it_is_small(app):
    large = {"a": "b", "long": "x" * 513, "x" * 65: "long", "number": 1} | {f"{n}": "" for n in range(20)}
    got = answer(app, metadata=large)["metadata"]
    assert (len(got), got["a"], got["0"]) == (16, "b", "")
    assert not {"long", "number"} & set(got)


@pytest.mark.parametrize("stream", [False, True])
def test_half_a_surrogate_pair_in_metadata_is_given_back_as_a_mark(app, stream):
    body = {"input": "hi", "metadata": {"a": "x\ud800"}, "stream": stream}
    with app.client() as client:
        told = client.post("/v1/responses", content=json.dumps(body), headers={"content-type": "application/json"})
    assert told.status_code == 200 and '"x?"' in told.text.replace('"a":', "")


def test_a_stream_tells_the_same_answer_in_typed_events(app):
    app.engine.script = Script(["one ", "two"], gap_s=0.01)
    found = events(app)
    kinds = [event["type"] for event in found if event["type"] != "response.output_text.delta"]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert "".join(event["delta"] for event in found if event["type"] == "response.output_text.delta") == "one two"
    assert len({event["item_id"] for event in found if "item_id" in event}) == 1
    whole, alone = found[-1]["response"], answer(app)
    changing = ("id", "created_at", "completed_at", "output")
    assert {k: v for k, v in whole.items() if k not in changing} == {
        k: v for k, v in alone.items() if k not in changing
    }
    assert whole["output"][0]["content"] == alone["output"][0]["content"]
    assert found[0]["response"]["status"] == "in_progress"
    assert found[0]["response"]["output"] == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (Script(["a"] * 9), "max_output_tokens"),
        (Script(["a"], reason="repetition"), "max_output_tokens"),
        (Script(["a"], reason="content_filter"), "content_filter"),
    ],
    ids=["length", "repetition", "content_filter"],
)
def test_what_is_cut_is_incomplete_and_says_why(app, script, reason):
    app.engine.script = script
    got = answer(app, max_output_tokens=4)
    assert (got["status"], got["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert got["output"][0]["status"] == "incomplete"
    last = events(app, max_output_tokens=4)[-1]
    assert (last["type"], last["response"]["incomplete_details"]) == ("response.incomplete", {"reason": reason})


def test_a_longer_answer_than_there_may_be_is_cut_and_says_so(app):
    app.engine.script = Script(["a"] * 3000)
    got = answer(app, max_output_tokens=128_000)
    assert (len(got["output"][0]["content"][0]["text"]), got["status"]) == (2048, "incomplete")


def test_an_answer_without_words_is_a_message_without_words(app):
    app.engine.script = Script([])
    assert answer(app)["output"][0]["content"][0]["text"] == ""
    assert events(app)[-1]["response"]["output"][0]["content"][0]["text"] == ""


def test_items_images_and_parameters_reach_the_engine(app):
    answer(
        app,
        instructions="Be brief.",
        input=[
            {"role": "developer", "content": "In English."},
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "what?"},
                    {"type": "input_image", "image_url": IMAGE, "detail": "low"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x", "status": "completed"},
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "phase": "final_answer",
                "content": [{"type": "output_text", "text": "red", "annotations": [], "logprobs": []}],
            },
            {"role": "user", "content": "sure?"},
        ],
        max_output_tokens=7,
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        seed=3,
        stop=["x"],
    )
    (request,) = app.engine.requests
    assert [m.role for m in request.messages] == ["system", "system", "user", "assistant", "user"]
    assert [m.text for m in request.messages] == ["Be brief.", "In English.", "what?", "red", "sure?"]
    assert isinstance(request.messages[2].parts[1], Image)
    assert request.max_pixels == 256 * 28 * 28
    sampling = request.sampling
    assert (sampling.max_new_tokens, sampling.temperature, sampling.top_p, sampling.top_k) == (7, 0.5, 0.9, 5)
    assert (sampling.seed, sampling.stop) == (3, ("x",))


@pytest.fixture
def holds_schemas(app, monkeypatch):
    monkeypatch.setattr(app.engine, "info", replace(app.engine.info, json_schema=True, logprobs=True))
    return app


@pytest.mark.parametrize(
    ("form", "held"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, {"type": "object"}),
        ({"type": "json_schema", "name": "n", "schema": {"type": "integer"}, "strict": True}, {"type": "integer"}),
        ({"type": "json_schema", "name": "n", "schema": {"const": 1}, "description": None}, {"const": 1}),
    ],
)
def test_a_format_is_held_and_repeated(holds_schemas, form, held):
    got = answer(holds_schemas, text={"format": form, "verbosity": "medium"})
    (request,) = holds_schemas.engine.requests
    assert (json.loads(request.sampling.json_schema) if held else request.sampling.json_schema) == held
    assert got["text"]["format"]["type"] == form["type"]
    assert got["text"]["format"].get("schema") == form.get("schema")


def test_log_probabilities_are_asked_for_by_include(holds_schemas):
    answer(holds_schemas, include=["message.output_text.logprobs"], top_logprobs=2)
    answer(holds_schemas, include=["reasoning.encrypted_content"])
    assert [request.sampling.top_logprobs for request in holds_schemas.engine.requests] == [2, None]
    assert refusal(holds_schemas, top_logprobs=2)["param"] == "top_logprobs"


@pytest.mark.parametrize(
    "fields",
    [
        {"store": True},
        {"store": False, "include": ["reasoning.encrypted_content"]},
        {"previous_response_id": None, "conversation": None, "prompt": None, "background": False},
        {"reasoning": {}, "include": []},
        {"reasoning": {"effort": "low", "summary": "auto"}, "text": {"verbosity": "medium"}},
        {"truncation": "disabled", "service_tier": "auto", "user": "a", "safety_identifier": "b"},
        {"prompt_cache_key": "a", "prompt_cache_retention": "24h", "prompt_cache_options": {"mode": "implicit"}},
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "max_tool_calls": 3},
        {"stream_options": {"include_obfuscation": False, "include_usage": True}, "text": {}, "top_logprobs": 0},
        {"previous_response_id": "", "instructions": "", "tool_choice": None, "temperature": None, "metadata": None},
        {"context_management": [], "client_metadata": {"a": "b"}, "moderation": None},
    ],
    ids=lambda fields: ", ".join(fields),
)
def test_a_field_that_asks_for_nothing_is_taken(app, fields):
    answer(app, **fields)
    assert app.engine.requests[0].messages[0].parts == (Text("hello"),)


@pytest.mark.parametrize(
    ("fields", "name", "words"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "Nothing is stored"),
        ({"conversation": "conv_1"}, "conversation", "Nothing is stored"),
        ({"conversation": {"id": "conv_1"}}, "conversation", "Nothing is stored"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "Nothing is stored"),
        ({"background": True}, "background", "leave it out"),
        ({"truncation": "auto"}, "truncation", "leave it out"),
        ({"text": {"verbosity": "low"}}, "text.verbosity", "leave it out"),
        ({"service_tier": "priority"}, "service_tier", "leave it out"),
        ({"context_management": [{"type": "compaction"}]}, "context_management", "leave it out"),
        ({"max_tokens": 5}, "max_tokens", "support"),
        ({"messages": HELLO["messages"]}, "messages", "support"),
        ({"temprature": 1}, "temprature", "support"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input.0", "store: false"),
        ({"input": [{"id": "msg_1"}]}, "input.0", "store: false"),
    ],
)
def test_what_asks_for_something_else_is_refused_by_its_name(app, fields, name, words):
    error = refusal(app, **fields)
    assert (error["code"], error["param"]) == ("unsupported_field", name)
    assert words in error["message"]


def asked(*parts) -> dict:
    return {"input": [{"role": "system", "content": "x"}, {"role": "user", "content": list(parts)}]}


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": None}, "input"),
        ({"input": {"role": "user", "content": "x"}}, "input"),
        ({"input": [{"type": "web_search_call", "id": "x"}]}, "input.0.type"),
        ({"input": ["x"]}, "input.0.type"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input.0.role"),
        ({"input": [{"role": "user"}]}, "input.0.content"),
        ({"input": [ASKED, {"role": "assistant", "content": "x"}]}, "input"),
        (asked({"type": "input_image", "image_url": "data:image/png;base64,AAAA"}), "input.1.content.0.image_url"),
        (asked({"type": "input_image", "image_url": "http://example.org/"}), "input.1.content.0.image_url"),
        (asked("see:", {"type": "input_image", "file_id": "file-1"}), "input.1.content.1.file_id"),
        (asked({"type": "input_file", "file_id": "file-1"}), "input.1.content.0.file_id"),
        (asked({"type": "input_text"}), "input.1.content.0.text"),
        (
            asked(*({"type": "input_image", "image_url": IMAGE, "detail": each} for each in ("low", "high"))),
            "input",
        ),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"include": ["everything"]}, "include.0"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"text": {"format": {"type": "json_object"}}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"stream": True, "stream_options": {"continuous_usage_stats": True}}, "stream_options.continuous_usage_stats"),
    ],
)
def test_the_field_that_was_sent_is_named(app, fields, name):
    error = refusal(app, **fields)
    assert error["param"] == name, error
    assert "messages" not in error["message"]


def test_another_model_is_not_found(app):
    response = post(app, model="gpt-9")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_stored_response_is_asked_for_in_vain(app, method):
    with app.client() as client:
        response = client.request(method, "/v1/responses/resp_1")
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (404, "response_not_found")
    assert "Nothing is stored" in error["message"]


@pytest.mark.parametrize(
    ("failure", "code", "told"),
    [
        (EngineFailed("The model failed."), "engine_failed", "server_error"),
        (InvalidRequest("It is too long.", field="messages"), "invalid_request", "invalid_prompt"),
    ],
    ids=["engine", "request"],
)
def test_a_failure_after_the_first_word_ends_the_stream_in_two_events(app, failure, code, told):
    app.engine.script = Script(["a", "b"], error=failure, error_after=1)
    found = events(app)
    error, last = next(event for event in found if event["type"] == "error"), found[-1]
    assert (error["code"], last["type"], last["response"]["status"]) == (code, "response.failed", "failed")
    assert error["param"] == ("input" if code == "invalid_request" else None)
    assert last["response"]["error"] == {"code": told, "message": error["message"]}
    assert last["response"]["output"][0]["status"] == "incomplete"


def test_a_failure_that_nobody_expected_is_told_without_its_words(app):
    app.engine.script = Script(["a", "b"], error=RuntimeError("secret 0x7f"), error_after=1)
    got = []
    body = {"input": "hello", "stream": True}
    # A connection on which that happened is given up.
    with (
        app.client() as client,
        pytest.raises(httpx.RemoteProtocolError),
        client.stream("POST", "/v1/responses", json=body) as response,
    ):
        for line in response.iter_lines():
            got.append(line)
    last = json.loads([line for line in got if line][-1].removeprefix("data: "))
    assert last["response"]["error"]["code"] == "server_error"
    assert "secret" not in str(got)


def test_a_failure_before_the_first_word_has_its_status(app):
    app.engine.script = Script(["a"], error=EngineFailed("The model failed."), error_after=0)
    assert post(app).status_code == post(app, stream=True).status_code == 500


def test_responses_are_counted_as_a_front_of_their_own(app):
    answer(app)
    with app.client() as client:
        assert 'qwen_requests_total{front="responses",outcome="stop"}' in client.get("/metrics").text


def test_keys_rates_and_bounds_hold_here_too(start, tmp_path):
    from qwen_demo.http.credentials import new_key

    key, hashed = new_key()
    (tmp_path / "keys").write_text(f"alice:{hashed}\n")
    app = start(api_keys_file=tmp_path / "keys", rate_limit="2/minute", max_request_bytes=2048)
    with app.client() as client:
        for method, path in (("POST", "/v1/responses"), ("GET", "/v1/responses/a"), ("DELETE", "/v1/responses/a")):
            assert client.request(method, path, json={"input": "x"}).status_code == 401, method
        client.headers["authorization"] = f"Bearer {key}"
        assert client.post("/v1/responses", json={"input": "x" * 3000}).status_code == 413
        codes = [client.post("/v1/responses", json={"input": "x"}).status_code for _ in range(3)]
    assert codes == [200, 200, 429]

"""The OpenAPI document is true: what schemathesis makes of it gets documented answers only, and no 5xx."""

import base64

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from qwen_demo.engines.scripted import Script
from qwen_demo.settings import Settings
from tests.api.conftest import App


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("knowledge")
    settings = Settings(
        knowledge_dir=folder, warmup=False, canary_s=0, grace_s=1, fetch_urls="off", max_request_bytes=200_000
    )
    app = App(settings, Script(["one ", "two"]))
    yield app
    app.stop()


@pytest.fixture(scope="module")
def document(app):
    return schemathesis.openapi.from_url(f"{app.url}/openapi.json")


OPERATIONS = ("POST /v1/chat/completions", "POST /v1/responses", "GET /v1/responses/{id}",
              "DELETE /v1/responses/{id}", "POST /v1/points/places", "POST /inference", "GET /v1/models", "GET /v1/models/{name}",
              "GET /health", "GET /ready", "GET /metrics", "GET /v1/knowledge",
              *(f"{method} /v1/knowledge/{{collection}}{rest}" for method, rest in (
                  ("GET", ""), ("DELETE", ""), ("POST", ""), ("POST", "/search"), ("POST", "/files"), ("GET", "/files"),
                  ("GET", "/files/{file}"), ("DELETE", "/files/{file}"), ("GET", "/files/{file}/pages/{page}"))))  # fmt: skip
# Its path is made up as well, and what is no name for a collection makes none.
MAKES = "POST /v1/knowledge/{collection}/files"
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
]


# A route without parameters has no wrong requests.
CASES = [
    pytest.param(name, mode, examples, marks=marks, id=f"{name}-{mode.value}-{examples}")
    for name in OPERATIONS
    for mode in schemathesis.GenerationMode
    if "POST" in name or mode.is_positive
    for examples, marks in [(15, ()), *([(150, pytest.mark.slow)] if "POST" in name else [])]
]


CLOUD = "data:;base64," + base64.b64encode(b"1 2 3\n4 5 6\n").decode()
# Of few made-up requests none may be answered.
ANSWERED = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "How many?"}]},
    "/v1/responses": {"input": "How many?"},
    "/inference": {"prompt": "How many?"},
    "/v1/points/places": {"model_url": {"url": CLOUD, "views": 1, "pixels": 12544}, "answer": "none"},
}


def answerable(case):
    """The same request, of the model that is there and with a question at its end: few made-up ones get that far."""
    if isinstance(case.body, dict) and isinstance(case.body.get("messages"), list):
        case.body["model"] = "scripted"
        case.body["messages"] = [
            *(each for each in case.body["messages"] if "image" not in str(each) and "video" not in str(each)),
            {"role": "user", "content": "How many?"},
        ]
    if isinstance(case.body, dict) and "input" in case.body:
        case.body |= {"model": "scripted", "input": "How many?"}
    return case


@pytest.mark.parametrize(("name", "mode", "examples"), CASES)
def test_every_answer_is_documented_and_none_is_a_failure(document, name, mode, examples):
    method, path = name.split()
    operation = document[path][method]
    seen = set()
    made_up = operation.as_strategy(generation_mode=mode)

    @hypothesis.given(case=made_up if mode.is_negative else made_up | made_up.map(answerable))
    @hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def check(case):
        seen.add(case.call_and_validate(checks=CHECKS, timeout=120).status_code)

    if mode.is_positive and path in ANSWERED:
        plain = operation.Case(body=ANSWERED[path], media_type="application/json")
        check = hypothesis.example(case=plain)(check)
    check()
    # Names of models are made up and no response is stored: none is found.
    assert {400 if mode.is_negative or name == MAKES else 404 if "{" in name else 200} <= seen


def test_no_operation_is_left_out(document):
    found = {f"{each.ok().method.upper()} {each.ok().path}" for each in document.get_all_operations()}
    assert found == set(OPERATIONS)


def test_the_document_knows_what_happens_and_nothing_else(app):
    with app.client() as http:
        document = http.get("/openapi.json").json()
    operations = {(method, path): each for path, all_ in document["paths"].items() for method, each in all_.items()}
    assert not any("422" in each["responses"] for each in operations.values())
    assert "HTTPValidationError" not in document["components"]["schemas"]
    chat = operations["post", "/v1/chat/completions"]["responses"]
    assert {"200", "400", "401", "403", "408", "413", "429", "503", "504"} <= set(chat)
    assert set(chat["200"]["content"]) == {"application/json", "text/event-stream"}
    assert set(operations["post", "/inference"]["requestBody"]["content"]) == {
        "application/json",
        "multipart/form-data",
    }
    assert set(operations["get", "/metrics"]["responses"]["200"]["content"]) == {"text/plain"}
    assert not any("gradio" in path for path in document["paths"])

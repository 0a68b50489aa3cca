"""Other methods and paths than there are: HEAD, and 404 and 405 in the API's own shape."""

import pytest

NOWHERE = [
    ("POST", "/responses"),
    ("POST", "/v1/responses/input_tokens/x"),
    ("GET", "/v1/responses/resp_1/input_items"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
    ("POST", "/v1//chat/completions"),
    ("POST", "/v1/v1/chat/completions"),
    ("POST", "/v1/chat/completions/"),
    ("GET", "/v1"),
    ("GET", "/v1/"),
    ("DELETE", "/v1/nothing"),
    ("POST", "/chat/completions"),
]


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/v1/models", "/v1/models/scripted", "/", "/config",
                                  "/openapi.json", "/docs"])  # fmt: skip
def test_head_is_get_without_its_body(app, path):
    with app.client() as client:
        head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]


def test_head_begins_no_stream_and_logs_nobody_out(app):
    with app.client() as client:
        for path in ("/gradio_api/heartbeat/x", "/gradio_api/queue/data?session_hash=x"):
            assert client.head(path).status_code in (404, 405), path
        # A page with a button: logging out is a POST.
        assert "set-cookie" not in client.head("/logout").headers


@pytest.mark.parametrize(("method", "path"), NOWHERE)
def test_a_path_that_is_not_there_is_told_in_the_apis_shape_with_what_is(app, method, path):
    with app.client() as client:
        response = client.request(method, path)
    assert response.status_code == 404
    error = response.json()["error"]
    assert (error["code"], error["type"]) == ("http_404", "invalid_request_error")
    assert all(path in error["message"] for path in ("/v1/chat/completions", "/v1/responses", "/inference"))
    assert error["request_id"] == response.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("HEAD", "/v1/chat/completions", "POST"),
        ("GET", "/v1/responses", "POST"),
        ("POST", "/v1/responses/resp_1", "DELETE, GET"),
        ("PUT", "/inference", "POST"),
        ("POST", "/v1/models", "GET"),
        ("DELETE", "/v1/models/scripted", "GET"),
        ("POST", "/health", "GET"),
    ],
)
def test_another_method_is_405_with_the_right_one(app, method, path, allowed):
    with app.client() as client:
        response = client.request(method, path)
    assert (response.status_code, response.headers["allow"]) == (405, allowed)
    if method != "HEAD":
        assert path in response.json()["error"]["message"]
        assert allowed.replace(", ", " or ") in response.json()["error"]["message"]

"""Bodies as programs send them: read where that is safe, else refused for the true reason."""

import gzip
import json
import zlib

import pytest

from tests.api.test_chat_completions import HELLO
from tests.hostile import photo, saved

BODY = json.dumps(HELLO).encode()
RAW_DEFLATE = zlib.compressobj(wbits=-15)
AS_JSON = {"content-type": "application/json"}


def post(app, content: bytes, headers: dict[str, str], path: str = "/v1/chat/completions"):
    with app.client() as client:
        request = client.build_request("POST", path, content=content)
        if "content-type" in request.headers:
            del request.headers["content-type"]
        request.headers.update(headers)
        return client.send(request)


@pytest.mark.parametrize(
    "label",
    ["", "application/x-www-form-urlencoded", "text/plain", "text/plain;charset=UTF-8", "application/octet-stream",
     "application/vnd.api+json", "APPLICATION/JSON; charset=utf-8"],
)  # fmt: skip
@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", BODY), ("/inference", b'{"prompt": "hi"}')])
def test_json_is_read_under_any_label(app, label, path, body):
    response = post(app, body, {"content-type": label} if label else {}, path)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    ("coding", "content"),
    [
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("GZIP", gzip.compress(BODY, mtime=0)),
        ("x-gzip", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", RAW_DEFLATE.compress(BODY) + RAW_DEFLATE.flush()),
        ("identity", BODY),
    ],
)
def test_packed_bodies_are_unpacked(app, coding, content):
    assert post(app, content, AS_JSON | {"content-encoding": coding}).status_code == 200
    assert app.engine.requests[0].messages[0].text == "hello"


def test_a_form_may_be_packed_as_well(app):
    form = b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nhi\r\n--x--\r\n'
    headers = {"content-type": "multipart/form-data; boundary=x", "content-encoding": "gzip"}
    assert post(app, gzip.compress(form, mtime=0), headers, "/inference").status_code == 200


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (BODY, {"content-encoding": "br"}, 415, "'br'"),
        (BODY, {"content-encoding": "gzip, gzip"}, 415, "gzip or deflate"),
        (BODY, {"content-encoding": "gzip"}, 400, "not valid gzip"),
        (gzip.compress(BODY, mtime=0)[:-9], {"content-encoding": "gzip"}, 400, "cut short"),
        (gzip.compress(BODY, mtime=0) + b"more", {"content-encoding": "gzip"}, 400, "not valid gzip"),
        (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 415, "application/json"),
        (b"--x\r\n", {"content-type": "multipart/form-data; boundary=x"}, 415, "multipart/form-data"),
        (b"<x/>", {"content-type": "application/xml"}, 415, "'application/xml'"),
        (b"", {}, 400, "empty"),
        (b" \n", {}, 400, "empty"),
        (b'{"messages": ', {}, 400, "The body is not valid JSON, from character 13 on."),
        (b"[]", {}, 400, "object"),
        (b"\xff\xfe{", {}, 400, "body"),
    ],
)
def test_what_cannot_be_read_is_refused_for_the_true_reason(app, content, headers, status, words):
    response = post(app, content, AS_JSON | headers)
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert words in error["message"] and error["param"] is None


def test_a_body_is_unpacked_within_the_bound_of_bodies(start):
    app = start(max_request_bytes=4096)
    bomb = gzip.compress(json.dumps(HELLO | {"user": "x" * 500_000}).encode())
    assert len(bomb) < 4096
    response = post(app, bomb, AS_JSON | {"content-encoding": "gzip"})
    assert response.status_code == 413
    assert "--max-request-bytes" in response.json()["error"]["message"]
    assert not app.engine.requests


def test_a_large_form_is_read_whole_while_its_caller_is_watched(app):
    """Both would read from one stream: whoever waits for the caller to leave must not take pieces of the form."""
    image = saved(photo(1200, 900), "BMP")
    with app.client() as http:
        answer = http.post("/inference", files={"file": ("a.bmp", image)}, data={"prompt": "hi"})
        assert answer.status_code == 200, answer.text

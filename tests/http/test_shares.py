"""Over HTTP: one caller's share of memory and room, a key before its body, heartbeats behind the login."""

import gzip
import json
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from qwen_demo.engines.scripted import Script
from qwen_demo.errors import NotReady
from qwen_demo.http.credentials import hash_of_key, hash_of_password
from qwen_demo.http.route_guard import MCP_AT_ONCE
from tests.http.test_bounds import address, eventually

OTHER = "127.0.0.2"
HELLO = {"messages": [{"role": "user", "content": "hello"}]}
MIB = 1 << 20


def other(app) -> httpx.Client:
    """A client with another address."""
    return httpx.Client(base_url=app.url, timeout=60, transport=httpx.HTTPTransport(local_address=OTHER))


def half_sent(app, megabytes: int) -> socket.socket:
    raw = socket.create_connection(address(app), timeout=60)
    raw.sendall(b"POST /inference HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % (20 * MIB))
    raw.sendall(b"x" * (megabytes * MIB))
    return raw


def test_bodies_of_one_caller_leave_memory_for_another(start):
    app = start(memory_budget_mib=64, caller_share=0.75)
    body = json.dumps(HELLO | {"user": "x" * 150}).encode() + b" " * (3 * MIB)
    with half_sent(app, 15), half_sent(app, 8), app.client() as mine, other(app) as theirs:

        def refused() -> bool:
            return mine.post("/v1/chat/completions", content=body).status_code == 429

        eventually(refused, "one caller took more than its share")
        assert theirs.post("/v1/chat/completions", content=body).status_code == 200


@pytest.mark.slow
def test_questions_of_one_caller_leave_room_for_another(start):
    app = start(Script(["a"], first_s=600), max_running=2, max_waiting=2, caller_share=0.75)
    with app.client() as mine, other(app) as theirs:
        streams = []
        for _ in range(3):
            asked = mine.build_request("POST", "/v1/chat/completions", json=HELLO | {"stream": True})
            streams.append(mine.send(asked, stream=True))
        refused = mine.post("/v1/chat/completions", json=HELLO)
        assert refused.status_code == 429
        assert "--caller-share" in refused.json()["error"]["message"]
        app.engine.script = Script(["b"])
        assert theirs.post("/v1/chat/completions", json=HELLO).json()["choices"][0]["message"]["content"] == "b"
        for stream in streams:
            stream.close()


def test_the_share_of_a_body_holds_until_its_answer_has_ended(start):
    app = start(Script(["a"] * 1000, gap_s=0.01), memory_budget_mib=64, caller_share=1.0)
    packed = gzip.compress(json.dumps(HELLO | {"stream": True, "max_tokens": 1000}).encode() + b" " * (3 * MIB))
    with app.client() as http:
        asked = http.build_request("POST", "/v1/chat/completions", content=packed, headers={"content-encoding": "gzip"})
        stream = http.send(asked, stream=True)
        lines = stream.iter_lines()  # what is dropped is closed
        next(lines)
        held = [line for line in http.get("/metrics").text.splitlines() if line.startswith("qwen_memory_held_bytes ")]
        assert float(held[0].split()[1]) > 6 * MIB
        stream.close()
        eventually(
            lambda: "\nqwen_memory_held_bytes 0.0\n" in http.get("/metrics").text, "the share was not given back"
        )


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/inference"])
def test_json_over_a_bound_is_refused_with_the_bound(app, path):
    with app.client() as http:
        for content, status, words in (
            (json.dumps({"prompt": "x " * (3 * MIB)}).encode(), 413, "4 MiB"),
            (b'{"prompt":[' + b"[]," * 30_000 + b"[]]}", 400, "20000 values"),
            (b'{"prompt":' * 5000, 400, "nested"),
        ):
            answer = http.post(path, content=content)
            assert (answer.status_code, words in answer.json()["error"]["message"]) == (status, True), answer.text


@pytest.fixture
def keys(tmp_path):
    (tmp_path / "keys").write_text(f"alice:{hash_of_key('secret')}\n")
    return tmp_path / "keys"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/inference"])
def test_a_key_is_looked_at_before_the_body(start, keys, path):
    app = start(api_keys_file=keys)
    with app.client() as http:
        for content in (b"no JSON", b"[" * 100_000, b"", b'{"x":[' + b"[]," * MIB + b"[]]}"):
            assert http.post(path, content=content).status_code == 401
            right = http.post(path, content=content, headers={"authorization": "Bearer secret"})
            assert right.status_code in (400, 413, 415)
        answer = http.post(path, content=b"x", headers={"content-encoding": "br"})
        assert answer.status_code == 401


def test_a_key_is_counted_once_a_request(start, keys):
    app = start(api_keys_file=keys, rate_limit="3/minute")
    with app.client(headers={"authorization": "Bearer secret"}) as http:
        codes = [http.post("/v1/chat/completions", json=HELLO).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]


def test_pages_are_held_open_for_who_has_logged_in(start, tmp_path):
    (tmp_path / "users").write_text(f"alice:{hash_of_password('right horse')}\n")
    app = start(page_users_file=tmp_path / "users")
    with app.client() as http:
        assert http.get("/gradio_api/heartbeat/x").status_code == 401
        assert http.post("/gradio_api/upload", files={"files": ("a.png", b"x")}).status_code == 401
        assert http.post("/login", data={"username": "alice", "password": "right horse"}).status_code == 200
        with http.stream("GET", "/gradio_api/heartbeat/x") as beating:
            assert beating.status_code == 200
            assert "ALIVE" in next(beating.iter_lines())
        assert http.post("/gradio_api/upload", files={"files": ("a.png", b"x")}).status_code == 200


def test_mcp_callers_ask_few_questions_at_a_time(start):
    app = start(Script(["a"], first_s=600), max_running=32)
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "ask", "arguments": {"question": "a"}},
    }
    headers = {"accept": "application/json, text/event-stream"}

    def ask(_: int) -> int:
        with app.client() as http:
            return http.post("/gradio_api/mcp/", json=call, headers=headers).status_code

    with ThreadPoolExecutor(MCP_AT_ONCE) as pool:
        asking = [pool.submit(ask, number) for number in range(MCP_AT_ONCE)]
        eventually(lambda: app.engine.health().running == MCP_AT_ONCE, "not all were asked")
        assert ask(0) == 429
        app.engine.script = Script(["b"])
        for end in list(app.service._enders):
            end(NotReady("The test is over."))
        assert {each.result(30) for each in asking} == {200}

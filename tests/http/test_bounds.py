"""What all callers share: memory, rates by network, threads for passwords, places of readers who do not read."""

import asyncio
import contextlib
import json
import select
import socket
import threading
import time

import pytest
import uvicorn

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import DeadlineExceeded
from qwen_demo.http import credentials, middleware, timeout_protocol
from qwen_demo.http.access import caller_address
from qwen_demo.http.arrival import ON_BEHALF, OwnCalls
from qwen_demo.http.credentials import Login, hash_of_password, new_key
from qwen_demo.http.route_guard import RouteGuard
from qwen_demo.media.memory_budget import MIB
from qwen_demo.server.run import uvicorn_config
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from tests.conftest import question, until

HELLO = {"messages": [{"role": "user", "content": "hello"}]}
PATIENCE_S = 120


def address(app) -> tuple[str, int]:
    host, port = app.url.removeprefix("http://").split(":")
    return host, int(port)


def eventually(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def half_sent(app, megabytes: int) -> socket.socket:
    """A request whose body has come to `megabytes` and goes on."""
    raw = socket.create_connection(address(app), timeout=PATIENCE_S)
    head = f"POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: {20 * MIB}\r\n\r\n"
    raw.sendall(head.encode() + b"x" * (megabytes * MIB))
    return raw


def refused(raws: list[socket.socket]) -> int:
    """How many have been told to come back."""
    ready, _, _ = select.select(raws, [], [], 0)
    return sum(b" 429 " in raw.recv(1000, socket.MSG_PEEK) for raw in ready)


def test_bodies_of_many_callers_share_a_bounded_memory(start, monkeypatch):
    # However slow the machine is, nobody is hung up on while he still sends what was refused.
    monkeypatch.setattr(middleware, "DISCARD_S", PATIENCE_S)
    app = start(memory_budget_mib=20)
    with contextlib.ExitStack() as stack, app.client() as http:
        raws = [stack.enter_context(contextlib.closing(half_sent(app, 4))) for _ in range(4)]
        eventually(lambda: refused(raws), "four bodies of 4 MiB, counted twice, fit into 20 MiB")
        assert refused(raws) < 4
        small = http.post("/inference", json={"prompt": "hello"})
        assert small.status_code == 200
        assert 'qwen_rejected_total{reason="memory"}' in http.get("/metrics").text
        large = http.post("/inference", content=b"x" * (10 * MIB), headers={"content-type": "application/json"})
        assert large.status_code == 429
        assert large.headers["retry-after"]
        error = large.json()["error"]
        assert error["code"] == "overloaded" and "--memory-budget-mib" in error["message"]
    with app.client() as http:
        body = json.dumps({"prompt": "y" * (8 * MIB)})
        eventually(lambda: http.post("/inference", content=body).status_code != 429, "the memory was not given back")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("10.0.0.1", "10.0.0.2", False),
    ],
)
def test_rates_count_an_ipv6_network_as_one_caller(one, other, same):
    assert (caller_address((one, 1)) == caller_address((other, 2))) is same


def test_odd_addresses_are_counted_as_they_are():
    assert caller_address(("testclient", 1)) == "testclient"
    assert caller_address(None) == "unknown"


def test_guesses_from_one_ipv6_network_are_slowed_down_together(start, tmp_path):
    (tmp_path / "keys").write_text(f"a:{new_key()[1]}\n")
    app = start(api_keys_file=tmp_path / "keys", trusted_proxies="127.0.0.1")
    with app.client() as http:
        codes = [
            http.get(
                "/v1/models", headers={"x-api-key": f"guess-{n}", "x-forwarded-for": f"2001:db8::{n:x}"}
            ).status_code
            for n in range(12)
        ]
        assert codes == [401] * 10 + [429] * 2
        elsewhere = {"x-api-key": "guess", "x-forwarded-for": "2001:db8:0:1::1"}
        assert http.get("/v1/models", headers=elsewhere).status_code == 401


async def test_passwords_are_checked_in_threads_a_few_at_once(tmp_path, monkeypatch):
    (tmp_path / "users").write_text(f"alice:{hash_of_password('right')}\n")
    login, lock, running, most, loop = Login(tmp_path / "users"), threading.Lock(), 0, 0, threading.get_ident()
    real = credentials.password_fits

    def watched(password: str, known: str) -> bool:
        nonlocal running, most
        assert threading.get_ident() != loop, "scrypt on the event loop"
        with lock:
            running += 1
            most = max(most, running)
        try:
            return real(password, known)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(credentials, "password_fits", watched)
    tries = [login.check("alice", "right"), login.check("alice", "wrong"), login.check("bob", "right")] * 2
    assert await asyncio.gather(*tries) == [True, False, False] * 2
    assert 1 <= most <= credentials.LOGINS_AT_ONCE


# Readers who do not read


async def test_a_reader_that_stops_in_the_middle_loses_its_slot_at_the_deadline(settings):
    settings = settings.model_copy(update={"warmup": False, "canary_s": 0, "request_timeout_s": 0.2})
    engine = ScriptedEngine(Script(["a "] * 100))
    service = Service(settings, engine)
    service.start()
    await service.loaded()
    answer = service.answer(question("hello"))
    await anext(answer)
    assert engine.health().running == 1
    await until(lambda: engine.health().running == 0)
    with pytest.raises(DeadlineExceeded):
        await anext(answer)
    await service.close()


@pytest.fixture
def impatient(start, monkeypatch):
    """The application behind uvicorn as the program configures it, for an endless answer of large pieces."""
    monkeypatch.setattr(timeout_protocol, "READ_TIMEOUT_S", 0.5)
    real, ours = uvicorn.Config, uvicorn_config(None, Settings())
    monkeypatch.setattr(uvicorn, "Config", lambda app, **options: real(app, **options, http=ours.http, ws=ours.ws))
    return start(Script(["x" * 100_000] * 100_000, gap_s=0.001), max_running=2, max_new_tokens=100_000)


def test_a_caller_that_takes_nothing_is_cut_off_and_its_slot_freed(impatient):
    body = json.dumps(HELLO | {"stream": True, "max_tokens": 100_000}).encode()
    kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n{kind}\r\n\r\n".encode()
    with contextlib.closing(socket.socket()) as raw, contextlib.closing(socket.socket()) as reader:
        for each in (raw, reader):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10_000)
            each.settimeout(PATIENCE_S)
            each.connect(address(impatient))
            each.sendall(head + body)
        taken, seen = 0, set()
        deadline = time.monotonic() + PATIENCE_S
        while not {2, 1} <= seen or impatient.engine.health().running == 2:
            assert time.monotonic() < deadline, "the slot was not freed"
            taken += len(reader.recv(1 << 16))
            seen.add(impatient.engine.health().running)
        assert impatient.engine.health().running == 1, "who reads goes on"
        assert taken > 1_000_000
        assert reader.recv(1 << 16)
    eventually(lambda: impatient.engine.health().running == 0, "the other slot was not freed")
    eventually(lambda: not impatient.server.server_state.connections, "connections stayed")
    impatient.engine.script = Script(["fine"])
    with impatient.client() as http:
        assert http.post("/v1/chat/completions", json=HELLO).json()["choices"][0]["message"]["content"] == "fine"


# MCP


TOOL_CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "ask", "arguments": {"question": "hi"}},
}
ACCEPT = {"accept": "application/json, text/event-stream"}


def mcp(http, path: str = "/gradio_api/mcp/", **headers: str):
    return http.post(path, json=TOOL_CALL, headers={**ACCEPT, **headers})


def test_with_a_login_mcp_takes_an_api_key_and_nothing_else(start, tmp_path):
    (tmp_path / "users").write_text(f"alice:{hash_of_password('right horse')}\n")
    key, hashed = new_key()
    (tmp_path / "keys").write_text(f"program:{hashed}\n")
    app = start(Script(["an ", "answer"]), page_users_file=tmp_path / "users", api_keys_file=tmp_path / "keys")
    with app.client() as http:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "access-token=x"}):
            for path in ("/gradio_api/mcp/", "/gradio_api/mcp", "/gradio_api/MCP/", "/gradio_api/mcp/http/"):
                refused = mcp(http, path, **headers)
                assert refused.status_code in (401, 404), (path, headers)
                assert "answer" not in refused.text
        assert mcp(http).json()["error"]["code"] == "invalid_api_key"
        assert not app.engine.requests
        for _ in range(2):
            answered = mcp(http, authorization=f"Bearer {key}")
            assert answered.status_code == 200
            assert "an answer" in answered.text and '"isError":false' in answered.text
        assert "set-cookie" not in answered.headers
        assert http.get("/config", headers={"authorization": f"Bearer {key}"}).status_code == 401, "the page stays shut"
        http.post("/login", data={"username": "alice", "password": "right horse"})
        http.post("/logout")
        assert "an answer" in mcp(http, authorization=f"Bearer {key}").text


def test_with_a_login_and_no_keys_mcp_says_what_it_would_take(start, tmp_path):
    (tmp_path / "users").write_text(f"alice:{hash_of_password('right horse')}\n")
    app = start(page_users_file=tmp_path / "users")
    with app.client() as http:
        http.post("/login", data={"username": "alice", "password": "right horse"})
        refused = mcp(http)
        assert refused.status_code == 403
        assert "--api-keys-file" in refused.json()["error"]["message"]
    assert not app.engine.requests


async def test_an_mcp_callers_secrets_are_not_sent_on(tmp_path):
    sent = [(b"Authorization", b"Bearer s"), (b"cookie", b"a=s"), (b"X-Api-Key", b"s"), (b"accept", b"x")]
    seen, own_calls = [], OwnCalls()

    async def gradio(scope, receive, send):
        seen.append(dict(scope["headers"]))

    guard = RouteGuard(
        gradio, origins=(), uploads=tmp_path, max_upload_bytes=1, max_upload_files=1, timeout_s=1, own_calls=own_calls
    )
    asked = {"type": "http", "method": "POST", "path": "/gradio_api/mcp/", "query_string": b"", "headers": sent}
    await guard(asked | {"server": ("127.0.0.1", 80), "client": ("192.0.2.7", 99)}, None, None)
    (headers,) = seen
    assert headers.pop(b"host") == b"127.0.0.1:80"
    assert own_calls.caller(headers.pop(ON_BEHALF).decode()) == ("192.0.2.7", 0)
    assert headers == {b"accept": b"x"}

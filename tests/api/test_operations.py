"""`/inference`, health, readiness, metrics, request ids, bounds, keys, rates."""

import asyncio
import base64
import io
import logging
import socket
import time
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import SettingsError
from qwen_demo.http.access import ApiAccess
from qwen_demo.http.credentials import hash_of_key, hash_of_password, new_key, read_keys, read_users
from qwen_demo.server.listening import refuse_open_door
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import Image, collect
from tests.conftest import draw, question, until

HELLO = {"messages": [{"role": "user", "content": "hello"}]}


def png() -> bytes:
    data = io.BytesIO()
    draw("red").save(data, "PNG")
    return data.getvalue()


def test_inference_answers_json_base64_and_multipart_alike(app):
    with app.client() as client:
        plain = client.post("/inference", json={"prompt": "hi"}).json()
        coded = client.post("/inference", json={"prompt": "hi", "image": base64.b64encode(png()).decode()})
        form = client.post("/inference", data={"prompt": "hi", "max_tokens": "5"}, files={"file": ("a.png", png())})
    assert set(plain) == {"request_id", "response", "inference_time", "token_count"}
    assert (plain["response"], plain["token_count"]) == ("one two", 2)
    assert coded.status_code == form.status_code == 200
    assert isinstance(app.engine.requests[1].messages[0].parts[0], Image)
    assert app.engine.requests[1].messages[0].parts[0].digest == app.engine.requests[2].messages[0].parts[0].digest
    assert app.engine.requests[2].sampling.max_new_tokens == 5


@pytest.mark.parametrize(
    ("name", "more", "field"),
    [
        ("photo", {}, "photo"),
        ("file", {"image_url": "https://example.org/a.png"}, "file"),
        ("file", {"image": "AAAA"}, "file"),
    ],
)
def test_no_image_of_a_form_is_left_out_in_silence(app, name, more, field):
    with app.client() as client:
        answer = client.post("/inference", data={"prompt": "hi", **more}, files={name: ("a.png", png())})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"prompt": 5},
        {"prompt": "hi", "image": "!!!"},
        {"prompt": "hi", "image_url": "http://127.0.0.1/"},
        {"prompt": "hi", "max_tokens": -1},
        {"prompt": "hi", "extra": 1},
        {"prompt": "hi", "image": "AAAA", "image_url": "https://example.org/"},
        [],
    ],
)
def test_a_bad_inference_is_400(app, body):
    with app.client() as client:
        assert client.post("/inference", json=body).status_code == 400
        assert client.post("/inference", content=b"{", headers={"content-type": "application/json"}).status_code == 400


def test_ready_follows_the_engine(start):
    app = start()
    with app.client() as client:
        assert client.get("/ready").json()["ready"] is True
        app.engine._ready = False
        response = client.get("/ready")
        assert response.status_code == 503
        assert response.json()["state"] == "restarting"
        assert client.get("/health").status_code == 200


def test_health_fails_when_only_a_new_start_helps(app, monkeypatch):
    with app.client() as client:
        assert (client.get("/health").json()["status"], client.get("/health").status_code) == ("ok", 200)
        health = app.engine.health
        lost = {"ready": False, "failed": True, "detail": "the engine ended three times"}
        monkeypatch.setattr(app.engine, "health", lambda: replace(health(), **lost))
        for path in ("/health", "/ready"):
            response = client.get(path)
            assert response.status_code == 503
            assert response.json()["state"] == "failed"
            assert response.json()["detail"] == "the engine ended three times"
        assert client.get("/health").json()["status"] == "failed"


async def test_a_stuck_engine_is_found_out_and_forgiven_when_it_answers_again(monkeypatch):
    monkeypatch.setattr("qwen_demo.service.watchdog.CANARY_TIMEOUT_S", 0.05)
    engine = ScriptedEngine(Script(["a"]))
    service = Service(Settings(canary_s=0.05, warmup=False), engine)
    service.start()
    await service.loaded()
    engine.script = Script(["a"], first_s=600)
    await until(lambda: service.status().state == "failed")
    assert "no token" in service.status().detail
    engine.script = Script(["a"])
    await until(lambda: service.status().state == "ready")
    await service.close()


async def test_no_canary_is_sent_while_answers_flow():
    engine = ScriptedEngine(Script(["a"] * 30, gap_s=0.01))
    service = Service(Settings(canary_s=0.15, warmup=False), engine)
    service.start()
    await service.loaded()
    for _ in range(3):
        await collect(service.answer(question("hi")))
    assert len(engine.requests) == 3
    await service.close()


async def test_draining_lets_answers_end_and_admits_nothing():
    engine = ScriptedEngine(Script(["a "] * 10, gap_s=0.02))
    service = Service(Settings(warmup=False, canary_s=0), engine)
    service.start()
    await service.loaded()
    running = asyncio.create_task(collect(service.answer(question("hi"))))
    await until(lambda: engine.health().running == 1)
    draining = asyncio.create_task(service.drain())
    await asyncio.sleep(0)
    with pytest.raises(Exception, match="shutting down"):
        await collect(service.answer(question("hi")))
    assert (await running).text == "a " * 10
    await draining


def test_metrics_count_what_happened_with_bounded_labels(start):
    app = start(max_running=1, max_waiting=0)
    with app.client() as client:
        client.post("/v1/chat/completions", json=HELLO)
        client.post("/inference", json={"prompt": "hi", "temperature": 9})
        client.post("/inference", json={"prompt": "hi", "image": base64.b64encode(png()).decode()})
        app.engine.script = Script(["a"], first_s=600)
        with client.stream("POST", "/v1/chat/completions", json=HELLO | {"stream": True}):
            client.post("/v1/chat/completions", json=HELLO)
            text = client.get("/metrics").text
    samples = {
        (s.name, tuple(s.labels.values())): s.value for f in text_string_to_metric_families(text) for s in f.samples
    }
    assert samples["qwen_requests_total", ("chat_completions", "stop")] == 1
    assert samples["qwen_requests_total", ("inference", "invalid_request")] == 1
    assert samples["qwen_rejected_total", ("overloaded",)] == 1
    assert samples["qwen_requests_total", ("inference", "stop")] == 1
    assert samples["qwen_tokens_total", ("completion",)] == 4
    assert samples["inference_latency_seconds_count", ()] == 2
    assert samples["qwen_decoder_wait_seconds_count", ("image",)] == 1
    assert samples["queue_length", ()] == 0
    assert samples["qwen_decoders_waiting", ("video",)] == samples["qwen_decoders_running", ("video",)] == 0
    assert samples["qwen_running", ()] == 1
    assert samples["process_resident_memory_bytes", ()] > 0


def test_refusals_before_the_service_are_counted_too(start):
    app = start(rate_limit="2/minute", max_request_bytes=2048)
    with app.client() as client:
        client.post("/inference", json={"prompt": "x" * 4000})
        client.post("/v1/chat/completions", json={"messages": []})
        client.get("/v1/models/nothing")
        client.get("/v1/models")
        text = client.get("/metrics").text
    for reason in ("http_413", "invalid_request", "model_not_found", "rate_limit"):
        assert f'qwen_rejected_total{{reason="{reason}"}} 1.0' in text


def test_an_unexpected_failure_is_counted_as_one(start):
    with start(Script(["a"], error=RuntimeError("x"), error_after=0)).client() as client:
        client.post("/inference", json={"prompt": "hi"})
        assert 'outcome="internal_error"} 1.0' in client.get("/metrics").text


@pytest.mark.parametrize(("sent", "kept"), [("abc-1.2_3", True), ("x" * 65, False), ("a b", False), ("a\tb", False)])
def test_request_ids_are_taken_if_harmless_and_sent_back(app, sent, kept):
    with app.client() as client:
        response = client.post("/inference", json={"prompt": "hi"}, headers={"x-request-id": sent})
    assert (response.headers["x-request-id"] == sent) is kept
    assert response.json()["request_id"] == response.headers["x-request-id"]


def test_a_header_cannot_be_injected(app):
    host, port = app.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\rSet-Cookie: b\r\nConnection: close\r\n\r\n")
        reply = b"".join(iter(lambda: raw.recv(4096), b""))
    assert b"set-cookie" not in reply.lower()


def test_a_body_over_the_limit_is_413_whether_announced_or_not(start):
    app = start(max_request_bytes=2048)
    with app.client() as client:
        assert client.post("/inference", json={"prompt": "x" * 4000}).status_code == 413

        def endless():
            for _ in range(100):
                yield b"x" * 1000

        assert client.post("/inference", content=endless()).status_code == 413
        assert client.post("/inference", json={"prompt": "x" * 100}).status_code == 200


def test_a_body_that_drips_is_408(start):
    app = start(body_timeout_s=0.3)
    host, port = app.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as raw:
        raw.sendall(b"POST /inference HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        assert b" 408 " in raw.recv(4096)


def test_an_unknown_path_of_the_api_is_no_page(app):
    with app.client() as client:
        assert client.get("/v1/nothing").status_code == 404


@pytest.fixture
def keys(tmp_path):
    key, hashed = new_key()
    other, other_hash = new_key()
    (tmp_path / "keys").write_text(f"# comment\nalice:{hashed}\n\nbob:{other_hash}\n")
    return tmp_path / "keys", key, other


def test_keys_open_the_api_and_nothing_else_does(start, keys):
    path, key, other = keys
    app = start(api_keys_file=path)
    with app.client() as client:
        for headers in ({"authorization": f"Bearer {key}"}, {"x-api-key": other}):
            assert client.get("/v1/models", headers=headers).status_code == 200
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {key}"}, {"x-api-key": "é"}):
            response = client.get("/v1/models", headers={k: v.encode() for k, v in headers.items()})
            assert response.status_code == 401
            assert response.json()["error"]["code"] == "invalid_api_key"
        assert client.get("/health").status_code == 200


def test_guessing_keys_is_slowed_down_and_locks_nobody_out(start, keys):
    path, key, _ = keys
    with start(api_keys_file=path).client() as client:
        codes = [client.get("/v1/models", headers={"x-api-key": f"guess-{n}"}).status_code for n in range(12)]
        assert codes == [401] * 10 + [429] * 2
        assert client.get("/v1/models", headers={"x-api-key": key}).status_code == 200


def test_rates_are_per_key(start, keys):
    path, key, other = keys
    with start(api_keys_file=path, rate_limit="2/minute").client() as client:
        codes = [client.get("/v1/models", headers={"x-api-key": key}).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        assert client.get("/v1/models", headers={"x-api-key": other}).status_code == 200


def test_keys_are_neither_kept_nor_shown(keys, caplog):
    path, key, _ = keys
    caplog.set_level(logging.DEBUG)
    access = ApiAccess(Settings(api_keys_file=path))
    assert key not in path.read_text()
    assert key not in repr(vars(access)) + caplog.text


def test_a_bad_keys_file_or_rate_is_told(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_keys(tmp_path / "nothing")
    for rate in ("often", "0/minute"):
        with pytest.raises(SettingsError, match="60/minute"):
            ApiAccess(Settings(rate_limit=rate))


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (b"no colon here\n", "line 1"),
        (b"alice:qd-the-key-itself\n", "line 1: each line is name:hash, as qwen-demo key NAME makes it"),
        (f"# a comment\nalice:{'ab' * 32}\nalice:{'cd' * 32}\n".encode(), "line 3: alice is there already"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_line_whose_key_would_fit_nobody_is_told_at_start(tmp_path, lines, told):
    (tmp_path / "keys").write_bytes(lines)
    with pytest.raises(SettingsError, match=told):
        read_keys(tmp_path / "keys")


@pytest.mark.parametrize("value", ["right horse", "x", hash_of_key("a key of the other file"), "00$ff"])
def test_a_user_whose_password_is_no_hash_is_told_at_start(tmp_path, value):
    (tmp_path / "users").write_text(f"alice:{value}\n")
    with pytest.raises(SettingsError, match="line 1: each line is name:hash, as qwen-demo user NAME makes it"):
        read_users(tmp_path / "users")


def test_listening_elsewhere_needs_keys_or_a_word():
    with pytest.raises(SettingsError, match="--open"):
        refuse_open_door(Settings(host="0.0.0.0"))
    refuse_open_door(Settings(host="0.0.0.0", open=True))
    refuse_open_door(Settings(host="127.0.0.1"))


def test_cors_is_closed_unless_opened(start):
    ask = {"origin": "https://a.org", "access-control-request-method": "POST"}
    with start().client() as client:
        assert "access-control-allow-origin" not in client.options("/v1/models", headers=ask).headers
    with start(cors_origins="https://a.org").client() as client:
        assert client.options("/v1/models", headers=ask).headers["access-control-allow-origin"] == "https://a.org"
        other = client.options("/v1/models", headers=ask | {"origin": "https://b.org"})
        assert "access-control-allow-origin" not in other.headers


def test_the_log_has_one_line_a_request_without_its_words(start, caplog):
    caplog.set_level(logging.INFO)
    with start().client() as client:
        client.post("/inference", json={"prompt": "very private words"})
    deadline = time.monotonic() + 60
    while not any("request ended" in record.message for record in caplog.records):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert sum("request ended" in record.message for record in caplog.records) == 1
    assert "private" not in caplog.text + str([vars(record) for record in caplog.records])


def test_the_page_asks_for_a_login_when_it_has_users(start, tmp_path):
    (tmp_path / "users").write_text(f"alice:{hash_of_password('right horse')}\n")
    with start(page_users_file=tmp_path / "users").client() as client:
        assert client.get("/config").status_code == 401
        assert client.post("/login", data={"username": "alice", "password": "wrong"}).status_code == 400
        assert client.post("/login", data={"username": "bob", "password": "right horse"}).status_code == 400
        assert client.post("/login", data={"username": "alice", "password": "right horse"}).status_code == 200
        assert client.get("/config").status_code == 200
    assert "right horse" not in (tmp_path / "users").read_text()

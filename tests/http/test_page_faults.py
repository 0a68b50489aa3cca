"""What a caller of Gradio's routes gets wrong is 4xx; the words are fixed, and neither they nor the log hold the caller's."""

import logging

import gradio as gr
import pytest

from qwen_demo.errors import NotReady
from qwen_demo.http.credentials import hash_of_password
from tests.http.conftest import ADD_URL, CAMERA, TAKE

WORD = "forged\n\x1b[31mERROR word"
MISFITS = {
    "/gradio_api/call/v2/nothing": {},
    "/gradio_api/call/v2/ask": {WORD: 1},
    "/gradio_api/call/v2/chat": {},
    "/gradio_api/call/none": {"data": []},
    "/gradio_api/run/none": {"data": []},
    "/gradio_api/run/predict": {"data": [], "fn_index": 99999},
    "/gradio_api/api/predict": {"data": [], "fn_index": -1},
    "/gradio_api/queue/join": {"data": [], "fn_index": 99999, "session_hash": "q"},
    "/gradio_api/run/ask": {"data": [WORD]},
    "/gradio_api/run/ask/": {"data": ["q", None, 0, 4, 1, 1, WORD, None, ""]},
    "/gradio_api/run/chat": {"data": [[{"role": WORD, "content": "x"}], 0, 1, 1, 1, None, None, ""]},
    "/gradio_api/run/predict/": {"data": [], "fn_index": 1, "batched": True, "event_data": [1], "trigger_id": 99999},
    "/gradio_api/run/chat/": {"data": [[[WORD]], 0, 1, 1, 1, None, None, ""]},
}


@pytest.mark.parametrize("path", MISFITS)
def test_a_request_that_does_not_fit_is_the_callers_to_mend(app, caplog, capfd, path):
    caplog.set_level(logging.DEBUG)
    with app.client() as http:
        answer = http.post(path, json=MISFITS[path])
        assert 400 <= answer.status_code < 500
        assert "Traceback" not in answer.text
        assert http.get("/ready").status_code == 200
    printed = capfd.readouterr()
    assert "forged" not in printed.out + printed.err
    assert "forged" not in "".join(record.getMessage() for record in caplog.records)


def test_a_refusal_has_the_status_of_its_kind(app, attack, monkeypatch):
    attacker = attack(app)
    assert attacker.event(CAMERA, [{"text": "", "files": []}, {"path": "/etc/passwd"}]).status_code == 400

    def closing():
        raise gr.Error("The server is shutting down.", title=NotReady.code, print_exception=False)

    shows_status = next(
        each["id"]
        for each in attacker.http.get("/config").json()["dependencies"]
        if [event for _, event in each["targets"]] == ["load"]
    )
    monkeypatch.setattr(app.service, "status", closing)
    answer = attacker.http.post("/gradio_api/run/predict", json={"data": [], "fn_index": shows_status})
    assert answer.status_code == 503


def test_a_refusal_of_an_event_of_the_queue_is_told_in_its_stream(app, attack):
    attacker = attack(app)
    for answer in (
        attacker.event(ADD_URL, ["http://example.org/x.png"]),
        attacker.event(TAKE, [{"text": "", "files": []}, []]),
    ):
        assert answer.status_code == 500
        assert answer.json()["error"]


def test_a_failure_of_the_servers_own_stays_one(app, attack, monkeypatch):
    def broken():
        raise RuntimeError("out of luck")

    attacker = attack(app)
    shows_status = next(
        each["id"]
        for each in attacker.http.get("/config").json()["dependencies"]
        if [event for _, event in each["targets"]] == ["load"]
    )
    monkeypatch.setattr(app.service, "status", broken)
    answer = attacker.http.post("/gradio_api/run/predict", json={"data": [], "fn_index": shows_status})
    assert answer.status_code == 500
    assert "luck" not in answer.text


def test_a_stream_of_nothing_says_so_and_ends(app, caplog):
    with app.client() as http:
        for path in ("/gradio_api/call/ask/nothing", "/gradio_api/queue/data?session_hash=nothing"):
            answer = http.get(path)
            assert "404" in answer.text or "error" in answer.text
    assert not [record for record in caplog.records if record.exc_info]


ODD_BODIES = (
    (b"", "application/json"),
    (b"[[[", "application/json"),
    (b'{"data":[null],"fn_index":"x","session_hash":5,"event_id":{}}', "application/json"),
    (b'{"data":[],"fn_index":3,"session_hash":"\\ud800"}', "application/json"),
    (b"x=1", "application/x-www-form-urlencoded"),
    (b"zz", "multipart/form-data"),
    (b'--b\r\nContent-Disposition: form-data; name="files"; filename="\x00/../x"\r\n\r\nx\r\n--b--\r\n',
     "multipart/form-data; boundary=b"),
    (b"\xff\xfe", "text/plain"),
)  # fmt: skip
ROUTES = ("reset", "cancel", "queue/join", "call/ask", "call/v2/ask", "run/ask", "run/predict", "api/ask", "upload",
          "mcp/", "mcp/messages/?session_id=zz", "queue/status", "heartbeat/x", "run/%F0%9F", "file=x")  # fmt: skip


def test_nothing_that_is_sent_to_the_page_is_the_servers_failure(app, caplog):
    with app.client() as http:
        for route in ROUTES:
            for content, kind in ODD_BODIES:
                for method in ("POST", "PUT") if content else ("POST", "DELETE", "PATCH", "OPTIONS"):
                    answer = http.request(
                        method, f"/gradio_api/{route}", content=content, headers={"content-type": kind}
                    )
                    assert answer.status_code < 500, (method, route, content)
    assert not [record for record in caplog.records if record.exc_info]


def test_paths_without_a_file_are_404_however_long(app):
    with app.client() as http:
        for path in ("/static/", "/assets/", "/gradio_api/file=/", "/svelte/"):
            assert http.get(path + "a" * 5000).status_code in (403, 404), path


@pytest.fixture
def with_login(start, tmp_path):
    (tmp_path / "users").write_text(f"alice:{hash_of_password('right horse')}\n")
    return start(page_users_file=tmp_path / "users")


def test_only_a_form_of_ours_logs_out_and_no_script_gets_the_cookie(with_login):
    with with_login.client() as http:
        assert http.post("/login", data={"username": "alice", "password": "right horse"}).status_code == 200
        for method in ("GET", "HEAD"):
            for path in ("/logout", "/logout/", "/logout?all_session=true"):
                answer = http.request(method, path)
                assert (answer.status_code, "set-cookie" in answer.headers) == (200, False)
        assert 'method="post"' in http.get("/logout").text
        assert http.post("/logout", headers={"origin": "https://evil.example"}).status_code == 403
        assert http.get("/gradio_api/token").status_code == 404
        assert http.get("/config").status_code == 200, "still logged in"
        answer = http.post("/logout")
        assert (answer.status_code, answer.headers["location"]) == (302, with_login.url)
        assert http.get("/config").status_code == 401


def test_a_form_of_login_has_a_small_bound(with_login):
    odd = {
        "pairs": (b"a&" * 10_000, "application/x-www-form-urlencoded"),
        "percent": (b"a=" + b"%25" * 10_000, "application/x-www-form-urlencoded"),
        "preamble": (b"\r\n" * 10_000 + b"--b--", "multipart/form-data; boundary=b"),
        "dashes": (
            b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + b"\r\n--" * 10_000,
            "multipart/form-data; boundary=b",
        ),
    }
    with with_login.client() as http:
        for name, (content, kind) in odd.items():
            assert http.post("/login", content=content, headers={"content-type": kind}).status_code == 413, name
        for path in ("/login", "/login/"):
            form = {"username": (None, "alice"), "password": (None, "right horse")}
            assert http.post(path, files=form).status_code == 200, "as the page sends it"


def test_a_log_in_that_fits_takes_nothing_of_the_attempts(with_login):
    with with_login.client() as http:
        right = {"username": "alice", "password": "right horse"}
        assert [http.post("/login", data=right).status_code for _ in range(12)] == [200] * 12

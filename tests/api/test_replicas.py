"""An operator takes a replica out and back over HTTP; nobody else can."""

import pytest
from pydantic import ValidationError

from qwen_demo.engines.replicas.engine import ReplicatedEngine
from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.http.credentials import new_key
from qwen_demo.settings import Settings
from tests.api.conftest import PLAIN, App

ASKED = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    (operator, operator_hash), (caller, caller_hash) = new_key(), new_key()
    (folder / "operators").write_text(f"olga:{operator_hash}\n")
    (folder / "callers").write_text(f"carl:{caller_hash}\n")
    return folder, {"authorization": f"Bearer {operator}"}, {"authorization": f"Bearer {caller}"}


@pytest.fixture(scope="module")
def client(keys):
    folder, _, _ = keys
    replicas = [ScriptedEngine(Script(["yes"])) for _ in range(2)]
    engine = ReplicatedEngine(replicas, anew=lambda number: ScriptedEngine(Script(["yes"])))
    files = {"operator_keys_file": folder / "operators", "api_keys_file": folder / "callers"}
    app = App(Settings(**PLAIN, **files, replicas=2), Script(), engine=engine)
    with app.client() as client:
        yield client
    app.stop()


def states(client, operator) -> list[str]:
    return [each["state"] for each in client.get("/v1/replicas", headers=operator).json()["data"]]


def settle(client, operator, *expected: str) -> None:
    while states(client, operator) != list(expected):
        pass


def test_out_and_back_while_others_are_answered(client, keys):
    _, operator, caller = keys
    shown = client.get("/v1/replicas", headers=operator).json()["data"][1]
    assert shown == {
        "number": 1, "state": "serving", "ready": True, "requests": 0, "outstanding_tokens": 0, "detail": "ready"
    }  # fmt: skip
    taken = client.post("/v1/replicas/1/out", headers=operator)
    assert taken.status_code == 200 and taken.json()["ready"] is False
    settle(client, operator, "serving", "out")
    metrics = client.get("/metrics").text
    assert "qwen_engine_replicas_ready 1.0" in metrics and "qwen_engine_replicas_out 1.0" in metrics
    assert client.post("/v1/chat/completions", json=ASKED, headers=caller).status_code == 200
    last = client.post("/v1/replicas/0/out", headers=operator)
    assert last.status_code == 400 and "only one that answers" in last.json()["error"]["message"]
    assert client.post("/v1/replicas/1/in", headers=operator).status_code == 200
    settle(client, operator, "serving", "serving")


def test_a_callers_key_takes_nothing_out_and_an_operators_asks_nothing(client, keys):
    _, operator, caller = keys
    for headers in ({}, caller):
        assert client.post("/v1/replicas/1/out", headers=headers).status_code == 401
        assert client.get("/v1/replicas", headers=headers).status_code == 401
    assert client.post("/v1/chat/completions", json=ASKED, headers=operator).status_code == 401
    assert states(client, operator) == ["serving", "serving"]


@pytest.mark.parametrize(("path", "status"), [("2/out", 404), ("-1/in", 404), ("x/out", 400), ("0/away", 404)])
def test_what_is_no_replica_is_told(client, keys, path, status):
    assert client.post(f"/v1/replicas/{path}", headers=keys[1]).status_code == status


def test_without_keys_for_operators_there_is_no_such_route(app):
    with app.client() as client:
        assert client.get("/v1/replicas").status_code == client.post("/v1/replicas/0/out").status_code == 404


def test_keys_for_operators_of_one_engine_are_refused():
    with pytest.raises(ValidationError, match="--operator-keys-file is for --replicas"):
        Settings(operator_keys_file="keys")

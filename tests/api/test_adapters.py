"""Adapters over HTTP: who may load one, from where, and what a request that names one gets."""

import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from qwen_demo.http.credentials import new_key
from qwen_demo.settings import Settings
from tests.api.conftest import PLAIN, TWO_WORDS, App

LAYER = "base_model.model.model.language_model.layers.0.self_attn.q_proj"
QUESTION = [{"role": "user", "content": "Hello"}]


def make(folder, rank: int = 2):
    folder.mkdir()
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": 4, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    halves = {"A": np.zeros((rank, 8), np.float32), "B": np.zeros((8, rank), np.float32)}
    save_file(
        {f"{LAYER}.lora_{half}.weight": value for half, value in halves.items()}, folder / "adapter_model.safetensors"
    )
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An application with one adapter of the start, a folder to load others from, and an operator's headers."""
    root = tmp_path_factory.mktemp("served")
    key, hashed = new_key()
    (root / "operators").write_text(f"olga:{hashed}\n")
    (root / "inside").mkdir()
    settings = Settings(
        **PLAIN,
        adapters=(f"first={make(root / 'first')}",),
        adapters_dir=root / "inside",
        operator_keys_file=root / "operators",
        max_adapters=2,
    )
    app = App(settings, TWO_WORDS)
    yield app, root, {"authorization": f"Bearer {key}"}
    app.stop()


def ids(client) -> list[str]:
    return [each["id"] for each in client.get("/v1/models").json()["data"]]


def test_an_operator_loads_an_adapter_that_requests_then_name_and_unloads_it(served):
    app, root, operator = served
    make(root / "inside" / "forms")
    asked = {"lora_name": "forms", "lora_path": "forms"}
    with app.client() as client:
        assert client.post("/v1/load_lora_adapter", json=asked).status_code == 401
        assert client.post("/v1/load_lora_adapter", json=asked, headers=operator).status_code == 200
        listed = client.get("/v1/models").json()["data"]
        assert [(each["id"], each["parent"]) for each in listed] == [
            ("scripted", None),
            ("first", "scripted"),
            ("forms", "scripted"),
        ]
        assert client.get("/v1/models/forms").json()["root"] == "forms"
        for path, body in (
            ("/v1/chat/completions", {"messages": QUESTION}),
            ("/v1/responses", {"input": "Hello"}),
        ):
            answer = client.post(path, json=body | {"model": "forms"})
            assert (answer.status_code, answer.json()["model"]) == (200, "forms")
            assert app.engine.requests[-1].adapter.folder == str(root / "inside" / "forms")
        client.post("/v1/chat/completions", json={"messages": QUESTION, "model": "scripted"})
        assert app.engine.requests[-1].adapter is None
        full = client.post("/v1/load_lora_adapter", json=asked | {"lora_name": "more"}, headers=operator)
        assert (full.status_code, "--max-adapters" in full.json()["error"]["message"]) == (400, True)
        gone = {"lora_name": "forms"}
        assert client.post("/v1/unload_lora_adapter", json=gone, headers=operator).status_code == 200
        assert ids(client) == ["scripted", "first"]
        assert client.post("/v1/unload_lora_adapter", json=gone, headers=operator).status_code == 404
        body = {"messages": QUESTION, "model": "forms"}
        assert client.post("/v1/chat/completions", json=body).json()["error"]["code"] == "model_not_found"


def test_a_key_is_looked_at_before_the_body(served):
    app, _, headers = served
    with app.client() as client:
        for path in ("/v1/load_lora_adapter", "/v1/unload_lora_adapter"):
            given = {"content": b"{", "headers": {"content-type": "application/json"}}
            assert client.post(path, **given).status_code == 401
            assert client.post(path, content=b"{", headers=given["headers"] | headers).status_code == 400


def test_an_adapter_takes_the_place_of_another_where_that_is_asked_for(served):
    app, root, operator = served
    make(root / "inside" / "old")
    make(root / "inside" / "new", rank=3)

    def load(path, **more):
        asked = {"lora_name": "changing", "lora_path": path, **more}
        return client.post("/v1/load_lora_adapter", json=asked, headers=operator)

    def answering():
        client.post("/v1/chat/completions", json={"messages": QUESTION, "model": "changing"})
        return app.engine.requests[-1].adapter

    with app.client() as client:
        assert load("old", load_inplace=True, is_3d_lora_weight=False).status_code == 200
        old = answering()
        again = load("new")
        assert (again.status_code, "load_inplace" in again.json()["error"]["message"]) == (400, True)
        assert load("nothing", load_inplace=True).status_code == 400
        assert answering() == old
        assert load("new", load_inplace=True).status_code == 200
        assert (answering().folder, answering().digest != old.digest) == (str(root / "inside" / "new"), True)
        assert ids(client) == ["scripted", "first", "changing"]
        model = client.post(
            "/v1/load_lora_adapter",
            json={"lora_name": "scripted", "lora_path": "new", "load_inplace": True},
            headers=operator,
        )
        assert model.status_code == 400
        assert load("new", load_inplace=True, is_3d_lora_weight=True).status_code == 400
        gone = {"lora_name": "changing", "lora_int_id": 7}
        assert client.post("/v1/unload_lora_adapter", json=gone, headers=operator).status_code == 200
        assert ids(client) == ["scripted", "first"]


def test_a_merged_adapter_is_told_of_and_no_model_of_its_own(served, monkeypatch):
    app = served[0]
    monkeypatch.setattr(app.engine, "info", dataclasses.replace(app.engine.info, merged="forms"))
    with app.client() as client:
        model = client.get("/v1/models/scripted").json()
        assert (model["id"], model["merged_adapter"], model["parent"]) == ("scripted", "forms", None)
        assert ids(client) == ["scripted", "first"]


@pytest.mark.parametrize(
    ("name", "path", "code"),
    [
        ("out", "../first", "invalid_adapter"),
        ("out", "/etc", "invalid_adapter"),
        ("out", "link", "invalid_adapter"),
        ("out", "nothing", "invalid_adapter"),
        ("first", "good", "invalid_request"),
        ("scripted", "good", "invalid_request"),
        ("a b", "good", "invalid_request"),
    ],
)
def test_a_folder_outside_and_a_name_that_is_taken_are_refused(served, name, path, code):
    app, root, operator = served
    if not (root / "inside" / "good").exists():
        make(root / "inside" / "good")
        (root / "inside" / "link").symlink_to(root / "first")
    with app.client() as client:
        asked = {"lora_name": name, "lora_path": path}
        answer = client.post("/v1/load_lora_adapter", json=asked, headers=operator)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
        assert ids(client) == ["scripted", "first"]

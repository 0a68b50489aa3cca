"""The REST API of collections: adding, searching and asking with citations, each caller in what is theirs."""

import contextlib
import json

import httpx
import pytest

from qwen_demo.engines.scripted import Script
from qwen_demo.http.credentials import new_key
from tests.knowledge import files

HOUSE = files.pdf(["Letter to Anna Weber"], ["The boiler was serviced in March", "Its pressure is 3.5 bar"])


@pytest.fixture
def folder(tmp_path):
    return {"knowledge_dir": tmp_path / "knowledge"}


@pytest.fixture
def start(start):
    """Applications whose clients are closed at the end."""
    with contextlib.ExitStack() as stack:

        def start_(*script, **settings):
            app = start(*script, **settings)
            client = app.client
            app.client = lambda **options: stack.enter_context(client(**options))
            return app

        yield start_


def add(client: httpx.Client, name: str, data: bytes, collection: str = "home") -> dict:
    answer = client.post(f"/v1/knowledge/{collection}/files", files={"file": (name, data)})
    assert answer.status_code == 200, answer.text
    return answer.json()


def ask(client: httpx.Client, question: str, **more) -> dict:
    body = {"messages": [{"role": "user", "content": question}], "knowledge": {"collection": "home", "top_k": 2}}
    answer = client.post("/v1/chat/completions", json=body | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_first_file_makes_the_collection_and_its_pages_are_found(start, folder):
    client = start(**folder).client()
    made = add(client, "house.pdf", HOUSE)
    assert (made["file"], made["state"], made["pages"], made["pages_done"]) == ("house.pdf", "ready", 2, 2)
    found = client.post("/v1/knowledge/home/search", json={"query": "boiler pressure", "top_k": 3}).json()
    assert found["results"][0].keys() == {"file", "page", "score", "text", "boxes"}
    assert [(each["file"], each["page"]) for each in found["results"]] == [("house.pdf", 2)]
    assert "3.5 bar" in found["results"][0]["text"]
    assert all(0 <= number <= 1 for box in found["results"][0]["boxes"] for number in box)
    (listed,) = client.get("/v1/knowledge").json()["data"]
    assert (listed["name"], [file["file"] for file in listed["files"]]) == ("home", ["house.pdf"])
    assert client.get("/v1/knowledge/home/files/house.pdf/pages/2").content.startswith(b"\xff\xd8")
    assert client.get("/v1/knowledge/home/files").json()["data"] == listed["files"]
    for reading in (False, True):
        assert client.post("/v1/knowledge/home", json={"reading": reading}).json() == listed
    assert client.post("/v1/knowledge/home", json={"name": "haus"}).json()["name"] == "haus"
    assert client.delete("/v1/knowledge/haus/files/house.pdf").json() == {"id": "house.pdf", "deleted": True}
    assert client.delete("/v1/knowledge/haus").status_code == 200
    assert client.get("/v1/knowledge").json()["data"] == []


def test_an_answer_cites_its_pages_and_the_model_saw_them(start, folder):
    app = start(Script(["It is 3.5 bar ", "[house.pdf, page 2]."]), **folder)
    add(app.client(), "house.pdf", HOUSE)
    message = ask(app.client(), "What is the pressure of the boiler?")["choices"][0]["message"]
    assert message["content"] == "It is 3.5 bar [house.pdf, page 2]."
    (cited,) = message["citations"]
    assert (cited["file"], cited["page"], len(cited["boxes"]) > 0) == ("house.pdf", 2, True)
    asked = app.engine.requests[-1].messages[-1]
    assert [part.name for part in asked.parts if hasattr(part, "raster")] == ["house.pdf, page 2"]
    assert "Its pressure is 3.5 bar" in asked.text and asked.text.endswith("What is the pressure of the boiler?")


def test_an_answer_that_names_no_page_gets_the_one_that_it_leans_on(start, folder):
    app = start(Script(["It is ", "3.5 bar."]), **folder)
    add(app.client(), "house.pdf", HOUSE)
    body = {"messages": [{"role": "user", "content": "boiler pressure"}], "knowledge": {"collection": "home"}}
    text, cited = "", None
    with app.client().stream("POST", "/v1/chat/completions", json=body | {"stream": True}) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                delta = json.loads(line[6:])["choices"][0]["delta"]
                text += delta.get("content", "")
                cited = delta.get("citations", cited)
    assert text == "It is 3.5 bar. [house.pdf, page 2]"
    assert [(each["file"], each["page"]) for each in cited] == [("house.pdf", 2)]


def test_what_is_in_no_document_is_said_so_without_the_model(start, folder):
    app = start(**folder)
    add(app.client(), "house.pdf", HOUSE)
    for question in ("Who won the chess tournament of 1987?", "国际象棋比赛的冠军是谁？"):
        message = ask(app.client(), question)["choices"][0]["message"]
        assert message["citations"] == []
        assert message["content"] in ("This is not in your documents.", "您的文档中没有这方面的内容。")
    assert not app.engine.requests


def test_who_says_that_it_cannot_answer_cites_nothing(start, folder):
    for said in ("This is not in your documents.", "I am only the small built-in demo model and cannot answer that."):
        app = start(Script([said]), **folder)
        add(app.client(), "house.pdf", HOUSE)
        message = ask(app.client(), "What is the pressure of the boiler?")["choices"][0]["message"]
        assert (message["content"], message["citations"]) == (said, [])


def test_a_follow_up_is_searched_with_what_it_is_about(start, folder):
    app = start(Script(None), **folder)
    add(app.client(), "house.pdf", HOUSE)
    turns = [
        {"role": "user", "content": "Who serviced the boiler?"},
        {"role": "assistant", "content": "That is not said."},
        {"role": "user", "content": "And its pressure?"},
    ]
    cited = ask(app.client(), "", messages=turns)["choices"][0]["message"]["citations"]
    assert ("house.pdf", 2) in [(each["file"], each["page"]) for each in cited]


WRONG = [
    ("GET", "/v1/knowledge/none", None, 404),
    ("DELETE", "/v1/knowledge/none", None, 404),
    ("POST", "/v1/knowledge/none", {"reading": False}, 404),
    ("POST", "/v1/knowledge/none", {"reading": 1}, 400),
    ("POST", "/v1/knowledge/none", {}, 400),
    ("POST", "/v1/knowledge/none/search", {"query": "x"}, 404),
    ("POST", "/v1/knowledge/none/search", {"query": ""}, 400),
    ("POST", "/v1/knowledge/none/search", {"query": "x", "top_k": 0}, 400),
    ("POST", "/v1/knowledge/none/search", {"query": "x", "top": 1}, 400),
    ("GET", "/v1/knowledge/none/files/a.pdf", None, 404),
    ("GET", "/v1/knowledge/none/files/a.pdf/pages/x", None, 404),
    ("POST", "/v1/knowledge/none/files", {"file": "x"}, 415),
    (
        "POST",
        "/v1/chat/completions",
        {"messages": [{"role": "user", "content": "x"}], "knowledge": {"collection": "none"}},
        404,
    ),
    ("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "knowledge": {"name": "c"}}, 400),
    ("PATCH", "/v1/knowledge/none", {}, 405),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), WRONG, ids=[f"{w[0]} {w[1]} {w[2]}" for w in WRONG])
def test_what_is_not_there_or_wrong_is_told(app, method, path, body, status):
    with app.client() as client:
        answer = client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("query", ["x" * 4001, 5, "\ud800"])
def test_a_question_that_is_refused_is_named(app, query):
    with app.client() as client:
        refused = client.post("/v1/knowledge/none/search", content=json.dumps({"query": query}))
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "query")


@pytest.mark.parametrize("stream", [False, True])
def test_a_collection_that_is_not_there_is_refused_by_its_place(app, stream):
    with app.client() as client:
        body = {"messages": [{"role": "user", "content": "x"}], "knowledge": {"collection": "none"}, "stream": stream}
        error = client.post("/v1/chat/completions", json=body).json()["error"]
    assert (error["code"], error["param"]) == ("collection_not_found", "knowledge.collection")


def test_an_mcp_client_gets_pages_as_json(start, folder):
    client = start(**folder).client()
    add(client, "house.pdf", HOUSE)
    call = {"name": "search_documents", "arguments": {"collection": "home", "query": "boiler", "top_k": 1}}
    told = client.post(
        "/gradio_api/mcp/",
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call},
        headers={"accept": "application/json, text/event-stream"},
    ).text
    data = next(line for line in told.splitlines() if line.startswith("data:")).removeprefix("data:")
    (found,) = json.loads(json.loads(data)["result"]["content"][0]["text"])
    assert (found["file"], found["boxes"] != []) == ("house.pdf", True)


def test_two_keys_have_nothing_of_each_other(start, folder, tmp_path):
    keys = {name: new_key() for name in ("anna", "ben")}
    lines = tmp_path / "keys"
    lines.write_text("".join(f"{name}:{hashed}\n" for name, (_, hashed) in keys.items()))
    app = start(api_keys_file=lines, **folder)
    anna, ben = (app.client(headers={"Authorization": f"Bearer {key}"}) for key, _ in keys.values())
    add(anna, "house.pdf", HOUSE)
    assert app.client().get("/v1/knowledge").status_code == 401
    assert app.client().post("/v1/knowledge/home/files", files={"file": ("a.txt", b"a")}).status_code == 401
    assert ben.get("/v1/knowledge").json()["data"] == []
    nothing = ben.post("/v1/knowledge/nothing/search", json={"query": "boiler"}).json()["error"]
    theirs = ben.post("/v1/knowledge/home/search", json={"query": "boiler"}).json()["error"]
    assert theirs["message"] == nothing["message"].replace("nothing", "home")
    assert ben.delete("/v1/knowledge/home").status_code == 404
    add(ben, "mine.txt", b"The boiler of Ben")
    assert [each["file"] for each in ben.get("/v1/knowledge/home/files").json()["data"]] == ["mine.txt"]
    assert [each["file"] for each in anna.get("/v1/knowledge/home/files").json()["data"]] == ["house.pdf"]


def test_collections_are_there_after_a_restart(start, folder):
    first = start(**folder)
    add(first.client(), "house.pdf", HOUSE)
    first.stop()
    found = start(**folder).client().post("/v1/knowledge/home/search", json={"query": "boiler"}).json()["results"]
    assert [(each["file"], each["page"]) for each in found] == [("house.pdf", 2)]

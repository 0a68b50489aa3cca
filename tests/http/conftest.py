"""The application on the scripted engine, a canary that no attack may wake, and Gradio's page protocol by hand."""

import http.server
import json
import secrets
import threading

import httpx
import pytest

from qwen_demo.settings import Settings, page_environment
from tests.api.conftest import PLAIN, TWO_WORDS, App
from tests.api.conftest import start as start_anywhere

__all__ = ["start_anywhere"]

TAKE, EXAMPLE, CAMERA, ADD_URL = (
    ("question", "submit"),
    ("chat", "example_select"),
    ("camera", "input"),
    ("url", "submit"),
)
SESSION = "attacker"


class Canary:
    """A local web server that remembers who came."""

    def __init__(self):
        visits = self.visits = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                visits.append(f"{self.command} {self.path}")
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            do_POST = do_HEAD = do_OPTIONS = do_GET

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def start(start_anywhere, tmp_path_factory):
    """As the API's tests start it, with a folder of uploads that can be looked into: `app.uploads`."""

    def start_(*script, **settings):
        uploads = tmp_path_factory.mktemp("uploads")
        app = start_anywhere(*script, upload_dir=uploads, **settings)
        app.uploads = uploads
        return app

    return start_


@pytest.fixture(scope="module")
def plain_app(tmp_path_factory):
    uploads = tmp_path_factory.mktemp("uploads")
    app = App(Settings(**PLAIN, upload_dir=uploads), TWO_WORDS)
    app.uploads = uploads
    yield app
    app.stop()


@pytest.fixture
def app(plain_app, monkeypatch):
    """An application without settings of its own, shared by the tests of a file: building one takes half a second."""
    for name, value in page_environment(plain_app.uploads.resolve()).items():
        monkeypatch.setenv(name, value)  # another application of this process may have its own
    plain_app.engine.script = TWO_WORDS
    plain_app.engine.requests.clear()
    return plain_app


@pytest.fixture
def canary():
    canary = Canary()
    yield canary
    canary.close()


class Attacker:
    """Speaks the page's protocol without a browser, so without its manners."""

    def __init__(self, client: httpx.Client):
        self.http = client
        self._config = client.get("/config").json()

    def event(self, target: tuple[str, str], data: list, value=None, index: int = 0) -> httpx.Response:
        """Fire the event of a widget of the page with any payload."""
        names = {c["id"]: c["props"].get("elem_id") or c["type"] for c in self._config["components"]}
        kinds = {"camera": "image", "url": "textbox"}
        for dependency in self._config["dependencies"]:
            for component, event in dependency["targets"]:
                if event == target[1] and names.get(component) in (target[0], kinds.get(target[0])):
                    body = {"data": data, "fn_index": dependency["id"], "session_hash": SESSION}
                    if value is not None:
                        body["event_data"] = {"value": value, "index": index}
                    if dependency["queue"]:
                        return self._queued(body)
                    return self.http.post("/gradio_api/run/predict", json=body)
        raise AssertionError(f"the page has no event {target}")

    def _queued(self, body: dict) -> httpx.Response:
        """What an event of the queue ended with, as the direct route would have answered."""
        body["session_hash"] = f"{SESSION}-{secrets.token_hex(4)}"
        joined = self.http.post("/gradio_api/queue/join", json=body)
        if joined.status_code != 200:
            return joined
        text = self.http.get("/gradio_api/queue/data", params={"session_hash": body["session_hash"]}).text
        told = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        last = next(message for message in told if message["msg"] == "process_completed")
        return httpx.Response(200 if last["success"] else 500, json=last["output"])

    def call(self, endpoint: str, **arguments) -> str:
        """What a public endpoint streams back."""
        defaults = {"temperature": 0, "max_new_tokens": 16, "top_p": 1, "repetition_penalty": 1, "seed": None}
        defaults |= {"max_pixels": None, "system_prompt": ""}
        first = {"ask": ["question", "image"], "chat": ["messages"]}[endpoint]
        data = [{"question": "hi", **defaults, **arguments}.get(name) for name in [*first, *defaults]]
        joined = self.http.post(f"/gradio_api/call/{endpoint}", json={"data": data})
        if joined.status_code != 200:
            return joined.text
        return self.http.get(f"/gradio_api/call/{endpoint}/{joined.json()['event_id']}").text

    def mcp(self, arguments: dict, headers: dict | None = None) -> httpx.Response:
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": arguments}}
        accept = {"accept": "application/json, text/event-stream"}
        return self.http.post("/gradio_api/mcp/", json=call, headers=accept | (headers or {}))

    def upload(self, content: bytes, name: str = "a.png") -> str:
        return self.http.post("/gradio_api/upload", files={"files": (name, content)}).json()[0]


@pytest.fixture
def attack():
    """Opens an attacker's connection to an application: `attack(start())`."""
    clients = []

    def attack_(app) -> Attacker:
        clients.append(app.client())
        return Attacker(clients[-1])

    yield attack_
    for client in clients:
        client.close()


def file_data(path: str, **more) -> dict:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def saw(app, secret: str) -> bool:
    """Whether anything of `secret` reached the engine."""
    return secret in json.dumps([str(request) for request in app.engine.requests])

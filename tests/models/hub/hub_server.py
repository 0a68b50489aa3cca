"""A model hub of our own: as much of its protocol as huggingface_hub speaks to find and fetch a repository's files.

What goes wrong on the way can be ordered: a connection that breaks, bytes that are not those that the hub names, a
repository that is private.
"""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What it holds and how it misbehaves.

    Attributes:
        files: of each repository, bytes by name. Those that end in `.safetensors` are large ones, with a SHA-256.
        private: repositories that only `token` sees.
        breaks: for a file, after how many bytes a connection ends; each is used once.
        wrong: files of which other bytes are sent than named.
        slow: files whose bytes wait for `go` after the first piece.
        asked: (method, path, range) of all requests.
    """

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: set[str] = field(default_factory=set)
    token: str = "secret"
    breaks: dict[str, list[int]] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    go: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    url: str = ""

    def sent(self, name: str) -> list[str]:
        """Ranges with which a file's bytes were asked for."""
        return [asked[2] for asked in self.asked if asked[0] == "GET" and asked[1].endswith(f"/{name}")]


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """Clients that leave are part of the tests."""


@contextmanager
def hub_server(hub: Hub) -> Iterator[Hub]:
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        hub.go.set()
        server.shutdown()
        server.server_close()
        thread.join()


def use_hub(hub: Hub, monkeypatch, tmp_path) -> None:
    """In the place of the real one, for this process; what is fetched comes to `tmp_path / "cache"`."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1 << 16)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *args) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._model("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
        elif len(parts) > 4 and parts[2] == "resolve":
            self._file("/".join(parts[:2]), "/".join(parts[4:]), body=body)
        else:
            self._refuse(404, "EntryNotFound")

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _is_hidden(self, model: str) -> bool:
        allowed = self.headers.get("Authorization") == f"Bearer {self.hub.token}"
        return model not in self.hub.files or (model in self.hub.private and not allowed)

    def _model(self, model: str, revision: str) -> None:
        if self._is_hidden(model):
            return self._refuse(401, "RepoNotFound")
        if revision not in ("main", COMMIT):
            return self._refuse(404, "RevisionNotFound")
        siblings = []
        for name, data in self.hub.files[model].items():
            sibling = {"rfilename": name, "size": len(data), "blobId": git_hash(data)}
            if name.endswith(".safetensors"):
                sibling["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            siblings.append(sibling)
        made = json.dumps(
            {"id": model, "modelId": model, "sha": COMMIT, "private": False, "siblings": siblings}
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(made)))
        self.end_headers()
        self.wfile.write(made)

    def _file(self, model: str, name: str, *, body: bool) -> None:
        if self._is_hidden(model):
            return self._refuse(401, "RepoNotFound")
        data = self.hub.files[model].get(name)
        if data is None:
            return self._refuse(404, "EntryNotFound")
        is_large = name.endswith(".safetensors")
        etag = hashlib.sha256(data).hexdigest() if is_large else git_hash(data)
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if body:
            self._send(name, data, start)

    def _send(self, name: str, data: bytes, start: int) -> None:
        if name in self.hub.wrong:
            data = bytes(len(data))
        stops = self.hub.breaks.get(name, [])
        stop = stops.pop(0) if stops else len(data)
        if name in self.hub.slow and start < len(data) // 2:
            self.wfile.write(data[start : len(data) // 2])
            self.wfile.flush()
            self.hub.go.wait(20)
            start = len(data) // 2
        self.wfile.write(data[start:stop])
        if stop < len(data):
            self.close_connection = True
            self.connection.close()

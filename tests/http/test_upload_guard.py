"""Uploads of hostile shape, by hand: what is refused, and that nothing of it stays."""

import json
import socket
import threading
from contextlib import closing
from types import SimpleNamespace

import pytest

from qwen_demo.errors import DiskFull
from qwen_demo.http import upload_guard, uploads
from tests.http.test_bounds import eventually

HEAD = (
    b"POST /gradio_api/upload%b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
END = b"\r\n--b--\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def part(name: str = "a.png", content: bytes = b"x") -> bytes:
    return b'\r\n--b\r\nContent-Disposition: form-data; name="files"; filename="%b"\r\n\r\n%b' % (
        name.encode(),
        content,
    )


class Upload:
    """One that is written piece by piece."""

    def __init__(self, app, query: bytes = b""):
        host, port = app.url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.sendall(HEAD % query)

    def send(self, data: bytes) -> None:
        self.socket.sendall(chunk(data))

    def answer(self) -> tuple[int, str]:
        """Status and body, once the server has closed the connection or told its end."""
        got = b""
        while not got.endswith((b"}", b"]")):
            piece = self.socket.recv(65536)
            if not piece:
                break
            got += piece
        head, _, body = got.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def upload(app):
    opened = []

    def upload_(query: bytes = b"") -> Upload:
        opened.append(Upload(app, query))
        return opened[-1]

    yield upload_
    for each in opened:
        each.close()


def remains(app) -> list[str]:
    return [path.name for path in app.uploads.glob("tmp*")]


def test_a_text_in_an_upload_is_refused_before_it_is_held(upload, app):
    sending = upload()
    sending.send(b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\nyyyy')
    status, text = sending.answer()
    assert status == 400
    assert "files alone" in text


def test_the_files_of_one_upload_are_few(upload, app):
    sending = upload()
    sending.send(b"".join(part(f"{number}.png") for number in range(17)))
    status, text = sending.answer()
    assert status == 413
    assert "16 files" in text
    assert remains(app) == []
    honest = upload()
    honest.send(b"".join(part(f"{number}.png") for number in range(16)) + END)
    honest.socket.sendall(b"0\r\n\r\n")
    status, text = honest.answer()
    assert status == 200
    assert len(json.loads(text)) == 16


@pytest.mark.parametrize(
    "content",
    [
        b"no form at all" * 10,
        b"--b\r\n" + b"a: b\r\n" * 5000,
        b"--b\r\n" + b"a" * 100_000,
        b'--b\r\nContent-Disposition: form-data; filename="' + b"x" * 10_000 + b'"\r\n\r\n',
        b"--b\r\nContent-Type: image/png\r\n\r\nx",
    ],
    ids=["no form", "many headers", "a header without end", "a long name", "no name"],
)
def test_a_form_of_another_shape_is_refused_and_leaves_nothing(upload, app, content):
    sending = upload()
    sending.send(content)
    assert sending.answer()[0] in (400, 413)
    assert remains(app) == []


def test_what_is_no_form_is_refused(app):
    with app.client() as http:
        for kind in ("", "multipart/form-data", "text/plain; boundary=b", 'multipart/form-data; boundary=""'):
            assert http.post("/gradio_api/upload", content=b"x", headers={"content-type": kind}).status_code == 400


def test_an_upload_that_breaks_off_is_gone_at_once_while_another_is_under_way(upload, app):
    other = upload()
    other.send(part("other.png"))
    eventually(lambda: len(remains(app)) == 1, "the first has not begun")
    broken = upload()
    broken.send(part("broken.png", b"x" * 100_000))
    eventually(lambda: len(remains(app)) == 2, "the second has not begun")
    broken.close()
    eventually(lambda: len(remains(app)) == 1, "what broke off stays")
    other.send(END)
    other.socket.sendall(b"0\r\n\r\n")
    assert other.answer()[0] == 200
    assert remains(app) == []


def test_an_upload_that_announces_nothing_stops_before_the_disk_is_full(upload, app, monkeypatch):
    free = [uploads.RESERVE_BYTES + 3 * upload_guard.STEP_BYTES // 2]
    usage = uploads.shutil.disk_usage(app.uploads)
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda _: usage._replace(free=free[0]))
    first, second = upload(), upload()
    first.send(part("first.png", b"x" * 1000))
    eventually(lambda: len(remains(app)) == 1, "the first has not begun")
    second.send(part("second.png", b"x" * 1000))
    status, text = second.answer()
    assert (status, json.loads(text)["error"]["code"]) == (507, DiskFull.code)
    first.send(END)
    first.socket.sendall(b"0\r\n\r\n")
    assert first.answer()[0] == 200
    third = upload()
    third.send(part("third.png", b"x" * 1000) + END)
    third.socket.sendall(b"0\r\n\r\n")
    assert third.answer()[0] == 200
    assert remains(app) == []


def test_a_disk_with_few_inodes_left_takes_no_upload(upload, app, monkeypatch):
    there = uploads.os.statvfs(app.uploads)
    few = SimpleNamespace(**{name: getattr(there, name) for name in ("f_bavail", "f_blocks", "f_bfree", "f_frsize")})
    few.f_files, few.f_favail = 1 << 20, uploads.RESERVE_FILES - 1
    monkeypatch.setattr(uploads.os, "statvfs", lambda _: few)
    with app.client() as http:
        assert http.post("/gradio_api/upload", files={"files": ("a.png", b"x")}).status_code == 507


def test_one_address_has_few_uploads_at_a_time(upload, app):
    held = [upload() for _ in range(upload_guard.AT_ONCE)]
    for number, each in enumerate(held):
        each.send(part(f"{number}.png"))
    eventually(lambda: len(remains(app)) == len(held), "not all have begun")
    status, text = upload().answer()
    assert status == 429
    assert "at the same time" in text
    held[0].close()
    eventually(lambda: len(remains(app)) == len(held) - 1, "the first is still there")
    with app.client() as http:
        assert http.post("/gradio_api/upload", files={"files": ("a.png", b"x")}).status_code == 200


def test_an_upload_that_drips_ends(start, monkeypatch):
    app = start(body_timeout_s=0.3)
    monkeypatch.setattr(upload_guard, "LEAST_BYTES_PER_S", 1 << 20)
    stop = threading.Event()
    with closing(Upload(app)) as sending:
        sending.send(part("a.png"))

        def drip() -> None:
            while not stop.wait(0.05):
                try:
                    sending.send(b"x")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        status, text = sending.answer()
        stop.set()
        dripping.join()
    assert status == 408
    assert "slower" in text
    assert remains(app) == []


def test_an_upload_that_pauses_ends(start):
    app = start(body_timeout_s=0.2)
    with closing(Upload(app)) as sending:
        sending.send(part("a.png"))
        assert sending.answer()[0] == 408
    assert remains(app) == []

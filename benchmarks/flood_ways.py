"""Ways in which one careless or hostile caller keeps a server busy, for `benchmarks.flood`.

Each goes on until it is ended, and takes every refusal for a reason to try again: `python -m benchmarks.flood_ways
NAME URL`.
"""

import asyncio
import base64
import gzip
import io
import json
import random
import secrets
import sys
import threading
import time
from collections.abc import Callable

import httpx
import numpy as np
import PIL.Image

MIB = 1 << 20
REST, INFERENCE, JOIN = "/v1/chat/completions", "/inference", "/gradio_api/queue/join"
MCP = "/gradio_api/mcp/"
JSON = {"content-type": "application/json"}
PACKED = {**JSON, "content-encoding": "gzip"}
FORM = {"content-type": "multipart/form-data; boundary=b"}
# A caller that is told to wait does not: this is how long it takes to try again.
PAUSE_S = 0.05


def _begin() -> None:
    """Tell whoever waits for it that everything is prepared."""
    print("flooding", flush=True)


def _repeat(work: Callable[[httpx.Client], object], url: str, at_once: int) -> None:
    """`work` over and over, in so many threads."""

    def run() -> None:
        while True:
            try:
                with httpx.Client(base_url=url, timeout=60) as http:
                    while True:
                        work(http)
                        time.sleep(PAUSE_S)
            except httpx.HTTPError:
                time.sleep(PAUSE_S)

    _begin()
    threads = [threading.Thread(target=run, daemon=True) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _posts(path: str, make: Callable[[], bytes], at_once: int, headers: dict[str, str] = JSON) -> Callable[[str], None]:
    def flood(url: str) -> None:
        content = make()
        _repeat(lambda http: http.post(path, content=content, headers=headers), url, at_once)

    return flood


def _chat(content: object, **more: object) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": content}], **more}).encode()


def _file_part(kind: str, data: bytes, mime: str) -> dict:
    return {"type": f"{kind}_url", f"{kind}_url": {"url": f"data:{mime};base64,{base64.b64encode(data).decode()}"}}


def _brackets(mebibytes: int) -> bytes:
    return b'{"x":[' + b"[]," * (mebibytes * MIB // 3) + b"[]]}"


def _events(names: dict[str, list], at_once: int) -> Callable[[str], None]:
    """Events of the page by their names, that skip the queue."""

    def flood(url: str) -> None:
        config = httpx.get(f"{url}/config", timeout=60).json()
        numbers = {known["api_name"]: known["id"] for known in config["dependencies"]}
        bodies = [{"data": data, "fn_index": numbers[name], "session_hash": "flood"} for name, data in names.items()]
        contents = [json.dumps(body).encode() for body in bodies]
        _repeat(
            lambda http: http.post("/gradio_api/run/predict", content=random.choice(contents), headers=JSON),
            url,
            at_once,
        )

    return flood


def _history(answer: str) -> list[dict]:
    note = {"title": "t", "status": "done", "id": 'max_pixels=0;{"model":"scripted"}'}
    parts = [("user", "q", None), ("assistant", answer, None), ("assistant", "", note)]
    return [
        {"role": role, "content": [{"type": "text", "text": text}], **({"metadata": data} if data else {})}
        for role, text, data in parts
    ]


def differences(url: str) -> None:
    """Answers to compare whose words come again and again."""
    expected = {"expected": {"answer": "a " * 10_000}}
    _events({"verdict": [_history("a b " * 5000), expected]}, 8)(url)


def long_conversations(url: str) -> None:
    """Events with as many values as are taken."""
    turns = [{"role": ("user", "assistant")[n % 2], "content": [{"type": "text", "text": "x"}]} for n in range(1500)]
    _events({"retry": [turns], "stop": [turns]}, 8)(url)


def unread_results(url: str) -> None:
    """Events of pages that nobody reads the results of."""
    config = httpx.get(f"{url}/config", timeout=60).json()
    number = next(known["id"] for known in config["dependencies"] if known["queue"] and known["api_name"] == "take")
    words = "x" * (3 * MIB)

    def join(http: httpx.Client) -> None:
        body = {"data": [{"text": words, "files": []}, []], "fn_index": number, "session_hash": secrets.token_hex(5)}
        http.post(JOIN, json=body)

    _repeat(join, url, 8)


def direct_calls(url: str) -> None:
    """Answers that are asked for past the queue, and left."""
    body = {"data": ["w " * 1500, None, 0, 2000, 1, 1, None, None, ""]}
    _repeat(lambda http: http.post("/gradio_api/run/ask", json=body), url, 16)


async def _open(url: str, count: int, head: bytes, then: bytes = b"", each_s: float = 0.0) -> None:
    """Connections that say `head` and are held open, with `then` now and again."""
    host, port = url.removeprefix("http://").split(":")

    async def hold() -> None:
        while True:
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(head)
                while not (reader.at_eof() or writer.is_closing()):
                    await asyncio.sleep(each_s or 1.0)
                    writer.write(then)
                    await writer.drain()
            except OSError:
                await asyncio.sleep(PAUSE_S)

    _begin()
    await asyncio.gather(*(hold() for _ in range(count)))


def _held(count: int, head: bytes, then: bytes = b"", each_s: float = 0.0) -> Callable[[str], None]:
    return lambda url: asyncio.run(_open(url, count, head, then, each_s))


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


_FORM = b"Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
_UPLOAD = b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\n" + _FORM


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _part(name: str) -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()


def _upload_parts(count: int) -> bytes:
    one = b'--b\r\nContent-Disposition: form-data; name="files"; filename="%d.png"\r\n\r\n%d\r\n'
    return b"".join(one % (number, number) for number in range(count)) + b"--b--\r\n"


def images(url: str) -> None:
    """Eight images of 50 megapixels in each request."""
    stream = io.BytesIO()
    PIL.Image.new("RGB", (7000, 7000), "red").save(stream, "PNG")
    content = _chat([_file_part("image", stream.getvalue(), "image/png")] * 8)
    _repeat(lambda http: http.post(REST, content=content, headers=JSON), url, 16)


def videos(url: str) -> None:
    """Clips that take long to decode."""
    import av

    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as clip:
        video = clip.add_stream("libx264", rate=100)
        video.width, video.height, video.pix_fmt = 1920, 1080, "yuv420p"
        video.options = {"preset": "ultrafast", "g": "100000", "crf": "40"}
        noise = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), dtype=np.uint8)
        frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format="yuv420p")
        for number in range(400):
            frame.pts = number
            for packet in video.encode(frame):
                clip.mux(packet)
        for packet in video.encode():
            clip.mux(packet)
    content = _chat([_file_part("video", stream.getvalue(), "video/mp4"), {"type": "text", "text": "x"}])
    _repeat(lambda http: http.post(REST, content=content, headers=JSON), url, 80)


def mcp(url: str) -> None:
    """Questions of MCP."""
    ask = {"name": "ask", "arguments": {"question": "w " * 400, "max_new_tokens": 400}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": ask}
    headers = {**JSON, "accept": "application/json, text/event-stream"}
    _repeat(lambda http: http.post(MCP, json=call, headers=headers), url, 60)


def _large_file() -> bytes:
    return _chat([_file_part("video", bytes(45 * MIB), "video/mp4")])


def _wide_schema() -> bytes:
    schema = {"enum": [[[[number]]] for number in range(4000)]}
    return _chat("x", response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}})


WAYS: dict[str, tuple[str, Callable[[str], None]]] = {
    "brackets": ("63 MiB of brackets to the API", _posts(REST, lambda: _brackets(63), 4)),
    "files": ("60 MiB of base64 to the API", _posts(REST, _large_file, 4)),
    "messages": ("6,000 messages that are none", _posts(REST, lambda: b'{"messages":[' + b'{"role":5},' * 6000 + b"{}]}", 8)),
    "packed": ("a body that unpacks to gigabytes", _posts(REST, lambda: gzip.compress(bytes(512 * MIB)), 4, PACKED)),
    "long text": ("prompts of 3.9 MB", _posts(REST, lambda: _chat("hello " * 650_000), 8)),
    "schemas": ("schemas with 4,000 choices", _posts(REST, _wide_schema, 8)),
    "form": ("forms of line ends", _posts(INFERENCE, lambda: _part("x") + b"\r\n--" * (2 * MIB), 4, FORM)),
    "event brackets": ("30 MiB of brackets to the page", _posts(JOIN, lambda: _brackets(30), 4)),
    "differences": ("answers to compare, 10,000 words each", differences),
    "conversations": ("events with 1,500 messages", long_conversations),
    "unread": ("results that nobody reads", unread_results),
    "direct": ("answers past the queue", direct_calls),
    "questions": ("100 long questions at once", _posts(REST, lambda: _chat("w " * 400, max_tokens=400), 100)),
    "mcp": ("60 questions of MCP at once", mcp),
    "images": ("128 images of 49 megapixels at once", images),
    "videos": ("80 slow clips at once", videos),
    "upload text": ("uploads that are text", _held(32, _UPLOAD + _chunk(_part("x")), _chunk(b"y" * MIB), 0.05)),
    "upload files": ("uploads of 1,000 files", _posts("/gradio_api/upload", lambda: _upload_parts(1000), 8, FORM)),
    "connections": ("2,000 connections", _held(2000, b"")),
    "pages": ("1,000 open pages", _held(1000, _get("/gradio_api/heartbeat/x"))),
    "heads": ("500 heads that do not end", _held(500, b"GET / HTTP/1.1\r\n", b"x: y\r\n", 0.5)),
}  # fmt: skip


if __name__ == "__main__":
    WAYS[sys.argv[1]][1](sys.argv[2])

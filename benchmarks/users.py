"""People and programs that ask a running app, over plain HTTP: the REST stream, or Gradio's queue.

gradio_client is not used: it gives some 13 answers a second and would measure itself. Answers are
read by `wire.Wire` for the same reason.
"""

import base64
import contextlib
import functools
import io
import json
import random
import re
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import PIL.Image
import PIL.ImageDraw

from benchmarks.wire import BrokenAnswer, Wire

TIMEOUT = httpx.Timeout(300, connect=60)
FIRST_WORD = re.compile(rb'"content":"[^"]')
FIRST_VALUE = re.compile(rb'event: generating\ndata: \["[^"]')


class Left(Exception):
    """The user went away in the middle, as told."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request ended.

    Attributes:
        kind: `answered`, `rejected` (told at once to come back later), `left` or `error`.
        seconds: from asking to the end.
        ttft_s: from asking to the first word of the answer; None if there was none.
        retry_after_s: when to come back, if rejected.
        detail: what went wrong.
    """

    kind: str
    seconds: float
    ttft_s: float | None = None
    retry_after_s: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What every user asks.

    Attributes:
        image: a JPEG.
        more: fields of the body that only `RestUser` sends.
    """

    text: str
    max_tokens: int
    image: bytes | None = None
    more: dict[str, Any] = field(default_factory=dict)


@functools.lru_cache(1024)  # several servers are asked about the same ones
def image(number: int, width: int = 448, height: int | None = None) -> bytes:
    """A JPEG, square without a height, with as much in it as a photograph (448 x 448: 40 kB); each number has its own."""
    size = (width, width if height is None else height)
    small = (size[0] // 4, size[1] // 4)
    noise = PIL.Image.frombytes("RGB", small, random.Random(number).randbytes(3 * small[0] * small[1]))
    data = io.BytesIO()
    noise.resize(size, PIL.Image.Resampling.BICUBIC).save(data, "JPEG", quality=85)
    return data.getvalue()


class Connection(httpx.AsyncClient):
    """An ordinary client, and `wire` beside it for answers that stream."""

    def __init__(self, url: str):
        super().__init__(base_url=url, timeout=TIMEOUT, verify=False, trust_env=False)
        self.wire = Wire(url)

    async def aclose(self) -> None:
        self.wire.close()
        await super().aclose()

    async def __aexit__(self, *error) -> None:
        self.wire.close()
        await super().__aexit__(*error)


def connect(url: str) -> Connection:
    """One per user, as browsers do; a pool of hundreds of connections is slow in httpx."""
    return Connection(url)


class _User:
    """Asks again and again on one connection. `leave_after_s` in `ask` breaks off an answer."""

    def __init__(self, http: Connection, question: Question):
        self._http, self._question = http, question
        self._asked = 0.0
        self._ttft_s: float | None = None
        self._leave_after_s: float | None = None

    async def prepare(self) -> None:
        """What is done once, before the first question."""

    async def ask(self, leave_after_s: float | None = None) -> Outcome:
        """Never raises for what the server does."""
        self._asked, self._ttft_s, self._leave_after_s = time.perf_counter(), None, leave_after_s
        try:
            kind, detail, retry_after_s = await self._ask()
        except Left:
            kind, detail, retry_after_s = "left", "", 0.0
        except (httpx.HTTPError, BrokenAnswer) as error:
            kind, detail, retry_after_s = "error", f"{type(error).__name__}: {error}", 0.0
        return Outcome(kind, time.perf_counter() - self._asked, self._ttft_s, retry_after_s, detail)

    def _first_word(self) -> None:
        if self._ttft_s is None:
            self._ttft_s = time.perf_counter() - self._asked

    def _still_here(self) -> None:
        if self._leave_after_s is not None and time.perf_counter() - self._asked >= self._leave_after_s:
            raise Left

    async def _ask(self) -> tuple[str, str, float]:
        raise NotImplementedError


class RestUser(_User):
    """A program: `POST /v1/chat/completions` with `stream`, the image as a data URL."""

    def __init__(self, http: Connection, question: Question):
        super().__init__(http, question)
        content: list[dict] = [{"type": "text", "text": question.text}]
        if question.image:
            url = "data:image/jpeg;base64," + base64.b64encode(question.image).decode()
            content.insert(0, {"type": "image_url", "image_url": {"url": url}})
        message = {"role": "user", "content": content}
        body = {"messages": [message], "max_tokens": question.max_tokens, "stream": True, **question.more}
        self._body = json.dumps(body).encode()

    async def _ask(self) -> tuple[str, str, float]:
        reply = await self._http.wire.ask("POST", "/v1/chat/completions", self._body, self._watch)
        if reply.status == 429:
            return "rejected", "", float(reply.headers["retry-after"])
        if reply.status != 200:
            return "error", f"{reply.status}: {reply.body[:300]!r}", 0.0
        if reply.body.endswith(b"data: [DONE]\n\n"):
            return "answered", "", 0.0
        return "error", f"the stream ended with {reply.body[-300:]!r}", 0.0

    def _watch(self, piece: bytes) -> None:
        if self._ttft_s is None and FIRST_WORD.search(piece):
            self._first_word()
        self._still_here()


class GradioUser(_User):
    """A person or `gradio_client`: upload, `POST /call/ask`, then read the events of the call."""

    _file: dict | None = None

    async def prepare(self) -> None:
        if self._question.image:
            files = {"files": ("image.jpg", self._question.image, "image/jpeg")}
            response = (await self._http.post("/gradio_api/upload", files=files)).raise_for_status()
            self.show(response.json()[0])

    def show(self, path: str) -> None:
        """Ask about a file that was uploaded."""
        self._file = {"path": path, "meta": {"_type": "gradio.FileData"}}

    async def _ask(self) -> tuple[str, str, float]:
        values = [self._question.text, self._file, 0, self._question.max_tokens, 1, 1, None, None, ""]
        wire = self._http.wire
        call = await wire.ask("POST", "/gradio_api/call/ask", json.dumps({"data": values}).encode())
        if call.status != 200:
            return "error", f"{call.status}: {call.body[:300]!r}", 0.0
        reply = await wire.ask("GET", f"/gradio_api/call/ask/{json.loads(call.body)['event_id']}", watch=self._watch)
        # Events are "event: NAME", "data: VALUE" and an empty line; the last one says how it ended.
        name, _, value = reply.body.decode().rstrip().rpartition("\n\n")[2].partition("\n")
        event, data = name.removeprefix("event: "), value.removeprefix("data: ")
        if event == "complete":
            self._first_word()
            return "answered", "", 0.0
        with contextlib.suppress(ValueError, AttributeError):
            if json.loads(data).get("title") == "overloaded":
                return "rejected", "", 1.0
        return "error", f"{event}: {data[:300]}", 0.0

    def _watch(self, piece: bytes) -> None:
        if self._ttft_s is None and FIRST_VALUE.search(piece):
            self._first_word()
        self._still_here()


FRONTS: dict[str, type[_User]] = {"rest": RestUser, "gradio": GradioUser}

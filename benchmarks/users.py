"""People and programs that ask a running app, over plain HTTP: the REST stream, or Gradio's queue.

gradio_client is not used: it gives some 13 answers a second and would measure itself.
"""

import base64
import contextlib
import io
import json
import random
import re
import time
from dataclasses import dataclass

import httpx
import PIL.Image
import PIL.ImageDraw

TIMEOUT = httpx.Timeout(300, connect=60)
FIRST_WORD = re.compile(rb'"content":"[^"]')


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
    """What every user asks; the image is a JPEG or None."""

    text: str
    max_tokens: int
    image: bytes | None = None


def image(number: int, side: int = 448) -> bytes:
    """A JPEG of some 40 kB, with as much in it as a photograph; another one for each number."""
    noise = PIL.Image.frombytes("RGB", (side // 4, side // 4), random.Random(number).randbytes(3 * (side // 4) ** 2))
    data = io.BytesIO()
    noise.resize((side, side), PIL.Image.Resampling.BICUBIC).save(data, "JPEG", quality=85)
    return data.getvalue()


def connect(url: str) -> httpx.AsyncClient:
    """One per user, as browsers do; a pool of hundreds of connections is slow in httpx."""
    return httpx.AsyncClient(base_url=url, timeout=TIMEOUT, verify=False, trust_env=False)


class _User:
    """Asks again and again on one connection. `leave_after_s` in `ask` breaks off an answer."""

    def __init__(self, http: httpx.AsyncClient, question: Question):
        self._http, self._question = http, question
        self._asked = 0.0
        self._ttft_s: float | None = None

    async def prepare(self) -> None:
        """What is done once, before the first question."""

    async def ask(self, leave_after_s: float | None = None) -> Outcome:
        """Never raises for what the server does."""
        self._asked, self._ttft_s = time.perf_counter(), None
        try:
            kind, detail, retry_after_s = await self._ask(leave_after_s)
        except Left:
            kind, detail, retry_after_s = "left", "", 0.0
        except httpx.HTTPError as error:
            kind, detail, retry_after_s = "error", f"{type(error).__name__}: {error}", 0.0
        return Outcome(kind, time.perf_counter() - self._asked, self._ttft_s, retry_after_s, detail)

    def _first_word(self) -> None:
        if self._ttft_s is None:
            self._ttft_s = time.perf_counter() - self._asked

    def _still_here(self, leave_after_s: float | None) -> None:
        if leave_after_s is not None and time.perf_counter() - self._asked >= leave_after_s:
            raise Left

    async def _ask(self, leave_after_s: float | None) -> tuple[str, str, float]:
        raise NotImplementedError


class RestUser(_User):
    """A program: `POST /v1/chat/completions` with `stream`, the image as a data URL."""

    def __init__(self, http: httpx.AsyncClient, question: Question):
        super().__init__(http, question)
        content: list[dict] = [{"type": "text", "text": question.text}]
        if question.image:
            url = "data:image/jpeg;base64," + base64.b64encode(question.image).decode()
            content.insert(0, {"type": "image_url", "image_url": {"url": url}})
        message = {"role": "user", "content": content}
        self._body = json.dumps({"messages": [message], "max_tokens": question.max_tokens, "stream": True}).encode()

    async def _ask(self, leave_after_s: float | None) -> tuple[str, str, float]:
        headers = {"content-type": "application/json"}
        async with self._http.stream("POST", "/v1/chat/completions", content=self._body, headers=headers) as response:
            if response.status_code == 429:
                await response.aread()
                return "rejected", "", float(response.headers["retry-after"])
            if response.status_code != 200:
                return "error", f"{response.status_code}: {(await response.aread())[:300]!r}", 0.0
            end = b""
            async for piece in response.aiter_raw():
                if self._ttft_s is None and FIRST_WORD.search(piece):
                    self._first_word()
                self._still_here(leave_after_s)
                end = (end + piece)[-2000:]
        if end.endswith(b"data: [DONE]\n\n"):
            return "answered", "", 0.0
        return "error", f"the stream ended with {end[-300:]!r}", 0.0


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

    async def _ask(self, leave_after_s: float | None) -> tuple[str, str, float]:
        values = [self._question.text, self._file, 0, self._question.max_tokens, 1, 1, None, None, ""]
        call = await self._http.post("/gradio_api/call/ask", json={"data": values})
        if call.status_code != 200:
            return "error", f"{call.status_code}: {call.text[:300]}", 0.0
        event, data = "", ""
        async with self._http.stream("GET", f"/gradio_api/call/ask/{call.json()['event_id']}") as response:
            async for line in response.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    data = value
                    if event == "generating" and value != '[""]':
                        self._first_word()
                    self._still_here(leave_after_s)
        if event == "complete":
            self._first_word()
            return "answered", "", 0.0
        with contextlib.suppress(ValueError, AttributeError):
            if json.loads(data).get("title") == "overloaded":
                return "rejected", "", 1.0
        return "error", f"{event}: {data[:300]}", 0.0


FRONTS: dict[str, type[_User]] = {"rest": RestUser, "gradio": GradioUser}

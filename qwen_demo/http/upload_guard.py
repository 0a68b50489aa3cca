"""Stands before Gradio's upload route, which takes a thousand parts, holds texts in memory and writes until the disk
is full.

Reads along with it: few files and nothing else, each byte counted before it is written, an end for what drips. What is
refused or breaks off is deleted by Gradio at once, as it does with a form that it cannot read.
"""

import asyncio
import time
from pathlib import Path

from fastapi.responses import JSONResponse
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qwen_demo.errors import DiskFull, QwenDemoError
from qwen_demo.fairness import Tally, current_account
from qwen_demo.http.errors import body, describe
from qwen_demo.http.uploads import Disk
from qwen_demo.sentences import counted

# Of one address. Pages send the files of one choice together.
AT_ONCE = 8
MAX_HEAD_BYTES = 8 << 10
# An upload that is slower, after its first seconds, is held open for something else.
LEAST_BYTES_PER_S = 2 << 10
# Room on the disk is asked for in steps of so much.
STEP_BYTES = 8 << 20


class _Refused(MultiPartException):
    """What Gradio's parser cleans up after."""

    def __init__(self, status: int, text: str):
        super().__init__(text)
        self.status = status


class _Parts:
    """Counts the parts of a form as it passes. Raises `_Refused`."""

    def __init__(self, content_type: str, max_files: int):
        kind, options = parse_options_header(content_type)
        if kind != b"multipart/form-data" or not options.get(b"boundary"):
            raise _Refused(400, "An upload is a form (multipart/form-data) with files.")
        self._max_files, self._files = max_files, 0
        self._name, self._value, self._head_bytes, self._disposition = b"", b"", 0, b""
        self._parser = MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": self._begin,
                "on_header_field": self._on_name,
                "on_header_value": self._on_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._head_end,
            },
        )

    def pass_on(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise _Refused(400, "The form of the upload cannot be read.") from error

    def _begin(self) -> None:
        self._name, self._value, self._head_bytes, self._disposition = b"", b"", 0, b""

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._grow(end - start)
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._grow(end - start)
        self._value += data[start:end]

    def _grow(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _Refused(400, f"The head of a part may have {MAX_HEAD_BYTES} bytes.")

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _head_end(self) -> None:
        if b"filename" not in parse_options_header(self._disposition)[1]:
            raise _Refused(400, "An upload has files alone, no texts.")
        self._files += 1
        if self._files > self._max_files:
            raise _Refused(413, f"An upload may have {counted(self._max_files, 'file')}.")


class _Upload:
    """One upload under way: what it may still send, and when.

    Args:
        timeout_s: longest pause; after it the upload has a least speed.
    """

    def __init__(self, receive: Receive, parts: _Parts, disk: Disk, max_bytes: int, timeout_s: float):
        self._receive, self._parts, self._disk = receive, parts, disk
        self._max_bytes, self._timeout_s = max_bytes, timeout_s
        self._began, self._size, self._promised = time.monotonic(), 0, 0
        self.refusal: Exception | None = None

    async def receive(self) -> Message:
        """What Gradio reads. Raises `_Refused`, which it knows how to clean up after."""
        try:
            return await self._next()
        except _Refused as error:
            self.refusal = error
            raise
        except DiskFull as error:
            self.refusal = error
            raise _Refused(507, str(error)) from error

    async def _next(self) -> Message:
        try:
            message = await asyncio.wait_for(self._receive(), self._timeout_s)
        except TimeoutError:
            raise _Refused(408, f"Nothing of the upload came for {self._timeout_s:g} s.") from None
        if message["type"] == "http.disconnect":
            raise _Refused(400, "The upload broke off.")
        data = message.get("body", b"")
        self._size += len(data)
        if self._size > self._max_bytes:
            raise _Refused(413, f"An upload may have {self._max_bytes} bytes.")
        if self._size < LEAST_BYTES_PER_S * (time.monotonic() - self._began - self._timeout_s):
            raise _Refused(408, f"The upload is slower than {LEAST_BYTES_PER_S} bytes a second.")
        self._parts.pass_on(data)
        while self._promised < len(data):
            self._disk.promise(STEP_BYTES)
            self._promised += STEP_BYTES
        self._promised -= len(data)
        self._disk.written(len(data))
        return message

    def end(self) -> None:
        self._disk.written(self._promised)
        self._promised = 0


class UploadGuard:
    """
    Args:
        folder: of uploads.
        max_bytes: of one upload, all its files together.
        max_files: of one upload.
        timeout_s: longest pause within an upload.
    """

    def __init__(self, app: ASGIApp, *, folder: Path, max_bytes: int, max_files: int, timeout_s: float):
        self._app, self._max_bytes, self._max_files, self._timeout_s = app, max_bytes, max_files, timeout_s
        self._disk = Disk(folder)
        self._running = Tally()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, account = Headers(scope=scope), current_account.get()
        try:
            announced = headers.get("content-length", "0")
            if not announced.isdecimal() or int(announced) > self._max_bytes:
                raise _Refused(413, f"An upload may have {self._max_bytes} bytes.")
            if self._running.of(account) >= AT_ONCE:
                raise _Refused(429, f"One address may send {AT_ONCE} uploads at the same time.")
            parts = _Parts(headers.get("content-type", ""), self._max_files)
            self._disk.check(int(announced))
        except (_Refused, DiskFull) as error:
            return await _answer(error, scope, receive, send)
        self._running.add(account, 1)
        try:
            await self._pass_on(_Upload(receive, parts, self._disk, self._max_bytes, self._timeout_s), scope, send)
        finally:
            self._running.add(account, -1)

    async def _pass_on(self, upload: _Upload, scope: Scope, send: Send) -> None:
        failure: list[Message] = []

        async def unless_failed(message: Message) -> None:
            if failure or (message["type"] == "http.response.start" and message["status"] >= 400):
                failure.append(message)
            else:
                await send(message)

        refusal: Exception | None = None
        self._disk.begin(upload)
        try:
            await self._app(scope, upload.receive, unless_failed)
        except OSError as error:
            if error.errno not in DiskFull.numbers:
                raise
            refusal = DiskFull()
        except _Refused:
            pass  # Gradio has let it through; the upload knows why
        finally:
            self._disk.end(upload)
            upload.end()
            if failure or refusal:
                await asyncio.to_thread(self._disk.sweep)
        refusal = refusal or upload.refusal
        if refusal:
            return await _answer(refusal, scope, upload.receive, send)
        for message in failure:
            await send(message)


async def _answer(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    headers: dict[str, str] = {}
    if isinstance(error, _Refused):
        status, kind = error.status, "rate_limit_error" if error.status == 429 else "invalid_request_error"
        content = body(error.message, kind, f"http_{status}")
    else:
        assert isinstance(error, QwenDemoError)
        status, content, headers = describe(error)
    await JSONResponse(content, status, {"Connection": "close", **headers})(scope, receive, send)

"""JSON of strangers, measured before it is parsed: how long, how many values, how deep.

A parser builds all of it first: 63 MiB of brackets are two GiB of lists, and nobody else is answered meanwhile. Here the
text is walked from string to string. Long strings of base64, which are files, are taken out of it: the parser, which
holds Python's lock for as long as it works, sees only what stands beside them.
"""

import asyncio
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qwen_demo.http.errors import ApiError

# Beside files in base64.
MAX_BYTES = 4 << 20
# What is checked one by one takes some two microseconds each.
MAX_VALUES = 20_000
# An event of the page goes through Gradio's models, which take longer, and its files are uploaded.
MAX_EVENT_VALUES, MAX_EVENT_BYTES = 10_000, 32 << 20
# About what a value takes in memory.
VALUE_BYTES = 100
MAX_DEPTH = 64
# Shorter ones cannot break the bounds by much, and are read at once.
SMALL_BYTES = 16 << 10

_LONG = 4096  # characters from which on a string of base64 is taken out
_WINDOW = 256 << 10  # bytes that are looked at without giving others a turn
_ENCODED = re.compile(rb"(?:[A-Za-z0-9+/=_-]|\\[/nr]|\\u00[23][0-9A-Fa-f])*")
_BRACKETS = re.compile(rb"[\[\]{}]")
# What a string may hold up to its closing quote. An escape is never cut in two.
_INSIDE = re.compile(rb'[^"\\]*+(?:\\(?:u[0-9A-Fa-f]{4}|[^u])[^"\\]*+)*+', re.S)


@dataclass(slots=True)
class _File:
    """A string that was taken out: where it lies, without its quotes, and whether it has escapes."""

    begin: int
    end: int
    escaped: bool


class _Walk:
    """One walk through a text.

    Args:
        max_values: how many it may have.

    Attributes:
        values: those that were met; a string that names one counts, too.
        beside: bytes that are no file's.
        files: the long strings of base64, in their order.
    """

    def __init__(self, content: bytes, max_values: int = MAX_VALUES):
        self._content, self._max_values = content, max_values
        self.beside = self.values = self._depth = 0
        self.files: list[_File] = []

    def walk(self) -> None:
        """Raises `ApiError`: over a bound. What is no JSON is left to the parser."""
        content, at, end = self._content, 0, len(self._content)
        while at < end:
            quote = content.find(b'"', at)
            quote = end if quote < 0 else quote
            self._between(at, quote)
            if quote == end:
                return
            close, escaped = self._closing(quote + 1)
            if close - quote > _LONG and self._is_file(quote + 1, close):
                self.files.append(_File(quote + 1, close, escaped))
            else:
                self._beside(close - quote + 1)
            self._count(1)
            at = close + 1

    def _between(self, begin: int, end: int) -> None:
        self._beside(end - begin)
        for at in range(begin, end, _WINDOW):
            piece = self._content[at : min(at + _WINDOW, end)]
            opened = piece.count(b"[") + piece.count(b"{")
            self._count(opened + piece.count(b","))
            if self._depth + opened <= MAX_DEPTH:
                self._depth += opened - piece.count(b"]") - piece.count(b"}")
                continue
            for bracket in _BRACKETS.finditer(piece):
                self._depth += 1 if bracket[0] in b"[{" else -1
                if self._depth > MAX_DEPTH:
                    raise ApiError(400, "invalid_request", f"The JSON is nested more than {MAX_DEPTH} deep.")

    def _closing(self, begin: int) -> tuple[int, bool]:
        """Where the quote is that closes a string, or the end of the text; and whether there are escapes before it."""
        content = self._content
        close = content.find(b'"', begin)
        if close < 0:
            return len(content), False
        if content.find(b"\\", begin, close) < 0:
            return close, False
        at = begin
        while True:
            found = _INSIDE.match(content, at, at + _WINDOW)
            assert found  # it may be empty
            if found.end() >= len(content) or content[found.end()] == ord('"'):
                return found.end(), True
            if found.end() == at:  # a backslash as the last of all
                return len(content), True
            at = found.end()

    def _is_file(self, begin: int, close: int) -> bool:
        head = self._content[begin : begin + 1024]
        if head[:5].lower() != b"data:":
            found = _ENCODED.match(head)
            if not found or found.end() < len(head) - 5:  # an escape may be cut in two
                return False
        return self._content[close + 1 : close + 64].lstrip()[:1] != b":"  # a name stays where it is

    def _beside(self, count: int) -> None:
        self.beside += count
        if self.beside > MAX_BYTES:
            raise ApiError(413, "http_413", f"The JSON has more than {MAX_BYTES >> 20} MiB beside files in base64.")

    def _count(self, count: int) -> None:
        self.values += count
        if self.values > 2 * self._max_values:
            raise ApiError(400, "invalid_request", f"The JSON has more than {self._max_values} values.")


async def check_event(content: bytes) -> int:
    """About how many bytes the values of an event of the page take. Raises `ApiError` where it is over a bound."""
    if len(content) > MAX_EVENT_BYTES:
        text = f"An event may have {MAX_EVENT_BYTES >> 20} MiB. Upload files, and name them in it."
        raise ApiError(413, "http_413", text)
    if len(content) <= SMALL_BYTES:
        return VALUE_BYTES * sum(map(content.count, (b"[", b"{", b",")))
    walk = _Walk(_as_utf8(content), MAX_EVENT_VALUES)
    await asyncio.to_thread(walk.walk)
    return VALUE_BYTES * walk.values


async def read(content: bytes) -> Any:
    """What `json.loads` gives, within the bounds.

    Raises:
        ApiError: over one of them.
        ValueError: no JSON, `json.JSONDecodeError` for the most part.
        RecursionError: the same.
    """
    return json.loads(content) if len(content) <= SMALL_BYTES else await asyncio.to_thread(_read, content)


def _as_utf8(content: bytes) -> bytes:
    encoding = json.detect_encoding(content)
    return (
        content if encoding == "utf-8" else content.decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")
    )


def _read(content: bytes) -> Any:
    content = _as_utf8(content)
    walked = _Walk(content)
    walked.walk()
    mark = secrets.token_hex(8)
    pieces, at = [], 0
    for number, file in enumerate(walked.files):
        pieces += [content[at : file.begin], f"{mark}:{number}".encode()]
        at = file.end
    value = json.loads(b"".join([*pieces, content[at:]]))
    return _put_back(value, mark, lambda number: _text(content, walked.files[number])) if walked.files else value


def _text(content: bytes, file: _File) -> str:
    if not file.escaped:
        return str(memoryview(content)[file.begin : file.end], "utf-8")  # of a slice there would be a copy first
    texts, at = [], file.begin
    while at < file.end:
        found = _INSIDE.match(content, at, min(at + _WINDOW, file.end))
        assert found and found.end() > at
        texts.append(json.loads(b'"%b"' % content[at : found.end()]))
        at = found.end()
    return "".join(texts)


def _put_back(value: Any, mark: str, text: Callable[[int], str]) -> Any:
    """`value` with the files in the places of their marks."""

    def restored(item: Any) -> Any:
        if isinstance(item, str) and item.startswith(mark):
            return text(int(item.rpartition(":")[2]))
        waiting.append(item)
        return item

    waiting: list[Any] = []
    value = restored(value)
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            for key in item:
                item[key] = restored(item[key])
        elif isinstance(item, list):
            item[:] = [restored(each) for each in item]
    return value

"""One HTTP/1.1 connection that reads streamed answers and hardly uses the processor.

A load test shares the machine with the server it measures: httpx spends more on each piece of a
stream than the server does. This reads whole answers in the callback of the socket, wakes its
caller once, and knows no more of HTTP than that takes: no redirects, no compression, no pipelining.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

LONGEST_S = 300.0


class BrokenAnswer(Exception):
    """The connection ended, or could not be opened, or nothing or no HTTP came."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; names of headers are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class _Reading:
    """An answer that is being read."""

    whole: asyncio.Future[Reply]
    watch: Callable[[bytes], None] | None
    buffer: bytearray = field(default_factory=bytearray)
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    # Bytes of the body, or of the chunk, that are still to come; None before the first one's size is known.
    left: int | None = None


class Wire(asyncio.Protocol):
    """Asks one question at a time; connects when it has to.

    Args:
        url: of the server; its path stands before every path that is asked for.
    """

    def __init__(self, url: str):
        parts = urlsplit(url)
        self._host, self._tls = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (443 if self._tls else 80)
        self._name, self._prefix = parts.netloc, parts.path.rstrip("/")
        self._transport: asyncio.Transport | None = None
        self._reading: _Reading | None = None

    async def ask(
        self, method: str, path: str, body: bytes = b"", watch: Callable[[bytes], None] | None = None
    ) -> Reply:
        """The whole answer. Cancelling hangs up.

        Args:
            watch: sees each piece of the body of a 200 as it comes; what it raises ends the answer.

        Raises:
            BrokenAnswer
        """
        transport = await self._connected()
        loop = asyncio.get_running_loop()
        self._reading = _Reading(loop.create_future(), watch)
        kind = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n" if body else ""
        transport.write(f"{method} {self._prefix}{path} HTTP/1.1\r\nhost: {self._name}\r\n{kind}\r\n".encode() + body)
        try:
            async with asyncio.timeout(LONGEST_S):
                reply = await self._reading.whole
        except TimeoutError as error:
            self.close()
            raise BrokenAnswer(f"Timeout after {LONGEST_S:g} s") from error
        except BaseException:
            self.close()
            raise
        finally:
            self._reading = None
        if reply.headers.get("connection", "").lower() == "close":
            self.close()
        return reply

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _connected(self) -> asyncio.Transport:
        if self._transport is not None:
            return self._transport
        context = None
        if self._tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            transport, _ = await asyncio.get_running_loop().create_connection(
                lambda: self, self._host, self._port, ssl=context
            )
        except OSError as error:
            raise BrokenAnswer(str(error)) from error
        self._transport = transport
        return transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(BrokenAnswer(f"the connection ended: {exc or 'closed by the server'}"))

    def data_received(self, data: bytes) -> None:
        reading = self._reading
        if reading is None or reading.whole.done():
            return
        reading.buffer += data
        try:
            if reading.status or self._read_head(reading):
                self._read_body(reading)
        except (ValueError, IndexError) as error:
            self._fail(BrokenAnswer(f"this is not HTTP: {error}"))

    def _fail(self, error: Exception) -> None:
        if self._reading is not None and not self._reading.whole.done():
            self._reading.whole.set_exception(error)

    def _read_head(self, reading: _Reading) -> bool:
        """Whether the head is whole."""
        end = reading.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *lines = reading.buffer[:end].decode("latin-1").split("\r\n")
        del reading.buffer[: end + 4]
        reading.status = int(first.split()[1])
        reading.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "content-length" in reading.headers:
            reading.left = int(reading.headers["content-length"])
        return True

    def _read_body(self, reading: _Reading) -> None:
        chunked = reading.headers.get("transfer-encoding", "").lower() == "chunked"
        buffer, piece, ended = reading.buffer, bytearray(), False
        while not ended:
            if chunked and reading.left is None:
                line = buffer.find(b"\r\n")
                if line < 0:
                    break
                reading.left = int(buffer[:line].split(b";")[0], 16)
                del buffer[: line + 2]
            assert reading.left is not None
            # After each chunk, also after the empty last one, comes an empty line.
            if len(buffer) < reading.left + (2 if chunked else 0):
                break
            piece += buffer[: reading.left]
            ended = not chunked or not reading.left
            del buffer[: reading.left + (2 if chunked else 0)]
            reading.left = None
        reading.body += piece
        if piece and reading.watch is not None and reading.status == 200:
            try:
                reading.watch(bytes(piece))
            except Exception as error:
                return self._fail(error)
        if ended and not reading.whole.done():
            reading.whole.set_result(Reply(reading.status, reading.headers, bytes(reading.body)))

"""One file's time in a decoder, seen from the server: what it is to do, its answers, the memory for its pixels."""

import asyncio
import contextlib
import fcntl
import json
import math
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from qwen_demo.errors import Overloaded
from qwen_demo.raster import Raster, open_memory, seal
from qwen_demo.sentences import Sentence

MAX_ANSWER_BYTES = 1 << 20
GRACE_S = 5.0  # for a process that has answered, or was killed, to end
_CAN_SEAL = hasattr(fcntl, "F_ADD_SEALS")


@dataclass(frozen=True, slots=True)
class Task:
    """What a decoder is to do, and within what.

    Attributes:
        kind: of decoder.
        job: for the program's `decode`.
        timeout_s: for all its answers together, waiting for a free decoder excluded.
        memory_bytes: of address space.
        threads: that it may use.
    """

    kind: str
    job: dict[str, Any]
    timeout_s: float
    memory_bytes: int
    threads: int = 1

    @property
    def limits(self) -> dict[str, int]:
        """By name of the resource. Its server kills it sooner; processor time is for when that has died."""
        cpu_s = math.ceil(self.timeout_s) * self.threads + 1
        return {"AS": self.memory_bytes, "CPU": cpu_s, "FSIZE": self.memory_bytes}


class DecoderFailed(Exception):
    """The job died, or its answer cannot be right: what it decodes may have taken it over."""


class DecoderJob:
    """One process at work, seen from the server.

    Attributes:
        ended: done once the process is gone: its exit status, or None if it went with its zygote.
        finished: its pixels were taken.
    """

    def __init__(
        self, number: int, line: socket.socket, timeout_s: float, end: Callable[["DecoderJob"], Awaitable[None]]
    ):
        self.number, self._end = number, end
        self.ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self.finished = False
        self._line, self._left_s, self._buffer, self._memory = line, timeout_s, b"", -1

    async def answer(self) -> dict[str, Any]:
        """What it says next.

        Raises:
            TimeoutError: all its answers together took longer than allowed.
            DecoderFailed: it ended or said no such thing.
            Overloaded: it went with its zygote, through no fault of the file.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(max(0.0, self._left_s)):
                line = await self._read()
        finally:
            self._left_s -= loop.time() - begun
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as exc:
            raise DecoderFailed("not JSON") from exc
        if not isinstance(answer, dict):
            raise DecoderFailed("not an object")
        return answer

    async def _read(self) -> bytes:
        loop = asyncio.get_running_loop()
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_ANSWER_BYTES:
                raise DecoderFailed("an answer without end")
            try:
                piece = await loop.sock_recv(self._line, 1 << 16)
            except ConnectionError:
                piece = b""
            if not piece:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(GRACE_S):
                        if await asyncio.shield(self.ended) is None:
                            raise restarted()
                raise DecoderFailed(f"ended with {self.ended.result() if self.ended.done() else 'its line closed'}")
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    @contextlib.asynccontextmanager
    async def granted(self, nbytes: int) -> AsyncIterator[None]:
        """Give it memory for its pixels: as large as it said, and never larger or smaller.

        At the end of the block its pixels were taken, or it is gone.
        """
        self._grant(nbytes)
        try:
            yield
        finally:
            if not self.finished:
                await asyncio.shield(self.stop())

    def _grant(self, nbytes: int) -> None:
        self._memory = open_memory("raster")
        os.ftruncate(self._memory, nbytes)
        if _CAN_SEAL:
            fcntl.fcntl(self._memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
        try:
            socket.send_fds(self._line, [b"\n"], [self._memory])
        except OSError as exc:
            raise DecoderFailed("its line is closed") from exc

    async def raster(self, count: int, width: int, height: int) -> Raster:
        """The pixels in its memory, which nobody can change any more.

        Raises:
            DecoderFailed: it can, or they are not as many.
        """
        if not _CAN_SEAL:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GRACE_S):
                    await asyncio.shield(self.ended)
            if not self.ended.done():
                raise DecoderFailed("it does not end")
        try:
            seal(self._memory)
            memory, self._memory = self._memory, -1  # the raster's, whatever becomes of it
            raster = Raster(memory, count, width, height)
        except (OSError, ValueError) as exc:
            raise DecoderFailed("its memory cannot be sealed") from exc
        self.finished = True
        return raster

    async def stop(self) -> None:
        """Return once its process is gone: killed, unless it has finished."""
        self._line.close()
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1
        await self._end(self)


def restarted() -> Overloaded:
    return Overloaded(Sentence("The decoders had to be started again. Send the file once more."), retry_after_s=1.0)

"""A decoder's process, and one file's time in it, seen from the server: the job, its answers, memory for its pixels."""

import asyncio
import contextlib
import fcntl
import json
import math
import os
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from qwen_demo.errors import Overloaded
from qwen_demo.raster import Raster, open_memory, seal
from qwen_demo.sentences import Sentence

MAX_ANSWER_BYTES = 1 << 20
GRACE_S = 5.0  # for a process that has answered, or was killed, to end
SPENT_S = 5  # after so much time at work, a decoder gets no other job: limits of processor time are for its whole life
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
        again: its decoder may serve the same caller once more.
    """

    kind: str
    job: dict[str, Any]
    timeout_s: float
    memory_bytes: int
    threads: int = 1
    again: bool = False

    @property
    def limits(self) -> dict[str, int]:
        """By name of the resource. Its server kills it sooner; processor time is for when that has died."""
        cpu_s = math.ceil(self.timeout_s) * self.threads + 1 + SPENT_S * self.again
        return {"AS": self.memory_bytes, "CPU": cpu_s, "FSIZE": self.memory_bytes}


class DecoderFailed(Exception):
    """The job died, or its answer cannot be right: what it decodes may have taken it over."""


class Decoder:
    """One process, forked for a caller.

    Attributes:
        number: by which its zygote knows it.
        caller: whose files it may read; empty for one file of anybody's.
        limits: in which it lives.
        ended: done once the process is gone: its exit status, or None if it went with its zygote.
        jobs: how many it was given.
    """

    def __init__(self, number: int, line: socket.socket, task: Task, caller: str, kill: Callable[["Decoder"], None]):
        self.number, self.line, self.caller, self.limits, self._kill = number, line, caller, task.limits, kill
        self.ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self.jobs, self.spent_s = 1, 0.0

    def give(self, task: Task, file: int) -> None:
        """Its next job. Raises `OSError`: it has ended, or said something while nobody asked."""
        with contextlib.suppress(BlockingIOError):
            self.line.recv(1, socket.MSG_PEEK)
            raise ConnectionError
        self.jobs += 1
        socket.send_fds(self.line, [json.dumps(task.job).encode() + b"\n"], [file])

    def end(self) -> None:
        """It is told to end, and killed unless it soon does."""
        self.line.close()
        if not self.ended.done():
            late = asyncio.get_running_loop().call_later(GRACE_S, self._kill, self)
            self.ended.add_done_callback(lambda _: late.cancel())

    async def kill(self) -> None:
        """Return once it is gone."""
        self.line.close()
        if not self.ended.done():
            self._kill(self)
            await self.ended


class DecoderJob:
    """One file in its decoder.

    Attributes:
        decoder: at work on it.
        over: done once the decoder is gone or rests.
        finished: its pixels were taken.
    """

    def __init__(self, decoder: Decoder, timeout_s: float):
        self.decoder = decoder
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        decoder.ended.add_done_callback(self._leave)
        self.finished = False
        self._left_s, self._buffer, self._memory = timeout_s, b"", -1
        self._goes_on = False

    def _leave(self, _: object = None) -> None:
        if not self.over.done():
            self.over.set_result(None)

    @property
    def ended(self) -> asyncio.Future[int | None]:
        """Done once the process is gone, which may be after other jobs: `Decoder.ended`."""
        return self.decoder.ended

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
            self.decoder.spent_s += loop.time() - begun
        if self._left_s < 0:  # what had come already is read without a look at the clock
            raise TimeoutError
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as exc:
            raise DecoderFailed("not JSON") from exc
        if not isinstance(answer, dict):
            raise DecoderFailed("not an object")
        self._goes_on = answer.get("again") is True
        return answer

    async def _read(self) -> bytes:
        loop = asyncio.get_running_loop()
        while b"\n" not in self._buffer:
            if len(self._buffer) > MAX_ANSWER_BYTES:
                raise DecoderFailed("an answer without end")
            try:
                piece = await loop.sock_recv(self.decoder.line, 1 << 16)
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
            socket.send_fds(self.decoder.line, [b"\n"], [self._memory])
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

    def rested(self) -> bool:
        """Whether its decoder can take another job. It is then no longer this one's."""
        decoder = self.decoder
        fit = self.finished and self._goes_on and not self._buffer and decoder.spent_s < SPENT_S
        if not (fit and _CAN_SEAL and decoder.caller and not decoder.ended.done()):
            return False
        decoder.ended.remove_done_callback(self._leave)
        self._leave()
        return True

    async def stop(self) -> None:
        """Return once its process is gone; one that has finished ends by itself."""
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1
        if self.finished:
            self.decoder.end()
        else:
            await self.decoder.kill()


def restarted() -> Overloaded:
    return Overloaded(Sentence("The decoders had to be started again. Send the file once more."), retry_after_s=1.0)

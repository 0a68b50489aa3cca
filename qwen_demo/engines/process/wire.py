"""Frames over a Unix socket, with descriptors of shared memory beside them. It knows nothing of what they say.

A frame is a header and its bytes. The receiver gets a frame's descriptors with or before its first byte, so they
are taken from a queue in the order of the frames.
"""

import array
import asyncio
import contextlib
import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

HEADER = struct.Struct("<IHH")  # bytes that follow, kind, descriptors
READ_BYTES = 1 << 16
# Linux passes 253 descriptors in one message, other systems fewer.
MAX_DESCRIPTORS = 128
# Descriptors on their way count against the limit of open files; when it is reached, the reader has to take some.
RETRY_S = 0.01


class HasDescriptor(Protocol):
    """Keeps `fd` open for as long as it lives."""

    @property
    def fd(self) -> int: ...


class _Outgoing:
    __slots__ = ("data", "owners")

    def __init__(self, data: bytes, owners: Sequence[HasDescriptor]):
        self.data, self.owners = memoryview(data), owners


class Channel:
    """One end of the socket, in one event loop, which never waits for the other end.

    Args:
        on_frame: gets kind, bytes and descriptors of each frame; the descriptors are its own then.
        on_end: called once when the other end is gone or has sent what is no frame.
    """

    def __init__(
        self,
        end: socket.socket,
        on_frame: Callable[[int, bytes, list[int]], None],
        on_end: Callable[[], None],
    ):
        end.setblocking(False)
        self._socket, self._on_frame, self._on_end = end, on_frame, on_end
        self._loop = asyncio.get_running_loop()
        self._outgoing: deque[_Outgoing] = deque()
        self._incoming = bytearray()
        self._descriptors: deque[int] = deque()
        self._waits_to_write = False
        self._closed = False
        self._loop.add_reader(end, self._read)

    def send(self, kind: int, data: bytes, owners: Sequence[HasDescriptor] = ()) -> None:
        """Send a frame now, or as soon as the other end has read; `owners` live until their descriptors are sent.

        What is sent to an end that is gone goes nowhere: `on_end` is on its way.

        Raises:
            ValueError: more than `MAX_DESCRIPTORS`.
        """
        if len(owners) > MAX_DESCRIPTORS:
            raise ValueError(f"{len(owners)} descriptors are more than the {MAX_DESCRIPTORS} of one frame")
        self.send_raw(HEADER.pack(len(data), kind, len(owners)) + data, owners)

    def send_raw(self, data: bytes, owners: Sequence[HasDescriptor] = ()) -> None:
        """The same without a header, for who reads without a `Channel`."""
        if self._closed:
            return
        self._outgoing.append(_Outgoing(data, owners))
        if not self._waits_to_write:
            self._write()

    async def flushed(self) -> None:
        """Wait until everything was sent, or the other end is gone."""
        while self._outgoing and not self._closed:  # noqa: ASYNC110 only at the end of a process
            await asyncio.sleep(RETRY_S)

    def close(self) -> None:
        """Forget what was not sent."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._outgoing.clear()
        while self._descriptors:
            os.close(self._descriptors.popleft())

    def _write(self) -> None:
        while self._outgoing and not self._closed:
            first = self._outgoing[0]
            try:
                sent = self._send_some(first)
            except BlockingIOError:
                self._wait_to_write()
                return
            except OSError as error:
                if error.errno == errno.ETOOMANYREFS:
                    self._stop_waiting()
                    self._waits_to_write = True
                    self._loop.call_later(RETRY_S, self._write)
                else:  # the reader is told of the same
                    self._outgoing.clear()
                return
            first.data = first.data[sent:]
            if not first.data:
                self._outgoing.popleft()
        self._stop_waiting()

    def _send_some(self, first: _Outgoing) -> int:
        if not first.owners:
            return self._socket.send(first.data)
        numbers = array.array("i", [owner.fd for owner in first.owners])
        sent = self._socket.sendmsg([first.data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])
        first.owners = ()
        return sent

    def _wait_to_write(self) -> None:
        self._waits_to_write = True
        self._loop.add_writer(self._socket, self._write)

    def _stop_waiting(self) -> None:
        if self._waits_to_write and not self._closed:
            self._waits_to_write = False
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        try:
            data, descriptors, truncated = _receive(self._socket)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data, descriptors, truncated = b"", [], False
        self._descriptors.extend(descriptors)
        if not data or truncated:
            self._end()
            return
        self._incoming += data
        self._take_frames()

    def _take_frames(self) -> None:
        start, held = 0, len(self._incoming)
        while held - start >= HEADER.size and not self._closed:
            size, kind, count = HEADER.unpack_from(self._incoming, start)
            end = start + HEADER.size + size
            if held < end:
                break
            frame = bytes(memoryview(self._incoming)[start + HEADER.size : end])
            start = end
            if count > len(self._descriptors):
                self._end()
                return
            self._on_frame(kind, frame, [self._descriptors.popleft() for _ in range(count)])
        del self._incoming[:start]

    def _end(self) -> None:
        self.close()
        self._on_end()


def _receive(end: socket.socket) -> tuple[bytes, list[int], bool]:
    """Bytes, descriptors, and whether some were lost because this process may open no more."""
    numbers = array.array("i")
    room = socket.CMSG_SPACE(MAX_DESCRIPTORS * numbers.itemsize)
    data, ancillary, flags, _ = end.recvmsg(READ_BYTES, room, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
    for number in numbers:
        with contextlib.suppress(OSError):
            os.set_inheritable(number, False)
    return data, list(numbers), bool(flags & socket.MSG_CTRUNC)

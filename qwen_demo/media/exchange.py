"""What a decoding job and the server say to each other: lines of JSON over a socket, pixels in shared memory.

The job's side. It answers first with what it is going to make, waits for memory of exactly that size, fills it and
answers once more. The server believes neither answer (`decoders.py`). Imports nothing of the package.
"""

import contextlib
import json
import os
import resource
import socket
from typing import Any

import PIL.Image
import PIL.ImageColor
import PIL.ImageFile  # Pillow imports these parts of itself at first use, when no file can be opened any more
import PIL.ImagePalette

FILE = 4  # where a job finds its file
_STRIP_BYTES = 1 << 16
# Address space beside what a job says that it takes: what an earlier file of its caller left, and a library's own.
_SLACK_BYTES = 192 << 20


class Refused(Exception):
    """A limit of the job was passed; the server has the words for each code."""

    def __init__(self, code: str, *values: float):
        super().__init__(code)
        self.code, self.values = code, values


class Exchange:
    """A decoder's line to the server.

    Args:
        own_bytes: address space that the process had before its first job; 0 where that is not known.
    """

    def __init__(self, line: socket.socket, own_bytes: int = 0):
        self._line, self._own_bytes = line, own_bytes
        self._given: list[int] = [FILE]

    def say(self, answer: dict[str, Any]) -> None:
        self._line.sendall(json.dumps(answer).encode() + b"\n")

    def memory_for(self, plan: dict[str, Any]) -> int:
        """Announce the pixels of `plan` (`width`, `height`, perhaps `count`, `peak_bytes`).

        Returns:
            the descriptor of memory that holds them: count * height * width * 3 bytes. It may take a while.
        """
        self.say(plan)
        _, descriptors, _, _ = socket.recv_fds(self._line, 16, 1)
        if not descriptors:
            os._exit(0)  # the server does not want them any more
        self._given += descriptors
        return descriptors[0]

    def keep_within(self, nbytes: int) -> None:
        """Until the next job, memory beyond what the server has counted is not to be had.

        What a file makes a library take in secret then ends in an error, and not in memory that nobody counts.
        """
        if self._own_bytes:
            _limit_memory(self._own_bytes + nbytes + _SLACK_BYTES)

    def next_job(self) -> dict[str, Any] | None:
        """The next file of the same caller, at `FILE` again; None when there is none."""
        _limit_memory(None)
        while self._given:
            os.close(self._given.pop())
        request = b""
        while not request.endswith(b"\n"):
            piece, descriptors, _, _ = socket.recv_fds(self._line, 1 << 16, 1)
            if not piece:
                return None
            request, self._given = request + piece, self._given + descriptors
        job: dict[str, Any] = json.loads(request)
        return job


def _limit_memory(nbytes: int | None) -> None:
    """Address space, within the limit that cannot be raised again; None is that limit."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    if most != resource.RLIM_INFINITY:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (most if nbytes is None else min(most, nbytes), most))


def read_whole(file: int) -> bytes:
    """All bytes of a descriptor, in one piece."""
    size = os.lseek(file, 0, os.SEEK_END)
    data = os.pread(file, size, 0)
    while len(data) < size and (
        piece := os.pread(file, size - len(data), len(data))
    ):  # 2 GiB is all that one call gives
        data += piece
    return data


def write_image(file: int, image: PIL.Image.Image, index: int = 0) -> None:
    """Packed RGB of the image, as number `index` of those of its size; strip by strip, in little memory."""
    rows = max(1, _STRIP_BYTES // (3 * image.width))
    offset = index * image.width * image.height * 3
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height))) if rows < image.height else image
        view = memoryview(strip.tobytes())
        while view:
            written = os.pwrite(file, view, offset)
            view, offset = view[written:], offset + written

"""A file's bytes in anonymous memory, where a decoder can read them without another copy."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Iterator

from qwen_demo.raster import open_memory

HEAD_BYTES = 512  # enough to tell a file's kind
_PIECE = 1 << 20
_AT_ONCE = 1 << 18  # bytes that are hashed or copied on the event loop: a fraction of a millisecond


class Content:
    """One file.

    Attributes:
        fd: memory that holds it; closed at the end of a `with` block.
        size: in bytes.
        head: its first `HEAD_BYTES`.
    """

    __slots__ = ("fd", "head", "size")

    def __init__(self, fd: int, size: int, head: bytes):
        self.fd, self.size, self.head = fd, size, head

    def __enter__(self) -> "Content":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


async def content_of(data: bytes) -> Content:
    if len(data) <= _AT_ONCE:
        return _copied(data)
    return await asyncio.to_thread(_copied, data)


async def digest_of(data: bytes) -> str:
    """SHA-256 (hex)."""
    if len(data) <= _AT_ONCE:
        return hashlib.sha256(data).hexdigest()
    return await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())


def read_file(file: int, size: int) -> tuple[Content, str]:
    """The rest of an open file and its SHA-256 (hex). Blocking.

    Raises:
        OSError: it has not `size` bytes.
    """
    digest, pieces, head = hashlib.sha256(), 0, b""
    with _memory() as fd:
        while piece := os.read(file, min(_PIECE, size + 1 - pieces)):
            pieces += len(piece)
            if pieces > size:
                raise OSError("the file grew while it was read")
            head = head or piece[:HEAD_BYTES]
            digest.update(piece)
            _write(fd, piece)
        if pieces != size:
            raise OSError("the file shrank while it was read")
        return Content(fd, size, head), digest.hexdigest()


def _copied(data: bytes) -> Content:
    with _memory() as fd:
        _write(fd, data)
        return Content(fd, len(data), data[:HEAD_BYTES])


@contextlib.contextmanager
def _memory() -> Iterator[int]:
    fd = open_memory("media")
    try:
        yield fd
    except BaseException:
        os.close(fd)
        raise


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]

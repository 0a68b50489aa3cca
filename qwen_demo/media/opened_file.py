"""A file of an allowed folder, opened once: what is checked of it is what is read."""

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from qwen_demo.errors import MediaRefused
from qwen_demo.media.content import HEAD_BYTES, Content, read_file
from qwen_demo.media.sniff import label
from qwen_demo.sentences import Sentence

# A file changed since may change again without showing it: clocks of file systems are coarse.
_SETTLED_NS = 2_000_000_000

PathKey = tuple[str, int, int, int, int]


@dataclass(slots=True)
class OpenedFile:
    """An open regular file under an allowed root.

    Attributes:
        key: the same only while nothing was written to it.
        settled: whether that can be told.
    """

    fd: int
    name: str
    size: int
    head: bytes
    key: PathKey
    settled: bool

    def read(self) -> tuple[Content, str]:
        """Its content and SHA-256 (hex). Blocking. Raises `MediaRefused`."""
        try:
            os.lseek(self.fd, 0, os.SEEK_SET)
            return read_file(self.fd, self.size)
        except OSError as exc:
            raise _cannot_be_opened(self.name) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


def open_file(
    path: Path, allowed_roots: tuple[str | Path, ...], check: Callable[[bytes, int, str], None]
) -> OpenedFile:
    """`check` gets the first bytes, the size and the name before anything else is read.

    Of a place outside of the roots nobody is told whether there is something.
    """
    name = label(path.name)
    try:
        real = path.resolve()
        if not any(real.is_relative_to(Path(root).resolve()) for root in allowed_roots):
            raise _cannot_be_opened(name)
        # Neither a link put there since nor a pipe that never ends: O_NONBLOCK opens one at once.
        fd = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError, RuntimeError) as exc:
        raise _cannot_be_opened(name) from exc
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise MediaRefused(f"{name} is not a file.")
        head = os.read(fd, HEAD_BYTES)
        check(head, status.st_size, name)
        key = (str(real), status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev)
        return OpenedFile(fd, name, status.st_size, head, key, time.time_ns() - status.st_mtime_ns > _SETTLED_NS)
    except OSError as exc:
        os.close(fd)
        raise _cannot_be_opened(name) from exc
    except BaseException:
        os.close(fd)
        raise


def _cannot_be_opened(name: str) -> MediaRefused:
    return MediaRefused(Sentence("{name} cannot be opened. Upload it again.", name=name))

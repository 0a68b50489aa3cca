"""Pixels in anonymous memory that processes share: decoded once, mapped wherever they are needed.

A raster owns one descriptor. It is sealed before it is mapped, so that nobody, the process that wrote it
included, can change or cut it afterwards. Where the system has no memfd, an unnamed temporary file serves.
"""

import contextlib
import mmap
import os
import sys
import tempfile
from collections.abc import Sequence

import numpy as np
import PIL.Image

if sys.platform == "win32":
    raise ImportError(
        "qwen_demo runs on Linux and macOS: its processes hand each other descriptors, which Windows has not. "
        "There, run it under WSL 2 or in the container image (docs/deploy-container.md)."
    )
import fcntl

_SEALS = ("F_SEAL_SHRINK", "F_SEAL_GROW", "F_SEAL_WRITE", "F_SEAL_SEAL")


def open_memory(name: str) -> int:
    """A new descriptor of empty anonymous memory that can be sealed."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def seal(fd: int) -> None:
    """Nobody can write to it or change its size any more.

    Raises:
        OSError: it is still mapped for writing somewhere.
    """
    if hasattr(fcntl, "F_ADD_SEALS"):
        seals = 0
        for each in _SEALS:
            seals |= getattr(fcntl, each)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)


class Raster:
    """`count` images of one size, [count, height, width, 3] uint8 RGB without gaps.

    Args:
        fd: taken over; closed when the raster is collected.

    Raises:
        ValueError: the memory has another size.
    """

    __slots__ = ("__weakref__", "_map", "count", "fd", "height", "width")

    def __init__(self, fd: int, count: int, width: int, height: int):
        self.fd, self.count, self.width, self.height = fd, count, width, height
        self._map: mmap.mmap | None = None
        if os.fstat(fd).st_size != self.nbytes or not self.nbytes:
            raise ValueError(f"{os.fstat(fd).st_size} bytes are not {count} images of {width} x {height}")

    @classmethod
    def of(cls, *images: PIL.Image.Image) -> "Raster":
        """A copy of RGB images of one size."""
        fd = open_memory("raster")
        for image in images:
            _write(fd, np.asarray(image.convert("RGB")))
        seal(fd)
        return cls(fd, len(images), *images[0].size)

    @classmethod
    def of_array(cls, pixels: np.ndarray) -> "Raster":
        """A copy of [count, height, width, 3] uint8."""
        fd = open_memory("raster")
        _write(fd, pixels)
        seal(fd)
        return cls(fd, len(pixels), pixels.shape[2], pixels.shape[1])

    @property
    def nbytes(self) -> int:
        return self.count * self.width * self.height * 3

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    def array(self) -> np.ndarray:
        """A read-only view, [count, height, width, 3] uint8; it keeps the memory alive.

        Raises:
            MemoryError: there is no room for it in this process.
        """
        if self._map is None:
            try:
                self._map = mmap.mmap(self.fd, self.nbytes, prot=mmap.PROT_READ)
            except OSError as exc:
                raise MemoryError(f"{self.nbytes} bytes could not be mapped: {exc.strerror}") from exc
        return np.frombuffer(self._map, np.uint8).reshape(self.count, self.height, self.width, 3)

    def image(self, index: int = 0) -> PIL.Image.Image:
        """A copy of one of them in Pillow's own layout."""
        return PIL.Image.fromarray(self.array()[index])

    def images(self) -> Sequence[PIL.Image.Image]:
        return [self.image(index) for index in range(self.count)]

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.close(self.fd)


def _write(fd: int, pixels: np.ndarray) -> None:
    data = np.ascontiguousarray(pixels).data.cast("B")
    while data:
        data = data[os.write(fd, data) :]

"""Bounds what visitors leave on the disk: bytes, files, and what stays free. Gradio itself deletes by age only."""

import asyncio
import logging
import os
import shutil
import time
from pathlib import Path

from qwen_demo.errors import DiskFull

log = logging.getLogger(__name__)

CHECK_EVERY_S = 5.0
# Files of all uploads together; each takes an inode, however small it is.
MAX_FILES = 10_000
# What stays free on the disk of the uploads.
RESERVE_BYTES, RESERVE_FILES = 512 << 20, 1024


def trim(folder: Path, max_bytes: int, max_files: int = MAX_FILES) -> int:
    """Delete the oldest files of `folder` until the rest is within both bounds; gives how many went."""
    files = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                files.append((path.stat().st_mtime, path.stat().st_size, path))
        except FileNotFoundError:
            continue  # somebody else was faster
    excess_bytes, excess_files = sum(size for _, size, _ in files) - max_bytes, len(files) - max_files
    gone = 0
    for _, size, path in sorted(files, key=lambda file: file[0]):
        if excess_bytes <= 0 and gone >= excess_files:
            break
        path.unlink(missing_ok=True)
        _remove_if_empty(path.parent, folder)
        excess_bytes -= size
        gone += 1
    return gone


def _remove_if_empty(child: Path, folder: Path) -> None:
    """A folder is an inode as well."""
    if child != folder:
        try:
            child.rmdir()
        except OSError:
            return  # it has another file


def remove_remains(folder: Path, before: float | None = None) -> None:
    """Delete what uploads left that broke off, as far as it was begun before a time; by default all of it.

    Gradio writes each upload under a temporary name into the folder itself, and moves it into a folder of its own
    when it is whole.

    Args:
        before: of `time.time()`; what began later may belong to an upload that is under way.
    """
    for path in folder.glob("tmp*"):
        try:
            if path.is_file() and (before is None or path.stat().st_ctime < before):
                path.unlink()
        except FileNotFoundError:
            continue


async def keep_trimmed(folder: Path, max_bytes: int) -> None:
    """`trim` now and then, until cancelled."""
    while True:
        try:
            gone = await asyncio.to_thread(trim, folder, max_bytes)
        except OSError as error:  # another program's file, say, where the folder is shared
            gone = 0
            log.warning("uploads are not trimmed: %s", error)
        if gone:
            log.warning("uploads were over %d bytes or %d files: the %d oldest are deleted", max_bytes, MAX_FILES, gone)
        await asyncio.sleep(CHECK_EVERY_S)


class Disk:
    """Room for uploads that are under way.

    Args:
        folder: where they are written to.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._promised = 0  # bytes that may still be written
        self._began: dict[object, float] = {}

    def check(self, count: int) -> None:
        """Raises `DiskFull` where there is no room for `count` bytes besides what was promised and the reserve."""
        if shutil.disk_usage(self._folder).free < RESERVE_BYTES + self._promised + count:
            raise DiskFull
        if hasattr(os, "statvfs"):
            there = os.statvfs(self._folder)
            if there.f_files and there.f_favail < RESERVE_FILES:  # some file systems count none
                raise DiskFull

    def promise(self, count: int) -> None:
        """Room for `count` bytes, to be taken back as they are written. Raises `DiskFull`."""
        self.check(count)
        self._promised += count

    def written(self, count: int) -> None:
        self._promised -= count

    def begin(self, upload: object) -> None:
        self._began[upload] = time.time()

    def end(self, upload: object) -> None:
        del self._began[upload]

    def sweep(self) -> None:
        """Delete what broken-off uploads left; blocks."""
        # What is begun within a second of another upload's beginning is left for the next time: clocks are coarse.
        remove_remains(self._folder, min(self._began.values(), default=time.time() + 2) - 1)

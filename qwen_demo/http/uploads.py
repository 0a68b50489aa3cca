"""Bounds what visitors leave on the disk. Gradio itself deletes by age only."""

import asyncio
import logging
from pathlib import Path

log = logging.getLogger(__name__)

CHECK_EVERY_S = 30.0


def trim(folder: Path, max_bytes: int) -> int:
    """Delete the oldest files of `folder` until the rest has at most `max_bytes`; gives how many went."""
    files = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                files.append((path.stat().st_mtime, path.stat().st_size, path))
        except FileNotFoundError:
            continue  # somebody else was faster
    excess = sum(size for _, size, _ in files) - max_bytes
    gone = 0
    for _, size, path in sorted(files, key=lambda file: file[0]):
        if excess <= 0:
            break
        path.unlink(missing_ok=True)
        excess -= size
        gone += 1
    return gone


def remove_remains(folder: Path) -> None:
    """Delete what uploads left that broke off; only while none is under way.

    Gradio writes each upload under a temporary name into the folder itself, and moves it into a folder of its own
    when it is whole.
    """
    for path in folder.glob("tmp*"):
        if path.is_file():
            path.unlink(missing_ok=True)


async def keep_trimmed(folder: Path, max_bytes: int) -> None:
    """`trim` now and then, until cancelled."""
    while True:
        if gone := await asyncio.to_thread(trim, folder, max_bytes):
            log.warning("uploads were over %d bytes: the %d oldest files are deleted", max_bytes, gone)
        await asyncio.sleep(CHECK_EVERY_S)

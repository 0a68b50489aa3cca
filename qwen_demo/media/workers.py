"""A process of its own for each file that a large library in C decodes.

It gets the file on stdin and a job on its command line, answers with one line of JSON and then
raw bytes, and is killed when time is up or nobody waits. `confine.py` takes its rights away.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

BOOT = (
    "import json, runpy, sys; job = json.loads(sys.argv[1]); sys.path[:] = job['sys_path']; "
    "runpy.run_path(job['worker'], run_name='__main__')"
)


def place(worker: Path) -> dict:
    """The part of a job that says which program runs."""
    return {"worker": str(worker), "sys_path": [entry for entry in sys.path if entry]}


async def run(job: dict, data: bytes, timeout_s: float, body_bytes: Callable[[dict], int]) -> tuple[dict, bytes]:
    """Header and body that the worker of `job` makes of `data`.

    Args:
        body_bytes: how long the body after this header is; raises if it cannot be right.

    Raises:
        TimeoutError: it took longer than `timeout_s`.
        ValueError, TypeError, LookupError, asyncio.IncompleteReadError: it died or answered nonsense.
    """
    with await asyncio.to_thread(_file_of, data) as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-c", BOOT, json.dumps(job)),
            stdin=file,
            stdout=asyncio.subprocess.PIPE,
            env={},
            start_new_session=True,
            limit=1 << 20,
        )
    try:
        async with asyncio.timeout(timeout_s):
            return await _answer(process, body_bytes)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _answer(process: asyncio.subprocess.Process, body_bytes: Callable[[dict], int]) -> tuple[dict, bytes]:
    line = await process.stdout.readline()
    header, body = {}, b""
    if line:
        header = json.loads(line)
        body = await process.stdout.readexactly(body_bytes(header))
    if await process.stdout.read(1):
        raise ValueError("the worker sent more than it announced")
    await process.wait()
    if not line:
        raise ValueError(f"the worker died with code {process.returncode}")
    return header, body


def _file_of(data: bytes) -> BinaryIO:
    """`data` as a file without a name; in memory where the system can, so that no disk fills."""
    file = open(os.memfd_create("media"), "w+b") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()  # noqa: SIM115
    file.write(data)
    file.seek(0)
    return file

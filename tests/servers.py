"""Starts the program as a user does and finds its address."""

import contextlib
import fcntl
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass
class Server:
    process: subprocess.Popen
    url: str = ""
    lines: list[str] = field(default_factory=list)

    def wait_for(self, pattern: str, timeout_s: float = 300, after: int = 0) -> re.Match:
        """The first printed line with `pattern`, of those after the first `after`."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for line in self.lines[after:]:
                if match := re.search(pattern, line):
                    return match
            if self.process.poll() is not None and not self._reader.is_alive():
                break
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} was not printed:\n" + "".join(self.lines))

    def __post_init__(self):
        self._reader = threading.Thread(
            target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")), daemon=True
        )
        self._reader.start()

    def close(self) -> None:
        self._reader.join()
        self.process.stdout.close()

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=60) as response:
            return response.read().decode()


@contextlib.contextmanager
def running(*flags: str, ready: bool = True, **environment: str) -> Iterator[Server]:
    """`python app.py` on a free port, stopped at the end."""
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", "0", *flags],
        cwd=ROOT,
        # All tests come from one address.
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "QWEN_DEMO_CALLER_SHARE": "1",
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = Server(process)
    try:
        server.url = server.wait_for(r"demo: (http://[^\s\"]+)").group(1)
        if ready:
            server.wait_for("^Ready after")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            server.close()


@dataclass
class SharedServer:
    """A running program that several workers of a test run ask."""

    url: str

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path, timeout=60) as response:
            return response.read().decode()


@contextlib.contextmanager
def shared(folder: Path, name: str, *flags: str) -> Iterator[SharedServer]:
    """One `python app.py` for all workers that share `folder`: whoever needs it first starts it, and stops it last."""
    entry = folder / f"{name}.json"
    with contextlib.ExitStack() as stack:
        with _locked(entry) as state:
            if not state.get("users"):
                state.update(url=stack.enter_context(running(*flags)).url, users=0)
                stack.callback(_wait_until_unused, entry)
            state["users"] += 1
        try:
            yield SharedServer(state["url"])
        finally:
            with _locked(entry) as state:
                state["users"] -= 1


def _wait_until_unused(entry: Path, timeout_s: float = 600) -> None:
    """A worker that died leaves its use behind, so not for ever."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with _locked(entry) as state:
            if not state["users"]:
                return
        time.sleep(0.1)


@contextlib.contextmanager
def _locked(entry: Path) -> Iterator[dict]:
    """What stands in the file, to be read and changed while no other process does."""
    with entry.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        state = json.loads(file.read() or "{}")
        yield state
        file.truncate(0)
        file.write(json.dumps(state))

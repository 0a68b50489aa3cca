"""One process of an engine, as the front sees it: started, watched, told, ended."""

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from qwen_demo.engines.process import codec
from qwen_demo.engines.process.protocol import BOOTSTRAP, SIGN_OF_LIFE, Setup, Tell
from qwen_demo.engines.process.wire import Channel, HasDescriptor
from qwen_demo.sentences import Sentence

log = logging.getLogger(__name__)

MALFORMED = (pickle.UnpicklingError, LookupError, TypeError, ValueError, AttributeError, EOFError)
# Loading may hold Python's lock for seconds at a time.
LOADING_SILENCE_S = 60.0
LOOK_EVERY_S = 0.01
LAST_WORDS_S = 0.2
PF_EXITING = 0x4  # of Linux' include/linux/sched.h


class EngineProcess:
    """Owns the process, both its pipes, and every way in which it can end.

    Args:
        setup: what it builds.
        environment: all of its environment; None is the front's.
        on_frame: gets kind and bytes of what it sends once its engine has started, and of snapshots before.

    Attributes:
        started: done when its engine has started; else the error that it failed with.
    """

    def __init__(self, setup: Setup, environment: Mapping[str, str] | None, on_frame: Callable[[int, bytes], None]):
        self._silent = asyncio.Event()
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.resident_bytes = 0
        self._on_frame = on_frame
        self._silence_s = setup.silence_s
        self._still_s = 0.0
        self._signed = self._looked = time.monotonic()
        self._stopped_before = self._let_go = self._malformed = False
        ours, theirs = socket.socketpair()
        self._life, life = os.pipe()
        try:
            # By the loop's own thread: the process is killed when the thread that started it ends.
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(Path(__file__).with_name("boot.py")), str(theirs.fileno()), str(life)],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), life),
                env=environment,
                start_new_session=True,  # Ctrl-C in the terminal is the front's to hear
            )
        except BaseException:
            ours.close()
            os.close(self._life)
            raise
        finally:
            theirs.close()
            os.close(life)
        os.set_blocking(self._life, False)
        self._channel = Channel(ours, self._take, self._silent.set)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._life, self._read_life)
        path, given = pickle.dumps([os.path.abspath(each) for each in sys.path]), pickle.dumps(setup)
        self._channel.send_raw(BOOTSTRAP.pack(len(path), len(given)) + path + given)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, kind: int, data: bytes, owners: Sequence[HasDescriptor] = ()) -> None:
        self._channel.send(kind, data, owners)

    def trouble(self) -> Sentence | None:
        """Why it must be given up although it has not ended, if it must. To be asked several times a second."""
        now = time.monotonic()
        if now - self._looked > self._silence_s / 2:  # it was the front that slept
            self._signed = now
        self._looked = now
        state, _ = _state_of(self.pid)
        stopped, self._stopped_before = state == "T" and self._stopped_before, state == "T"
        allowed_s = self._silence_s if self.started.done() else max(self._silence_s, LOADING_SILENCE_S)
        if stopped:
            return Sentence("stopped by a signal")
        if now - self._signed > allowed_s:
            return Sentence("it gave no sign of life for {seconds:.0f} s", seconds=now - self._signed)
        if self._still_s > allowed_s:
            return Sentence("it has been stuck for {seconds:.0f} s", seconds=self._still_s)
        return None

    async def ended(self, timeout_s: float) -> bool:
        """Wait at most so long; whether it has ended, and all that it sent was read."""
        if await _set_within(self._silent, timeout_s):
            return True
        if self._process.poll() is None and not _state_of(self.pid)[1]:
            return False
        # What it started may still hold its end of the socket.
        await _set_within(self._silent, LAST_WORDS_S)
        return True

    async def how(self, timeout_s: float) -> Sentence:
        """How it ended, once it has; waits at most `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while self._process.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 no event on every system
            await asyncio.sleep(LOOK_EVERY_S)
        code = self._process.returncode
        if self._malformed:
            return Sentence("it sent what is no answer")
        if code is None:
            return Sentence("it is ending")
        if code >= 0:
            return Sentence("exit code {code}", code=code)
        with contextlib.suppress(ValueError):
            return Sentence("killed by {signal}", signal=signal.Signals(-code).name)
        return Sentence("killed by signal {number}", number=-code)

    async def gone(self, timeout_s: float) -> bool:
        """Whether it has ended within that time."""
        await self.how(timeout_s)
        return self._process.returncode is not None

    def kill(self) -> None:
        """End it and what it started, and let go of it. What it sent and was not read is lost."""
        if self._let_go:
            return
        self._let_go = True
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._channel.close()
        self._loop.remove_reader(self._life)
        os.close(self._life)
        self.started.cancel()

    def _take(self, kind: int, data: bytes, descriptors: list[int]) -> None:
        for each in descriptors:
            os.close(each)
        try:
            if kind == Tell.STARTED:
                self.started.set_result(None)
            elif kind == Tell.NOT_STARTED:
                self.started.set_exception(codec.unpack_error(codec.decode(data)))
            else:
                self._on_frame(kind, data)
        except MALFORMED:
            log.exception("the engine's process sent what is no answer")
            self._malformed = True
            self._silent.set()

    def _read_life(self) -> None:
        try:
            data = os.read(self._life, 1 << 12)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self._life)
            return
        self._signed = time.monotonic()
        self._still_s, self.resident_bytes = SIGN_OF_LIFE.unpack(data[-SIGN_OF_LIFE.size :])


async def _set_within(event: asyncio.Event, timeout_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
    return event.is_set()


def _state_of(pid: int) -> tuple[str, bool]:
    """The process' state in Linux' letters and whether it is exiting; nothing where there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return "", False
    return fields[0], bool(int(fields[6]) & PF_EXITING)

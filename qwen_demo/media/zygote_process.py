"""A zygote seen from the server: started, told to fork decoders and to end them, and gone."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from qwen_demo.errors import NotReady
from qwen_demo.media import jobs
from qwen_demo.media.jobs import Decoder, Task, restarted

START_S = 60.0

# The package without its own imports: a decoder needs neither an HTTP client nor settings.
_BOOT = (
    "import json, sys, types\n"
    "place = json.loads(sys.argv[1])\n"
    "sys.path[:] = place['sys_path']\n"
    "for name, folder in place['packages'].items():\n"
    "    sys.modules[name] = types.ModuleType(name)\n"
    "    sys.modules[name].__path__ = [folder]\n"
    "from qwen_demo.media import zygote\n"
    "zygote.main(place)\n"
)
# The last three: a new process pays for every symbol that it is the first to use, and one that serves again for every
# page that it had given back.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "LD_BIND_NOW": "1",
    "MALLOC_MMAP_THRESHOLD_": str(8 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(32 << 20),
}
_MEDIA = Path(__file__).parent


class ZygoteProcess:
    """The server's end of one `zygote.py`.

    Attributes:
        decoders: those that are not known to have ended, by number.
        begun: how many it has forked.
        gone: done once its process has ended.
    """

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket):
        self._process, self._control = process, control
        self.sandbox: tuple[str, ...] = ()
        self.decoders: dict[int, Decoder] = {}
        self.begun = 0
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._retired = self._ending = False
        self.gone = asyncio.ensure_future(self._listen())

    @classmethod
    async def started(cls, program: str) -> "ZygoteProcess":
        """Raises `NotReady`."""
        control, theirs = socket.socketpair()
        control.setblocking(False)
        place = {
            "program": program,
            "server": os.getpid(),
            "sys_path": [entry for entry in sys.path if entry],
            "packages": {"qwen_demo": str(_MEDIA.parent), "qwen_demo.media": str(_MEDIA)},
        }
        try:
            with theirs:
                # Not in a thread: Linux ends it together with the thread that started it.
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", "-c", _BOOT, json.dumps(place)),
                    stdin=theirs.fileno(),
                    stdout=asyncio.subprocess.DEVNULL,
                    env=_ENVIRONMENT,
                    start_new_session=True,
                )
        except OSError as exc:
            control.close()
            raise NotReady(f"The decoders cannot be started: {exc.strerror}.") from exc
        zygote = cls(process, control)
        try:
            async with asyncio.timeout(START_S):
                await zygote._ready
        except (TimeoutError, ConnectionError) as exc:
            raise NotReady("The decoders cannot be started; the server's log has the reason.") from exc
        finally:
            if not zygote.alive:
                zygote.kill()
        return zygote

    @property
    def alive(self) -> bool:
        return bool(self.sandbox) and not self._ending and not self.gone.done()

    def fork(self, task: Task, file: int, caller: str) -> Decoder:
        """A new process, at work on `file`. Raises `Overloaded`."""
        self.begun += 1
        line, theirs = socket.socketpair()
        line.setblocking(False)
        decoder = Decoder(self.begun, line, task, caller, self._kill)
        request = {"number": decoder.number, "job": task.job, "limits": task.limits, "again": bool(caller)}
        with theirs:
            try:
                self._send(json.dumps(request).encode(), [theirs.fileno(), file])
            except OSError as exc:
                line.close()
                raise restarted() from exc
        self.decoders[decoder.number] = decoder
        return decoder

    def _kill(self, decoder: Decoder) -> None:
        """It ends, or the zygote with it."""
        with contextlib.suppress(OSError):
            self._send(json.dumps({"kill": decoder.number}).encode(), [])
        late = asyncio.get_running_loop().call_later(jobs.GRACE_S, self.kill)
        decoder.ended.add_done_callback(lambda _: late.cancel())

    def retire(self) -> None:
        """It gets no more jobs, and ends with its last one."""
        self._retired = True
        if not self.decoders:
            self.kill()

    def kill(self) -> None:
        """Its jobs go with it."""
        if not self._ending:
            self._ending = True
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _send(self, request: bytes, descriptors: list[int]) -> None:
        message = len(request).to_bytes(4) + request
        if socket.send_fds(self._control, [message], descriptors) != len(message):
            self.kill()  # it does not read any more
            raise BlockingIOError

    async def _listen(self) -> None:
        """Read its replies until it has ended."""
        loop, buffer = asyncio.get_running_loop(), b""
        try:
            while piece := await loop.sock_recv(self._control, 1 << 16):
                *lines, buffer = (buffer + piece).split(b"\n")
                for line in lines:
                    self._hear(json.loads(line))
        except ConnectionError:
            pass
        finally:
            self._ending = True
            self._control.close()
            for decoder in self.decoders.values():
                decoder.ended.set_result(None)
            self.decoders.clear()
            if not self._ready.done():
                self._ready.set_exception(ConnectionError("it ended before it was ready"))
        await self._process.wait()

    def _hear(self, reply: dict[str, Any]) -> None:
        if "ready" in reply:
            self.sandbox = tuple(reply["ready"])
            if not self._ready.done():
                self._ready.set_result(None)
        else:
            self.decoders.pop(reply["ended"]).ended.set_result(reply["status"])
            if self._retired and not self.decoders:
                self.kill()

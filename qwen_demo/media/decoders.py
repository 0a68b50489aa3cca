"""The decoders seen from the server: one zygote for each kind of file, a process for each job, a share for each kind.

A job gets its file as a descriptor, says what it is going to make, gets memory of just that size, and fills it. The
server reads two short answers and believes neither: sizes are checked by whoever asked, the memory's size is sealed
before the job sees it, and its content before the server does, which fails if anybody could still write.

A job that is late, or whose caller has left, is killed. A zygote that ended is replaced with the next job, and one
that has served many is renewed, so that addresses which hostile files might have guessed at are drawn again.
"""

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from qwen_demo.errors import NotReady, Overloaded
from qwen_demo.media import jobs
from qwen_demo.media.jobs import Job, Task, restarted
from qwen_demo.sentences import Sentence

PROGRAMS = {
    "image": "qwen_demo.media.image_decoder",
    "deep image": "qwen_demo.media.deep_image_decoder",
    "video": "qwen_demo.media.video_decoder",
    "pdf": "qwen_demo.media.pdf_decoder",
}
JOBS_OF_A_ZYGOTE = 1000
START_S = 60.0
WAIT_S = 60.0  # for a free decoder
RETRY_AFTER_S = 5.0

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
_MEDIA = Path(__file__).parent
log = logging.getLogger(__name__)


class DecoderPool:
    """Processes that decode strangers' files. Belongs to one event loop, and to the next when that is closed.

    Args:
        at_once: images decoded at the same time; 0 takes the number of processors. Of videos and PDF pages half as
            many each, and two at least, so that neither holds up the other.
        programs: module that decodes, by kind.
    """

    def __init__(self, at_once: int = 0, *, programs: Mapping[str, str] = PROGRAMS):
        images = at_once or min(16, max(2, os.cpu_count() or 1))
        self.at_once = {kind: images if kind == "image" else max(2, images // 2) for kind in programs}
        self._programs = dict(programs)
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._free = {kind: asyncio.Semaphore(count) for kind, count in self.at_once.items()}
        self._starting = {kind: asyncio.Lock() for kind in self._programs}
        self._zygotes: dict[str, _Zygote] = {}  # those of another loop end, as nobody holds their sockets
        self._tasks: set[asyncio.Task[None]] = set()

    def _check_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop is not loop:
            if not self._loop.is_closed():
                raise RuntimeError("these decoders belong to another event loop")
            self._begin_anew()
        self._loop = loop

    @property
    def sandbox(self) -> tuple[str, ...]:
        """What confines the decoders: "Landlock (ABI 7)", "seccomp", "limits"; empty until one has started."""
        return next((zygote.sandbox for zygote in self._zygotes.values()), ())

    @property
    def running(self) -> int:
        """Jobs at work."""
        return sum(len(zygote.ended) for zygote in self._zygotes.values())

    async def start(self, kind: str = "image") -> None:
        """Have the processes of this kind warm before they are asked for."""
        self._check_loop()
        await self._zygote(kind)

    @contextlib.asynccontextmanager
    async def job(self, task: Task, file: int) -> AsyncIterator[Job]:
        """A process at work on `file`, once one is free; they are given in the order of calls.

        Args:
            file: descriptor of memory that holds the file.

        Raises:
            Overloaded: none was free for long, or the processes ended in the middle.
            NotReady: they cannot be started.
        """
        self._check_loop()
        free = self._free[task.kind]
        try:
            async with asyncio.timeout(WAIT_S):
                await free.acquire()
        except TimeoutError as exc:
            raise Overloaded(
                Sentence("All decoders are busy. Try again in {seconds:.0f} s.", seconds=jobs.GRACE_S),
                retry_after_s=jobs.GRACE_S,
            ) from exc
        try:
            zygote = await self._zygote(task.kind)
            running = zygote.begin(task, file)
        except BaseException:
            free.release()
            raise
        running.ended.add_done_callback(lambda _: free.release())
        try:
            yield running
        finally:
            ending = asyncio.ensure_future(running.stop())
            self._tasks.add(ending)
            ending.add_done_callback(self._tasks.discard)
            if not running.finished:
                await asyncio.shield(ending)

    async def close(self) -> None:
        """End all processes, jobs in the middle included."""
        self._check_loop()
        self._closed = True
        for zygote in self._zygotes.values():
            zygote.kill()
        await asyncio.gather(*(zygote.gone for zygote in self._zygotes.values()), *self._tasks, return_exceptions=True)

    async def _zygote(self, kind: str) -> "_Zygote":
        async with self._starting[kind]:
            if self._closed:
                raise NotReady("The decoders are shut down.")
            zygote = self._zygotes.get(kind)
            if zygote is None or not zygote.alive or zygote.begun >= JOBS_OF_A_ZYGOTE:
                if zygote is not None:
                    zygote.retire()
                told = bool(self.sandbox)
                zygote = self._zygotes[kind] = await _Zygote.started(self._programs[kind])
                if not told:
                    log.info("decoders are confined by %s", _listed(zygote.sandbox))
            return zygote


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


class _Zygote:
    """The server's end of one `zygote.py`.

    Attributes:
        ended: jobs that are not known to have ended, by number.
        begun: how many it has been given.
        gone: done once its process has ended.
    """

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket):
        self._process, self._control = process, control
        self.sandbox: tuple[str, ...] = ()
        self.ended: dict[int, asyncio.Future[int | None]] = {}
        self.begun = 0
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._retired = self._killed = False
        self.gone = asyncio.ensure_future(self._listen())

    @classmethod
    async def started(cls, program: str) -> "_Zygote":
        """Raises `NotReady`."""
        control, theirs = socket.socketpair()
        control.setblocking(False)
        place = {
            "program": program,
            "server": os.getpid(),
            "sys_path": [entry for entry in sys.path if entry],
            "packages": {"qwen_demo": str(_MEDIA.parent), "qwen_demo.media": str(_MEDIA)},
        }
        with theirs:
            # Not in a thread: Linux ends it together with the thread that started it.
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", _BOOT, json.dumps(place)),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                env={"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
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
        return bool(self.sandbox) and not self._killed and not self.gone.done()

    def begin(self, task: Task, file: int) -> Job:
        self.begun += 1
        line, theirs = socket.socketpair()
        line.setblocking(False)
        running = Job(self.begun, line, task.timeout_s, self._end)
        with theirs:
            request = json.dumps({"number": running.number, "job": task.job, "limits": task.limits}).encode()
            try:
                self._send(request, [theirs.fileno(), file])
            except OSError as exc:
                line.close()
                raise restarted() from exc
        self.ended[running.number] = running.ended
        return running

    async def _end(self, running: Job) -> None:
        """Return once the job's process is gone; it has little time for it, or none."""
        for kill in (False, True) if running.finished else (True,):
            if kill and not running.ended.done():
                with contextlib.suppress(OSError):
                    self._send(json.dumps({"kill": running.number}).encode(), [])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(jobs.GRACE_S):
                    await asyncio.shield(running.ended)
                    break
        else:
            self.kill()
            await running.ended
        if self._retired and not self.ended:
            self.kill()

    def retire(self) -> None:
        """It gets no more jobs, and ends with its last one."""
        self._retired = True
        if not self.ended:
            self.kill()

    def kill(self) -> None:
        """Its jobs go with it."""
        if not self._killed:
            self._killed = True
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
            self._control.close()
            for ended in self.ended.values():
                if not ended.done():
                    ended.set_result(None)
            self.ended.clear()
            if not self._ready.done():
                self._ready.set_exception(ConnectionError("it ended before it was ready"))
        await self._process.wait()

    def _hear(self, reply: dict[str, Any]) -> None:
        if "ready" in reply:
            self.sandbox = tuple(reply["ready"])
            if not self._ready.done():
                self._ready.set_result(None)
        else:
            ended = self.ended.pop(reply["ended"], None)
            if ended is not None and not ended.done():
                ended.set_result(reply["status"])

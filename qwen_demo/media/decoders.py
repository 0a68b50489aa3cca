"""The decoders seen from the server: one zygote for each kind of file, processes for jobs, a share for each kind.

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
from qwen_demo.media.callers import current_caller
from qwen_demo.media.jobs import Decoder, Job, Task, restarted
from qwen_demo.media.resting import MAX_JOBS, Resting
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
        self._working = dict.fromkeys(self.at_once, 0)
        self._starting = {kind: asyncio.Lock() for kind in self._programs}
        # Those of another loop end, as nobody holds their sockets.
        self._zygotes: dict[str, _Zygote] = {}
        self._resting = {kind: Resting() for kind in self._programs}
        self._retired: set[_Zygote] = set()
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
        return sum(len(zygote.decoders) for zygote in self._all()) - sum(map(len, self._resting.values()))

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
                Sentence("All decoders are busy. Try again in {seconds:.0f} s.", seconds=RETRY_AFTER_S),
                retry_after_s=RETRY_AFTER_S,
            ) from exc
        self._working[task.kind] += 1
        try:
            running = await self._begun(task, file)
        except BaseException:
            self._leave(task.kind)
            raise
        running.over.add_done_callback(lambda _: self._leave(task.kind))
        try:
            yield running
        finally:
            if running.decoder.jobs < MAX_JOBS and running.rested():
                self._resting[task.kind].put(running.decoder)
            elif running.finished:
                await running.stop()  # at once: it ends by itself
            else:
                ending = asyncio.ensure_future(running.stop())
                self._tasks.add(ending)
                ending.add_done_callback(self._tasks.discard)
                await asyncio.shield(ending)

    async def _begun(self, task: Task, file: int) -> Job:
        """A job in a decoder that its caller has used before, or in a new one. Raises as `job`."""
        resting = self._resting[task.kind]
        caller = current_caller.get() if task.again else ""
        while caller and (decoder := resting.take(caller, task)):
            try:
                decoder.give(task, file)
            except OSError:
                decoder.end()
            else:
                return Job(decoder, task.timeout_s)
        zygote = await self._zygote(task.kind)
        # Those at work, this one included, and those at rest are no more than may work at once.
        resting.end_all_but(self.at_once[task.kind] - self._working[task.kind])
        return Job(zygote.fork(task, file, caller), task.timeout_s)

    def _leave(self, kind: str) -> None:
        self._working[kind] -= 1
        self._free[kind].release()

    async def close(self) -> None:
        """End all processes, jobs in the middle included."""
        self._check_loop()
        self._closed = True
        for zygote in self._all():
            zygote.kill()
        await asyncio.gather(*(zygote.gone for zygote in self._all()), *self._tasks, return_exceptions=True)

    def _all(self) -> list["_Zygote"]:
        return [*self._zygotes.values(), *self._retired]

    async def _zygote(self, kind: str) -> "_Zygote":
        async with self._starting[kind]:
            if self._closed:
                raise NotReady("The decoders are shut down.")
            zygote = self._zygotes.get(kind)
            if zygote is None or not zygote.alive or zygote.begun >= JOBS_OF_A_ZYGOTE:
                if zygote is not None:
                    self._resting[kind].end_all_but(0)
                    self._retire(zygote)
                told = bool(self.sandbox)
                zygote = self._zygotes[kind] = await _Zygote.started(self._programs[kind])
                if not told:
                    level = logging.INFO if len(zygote.sandbox) > 1 else logging.WARNING
                    log.log(level, "decoders are confined by %s", _listed(zygote.sandbox))
            return zygote

    def _retire(self, zygote: "_Zygote") -> None:
        self._retired.add(zygote)
        zygote.gone.add_done_callback(lambda _: self._retired.discard(zygote))
        zygote.retire()


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


class _Zygote:
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

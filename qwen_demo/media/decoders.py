"""The decoders seen from the server: one zygote for each kind of file, processes for jobs, a share for each kind.

A job gets its file as a descriptor, says what it is going to make, gets memory of just that size, and fills it. The
server reads two short answers and believes neither: sizes are checked by whoever asked, the memory's size is sealed
before the job sees it, and its content before the server does, which fails if anybody could still write.

A job that is late, or whose caller has left, is killed. A zygote that ended is replaced with the next job, and one
that has served many is renewed, so that addresses which hostile files might have guessed at are drawn again.
"""

import asyncio
import contextlib
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

from qwen_demo.errors import NotReady, Overloaded
from qwen_demo.fairness import Account, Turns, current_account
from qwen_demo.media.callers import current_caller
from qwen_demo.media.jobs import DecoderJob, Task
from qwen_demo.media.resting import MAX_JOBS, Resting
from qwen_demo.media.zygote_process import ZygoteProcess
from qwen_demo.sentences import Sentence

PROGRAMS = {
    "image": "qwen_demo.media.image_decoder",
    "deep image": "qwen_demo.media.deep_image_decoder",
    "heic image": "qwen_demo.media.heif_decoder",
    "video": "qwen_demo.media.video_decoder",
    "pdf": "qwen_demo.media.pdf_decoder",
    "points": "qwen_demo.media.points_decoder",
    "pdf text": "qwen_demo.media.pdf_text_decoder",
    "office": "qwen_demo.media.office_decoder",
}
JOBS_OF_A_ZYGOTE = 1000
WAIT_S = 60.0  # for a free decoder
RETRY_AFTER_S = 5.0

log = logging.getLogger(__name__)


class DecoderPool:
    """Processes that decode strangers' files. Belongs to one event loop, and to the next when that is closed.

    Args:
        at_once: images decoded at the same time; 0 takes the number of processors. Of videos and PDF pages half as
            many each, and two at least, so that neither holds up the other.
        programs: module that decodes, by kind.

    Attributes:
        at_once: how many may be at work, by kind.
        waited: told of each wait, also of one that was in vain: kind and seconds.
    """

    def __init__(self, at_once: int = 0, *, programs: Mapping[str, str] = PROGRAMS):
        images = at_once or min(16, max(2, os.cpu_count() or 1))
        self.at_once = {kind: images if kind == "image" else max(2, images // 2) for kind in programs}
        self.waited: Callable[[str, float], None] = lambda kind, seconds: None
        self._programs = dict(programs)
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._turns = {kind: _turns(count) for kind, count in self.at_once.items()}
        self._waiting = dict.fromkeys(self.at_once, 0)
        self._working = dict.fromkeys(self.at_once, 0)
        self._starting = {kind: asyncio.Lock() for kind in self._programs}
        # Those of another loop end, as nobody holds their sockets.
        self._zygotes: dict[str, ZygoteProcess] = {}
        self._resting = {kind: Resting() for kind in self._programs}
        self._retired: set[ZygoteProcess] = set()
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

    def working(self, kind: str) -> int:
        """Jobs of this kind at work."""
        return self._working[kind]

    def waiting(self, kind: str) -> int:
        """Jobs of this kind that wait for a decoder."""
        return self._waiting[kind]

    async def start(self, kind: str = "image") -> None:
        """Have the processes of this kind warm before they are asked for."""
        self._check_loop()
        await self._zygote(kind)

    @contextlib.asynccontextmanager
    async def job(self, task: Task, file: int) -> AsyncIterator[DecoderJob]:
        """A process at work on `file`, once one is free; they are given in the order of calls.

        Args:
            file: descriptor of memory that holds the file.

        Raises:
            Overloaded: none was free for long, or the processes ended in the middle.
            NotReady: they cannot be started.
        """
        self._check_loop()
        account = current_account.get()
        try:
            with self._counted(task.kind):
                async with asyncio.timeout(WAIT_S):
                    await self._turns[task.kind].take(account)
        except TimeoutError as exc:
            raise Overloaded(
                Sentence("All decoders are busy. Try again in {seconds:.0f} s.", seconds=RETRY_AFTER_S),
                retry_after_s=RETRY_AFTER_S,
            ) from exc
        self._working[task.kind] += 1
        try:
            running = await self._begun(task, file)
        except BaseException:
            self._leave(task.kind, account)
            raise
        running.over.add_done_callback(lambda _: self._leave(task.kind, account))
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

    @contextlib.contextmanager
    def _counted(self, kind: str) -> Iterator[None]:
        """Around a wait for a free decoder."""
        begun = time.perf_counter()
        self._waiting[kind] += 1
        try:
            yield
        finally:
            self._waiting[kind] -= 1
            self.waited(kind, time.perf_counter() - begun)

    async def _begun(self, task: Task, file: int) -> DecoderJob:
        """A job in a decoder that its caller has used before, or in a new one. Raises as `job`."""
        resting = self._resting[task.kind]
        caller = current_caller.get() if task.again else ""
        while caller and (decoder := resting.take(caller, task)):
            try:
                decoder.give(task, file)
            except OSError:
                decoder.end()
            else:
                return DecoderJob(decoder, task.timeout_s)
        zygote = await self._zygote(task.kind)
        # Those at work, this one included, and those at rest are no more than may work at once.
        resting.end_all_but(max(0, self.at_once[task.kind] - self._working[task.kind]))
        return DecoderJob(zygote.fork(task, file, caller), task.timeout_s)

    def _leave(self, kind: str, account: Account) -> None:
        self._working[kind] -= 1
        self._turns[kind].give_back(account)

    async def close(self) -> None:
        """End all processes, jobs in the middle included."""
        self._check_loop()
        self._closed = True
        for zygote in self._all():
            zygote.kill()
        await asyncio.gather(*(zygote.gone for zygote in self._all()), *self._tasks, return_exceptions=True)

    def _all(self) -> list["ZygoteProcess"]:
        return [*self._zygotes.values(), *self._retired]

    async def _zygote(self, kind: str) -> "ZygoteProcess":
        async with self._starting[kind]:
            if self._closed:
                raise NotReady("The decoders are shut down.")
            zygote = self._zygotes.get(kind)
            if zygote is None or not zygote.alive or zygote.begun >= JOBS_OF_A_ZYGOTE:
                if zygote is not None:
                    self._resting[kind].end_all_but(0)
                    self._retire(zygote)
                told = bool(self.sandbox)
                zygote = self._zygotes[kind] = await ZygoteProcess.started(self._programs[kind])
                if not told:
                    _log_confinement(zygote.sandbox)
            return zygote

    def _retire(self, zygote: "ZygoteProcess") -> None:
        self._retired.add(zygote)
        zygote.gone.add_done_callback(lambda _: self._retired.discard(zygote))
        zygote.retire()


def _log_confinement(force: tuple[str, ...]) -> None:
    if len(force) > 1:
        log.info("decoders are confined by %s and %s", ", ".join(force[:-1]), force[-1])
    else:
        log.warning(
            "decoders are confined by limits alone, as this system has neither Landlock nor seccomp: a file that takes "
            "one over can do what this program's user can. Let in only people whose files you trust (docs/security.md)"
        )
    if not hasattr(os, "memfd_create"):
        log.warning("this system has no anonymous memory: pixels lie in unnamed files of %s", tempfile.gettempdir())


def _turns(count: int) -> Turns:
    """A caller who has none at work gets one beyond: nobody waits behind another's slow files alone."""
    return Turns(lambda: count, lambda: count, reserved=count)

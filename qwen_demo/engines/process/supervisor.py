"""Keeps one engine's process running: notices when it is gone or stuck, starts it again, gives up after some tries."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from qwen_demo.engines.process.launch import EngineProcess
from qwen_demo.engines.process.protocol import Ask, Setup
from qwen_demo.errors import ModelLoadError, NotReady, QwenDemoError
from qwen_demo.sentences import Sentence

log = logging.getLogger(__name__)

WATCH_EVERY_S = 0.2
HOW_S = 0.3  # callers are told by then, also where the system takes longer to say how a process ended
KILL_S = 30.0  # a driver may take long to free the memory of a card
# A process that has worked for so long and then fails begins to count anew.
STEADY_S = 600.0

State = Literal["not started", "loading", "ready", "restarting", "failed", "closed"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long the process may be silent, and how often it is started again.

    Attributes:
        silence_s: without a sign of life, or unready after it was ready, for so long, it is given up.
        tries: failures in a row, without an answered request between them, after which it is left.
        backoff_s: wait before the first new start; it doubles with each failure.
        close_s: time to end in order.
    """

    silence_s: float = 10.0
    tries: int = 3
    backoff_s: float = 0.5
    close_s: float = 20.0


USUAL = Bounds()


class Client(Protocol):
    """Who uses the process."""

    def on_frame(self, kind: int, data: bytes) -> None: ...

    def unwell(self) -> Sentence | None:
        """Why the process should be given up although it lives, if it should."""

    def on_down(self, how: Sentence) -> None:
        """It is gone with all that it worked on."""


class Supervisor:
    """Owns one process after the other. All methods belong to one event loop.

    Args:
        setup: gives anew at each start what the process builds.
        environment: all of the process' environment; None is this process' own.

    Attributes:
        state: `restarting` includes the wait before it; `failed` is for good.
        detail: one sentence for people on any state but `ready`.
        process: the current one, if there is one.
        restarts: how often a process was started after the first.
    """

    def __init__(
        self, setup: Callable[[], Setup], environment: Mapping[str, str] | None, bounds: Bounds, client: Client
    ):
        self.state: State = "not started"
        self.detail: Sentence = Sentence("not started")
        self.process: EngineProcess | None = None
        self.restarts = 0
        self._setup, self._environment, self._bounds, self._client = setup, environment, bounds, client
        self._failures = 0
        self._since = 0.0
        self._closing = False
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises what the engine's own start raises, and `ModelLoadError` where the process ended."""
        self.state, self.detail = "loading", Sentence("Starting the engine's process")
        try:
            await self._run_up()
        except QwenDemoError as error:
            if not self._closing:
                self.state, self.detail = "failed", _sentence_of(error)
            raise
        self._watching = asyncio.create_task(self._watch())

    def answered(self) -> None:
        """It works: failures before this do not count."""
        self._failures = 0

    async def close(self) -> None:
        """End the process, in order if it serves, by force if that takes too long."""
        serving, self._closing = self.state == "ready", True
        self.state, self.detail = "closed", Sentence("closed")
        if self._watching:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        if self.process and serving:
            self.process.send(Ask.CLOSE, b"")
            if not await self.process.gone(self._bounds.close_s):
                log.warning("the engine's process did not end within %g s and is killed", self._bounds.close_s)
        await self._discard()

    async def _run_up(self) -> None:
        """Start a process and wait for its engine. Where that fails nothing is left of it."""
        try:
            self.process = process = EngineProcess(self._setup(), self._environment, self._client.on_frame)
        except OSError as error:
            raise ModelLoadError(
                Sentence("The engine's process could not be started: {error}.", error=str(error))
            ) from error
        try:
            while not process.started.done():
                await asyncio.wait({process.started}, timeout=WATCH_EVERY_S)
                ended, trouble = await process.ended(0), process.trouble()
                if (ended or trouble) and not process.started.done():
                    how = trouble or await process.how(HOW_S)
                    raise ModelLoadError(Sentence("The engine's process ended while it loaded ({how}).", how=how))
            if process.started.cancelled():
                raise NotReady(Sentence("The program is shutting down."))
            process.started.result()
        except BaseException:
            await self._discard()
            raise
        self.state, self._since = "ready", time.monotonic()

    async def _watch(self) -> None:
        try:
            while self.process:
                await self._revive(await self._outlive(self.process))
        except Exception:
            log.exception("the engine's process is watched no more")
            self._give_up(how := Sentence("its watch failed"))
            self._client.on_down(how)
            await self._discard()

    async def _outlive(self, process: EngineProcess) -> Sentence:
        """Wait until it is gone or has to be, and tell its callers; gives how it ended."""
        trouble: Sentence | None = None
        while trouble is None and not await process.ended(WATCH_EVERY_S):
            trouble = process.trouble() or self._client.unwell()
        self.state, self.detail = "restarting", Sentence("The engine's process has ended")
        how = trouble or await process.how(HOW_S)
        self._failures = 1 + (self._failures if time.monotonic() - self._since < STEADY_S else 0)
        log.error("the engine's process ended: %s", how)
        self._tell(how)
        self._client.on_down(how)
        await self._discard()
        return how

    async def _revive(self, how: Sentence) -> None:
        """Start it again until it stands or the tries are used up."""
        while self._failures < self._bounds.tries:
            await asyncio.sleep(self._bounds.backoff_s * 2 ** (self._failures - 1))
            self.restarts += 1
            try:
                await self._run_up()
                return
            except QwenDemoError as error:
                self._failures += 1
                how = _sentence_of(error)
                log.error("the engine's process could not be started again: %s", how)
                self._tell(how)
        self._give_up(how)

    def _tell(self, how: Sentence) -> None:
        self.detail = Sentence("The engine's process ended ({how}); it is being started again", how=how)

    def _give_up(self, how: Sentence) -> None:
        self.state = "failed"
        self.detail = Sentence(
            "The engine's process failed {count} times in a row (last: {how}) and is not started again. Restart the program",
            count=self._failures,
            how=how,
        )
        log.critical("%s", self.detail)

    async def _discard(self) -> None:
        # Kept until it is gone: whoever cancels this has to wait for it in turn.
        if process := self.process:
            process.kill()
            if not await process.gone(KILL_S):
                log.error("the engine's process %d has not ended %g s after it was killed", process.pid, KILL_S)
            self.process = None


def _sentence_of(error: QwenDemoError) -> Sentence:
    said = error.args[0]
    return said if isinstance(said, Sentence) else Sentence("{error}", error=said)

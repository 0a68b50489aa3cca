"""An engine in a process of its own, as an `Engine`: the front's side. It imports no torch.

The process is started again when it ends, is stopped, or gives no sign of life; its callers are told at once.
After some tries in a row without an answered request it is left, and its health says that it has failed.
"""

import asyncio
import os
import resource
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from qwen_demo.engines.process import codec
from qwen_demo.engines.process.protocol import CALL, ERROR, EVENT, Ask, Setup, Tell
from qwen_demo.engines.process.supervisor import USUAL, Bounds, Supervisor
from qwen_demo.engines.process.wire import MAX_DESCRIPTORS
from qwen_demo.errors import EngineFailed, EngineRestarting, InvalidRequest, NotReady, Overloaded, QwenDemoError
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Event, Finished, Health, ModelInfo

# Descriptors that the engine's process needs for itself.
RESERVED_DESCRIPTORS = 256


@dataclass(eq=False, slots=True)
class _Call:
    """One request in the engine's process.

    Attributes:
        gone: nothing of it is left there.
        begun: it has had an event.
        over: it has had its last one.
    """

    number: int
    images: int
    events: asyncio.Queue[Event | QwenDemoError] = field(default_factory=asyncio.Queue)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    begun: bool = False
    over: bool = False


class ProcessEngine:
    """Starts the process, carries requests and events, starts it again.

    Args:
        settings: travel to the process, secrets included, through a socket.
        build: `package.module:function`, which the process calls with settings and arguments for its engine.
        arguments: gives them anew at each start; they are pickled.
        environment: all of the process' environment; None is this process' own.
    """

    def __init__(
        self,
        settings: Settings,
        build: str,
        *,
        arguments: Callable[[], tuple[Any, ...]] = tuple,
        bounds: Bounds = USUAL,
        environment: Mapping[str, str] | None = None,
    ):
        self.info = ModelInfo(model_id=settings.model, engine=settings.engine)
        self._silence_s = bounds.silence_s
        self._supervisor = Supervisor(
            lambda: Setup(build, settings, arguments(), bounds.silence_s, os.getpid()), environment, bounds, self
        )
        self._snapshot = Health(False)
        self._unready_since: float | None = None
        self._calls: dict[int, _Call] = {}
        self._number = self._images = 0
        self._most_images = _most_images()

    @property
    def pid(self) -> int | None:
        """Of the current process, if there is one."""
        process = self._supervisor.process
        return process.pid if process else None

    async def start(self) -> None:
        """Start the process and its engine.

        Raises:
            ModelLoadError, SettingsError: of the engine; the first also where the process ended.
        """
        await self._supervisor.start()

    def health(self) -> Health:
        calls, process = self._calls.values(), self._supervisor.process
        stats = {**self._snapshot.stats, "restarts": float(self._supervisor.restarts)}
        if process and process.resident_bytes:
            stats["process_resident_bytes"] = float(process.resident_bytes)
        if self._supervisor.state != "ready":
            state = self._supervisor.state
            return Health(
                False, 0, len(calls), self._describe(), self._snapshot.slots, stats,
                failed=state == "failed", restarting=state == "restarting",
            )  # fmt: skip
        # A snapshot is up to a tenth of a second old; what came and went since is known here.
        running = min(len(calls), max(self._snapshot.running, sum(call.begun for call in calls)))
        return replace(self._snapshot, running=running, waiting=len(calls) - running, stats=stats, failed=False)

    def _describe(self) -> str:
        state, detail, stage = self._supervisor.state, self._supervisor.detail, self._snapshot.detail
        if state == "loading":
            return stage or detail
        if state == "restarting" and stage and self._supervisor.process:
            return Sentence("{what} ({stage})", what=detail, stage=stage)
        return detail

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        call = self._send(request)
        try:
            while True:
                event = await call.events.get()
                if isinstance(event, QwenDemoError):
                    raise event
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            await self._let_go(call)

    async def close(self) -> None:
        """End all requests with `NotReady` and the process, by force where it does not end by itself."""
        await self._supervisor.close()
        self._end_calls(lambda: NotReady(Sentence("The program is shutting down.")))

    def _send(self, request: ChatRequest) -> _Call:
        process = self._supervisor.process
        if self._supervisor.state != "ready" or process is None:
            raise NotReady(Sentence("The model is not ready: {detail}.", detail=self.health().detail))
        data, rasters = codec.encode_request(request)
        self._check_images(len(rasters))
        self._number += 1
        call = self._calls[self._number] = _Call(self._number, len(rasters))
        self._images += call.images
        process.send(Ask.ANSWER, CALL.pack(call.number) + data, rasters)
        return call

    def _check_images(self, count: int) -> None:
        if count > MAX_DESCRIPTORS:
            raise InvalidRequest(
                Sentence(
                    "{count} images and videos are more than the {most} of one request.",
                    count=count,
                    most=MAX_DESCRIPTORS,
                ),
                field="messages",
            )
        if self._images and self._images + count > self._most_images:
            raise Overloaded(
                Sentence(
                    "{count} images are in work or wait, which is all that the engine may have open. Try again in a "
                    "moment (an operator can raise the limit of open files).",
                    count=self._images,
                ),
                retry_after_s=1.0,
            )

    async def _let_go(self, call: _Call) -> None:
        """Returns when the process holds nothing of it, or is given up."""
        process = self._supervisor.process
        # One that is over lets go by itself; a cancellation would only disturb it.
        if call.number in self._calls and process and not call.over:
            process.send(Ask.CANCEL, CALL.pack(call.number))
        await call.gone.wait()

    def _forget(self, call: _Call) -> None:
        if self._calls.pop(call.number, None):
            self._images -= call.images
            call.gone.set()

    def _end_calls(self, error: Callable[[], QwenDemoError]) -> None:
        for call in list(self._calls.values()):
            call.events.put_nowait(error())
            self._forget(call)

    def on_frame(self, kind: int, data: bytes) -> None:
        """Take what the process tells."""
        if kind == Tell.EVENTS:
            for number, entry, content in codec.decode(data):
                if call := self._calls.get(number):
                    self._hand_over(call, entry, content)
        elif kind == Tell.SNAPSHOT:
            snapshot: codec.Snapshot = codec.decode(data)
            self._snapshot, self.info = snapshot.health, snapshot.info or self.info
            if snapshot.health.ready:
                self._unready_since = None
            elif self._unready_since is None:
                self._unready_since = time.monotonic()

    def _hand_over(self, call: _Call, entry: int, content: Any) -> None:
        if entry == EVENT:
            event = codec.unpack_event(content)
            call.begun, call.over = True, isinstance(event, Finished)
            if call.over:
                self._supervisor.answered()
            call.events.put_nowait(event)
        elif entry == ERROR:
            call.over = True
            call.events.put_nowait(codec.unpack_error(content))
        else:
            # Read only where the engine ended a stream without its last event.
            call.events.put_nowait(EngineFailed(Sentence("The engine ended the answer without a word.")))
            self._forget(call)

    def unwell(self) -> Sentence | None:
        """An engine that was ready and is not, and does not come back by itself, needs a new process."""
        since = self._unready_since
        late = since is not None and time.monotonic() - since >= self._silence_s
        if not (late or self._snapshot.failed):
            return None
        return Sentence("its engine is not ready: {detail}", detail=self._snapshot.detail)

    def on_down(self, how: Sentence) -> None:
        """Tell all callers; what the next process tells begins from nothing."""
        self._snapshot = Health(False, slots=self._snapshot.slots)
        self._unready_since = None
        self._end_calls(
            lambda: EngineRestarting(
                Sentence("The engine ended while it worked on this ({how}). Ask again in a moment.", how=how)
            )
        )


def _most_images() -> int:
    """How many the engine's process may have open, which raises its limit as far as it may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return sys.maxsize
    return max(hard - RESERVED_DESCRIPTORS, hard // 2)

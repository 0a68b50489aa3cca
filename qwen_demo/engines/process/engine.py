"""An engine in a process of its own, as an `Engine`: the front's side. It imports no torch.

The process is started again when it ends, is stopped, or gives no sign of life; its callers are told at once.
After some tries in a row without an answered request it is left, and `failed_for_good` says so.
"""

import asyncio
import contextlib
import logging
import os
import pickle
import resource
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from qwen_demo.engines.process import codec
from qwen_demo.engines.process.launch import EngineProcess
from qwen_demo.engines.process.protocol import CALL, ERROR, EVENT, Ask, Setup, Tell
from qwen_demo.engines.process.wire import MAX_DESCRIPTORS
from qwen_demo.errors import EngineFailed, InvalidRequest, ModelLoadError, NotReady, Overloaded, QwenDemoError
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Event, Finished, Health, ModelInfo

log = logging.getLogger(__name__)

WATCH_EVERY_S = 0.2
HOW_S = 0.3  # callers are told by then, also where the system takes longer to say how a process ended
# One that has worked for so long and then fails begins to count anew.
STEADY_S = 600.0
# Descriptors that the engine's process needs for itself.
RESERVED_DESCRIPTORS = 256
MALFORMED = (pickle.UnpicklingError, LookupError, TypeError, ValueError, AttributeError, EOFError)


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


@dataclass(eq=False, slots=True)
class _Call:
    """One request in the engine's process.

    Attributes:
        gone: nothing of it is left there.
        begun: it has had an event.
    """

    number: int
    images: int
    events: asyncio.Queue[Event | QwenDemoError] = field(default_factory=asyncio.Queue)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    begun: bool = False


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
        bounds: Bounds = Bounds(),
        environment: Mapping[str, str] | None = None,
    ):
        self.info = ModelInfo(model_id=settings.model, engine=settings.engine)
        self.failed_for_good = False
        self._settings, self._build, self._arguments = settings, build, arguments
        self._bounds, self._environment = bounds, environment
        self._state = "not started"
        self._detail: str = Sentence("not started")
        self._snapshot = Health(False)
        self._unready_since: float | None = None
        self._process: EngineProcess | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._malformed: Sentence | None = None
        self._calls: dict[int, _Call] = {}
        self._number = self._images = self._failures = self._restarts = 0
        self._most_images = _most_images()

    async def start(self) -> None:
        """Start the process and its engine.

        Raises:
            ModelLoadError, SettingsError: of the engine; the first also where the process ended.
        """
        self._state, self._detail = "loading", Sentence("Starting the engine's process")
        await self._launch()
        self._supervisor = asyncio.create_task(self._supervise())

    def health(self) -> Health:
        calls = self._calls.values()
        stats = {**self._snapshot.stats, "restarts": float(self._restarts)}
        if self._process and self._process.resident_bytes:
            stats["process_resident_bytes"] = float(self._process.resident_bytes)
        if self._state != "ready":
            return Health(False, 0, len(calls), self._describe(), self._snapshot.slots, stats)
        # A snapshot is a tenth of a second old; what came and went since is known here.
        running = min(len(calls), max(self._snapshot.running, sum(call.begun for call in calls)))
        return replace(self._snapshot, running=running, waiting=len(calls) - running, stats=stats)

    def _describe(self) -> str:
        stage = self._snapshot.detail
        if self._state == "loading":
            return stage or self._detail
        if self._state == "restarting" and stage:
            return Sentence("{what} ({stage})", what=self._detail, stage=stage)
        return self._detail

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
        serving = self._state == "ready"
        self._state, self._detail = "closed", Sentence("closed")
        if self._supervisor:
            self._supervisor.cancel()
            await asyncio.wait({self._supervisor})
        if self._process:
            if serving:
                self._process.send(Ask.CLOSE, b"")
                if not await self._process.closed(self._bounds.close_s):
                    log.warning("the engine's process did not end within %g s and is killed", self._bounds.close_s)
            await self._discard(self._process)
        self._end_calls(lambda: NotReady(Sentence("The program is shutting down.")))

    def _send(self, request: ChatRequest) -> _Call:
        if self._state != "ready" or self._process is None:
            raise NotReady(Sentence("The model is not ready: {detail}.", detail=self.health().detail))
        data, rasters = codec.encode_request(request)
        if len(rasters) > MAX_DESCRIPTORS:
            raise InvalidRequest(
                Sentence("{count} images and videos are more than the {most} of one request.")
                if False
                else Sentence(
                    "{count} images and videos are more than the {most} of one request.",
                    count=len(rasters),
                    most=MAX_DESCRIPTORS,
                ),
                field="messages",
            )
        if self._images + len(rasters) > self._most_images:
            raise Overloaded(
                Sentence(
                    "Requests with {count} images are running or waiting, which is all that the engine may have open. "
                    "Try again in a moment (an operator can raise the limit of open files).",
                    count=self._images,
                ),
                retry_after_s=1.0,
            )
        self._number += 1
        call = self._calls[self._number] = _Call(self._number, len(rasters))
        self._images += call.images
        self._process.send(Ask.ANSWER, CALL.pack(call.number) + data, rasters)
        return call

    async def _let_go(self, call: _Call) -> None:
        """Returns when the process holds nothing of it, or is given up."""
        if call.number in self._calls and self._process:
            self._process.send(Ask.CANCEL, CALL.pack(call.number))
        await call.gone.wait()

    def _forget(self, call: _Call) -> None:
        if self._calls.pop(call.number, None):
            self._images -= call.images
            call.gone.set()

    def _end_calls(self, error: Callable[[], QwenDemoError]) -> None:
        for call in list(self._calls.values()):
            call.events.put_nowait(error())
            self._forget(call)

    # What the process tells

    def _on_frame(self, kind: int, data: bytes) -> None:
        try:
            self._take(kind, data)
        except MALFORMED:
            log.exception("the engine's process sent what is no answer")
            self._malformed = Sentence("it sent what is no answer")
            if self._process:
                self._process.ended.set()

    def _take(self, kind: int, data: bytes) -> None:
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
        elif kind == Tell.STARTED:
            self._start.set_result(None)
        elif kind == Tell.NOT_STARTED:
            self._start.set_exception(codec.unpack_error(codec.decode(data)))

    def _hand_over(self, call: _Call, entry: int, content: Any) -> None:
        if entry == EVENT:
            event = codec.unpack_event(content)
            call.begun = True
            if isinstance(event, Finished):
                self._failures = 0
            call.events.put_nowait(event)
        elif entry == ERROR:
            call.events.put_nowait(codec.unpack_error(content))
        else:
            # Read only where the engine ended a stream without its last event.
            call.events.put_nowait(EngineFailed(Sentence("The engine ended the answer without a word.")))
            self._forget(call)


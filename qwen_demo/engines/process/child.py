"""The engine's process, from its first line to its last.

It builds one engine and lets it answer what comes through the socket. It ends when the front says so, and at once
when the front is gone. Signals that reach all processes of a service are left to the front, which drains first.
"""

import asyncio
import contextlib
import contextvars
import ctypes
import importlib
import logging
import os
import pickle
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace

from qwen_demo.engines.process import codec
from qwen_demo.engines.process.protocol import (
    CALL,
    ERROR,
    EVENT,
    GONE,
    SIGN_OF_LIFE,
    SNAPSHOT_EVERY_S,
    Ask,
    Setup,
    Tell,
)
from qwen_demo.engines.process.wire import Channel
from qwen_demo.engines.small_question import small_question
from qwen_demo.errors import ModelLoadError, NotReady, QwenDemoError
from qwen_demo.sentences import Sentence
from qwen_demo.types import ChatRequest, Engine, ModelInfo, collect

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
OOM_SCORE = "500"
# Exit codes; the front names any that is not 0.
FRONT_GONE, BROKEN = 81, 82

_request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


class Host:
    """One engine and those who wait for it. All methods belong to one event loop."""

    def __init__(self, engine: Engine, end: socket.socket, *, warmup: bool):
        self._engine, self._warmup = engine, warmup
        self._channel = Channel(end, self._on_frame, lambda: os._exit(FRONT_GONE))
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._outbox: list[tuple[int, int, object]] = []
        self._closing = asyncio.Event()
        self._told: codec.Snapshot | None = None
        self._told_info: ModelInfo | None = None
        self.moved = time.monotonic()

    async def run(self) -> None:
        """Start the engine, answer until the front says to close, then end all calls."""
        moving = asyncio.create_task(self._move())
        moving.add_done_callback(_end_if_broken)
        try:
            await self._engine.start()
            if self._warmup:
                await collect(self._engine.stream(small_question()))
        except Exception as error:
            self._channel.send(Tell.NOT_STARTED, codec.encode(codec.pack_error(_start_error(error))))
        else:
            self._tell_snapshot()
            self._channel.send(Tell.STARTED, b"")
            await self._closing.wait()
            await self._engine.close()
            await self._end_calls()
        moving.cancel()
        self._flush()
        await self._channel.flushed()

    async def _move(self) -> None:
        """Tell how the engine is when that has changed, and that the loop moves."""
        while True:
            self._tell_snapshot()
            self.moved = time.monotonic()
            await asyncio.sleep(SNAPSHOT_EVERY_S)

    def _tell_snapshot(self) -> None:
        health, info = self._engine.health(), self._engine.info
        health = replace(health, stats={name: float(value) for name, value in health.stats.items()})
        snapshot = codec.Snapshot(health, info if info != self._told_info else None)
        if snapshot != self._told:
            self._told, self._told_info = codec.Snapshot(health), info
            self._channel.send(Tell.SNAPSHOT, codec.encode(snapshot))

    def _on_frame(self, kind: int, data: bytes, descriptors: list[int]) -> None:
        if kind == Ask.ANSWER:
            (call,) = CALL.unpack_from(data)
            self._begin(call, data[CALL.size :], descriptors)
        elif kind == Ask.CANCEL:
            (call,) = CALL.unpack_from(data)
            if call in self._calls:
                self._calls[call].cancel()
        elif kind == Ask.CLOSE:
            self._closing.set()

    def _begin(self, call: int, data: bytes, descriptors: list[int]) -> None:
        try:
            request = codec.decode_request(data, descriptors)
        except Exception as error:
            self._fail(call, error)
            self._post(call, GONE, None)
            return
        task = self._calls[call] = asyncio.create_task(self._answer(call, request))
        task.add_done_callback(lambda _: self._end(call))

    async def _answer(self, call: int, request: ChatRequest) -> None:
        _request_id.set(request.request_id)
        try:
            async with aclosing(self._engine.stream(request)) as events:
                async for event in events:
                    self._post(call, EVENT, codec.pack_event(event))
        except asyncio.CancelledError:
            pass  # the front asked for it, and waits for GONE
        except Exception as error:
            self._fail(call, error)
        self._end(call)

    async def _end_calls(self) -> None:
        """For engines that let their streams go on when they are closed."""
        tasks = dict(self._calls)
        for call, task in tasks.items():
            self._fail(call, NotReady(Sentence("The program is shutting down.")))
            task.cancel()
        if tasks:
            await asyncio.wait(tasks.values())

    def _end(self, call: int) -> None:
        # A call that is cancelled before its task's first step ends in the task's callback alone.
        if self._calls.pop(call, None):
            self._post(call, GONE, None)

    def _fail(self, call: int, error: Exception) -> None:
        if not isinstance(error, QwenDemoError):
            log.error("a request failed", exc_info=error)
        self._post(call, ERROR, codec.pack_error(codec.foreign(error)))

    def _post(self, call: int, entry: int, content: object) -> None:
        # What other calls say in this turn of the loop goes in the same frame.
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append((call, entry, content))

    def _flush(self) -> None:
        if self._outbox:
            entries, self._outbox = self._outbox, []
            self._channel.send(Tell.EVENTS, codec.encode(entries))


def _start_error(error: Exception) -> QwenDemoError:
    if isinstance(error, QwenDemoError):
        return error
    log.error("the engine could not be started", exc_info=error)
    return ModelLoadError(
        Sentence("The engine could not be started ({error}). The log has the cause.", error=type(error).__name__)
    )


def _end_if_broken(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.critical("the engine does not tell how it is", exc_info=error)
        os._exit(BROKEN)


def run(end: socket.socket, life: int, setup: bytes) -> None:
    """Until the front says to close, or is gone.

    Args:
        end: this process' end of the socket.
        life: descriptor of the pipe for signs of life.
        setup: a pickled `Setup`, from a front that is trusted.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    for each in (end.fileno(), life):
        os.set_inheritable(each, False)
    _raise_limit_of_descriptors()
    _be_killed_first()
    given: Setup = pickle.loads(setup)
    _die_with(given.front)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_host(end, life, given))


async def _host(end: socket.socket, life: int, setup: Setup) -> None:
    moved = time.monotonic()
    host: Host | None = None
    giving = threading.Thread(
        target=_give_signs_of_life,
        args=(life, setup.sign_every_s, lambda: time.monotonic() - (host.moved if host else moved)),
        name="signs of life",
        daemon=True,
    )
    giving.start()
    try:
        engine = _build(setup)
    except Exception as error:
        channel = Channel(end, lambda *_: None, lambda: os._exit(FRONT_GONE))
        channel.send(Tell.NOT_STARTED, codec.encode(codec.pack_error(_start_error(error))))
        await channel.flushed()
        return
    for handler in logging.getLogger().handlers:
        handler.addFilter(_name_the_request)
    host = Host(engine, end, warmup=setup.settings.warmup)
    await host.run()


def _name_the_request(record: logging.LogRecord) -> bool:
    """Lines of an engine tell which request they are about, as the front's do."""
    if _request_id.get():
        record.fields = {"request": _request_id.get(), **getattr(record, "fields", {})}
    return True


def _build(setup: Setup) -> Engine:
    module, _, name = setup.build.partition(":")
    engine: Engine = getattr(importlib.import_module(module), name)(setup.settings, *setup.arguments)
    return engine


def _give_signs_of_life(life: int, every_s: float, still_s: Callable[[], float]) -> None:
    woke = time.monotonic()
    while True:
        # Where this thread was not run either, the whole process was stopped, and its loop is not to blame.
        overslept = time.monotonic() - woke > every_s
        try:
            os.write(life, SIGN_OF_LIFE.pack(0.0 if overslept else still_s(), _resident_bytes()))
        except OSError:  # the front is gone
            os._exit(FRONT_GONE)
        woke = time.monotonic() + every_s
        time.sleep(every_s)


def _resident_bytes() -> int:
    """0 where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _die_with(front: int) -> None:
    """Also where this process' threads are all stuck. Elsewhere than on Linux the socket's end has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != front:
            os._exit(FRONT_GONE)


def _be_killed_first() -> None:
    """Where memory ends the system should take the engine, which is started again, and not the front."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(OOM_SCORE)


def _raise_limit_of_descriptors() -> None:
    """Each image of a request in work is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop

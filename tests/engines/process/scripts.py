"""Engines that tests let a process build. The first word of a question can be an order to the process."""

import asyncio
import ctypes
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from pathlib import Path

from qwen_demo import errors
from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import ModelLoadError, SettingsError
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Event, Finished, Health, Image, Text, TextDelta, Timing, TokenLogprob, Usage

NUMBERS = [f"{n} " for n in range(400)]
NOTHING = Finished("stop", Usage(1, 0, 1), Timing())


def counting(settings: Settings) -> ScriptedEngine:
    """As the scripted engine of the contract's tests."""
    return ScriptedEngine(Script(NUMBERS, gap_s=0.005), max_running=4)


def unbuildable(settings: Settings) -> ScriptedEngine:
    raise SettingsError(Sentence("{flag} cannot work", flag="--quantization"))


def broken(settings: Settings) -> ScriptedEngine:
    raise ZeroDivisionError("secret 0x7f")


def dying(settings: Settings) -> ScriptedEngine:
    os._exit(7)


class Unloadable(ScriptedEngine):
    def __init__(self, settings: Settings):
        super().__init__()

    async def start(self) -> None:
        raise ModelLoadError(Sentence("{model} could not be loaded", model="it"))


class Slow(ScriptedEngine):
    def __init__(self, settings: Settings):
        super().__init__(load_s=3600)


class Obedient(ScriptedEngine):
    """Does what `ORDERS` has for the first word of a question; any other is answered with numbers, slowly.

    Args:
        folder: if given, only a process that finds it empty can start.
    """

    def __init__(self, settings: Settings, note: str = "", folder: str = ""):
        super().__init__(Script(NUMBERS, gap_s=0.01), max_running=settings.max_running)
        self.settings, self.note, self.ill = settings, note, False
        self._folder = folder
        self.info = replace(self.info, reason=Sentence("made of {note}", note=note))

    async def start(self) -> None:
        if self._folder:
            if os.listdir(self._folder):
                raise ModelLoadError("The card is gone.")
            os.mkdir(os.path.join(self._folder, "first"))
        await super().start()

    def health(self) -> Health:
        health = super().health()
        return replace(health, ready=health.ready and not self.ill, detail="ill" if self.ill else health.detail)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        order, *words = request.messages[-1].text.split()
        if order in ORDERS:
            yield TextDelta(ORDERS[order](self, request, *words) or "done")
            yield NOTHING
            return
        async for event in super().stream(request):
            yield event


def logging_as_json(settings: Settings) -> Obedient:
    from qwen_demo.service.logs import set_up_logging

    set_up_logging(as_json=settings.log_json)
    return Obedient(settings)


def _images(request: ChatRequest) -> list[Image]:
    return [part for message in request.messages for part in message.parts if not isinstance(part, Text)]


def _memory(engine: Obedient, request: ChatRequest) -> str:
    """Inodes of the images' memory."""
    return " ".join(str(os.fstat(each.raster.fd).st_ino) for each in _images(request))


def _corners(engine: Obedient, request: ChatRequest) -> str:
    return " ".join("{}.{}.{}".format(*each.raster.array()[0, 0, 0]) for each in _images(request))


def _raise(engine: Obedient, request: ChatRequest, name: str) -> str:
    if name == "Overloaded":
        raise errors.Overloaded(Sentence("{count} wait", count=Sentence("{n} of them", n=3)), retry_after_s=4.5)
    if name == "MemoryError":
        raise MemoryError
    if name == "KeyError":
        raise KeyError("secret 0x7f")
    kind = getattr(errors, name)
    raise kind("no", field="messages") if issubclass(kind, errors.InvalidRequest) else kind("no")


def _hold_lock(engine: Obedient, request: ChatRequest) -> str:
    """Python's lock, which `PyDLL` does not let go."""
    ctypes.PyDLL(None).sleep(3600)
    return ""


def _exhaust(engine: Obedient, request: ChatRequest) -> str:
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    return str(len(bytearray(2 << 30)))


def _fall_ill(engine: Obedient, request: ChatRequest) -> str:
    engine.ill = True
    return ""


def _log(engine: Obedient, request: ChatRequest, *words: str) -> str:
    logging.getLogger("engine").warning(" ".join(words))
    return ""


ORDERS: dict[str, Callable[..., str]] = {
    "pid": lambda engine, request: str(os.getpid()),
    "memory": _memory,
    "corners": _corners,
    "raise": _raise,
    "exit": lambda engine, request, code: os._exit(int(code)),
    "kill": lambda engine, request: str(os.kill(os.getpid(), signal.SIGKILL)),
    "hang": lambda engine, request: str(time.sleep(3600)),
    "lock": _hold_lock,
    "exhaust": _exhaust,
    "ill": _fall_ill,
    "log": _log,
    "spawn": lambda engine, request: str(subprocess.Popen(["sleep", "3600"]).pid),
    "note": lambda engine, request: engine.note,
    "secret": lambda engine, request: engine.settings.remote_key.get_secret_value(),
    "arguments": lambda engine, request: " ".join(sys.orig_argv),
    "score": lambda engine, request: Path("/proc/self/oom_score_adj").read_text().strip(),
    "open": lambda engine, request: str(len(os.listdir("/proc/self/fd"))),
}


class Telling(ScriptedEngine):
    """Reports log probabilities."""

    def __init__(self, settings: Settings):
        super().__init__()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        yield TextDelta("a", (TokenLogprob("a", -0.5, (("a", -0.5), ("b", -1.5))),))
        yield NOTHING


class Wordless(ScriptedEngine):
    """Breaks the contract: its streams end without a last event."""

    def __init__(self, settings: Settings):
        super().__init__()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        yield TextDelta("a")


class Careful(ScriptedEngine):
    """Takes a while to let go of an answer, and says at the next whether it was left in peace."""

    def __init__(self, settings: Settings):
        super().__init__()
        self._known = ""

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        yield TextDelta("a" + self._known)
        yield NOTHING
        try:
            await asyncio.sleep(0.1)
            self._known = " undisturbed"
        except asyncio.CancelledError:
            self._known = " disturbed"
            raise

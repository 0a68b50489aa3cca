"""Another model while the program runs: fetched and loaded beside the present one, which answers until it is ready.

A `ModelSwitch` is an `Engine` around the engine of the present model, so that nothing before it knows of the change.
What had begun on the old one ends there. Where memory does not hold both, the present one leaves first. If the new one
fails, the present one stays or comes back, and the reason is told.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Protocol

from qwen_demo.engines.small_question import small_question
from qwen_demo.errors import InvalidRequest, ModelLoadError, NotReady, QwenDemoError
from qwen_demo.models.hub.download import Download, DownloadProgress, DownloadStopped
from qwen_demo.models.hub.offers import Room
from qwen_demo.sentences import Sentence
from qwen_demo.service.remembered import RememberedModel
from qwen_demo.service.switch_status import Stage, SwitchStatus, being_loaded
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Engine, Event, Health, ModelInfo, collect

log = logging.getLogger(__name__)

LOOK_EVERY_S = 0.25  # at the new model's loading, for the sentence that is shown


class Source(Protocol):
    """Where other models come from, and whether there is room for them."""

    async def room(self, model: str, held_bytes: int) -> Room:
        """Beside the present one, which holds so much, or in its place. Raises `ModelLoadError`: neither."""

    def download(self, model: str, on_progress: Callable[[DownloadProgress], None], held_bytes: int) -> Download | None:
        """None where the files are here. Called in a thread, as `Download.run` is."""


class ModelSwitch:
    """The present engine, and the way to another.

    Args:
        settings: of the program; a model that is chosen gets these with another `model`.
        build: makes an engine, which loads when it is started.
        remembered: a model in it is begun with where `--model` is auto, and given up if it does not load.

    Attributes:
        on_change: called after another model has taken over.
        status: how far a change is.
    """

    def __init__(
        self,
        settings: Settings,
        build: Callable[[Settings], Engine],
        source: Source,
        remembered: RememberedModel | None = None,
    ):
        self._settings, self._build, self.source = settings, build, source
        self._remembered = remembered or RememberedModel(None)
        self._answering: dict[Engine, int] = {}
        self._idle: dict[Engine, asyncio.Event] = {}
        chosen = self._begun_with = self._remembered.read() if settings.model == "auto" else None
        self._engine = self._take_in(build(self._with(chosen or settings.model)))
        self._absent: Sentence | None = None  # why nothing answers, while the models change places
        self._download: Download | None = None
        self._change: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._has_started = self._closing = self._lost = self._brings_back = False
        self.on_change: Callable[[], None] = lambda: None
        self.status = SwitchStatus()

    def _with(self, model: str) -> Settings:
        if model == self._settings.model:
            return self._settings
        return self._settings.model_copy(update={"model": model, "revision": None})

    def _take_in(self, engine: Engine) -> Engine:
        self._answering[engine] = 0
        self._idle[engine] = asyncio.Event()
        self._idle[engine].set()
        return engine

    @property
    def present(self) -> Engine:
        return self._engine

    @property
    def info(self) -> ModelInfo:
        return self._engine.info

    async def start(self) -> None:
        """As `Engine.start`. A remembered model that does not load is forgotten; the usual one takes its place."""
        try:
            await self._engine.start()
            self._has_started = True
        except QwenDemoError as error:
            if self._begun_with is None or self._closing:
                raise
            log.warning("%s, chosen on the page, was not loaded: %s", self._begun_with, error)
            self.status = SwitchStatus("failed", self._begun_with, error.args[0])
            self._remembered.forget()
            await self._drop(self._engine)
            self._engine = self._take_in(self._build(self._settings))
            await self._engine.start()
            self._has_started = True

    def health(self) -> Health:
        if self._absent is None:
            return self._engine.health()
        slots = self._engine.health().slots
        return Health(False, detail=self._absent, slots=slots, failed=self._lost, loading=not self._lost)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """As `Engine.stream`, of the model that is present when the request comes."""
        if self._absent is not None:
            raise NotReady(Sentence("The model is not ready: {detail}.", detail=self._absent))
        engine = self._engine
        self._answering[engine] += 1
        self._idle[engine].clear()
        try:
            async with aclosing(engine.stream(request)) as events:
                async for event in events:
                    yield event
        finally:
            self._answering[engine] -= 1
            if not self._answering[engine]:
                self._idle[engine].set()

    async def close(self) -> None:
        """End a change that is under way, and every engine."""
        self._closing = True
        if self._change is not None:
            if self._download is not None:
                self._download.stop()
            self._change.cancel()
            with suppress(asyncio.CancelledError):
                await self._change
        for leaving in list(self._leaving):
            leaving.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        for engine in list(self._answering):
            await engine.close()

    def choose(self, model: str) -> None:
        """Begin to change to `model`, or go on with a paused download of it. `status` tells how far it is.

        Raises:
            InvalidRequest: the first model still loads, another change is under way, or the model is the present one.
        """
        if not self._has_started:
            raise InvalidRequest(Sentence("The present model is still loading. Choose another one after that."))
        if self._change is not None and not self._change.done():
            raise InvalidRequest(
                Sentence("{model} is being fetched or loaded. Cancel that first.", model=self.status.model),
                field="model",
            )
        if model == self.info.model_id and not self._lost:
            raise InvalidRequest(Sentence("{model} answers already.", model=model), field="model")
        self.status = SwitchStatus("loading", model)
        self._change = asyncio.create_task(self._change_to(model))
        self._change.add_done_callback(self._note_given_up)

    def _note_given_up(self, change: asyncio.Task[None]) -> None:
        """Also of one that was cancelled before its first step."""
        if change.cancelled():
            self.status = SwitchStatus()

    def pause(self) -> None:
        """Stop a download; `choose` goes on with it."""
        if self._download is not None and self.status.stage == "downloading":
            self._download.stop()

    def cancel(self) -> None:
        """Give the change up, or put the reason of one that failed aside. A download leaves nothing that is not whole."""
        if self.status.stage == "downloading" and self._download is not None:
            self._download.cancel()
        elif self.status.stage == "loading" and self._change is not None and not self._brings_back:
            self._change.cancel()
        elif self.status.stage in ("paused", "failed"):
            if self._download is not None:
                self._download.discard()
                self._download = None
            self.status = SwitchStatus()

    async def _change_to(self, model: str) -> None:
        try:
            held = int(self.health().stats.get("process_resident_bytes", 0))
            await self.source.room(model, held)
            await self._fetch(model, held)
            # Anew, as a download takes long.
            await self._load(model, await self.source.room(model, held))
        except DownloadStopped:
            cancelled = self._download is not None and self._download.is_cancelled
            self.status = SwitchStatus() if cancelled else self._stopped("paused", model)
        except QwenDemoError as error:
            log.warning("%s was not loaded, %s goes on: %s", model, self.info.model_id, error)
            self.status = self._stopped("failed", model, error.args[0])
        except Exception as error:  # whatever it is, the present model goes on and the person is told
            log.exception("%s was not loaded, %s goes on", model, self.info.model_id)
            self.status = self._stopped("failed", model, f"{type(error).__name__}: {error}")
        if self.status.stage not in ("paused", "failed"):
            self._download = None

    def _stopped(self, stage: Stage, model: str, detail: str = "") -> SwitchStatus:
        return replace(self.status, stage=stage, model=model, detail=detail or self.status.detail)

    async def _fetch(self, model: str, held_bytes: int) -> None:
        loop = asyncio.get_running_loop()

        def tell(progress: DownloadProgress) -> None:
            status = SwitchStatus("downloading", model, progress.sentence, progress.done_bytes, progress.total_bytes)
            loop.call_soon_threadsafe(setattr, self, "status", status)

        self._download = await asyncio.to_thread(self.source.download, model, tell, held_bytes)
        if self._download is not None:
            self.status = SwitchStatus("downloading", model)
            await asyncio.to_thread(self._download.run)
            self._download = None

    async def _load(self, model: str, room: Room) -> None:
        """Start the new engine, let it take over, and let the old one go."""
        if room == "instead" or self._lost:
            await self._load_instead(model)
        else:
            old, self._engine = self._engine, await self._started(model)
            self.status = SwitchStatus("draining", model)
            leaving = asyncio.create_task(self._let_go(old))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        log.info("%s answers from now on", self.info.model_id)
        self._remembered.write(model)
        self.on_change()

    async def _started(self, model: str) -> Engine:
        """An engine that has answered a question. Where that fails, nothing is left of it."""
        engine = self._build(self._with(model))
        starting = asyncio.create_task(self._start(engine))
        try:
            while not starting.done():
                self.status = SwitchStatus("loading", model, engine.health().detail)
                if self._absent is not None:
                    self._absent = being_loaded(model, engine.health().detail)
                await asyncio.wait({starting}, timeout=LOOK_EVERY_S)
            await starting
        except BaseException:
            starting.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await starting
            await engine.close()
            raise
        return self._take_in(engine)

    async def _start(self, engine: Engine) -> None:
        await engine.start()
        if not engine.health().ready:
            raise ModelLoadError(Sentence("It was loaded and is not ready: {why}", why=engine.health().detail))
        if self._settings.warmup:
            await collect(engine.stream(small_question()))

    async def _load_instead(self, model: str) -> None:
        """Without a model in between. A new one that fails, or is given up, brings the present one back."""
        before, self._lost = self.info.model_id, False
        self._absent = being_loaded(model, Sentence("the answers that have begun are ended"))
        self.status = SwitchStatus("draining", model)
        await self._drop(self._engine)
        try:
            self._engine = await self._started(model)
        except BaseException as failure:
            if self._closing:
                raise
            self._brings_back = True  # who gave up twice would have no model
            try:
                self._engine = await self._started(before)
            except Exception as error:
                unforeseen = Sentence("It was loaded and is not ready: {why}", why=repr(error))
                self._lost, self._absent = True, error.args[0] if isinstance(error, QwenDemoError) else unforeseen
                raise error from failure
            finally:
                self._brings_back = False
            self._absent = None
            raise
        self._absent = None
        self.status = SwitchStatus()

    async def _let_go(self, old: Engine) -> None:
        await self._drop(old)
        if self.status.stage == "draining":
            self.status = SwitchStatus()

    async def _drop(self, old: Engine) -> None:
        """What runs on it may end, for as long as a program that shuts down would wait."""
        if old not in self._idle:  # it went with a change that brought nothing back
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle[old].wait(), self._settings.grace_s)
        await old.close()
        self._idle.pop(old, None)
        self._answering.pop(old, None)

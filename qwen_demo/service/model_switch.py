"""Another model while the program runs: fetched and loaded beside the present one, which answers until it is ready.

A `ModelSwitch` is an `Engine` around the engine of the present model, so that nothing before it knows of the change. If
the new one fails, nothing has changed, and the reason is told. What had begun on the old one ends there.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qwen_demo.errors import InvalidRequest, ModelLoadError, QwenDemoError
from qwen_demo.models.hub.download import Download, DownloadProgress, DownloadStopped
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Engine, Event, Health, ModelInfo

log = logging.getLogger(__name__)

Stage = Literal["idle", "downloading", "paused", "loading", "draining", "failed"]
# How the new model's loading is looked at for the sentence that is shown.
LOOK_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class SwitchStatus:
    """How far a change is.

    Attributes:
        model: that was asked for; empty before anything was.
        detail: one sentence for people.
        done_bytes, total_bytes: of the download, 0 without one.
    """

    stage: Stage = "idle"
    model: str = ""
    detail: str = ""
    done_bytes: int = 0
    total_bytes: int = 0


class ModelSwitch:
    """The present engine, and the way to another.

    Args:
        engine: of the model that the program begins with.
        settings: of the program; a new model's are these with another `model`.
        build: makes an engine, which loads when it is started.
        download: of a model by its hub id; None where its files are here. Runs in a thread.
        remembered: file in which the choice is kept; None keeps none.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        build: Callable[[Settings], Engine],
        *,
        download: Callable[[str, Callable[[DownloadProgress], None]], Download | None],
        remembered: Path | None = None,
    ):
        self._engine, self._settings, self._build = engine, settings, build
        self._download_of, self._remembered = download, remembered
        self._answering: dict[Engine, int] = {}
        self._idle: dict[Engine, asyncio.Event] = {}
        self._take_in(engine)
        self._download: Download | None = None
        self._change: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self.status = SwitchStatus()

    def _take_in(self, engine: Engine) -> None:
        self._answering[engine] = 0
        self._idle[engine] = asyncio.Event()
        self._idle[engine].set()

    @property
    def info(self) -> ModelInfo:
        return self._engine.info

    async def start(self) -> None:
        await self._engine.start()

    def health(self) -> Health:
        return self._engine.health()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """As `Engine.stream`, of the model that is present when the request comes."""
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
            InvalidRequest: another change is under way, or the model is the present one.
        """
        if self._change is not None and not self._change.done():
            raise InvalidRequest(
                Sentence("{model} is being fetched or loaded. Cancel that first.", model=self.status.model),
                field="model",
            )
        if model == self.info.model_id:
            raise InvalidRequest(Sentence("{model} answers already.", model=model), field="model")
        self.status = SwitchStatus("loading", model)
        self._change = asyncio.create_task(self._change_to(model))

    def pause(self) -> None:
        """Stop a download; `choose` goes on with it."""
        if self._download is not None and self.status.stage == "downloading":
            self._download.stop()

    def cancel(self) -> None:
        """Give the change up. A download leaves nothing that is not whole."""
        if self._download is not None:
            self._download.cancel()
        elif self._change is not None and self.status.stage == "loading":
            self._change.cancel()
        if self.status.stage == "paused":
            self.status = SwitchStatus()

    async def _change_to(self, model: str) -> None:
        try:
            await self._fetch(model)
            await self._load(model)
        except DownloadStopped:
            cancelled = self._download is not None and self._download.is_cancelled
            self.status = SwitchStatus() if cancelled else self._stopped("paused")
        except asyncio.CancelledError:
            self.status = SwitchStatus()
            raise
        except QwenDemoError as error:
            log.warning("%s was not loaded, %s goes on: %s", model, self.info.model_id, error)
            self.status = self._stopped("failed", str(error))
        except Exception as error:  # whatever it is, the present model goes on and the person is told
            log.exception("%s was not loaded, %s goes on", model, self.info.model_id)
            self.status = self._stopped("failed", f"{type(error).__name__}: {error}")
        finally:
            self._download = None

    def _stopped(self, stage: Stage, detail: str = "") -> SwitchStatus:
        now = self.status
        return SwitchStatus(stage, now.model, detail or now.detail, now.done_bytes, now.total_bytes)

    async def _fetch(self, model: str) -> None:
        loop = asyncio.get_running_loop()

        def tell(progress: DownloadProgress) -> None:
            status = SwitchStatus("downloading", model, progress.sentence, progress.done_bytes, progress.total_bytes)
            loop.call_soon_threadsafe(setattr, self, "status", status)

        self._download = await asyncio.to_thread(self._download_of, model, tell)
        if self._download is not None:
            self.status = SwitchStatus("downloading", model)
            await asyncio.to_thread(self._download.run)
            self._download = None

    async def _load(self, model: str) -> None:
        """Start the new engine, let it take over, and let the old one go."""
        engine = self._build(self._settings.model_copy(update={"model": model, "revision": None}))
        self.status = SwitchStatus("loading", model)
        starting = asyncio.create_task(engine.start())
        try:
            while not starting.done():
                self.status = SwitchStatus("loading", model, engine.health().detail)
                await asyncio.wait({starting}, timeout=LOOK_EVERY_S)
            await starting
            if not engine.health().ready:
                raise ModelLoadError(Sentence("It was loaded and is not ready: {why}", why=engine.health().detail))
        except BaseException:
            starting.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await starting
            await engine.close()
            raise
        self._take_in(engine)
        old, self._engine = self._engine, engine
        log.info("%s answers from now on", engine.info.model_id)
        self.status = SwitchStatus("draining", model)
        self._remember(model)
        leaving = asyncio.create_task(self._let_go(old))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _let_go(self, old: Engine) -> None:
        """What runs on it may end, for as long as a program that shuts down would wait."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle[old].wait(), self._settings.grace_s)
        await old.close()
        del self._idle[old]
        del self._answering[old]
        if self.status.stage == "draining":
            self.status = SwitchStatus()

    def _remember(self, model: str) -> None:
        if self._remembered is None:
            return
        try:
            self._remembered.parent.mkdir(parents=True, exist_ok=True)
            self._remembered.write_text(json.dumps({"model": model}))
        except OSError as error:
            log.warning("the choice of %s is not remembered: %s", model, error)


def remembered_model(file: Path) -> str | None:
    """The model that was chosen last, None if none was."""
    try:
        model = json.loads(file.read_text()).get("model")
    except (OSError, ValueError, AttributeError):
        return None
    return model if isinstance(model, str) else None

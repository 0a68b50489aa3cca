"""The only way to an engine, for page and programs alike: admit -> stream -> record.

It turns away what is over capacity before a byte of it is decoded, checks what every front must hold to, ends what takes
too long, and records each request once. It also watches the engine: who answers nothing is not ready, whatever it says.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass, replace

from qwen_demo.engines.small_question import small_question
from qwen_demo.errors import EngineFailed, NotReady, Overloaded, QwenDemoError
from qwen_demo.fairness import current_account
from qwen_demo.models.tools.reader import CallReader
from qwen_demo.sentences import Sentence
from qwen_demo.service.adapters import AdapterNames
from qwen_demo.service.admission import Admission, Visit
from qwen_demo.service.deadline import Deadline, End
from qwen_demo.service.estimates import Rates
from qwen_demo.service.queue import Ticket, WaitingQueue
from qwen_demo.service.telemetry import Metrics, request_id
from qwen_demo.service.validation import validate
from qwen_demo.service.watchdog import Watchdog
from qwen_demo.settings import Settings
from qwen_demo.types import Adapter, ChatRequest, Engine, Event, Finished, Health, ModelInfo, Timing, collect

log = logging.getLogger(__name__)

LAST_WORDS_S = 0.5  # after the grace, for telling callers why their answers end


@dataclass(frozen=True, slots=True)
class Status:
    """What the front shows while nobody asks anything.

    Attributes:
        state: `loading`, `ready`, `restarting` (it comes back by itself), `failed` or `closing`.
        detail: one sentence for people.
    """

    state: str
    detail: str
    running: int
    waiting: int
    model: ModelInfo


class Service:
    """Holds one engine from start to close. All methods belong to one event loop."""

    def __init__(self, settings: Settings, engine: Engine):
        self.settings = settings
        self._engine = engine
        self._state = "loading"
        self._tasks: list[asyncio.Task[None]] = []
        self._enders: set[End] = set()  # one for each answer that is being written
        self._queue = WaitingQueue()
        self._watchdog = Watchdog(engine, settings.canary_s)
        self._admission = Admission(settings, engine, self.eta_s)
        self.adapters = AdapterNames(settings)
        self.failure: QwenDemoError | None = None
        self.rates = Rates()
        self.metrics = Metrics(self._health)
        self.metrics.eta_from(self.eta_s)

    def start(self, after: "Service | None" = None) -> None:
        """Begin to load, once `after` has loaded well; `loaded` waits for the end of it."""
        self._tasks.append(asyncio.create_task(self._load(after)))

    async def loaded(self) -> None:
        """Wait until loading ended, well or badly."""
        if self._tasks:
            await asyncio.wait(self._tasks[:1])

    def ready_without_warmup(self) -> None:
        """For an engine that was loaded elsewhere and cannot run before the first request."""
        self._state = "ready"

    @property
    def engine(self) -> Engine:
        """For whoever changes its model; requests go through `answer` alone."""
        return self._engine

    async def load_adapter(self, name: str, path: str, *, in_place: bool = False) -> None:
        """See `AdapterNames.load`; the engine tries it."""

        async def try_it(adapter: Adapter) -> None:
            await collect(self._engine.stream(replace(small_question(), adapter=adapter)))

        await self.adapters.load(name, path, self._engine.info.model_id, try_it, in_place=in_place)

    def model_changed(self) -> None:
        """Another model answers: what was learned of the old one's speed is forgotten."""
        self.rates = Rates()

    async def _load(self, after: "Service | None") -> None:
        try:
            if after is not None:
                await after.loaded()
                if after.failure:
                    raise after.failure
            await self.adapters.open()
            await self._engine.start()
            if self.settings.warmup:
                await collect(self._engine.stream(small_question()))
            self._state = "ready"
            if self.settings.canary_s:
                self._tasks.append(asyncio.create_task(self._watchdog.watch()))
        except QwenDemoError as error:
            self._fail(error)
        except Exception as error:  # whatever it is, callers and the operator must not wait for a model in vain
            log.exception("the engine did not start")
            self._fail(EngineFailed(f"The engine did not start: {type(error).__name__}: {error}"))

    def _fail(self, error: QwenDemoError) -> None:
        self.failure, self._state = error, "failed"
        log.error("%s", error)

    async def drain(self) -> None:
        """Admit nothing more and wait until what runs has ended, at most `grace_s`."""
        self._state = "closing"
        deadline = time.monotonic() + self.settings.grace_s
        while self._admission.requests and time.monotonic() < deadline:  # noqa: ASYNC110 requests end in many ways
            await asyncio.sleep(0.05)
        shutting_down = Sentence(
            "The server is shutting down and could not wait for this answer. Ask again in a moment."
        )
        for end in list(self._enders):
            end(NotReady(shutting_down))
        deadline = time.monotonic() + LAST_WORDS_S
        while self._admission.requests and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Turn new requests away and let the engine go."""
        self._state = "closing"
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                log.error("a task of the service had failed", exc_info=error)
        await self._engine.close()

    def _health(self) -> Health:
        health = self._engine.health()
        ready = health.ready and self._state == "ready" and not self._watchdog.trouble
        return replace(health, ready=ready, waiting=self._waiting)

    @property
    def _waiting(self) -> int:
        """Requests that wait for the engine, in its line or in that before it."""
        return self._engine.health().waiting + self._admission.turns.waiting

    def status(self) -> Status:
        health = self._engine.health()
        state, detail = self._state, self.failure.args[0] if self.failure else health.detail
        if state == "loading" and health.ready:
            detail = Sentence("Warming up")
        if state == "closing":
            detail = Sentence("The server is shutting down")
        if state == "ready" and (self._watchdog.trouble or not health.ready):
            state = "failed" if health.failed or health.ready else "loading" if health.loading else "restarting"
            detail = health.detail if not health.ready else self._watchdog.trouble
        return Status(state, detail, health.running, self._waiting, self._engine.info)

    @property
    def is_coming(self) -> bool:
        """Whether an engine is being started, or started again: who waits gets an answer, or the reason why there is none."""
        health = self._engine.health()
        again = self._state == "ready" and not health.ready and (health.restarting or health.loading)
        return self._state == "loading" or again

    @property
    def is_lost(self) -> bool:
        """Whether the engine will not come back by itself, so that the program should be started again."""
        return self.failure is not None or self._engine.health().failed

    @property
    def in_flight(self) -> int:
        """Requests that are admitted and have not ended."""
        return self._admission.requests

    def ahead_of(self, ticket: Ticket) -> int | None:
        """How many wait before that request; None where it does not wait for the engine."""
        return self._queue.ahead(ticket, self._waiting)

    def eta_s(self, ahead: int | None = None) -> float:
        """Seconds after which a request that comes now, or has `ahead` before it, is likely to be worked on."""
        return self.rates.seconds_in_line(self._waiting if ahead is None else ahead, self._engine.health().slots)

    async def answer(
        self,
        request: ChatRequest | Awaitable[ChatRequest],
        *,
        front: str = "page",
        ticket: Ticket | None = None,
        opens_files: bool = True,
    ) -> AsyncGenerator[Event, None]:
        """Stream one answer. Raises `QwenDemoError`; closing it frees the engine's slot.

        Args:
            request: what to answer. An awaitable is only awaited once there is room, so that
                nothing is downloaded or decoded for a request that is turned away.
            front: who asks, for the metrics.
            ticket: tells where the request stands, see `ahead_of`.
            opens_files: whether the awaitable may; those that do share a part of the room.
        """
        try:
            visit = self._admit(opens_files and not isinstance(request, ChatRequest))
        except QwenDemoError as error:
            _discard(request)
            self.metrics.rejected(error.code)
            raise
        started = time.perf_counter()
        deadline = Deadline(self.settings.request_timeout_s)
        outcome, finished, first_s, placed = "cancelled", None, 0.0, False
        identity = request_id() or secrets.token_hex(8)
        ticket = ticket or Ticket()
        try:
            async with deadline.before_the_answer():
                if not isinstance(request, ChatRequest):
                    request = await request
                self._admission.opened(visit)
                media_s = time.perf_counter() - started
                self.metrics.opened(media_s)
                named = request.adapter.name if request.adapter else ""
                adapter = self.adapters.of(named, self._engine.info.model_id)
                request = replace(request, request_id=identity, account=visit.account, adapter=adapter)
                validate(request, self.settings, self._engine.info)
                self._admission.charge(visit, request)
                self._queue.join(ticket, visit.tokens)
                await self._admission.turns.take(visit.account)
            placed = True
            self.adapters.of(named, self._engine.info.model_id)  # the model may have been changed meanwhile
            line_s = time.perf_counter() - started - media_s
            calls = CallReader(request)
            async with aclosing(deadline.during(self._engine.stream(request), self._enders)) as events:
                async for made in events:
                    self._watchdog.saw_event()
                    self._queue.leave(ticket)
                    first_s = first_s or time.perf_counter() - started
                    for event in calls.read(made):
                        if isinstance(event, Finished):
                            event = replace(event, timing=_since_arrival(event.timing, media_s, line_s))
                            finished, outcome = event, event.reason
                            self.rates.add(event)
                        yield event
        except QwenDemoError as error:
            outcome = error.code
            raise
        except Exception:
            outcome = "internal_error"
            raise
        finally:
            self._queue.leave(ticket)
            if placed:
                self._admission.turns.give_back(visit.account)
            self._admission.leave(visit)
            if outcome in (Overloaded.code, NotReady.code):
                self.metrics.rejected(outcome)
            self._record(identity, front, outcome, finished, first_s, time.perf_counter() - started)

    def _admit(self, opens_files: bool) -> Visit:
        if not self._health().ready:
            status = self.status()
            raise NotReady(
                Sentence(
                    "The model is not ready ({state}): {detail}. Try again in a moment.",
                    state=status.state,
                    detail=status.detail,
                )
            )
        return self._admission.enter(current_account.get(), opens_files)

    def _record(
        self, identity: str, front: str, outcome: str, finished: Finished | None, first_s: float, seconds: float
    ) -> None:
        self.metrics.ended(front, outcome, finished, first_s, seconds)
        fields = {"request": identity, "front": front, "outcome": outcome, "seconds": round(seconds, 3)}
        if finished:
            usage = finished.usage
            tokens = (usage.prompt_tokens, usage.image_tokens, usage.completion_tokens)
            fields |= dict(zip(("prompt", "images", "answer"), tokens, strict=True))
        log.info("request ended", extra={"fields": fields})


def _since_arrival(timing: Timing, media_s: float, line_s: float) -> Timing:
    """An engine's times with those before it: of opening files, and of waiting for a place in the engine."""
    with_line = {name: getattr(timing, name) + line_s for name in ("queue_s", "ttft_s", "total_s")}
    return replace(timing, media_s=media_s, **with_line)


def _discard(request: ChatRequest | Awaitable[ChatRequest]) -> None:
    if asyncio.iscoroutine(request):
        request.close()

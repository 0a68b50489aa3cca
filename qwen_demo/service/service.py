"""The only way to an engine, for page and programs alike: admit -> stream -> record.

It turns away what is over capacity before a byte of it is decoded, checks what every front must
hold to, ends what takes too long, and records each request once. It also watches the engine: a
model that answers nothing any more is not ready, whatever it says.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

import PIL.Image

from qwen_demo.errors import DeadlineExceeded, NotReady, Overloaded, QwenDemoError
from qwen_demo.models.pixels import image_tokens
from qwen_demo.raster import Raster
from qwen_demo.sentences import Sentence
from qwen_demo.service import validation as checks
from qwen_demo.service.estimates import Rates
from qwen_demo.service.queue import Ticket, WaitingQueue
from qwen_demo.service.telemetry import Metrics, request_id
from qwen_demo.settings import Settings
from qwen_demo.types import (
    ChatRequest,
    Engine,
    Event,
    Finished,
    Health,
    Image,
    Message,
    ModelInfo,
    Part,
    Sampling,
    Text,
    collect,
)

log = logging.getLogger(__name__)

# The rate that ETAs are computed from is that of the newest answers.
RATE_WINDOW = 50
CANARY_TIMEOUT_S = 30.0
LAST_WORDS_S = 0.5  # after the grace, for telling callers why their answers end
# A token of English is some four characters; counting exactly would cost a tokenizer at the door.
CHARACTERS_PER_TOKEN = 3


@dataclass(frozen=True, slots=True)
class Status:
    """What the front shows while nobody asks anything.

    Attributes:
        state: `loading`, `ready`, `failed` or `closing`.
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
        self._tasks: list[asyncio.Task] = []
        self._in_flight = 0
        self._enders: set[Callable[[QwenDemoError], None]] = set()  # one for each answer that is being written
        self._tokens_in_flight = 0
        self._line = WaitingQueue()
        self._ends: deque[float] = deque(maxlen=RATE_WINDOW)
        self._last_sign = time.monotonic()
        self._stuck = ""
        self.failure: QwenDemoError | None = None
        self.rates = Rates()
        self.metrics = Metrics(self._health)
        self.metrics.eta_from(self.eta_s)

    def start(self, after: "Service | None" = None) -> None:
        """Begin to load, once `after` has loaded well; `loaded` waits for the end of it."""
        self._tasks.append(asyncio.create_task(self._load(after)))

    async def loaded(self) -> None:
        """Wait until loading ended, well or badly."""
        await asyncio.wait(self._tasks[:1])

    def ready_without_warmup(self) -> None:
        """For an engine that was loaded elsewhere and cannot run before the first request."""
        self._state = "ready"

    async def _load(self, after: "Service | None") -> None:
        try:
            if after is not None:
                await after.loaded()
                if after.failure:
                    raise after.failure
            await self._engine.start()
            if self.settings.warmup:
                await collect(self._engine.stream(_small_question()))
            self._state = "ready"
            if self.settings.canary_s:
                self._tasks.append(asyncio.create_task(self._watch()))
        except QwenDemoError as error:
            self.failure = error
            self._state = "failed"
            log.error("%s", error)

    async def drain(self) -> None:
        """Admit nothing more and wait until what runs has ended, at most `grace_s`."""
        self._state = "closing"
        deadline = time.monotonic() + self.settings.grace_s
        while self._in_flight and time.monotonic() < deadline:  # noqa: ASYNC110 requests end in many ways
            await asyncio.sleep(0.05)
        shutting_down = Sentence(
            "The server is shutting down and could not wait for this answer. Ask again in a moment."
        )
        for end in list(self._enders):
            end(NotReady(shutting_down))
        deadline = time.monotonic() + LAST_WORDS_S
        while self._in_flight and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Turn new requests away and let the engine go."""
        self._state = "closing"
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._engine.close()

    def _health(self) -> Health:
        health = self._engine.health()
        return replace(health, ready=health.ready and self._state == "ready" and not self._stuck)

    def status(self) -> Status:
        health = self._engine.health()
        state, detail = self._state, self.failure.args[0] if self.failure else health.detail
        if state == "loading" and health.ready:
            detail = Sentence("Warming up")
        if state == "closing":
            detail = Sentence("The server is shutting down")
        if state == "ready" and (self._stuck or not health.ready):
            state, detail = "failed", self._stuck or health.detail
        return Status(state, detail, health.running, health.waiting, self._engine.info)

    @property
    def in_flight(self) -> int:
        """Requests that are admitted and have not ended."""
        return self._in_flight

    def ahead_of(self, ticket: Ticket) -> int | None:
        """How many wait before that request; None where it does not wait for the engine."""
        return self._line.ahead(ticket, self._engine.health().waiting)

    def eta_s(self, ahead: int | None = None) -> float:
        """Seconds after which a request that comes now, or has `ahead` before it, is likely to be worked on."""
        waiting = self._engine.health().waiting if ahead is None else ahead
        if not waiting:
            return 0.0
        if len(self._ends) < 2:
            return float(waiting)
        return waiting * (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)

    async def answer(
        self, request: ChatRequest | Awaitable[ChatRequest], *, front: str = "page", ticket: Ticket | None = None
    ) -> AsyncGenerator[Event, None]:
        """Stream one answer. Raises `QwenDemoError`; closing it frees the engine's slot.

        Args:
            request: what to answer. An awaitable is only awaited once there is room, so that
                nothing is downloaded or decoded for a request that is turned away.
            front: who asks, for the metrics.
            ticket: tells where the request stands, see `ahead_of`.
        """
        try:
            self._admit()
        except QwenDemoError as error:
            _discard(request)
            self.metrics.rejected(error.code)
            raise
        started = time.perf_counter()
        outcome, finished, tokens, first_s = "cancelled", None, 0, 0.0
        identity = request_id() or secrets.token_hex(8)
        ticket = ticket or Ticket()
        self._in_flight += 1
        try:
            if not isinstance(request, ChatRequest):
                request = await request
            media_s = time.perf_counter() - started
            request = replace(request, request_id=identity)
            checks.check(request, self.settings, self._engine.info)
            tokens = self._take_tokens(request)
            self._line.join(ticket, tokens)
            async with aclosing(self._until_ended(request)) as events:
                async for event in events:
                    self._last_sign = time.monotonic()
                    self._line.leave(ticket)
                    first_s = first_s or time.perf_counter() - started
                    if isinstance(event, Finished):
                        event = replace(event, timing=replace(event.timing, media_s=media_s))
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
            self._line.leave(ticket)
            self._in_flight -= 1
            self._tokens_in_flight -= tokens
            if outcome in (Overloaded.code, NotReady.code):
                self.metrics.rejected(outcome)
            self._record(identity, front, outcome, finished, first_s, time.perf_counter() - started)

    def _admit(self) -> None:
        if not self._health().ready:
            status = self.status()
            raise NotReady(
                Sentence(
                    "The model is not ready ({state}): {detail}. Try again in a moment.",
                    state=status.state,
                    detail=status.detail,
                )
            )
        if self._in_flight >= self._engine.health().slots + self.settings.max_waiting:
            raise self._overloaded(Sentence("{count} requests are running or waiting", count=self._in_flight))

    def _overloaded(self, what: Sentence) -> Overloaded:
        retry_after_s = max(1.0, self.eta_s())
        return Overloaded(
            Sentence(
                "{what}, which is all that this server takes. Try again in about {seconds:.0f} s.",
                what=what,
                seconds=retry_after_s,
            ),
            retry_after_s=retry_after_s,
        )

    def _take_tokens(self, request: ChatRequest) -> int:
        """Counts the request's prompt against `max_waiting_tokens`; one alone always fits."""
        parts = [part for message in request.messages for part in message.parts]
        tokens = sum(self._cost(part, request) for part in parts)
        if self._tokens_in_flight and self._tokens_in_flight + tokens > self.settings.max_waiting_tokens:
            raise self._overloaded(
                Sentence("Prompts of {tokens} tokens are running or waiting", tokens=self._tokens_in_flight)
            )
        self._tokens_in_flight += tokens
        return tokens

    def _cost(self, part: Part, request: ChatRequest) -> int:
        if isinstance(part, Text):
            return len(part.text) // CHARACTERS_PER_TOKEN + 1
        model = self._engine.info
        if not isinstance(part, Image):
            return (request.max_pixels or model.max_pixels) // model.patch_pixels**2
        largest = min(request.max_pixels or model.max_pixels, model.max_pixels)
        bounds = {"min_pixels": min(model.min_pixels, largest), "max_pixels": largest, "patch": model.patch_pixels}
        return image_tokens(*part.size, **bounds)

    async def _until_ended(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        # One timer for the whole answer: `asyncio.timeout` around each token costs more than sending it.
        # The task is looked up at each step, as a reader may take every event in a task of its own.
        working: asyncio.Task | None = None
        leaving: asyncio.Future | None = None
        over: QwenDemoError | None = None

        def end(error: QwenDemoError) -> None:
            nonlocal over, leaving
            over = over or error
            if working is not None:
                working.cancel()
            else:  # its reader has stopped in the middle, and the slot must not wait for him
                leaving = asyncio.ensure_future(events.aclose())

        events = self._engine.stream(request)
        too_long = DeadlineExceeded(
            Sentence(
                "The answer took longer than {limit_s:g} s and was ended. Ask for a "
                "shorter answer or smaller images (an operator can raise --request-timeout-s).",
                limit_s=self.settings.request_timeout_s,
            )
        )
        timer = asyncio.get_running_loop().call_later(self.settings.request_timeout_s, end, too_long)
        self._enders.add(end)
        try:
            while over is None:
                working = asyncio.current_task()
                try:
                    event = await anext(events, None)
                except asyncio.CancelledError:
                    if over is None or working.uncancel():
                        raise
                    break
                finally:
                    working = None
                if event is None:
                    return
                yield event
        finally:
            timer.cancel()
            self._enders.discard(end)
            await (leaving or events.aclose())
        raise over

    def _record(self, identity: str, front: str, outcome: str, finished, first_s: float, seconds: float) -> None:
        if finished:
            self._ends.append(time.monotonic())
        self.metrics.ended(front, outcome, finished, first_s, seconds)
        fields = {"request": identity, "front": front, "outcome": outcome, "seconds": round(seconds, 3)}
        if finished:
            usage = finished.usage
            fields |= {
                "prompt": usage.prompt_tokens,
                "images": usage.image_tokens,
                "answer": usage.completion_tokens,
            }
        log.info("request ended", extra={"fields": fields})

    async def _watch(self) -> None:
        """Ask a one-token question about an image when no answer has moved for a while."""
        while True:
            await asyncio.sleep(min(1.0, self.settings.canary_s / 4))
            if time.monotonic() - self._last_sign < self.settings.canary_s:
                continue
            try:
                async with asyncio.timeout(CANARY_TIMEOUT_S):
                    await collect(self._engine.stream(_small_question()))
                self._stuck = ""
            except TimeoutError:
                self._stuck = f"The model has given no token for {CANARY_TIMEOUT_S:g} s"
            except QwenDemoError as error:
                self._stuck = f"The model fails: {error}"
            if self._stuck:
                log.error("%s", self._stuck)
            self._last_sign = time.monotonic()


def _discard(request: ChatRequest | Awaitable[ChatRequest]) -> None:
    if asyncio.iscoroutine(request):
        request.close()


def _small_question() -> ChatRequest:
    image = Image(Raster.of(PIL.Image.new("RGB", (224, 224), "white")), "warm-up")
    return ChatRequest((Message("user", (image, Text("Hello."))),), Sampling(max_new_tokens=1))

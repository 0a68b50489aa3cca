"""The only way to an engine, for page and programs alike: admit -> stream -> record.

It checks what every front must hold to (lengths, counts, order), turns away what is over
capacity at once, ends what takes too long, and writes one log line for each request.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

import PIL.Image

from qwen_demo.errors import DeadlineExceeded, InvalidRequest, NotReady, Overloaded, QwenDemoError
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Engine, Event, Finished, Image, Message, ModelInfo, Sampling, Text, collect

log = logging.getLogger(__name__)

# Weight of the newest request in the running mean of durations.
NEWEST = 0.1


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
        self._loading: asyncio.Task | None = None
        self._in_flight = 0
        self._mean_s = 2.0
        self.failure: QwenDemoError | None = None

    def start(self) -> None:
        """Begin to load; `loaded` waits for the end of it."""
        self._loading = asyncio.create_task(self._load())

    async def _load(self) -> None:
        try:
            await self._engine.start()
            if self.settings.warmup:
                await collect(self._engine.stream(_warmup_request()))
            self._state = "ready"
        except QwenDemoError as error:
            self.failure = error
            self._state = "failed"
            log.error("%s", error)

    async def loaded(self) -> None:
        """Wait until loading ended, well or badly."""
        if self._loading is not None:
            await asyncio.wait({self._loading})

    def ready_without_warmup(self) -> None:
        """For an engine that was loaded elsewhere and cannot run before the first request."""
        self._state = "ready"

    async def close(self) -> None:
        """Turn new requests away and let the engine go."""
        self._state = "closing"
        if self._loading is not None:
            self._loading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loading
        await self._engine.close()

    def status(self) -> Status:
        health = self._engine.health()
        detail = str(self.failure) if self.failure else health.detail
        if self._state == "loading" and health.ready:
            detail = "Warming up"
        state = self._state if self._state != "ready" or health.ready else "failed"
        return Status(state, detail, health.running, health.waiting, self._engine.info)

    def eta_s(self) -> float:
        """Seconds after which a request that comes now is likely to be worked on."""
        ahead = max(0, self._in_flight - self.settings.max_running + 1)
        return ahead * self._mean_s / self.settings.max_running

    async def answer(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Stream one answer. Raises `QwenDemoError`; closing it frees the engine's slot."""
        request = replace(request, request_id=request.request_id or secrets.token_hex(8))
        self._admit(request)
        started = time.perf_counter()
        self._in_flight += 1
        outcome = "cancelled"
        finished: Finished | None = None
        try:
            async with aclosing(self._within_deadline(request)) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        finished, outcome = event, event.reason
                    yield event
        except QwenDemoError as error:
            outcome = error.code
            raise
        finally:
            self._in_flight -= 1
            self._record(request, outcome, finished, time.perf_counter() - started)

    def _admit(self, request: ChatRequest) -> None:
        if self._state != "ready":
            status = self.status()
            raise NotReady(f"The model is not ready ({status.state}): {status.detail}. Try again in a moment.")
        self._check(request)
        if self._in_flight >= self.settings.max_running + self.settings.max_waiting:
            retry_after_s = max(1.0, self.eta_s())
            raise Overloaded(
                f"{self._in_flight} requests are running or waiting, which is all that this server takes. "
                f"Try again in about {retry_after_s:.0f} s.",
                retry_after_s=retry_after_s,
            )

    def _check(self, request: ChatRequest) -> None:
        limits = self.settings
        if not request.messages or request.messages[-1].role != "user":
            raise InvalidRequest("The last message must be the user's.", field="messages")
        if not any(part for message in request.messages if message.role == "user" for part in message.parts):
            raise InvalidRequest("The question is empty: type something or add a picture.", field="messages")
        pictures = sum(not isinstance(part, Text) for message in request.messages for part in message.parts)
        if pictures > limits.max_images:
            raise InvalidRequest(
                f"The conversation has {pictures} pictures and videos; the model looks at {limits.max_images} at once. "
                "Clear the conversation or remove some (an operator can raise --max-images).",
                field="messages",
            )
        if not 1 <= request.sampling.max_new_tokens <= limits.max_new_tokens:
            raise InvalidRequest(
                f"max_new_tokens is {request.sampling.max_new_tokens}; it may be 1 to {limits.max_new_tokens} "
                "(an operator can raise --max-new-tokens).",
                field="max_new_tokens",
            )
        _check_sampling(request.sampling)

    async def _within_deadline(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        deadline = asyncio.get_running_loop().time() + self.settings.request_timeout_s
        async with aclosing(self._engine.stream(request)) as events:
            while True:
                try:
                    async with asyncio.timeout_at(deadline):
                        event = await anext(events)
                except StopAsyncIteration:
                    return
                except TimeoutError as error:
                    raise DeadlineExceeded(
                        f"The answer took longer than {self.settings.request_timeout_s:g} s and was ended. Ask for a "
                        "shorter answer or smaller pictures (an operator can raise --request-timeout-s)."
                    ) from error
                yield event

    def _record(self, request: ChatRequest, outcome: str, finished: Finished | None, seconds: float) -> None:
        if finished:
            self._mean_s += NEWEST * (seconds - self._mean_s)
        tokens = f" prompt={finished.usage.prompt_tokens} answer={finished.usage.completion_tokens}" if finished else ""
        log.info("request=%s outcome=%s seconds=%.3f%s", request.request_id, outcome, seconds, tokens)


def _check_sampling(sampling: Sampling) -> None:
    for name, value, low, high in (
        ("temperature", sampling.temperature, 0, 2),
        ("top_p", sampling.top_p, 0.001, 1),
        ("top_k", sampling.top_k, 0, 1000),
        ("min_p", sampling.min_p, 0, 1),
        ("repetition_penalty", sampling.repetition_penalty, 0.1, 10),
        ("presence_penalty", sampling.presence_penalty, -2, 2),
        ("frequency_penalty", sampling.frequency_penalty, -2, 2),
        ("seed", sampling.seed or 0, 0, (1 << 63) - 1),
    ):
        if not low <= value <= high:
            raise InvalidRequest(f"{name} is {value}; it may be {low} to {high}.", field=name)


def _warmup_request() -> ChatRequest:
    picture = Image(PIL.Image.new("RGB", (224, 224), "white"), "warm-up")
    return ChatRequest((Message("user", (picture, Text("Hello."))),), Sampling(max_new_tokens=2))

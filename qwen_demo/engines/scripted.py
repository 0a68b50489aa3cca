"""A scripted engine: the front of the product without a model.

For tests and for load tests that ask what the front alone costs. It keeps the whole contract
of an engine, with a script instead of weights.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from qwen_demo.errors import NotReady
from qwen_demo.sentences import Sentence
from qwen_demo.types import (
    ChatRequest,
    Event,
    Finished,
    FinishReason,
    Health,
    ModelInfo,
    Text,
    TextDelta,
    Timing,
    TokenLogprob,
    Usage,
)

IMAGE_TOKENS = 64
# For tests to look at. They hold decoded images, so a long load test must not keep them all.
REQUESTS_KEPT = 64


@dataclass(frozen=True, slots=True)
class Script:
    """What the scripted engine does with a request.

    Attributes:
        words: pieces of the answer, one token each; None echoes the question's words.
        reason: why it ends when the script is over.
        first_s, gap_s: seconds before the first piece and between pieces.
        error: raised after `error_after` pieces, if given.
        probability: of each piece; told to who asks for log probabilities.
    """

    words: Sequence[str] | None = None
    reason: FinishReason = "stop"
    first_s: float = 0.0
    gap_s: float = 0.0
    error: Exception | None = None
    error_after: int = 0
    probability: float = 1.0


class ScriptedEngine:
    """Plays `script` for each request, at most `max_running` at once."""

    def __init__(self, script: Script = Script(), max_running: int = 64, load_s: float = 0.0):
        self.script = script
        self.requests: deque[ChatRequest] = deque(maxlen=REQUESTS_KEPT)
        self.info = ModelInfo(
            model_id="scripted",
            reason=Sentence("a scripted engine without a model"),
            engine="scripted",
            device="none",
            dtype="none",
            context_tokens=4096,
            min_pixels=28 * 28 * 64,
            max_pixels=28 * 28 * 256,
        )
        self._load_s = load_s
        self._slots = max_running
        self._places = asyncio.Semaphore(max_running)
        self._running = self._waiting = 0
        self._ready = False

    async def start(self) -> None:
        await asyncio.sleep(self._load_s)
        self._ready = True

    def health(self) -> Health:
        detail = "ready" if self._ready else Sentence("loading")
        return Health(self._ready, self._running, self._waiting, detail, self._slots)

    async def close(self) -> None:
        self._ready = False

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        if not self._ready:
            raise NotReady("The model is not ready: loading.")
        arrived = time.perf_counter()
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        self._running += 1
        self.requests.append(request)
        try:
            async for event in self._play(request, arrived):
                yield event
        finally:
            self._running -= 1
            self._places.release()

    async def _play(self, request: ChatRequest, arrived: float) -> AsyncGenerator[Event, None]:
        script = self.script
        words = script.words if script.words is not None else _echo(request)
        words = words[: request.sampling.max_new_tokens]
        admitted = time.perf_counter()
        await asyncio.sleep(script.first_s)
        first = time.perf_counter()
        for index, word in enumerate(words):
            if script.error is not None and index == script.error_after:
                raise script.error
            if index:
                await asyncio.sleep(script.gap_s)
            told = request.sampling.top_logprobs is not None
            yield TextDelta(word, (TokenLogprob(word, math.log(script.probability)),) if told else ())
        if script.error is not None:
            raise script.error
        ended = time.perf_counter()
        cut = len(words) == request.sampling.max_new_tokens
        images = sum(not isinstance(part, Text) for message in request.messages for part in message.parts)
        typed = sum(len(message.text.split()) for message in request.messages)
        yield Finished(
            "length" if cut else script.reason,
            Usage(typed + images * IMAGE_TOKENS, images * IMAGE_TOKENS, len(words)),
            Timing(
                queue_s=admitted - arrived,
                prefill_s=first - admitted,
                ttft_s=first - arrived,
                decode_s=ended - first,
                total_s=ended - arrived,
            ),
        )


def _echo(request: ChatRequest) -> list[str]:
    return [word + " " for word in request.messages[-1].text.split()] or ["(no words)"]

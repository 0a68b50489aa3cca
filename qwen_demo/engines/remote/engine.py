"""Any OpenAI-compatible server as an engine: vLLM, SGLang, Ray Serve, another copy of this program.

Images travel as data URLs. A request goes to the server with the fewest open ones; if it cannot
be had before its first token, to the next. After the first token nothing is tried again.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import httpx2
import openai

from qwen_demo.engines.remote.errors import translate
from qwen_demo.engines.remote.outgoing import MODEL_BOUNDS, Outgoing, refused_fields
from qwen_demo.engines.remote.schema_check import SchemaCheck
from qwen_demo.engines.remote.tools import CallPieces, Json
from qwen_demo.engines.remote.upstreams import Upstream, Upstreams, cause
from qwen_demo.errors import EngineFailed, ModelLoadError, NotReady, SettingsError
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.types import (
    ChatRequest,
    Event,
    Finished,
    FinishReason,
    Health,
    ModelInfo,
    TextDelta,
    Timing,
    TokenLogprob,
    ToolCallDelta,
    Usage,
    joined,
)

log = logging.getLogger(__name__)

# What this engine works on at once is the other side's affair; this bounds open connections only.
SLOTS = 512
MAX_PIXELS = 2560 * 28 * 28  # unless `--max-pixels` says otherwise
_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "repetition": "repetition",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
Delta = TextDelta | ToolCallDelta
END_S = 0.1  # for the end of a body whose last event has come


@dataclass
class _Progress:
    """What a stream has given so far."""

    arrived: float
    prepared: float = 0.0
    first: float = 0.0
    reason: str = ""
    usage: Usage | None = None
    last: float = field(default=0.0)
    calls: CallPieces = field(default_factory=CallPieces)


class RemoteEngine:
    """Forwards requests to the servers of `--base-url`."""

    def __init__(self, settings: Settings):
        if not settings.base_url:
            raise SettingsError("--engine remote needs --base-url, such as http://127.0.0.1:8000/v1")
        key = settings.remote_key.get_secret_value() if settings.remote_key else "none"
        self._settings = settings
        self._upstreams = Upstreams(settings.base_url, key, settings.request_timeout_s)
        self._state = "starting"
        self.info = ModelInfo(model_id=settings.model, engine="remote")

    async def start(self) -> None:
        """Ask every server for its models. Raises `ModelLoadError` when none has the wanted one."""
        self._state = f"asking {self._upstreams.names}"
        try:
            model = await self._upstreams.find_model(self._settings.model)
        except ModelLoadError:
            await self.close()
            raise
        least, most = self._settings.min_pixels or MODEL_BOUNDS.min_pixels, self._settings.max_pixels or MAX_PIXELS
        self.info = replace(
            self.info,
            model_id=model.id,
            reason=Sentence("served by {servers}", servers=self._upstreams.names),
            device=Sentence("another server"),
            dtype=Sentence("as served"),
            context_tokens=getattr(model, "max_model_len", None) or 0,
            # Another of ours tells its own.
            min_pixels=max(least, getattr(model, "min_pixels", None) or 0),
            max_pixels=min(most, getattr(model, "max_pixels", None) or most),
            logprobs=True,
            json_schema=True,
        )
        self._upstreams.watch()
        self._state = "ready"

    def health(self) -> Health:
        healthy = self._upstreams.healthy
        detail = self._state
        if self._state == "ready" and not healthy:
            detail = self._upstreams.troubles
        stats = {"upstreams": len(self._upstreams), "healthy_upstreams": healthy}
        return Health(detail == "ready", self._upstreams.running, 0, detail, SLOTS, stats)

    async def close(self) -> None:
        self._state = "closed"
        await self._upstreams.close()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        if self._state != "ready":
            raise NotReady(f"The model is not ready: {self._state}.")
        progress = _Progress(time.perf_counter())
        outgoing, check = Outgoing(request, self.info), SchemaCheck(request)
        tried: set[Upstream] = set()
        while not progress.reason:
            with self._upstreams.borrowed(tried) as upstream:
                last = len(tried) == len(self._upstreams)
                try:
                    async for delta in self._answer(upstream, outgoing, progress):
                        check.add(delta)
                        yield delta
                except (openai.APIConnectionError, httpx2.RequestError) as error:
                    upstream.trouble = cause(error)
                    if progress.first or last:
                        raise EngineFailed(f"The connection to {upstream.name} broke: {cause(error)}") from error
                    log.warning("%s: %s; trying the next server", upstream.name, cause(error))
                except openai.APIError as error:
                    translate(upstream, error, last=progress.first > 0 or last)
                except json.JSONDecodeError as error:
                    raise EngineFailed(f"{upstream.name} sent an answer that is no JSON.") from error
        reason = await check.reason(_REASONS[progress.reason], upstream.name)
        yield self._finished(progress, reason)

    async def _answer(self, upstream: Upstream, outgoing: Outgoing, progress: _Progress) -> AsyncGenerator[Delta, None]:
        """Asks again without what the server refuses by name and need not have, and remembers the names."""
        without = upstream.unknown
        while True:
            body = await outgoing.body(upstream.takes_bounds, without)
            progress.prepared = progress.prepared or time.perf_counter()
            try:
                async for delta in self._read(upstream, body, progress):
                    yield delta
            except openai.APIError as error:
                refused = refused_fields(error, body)
                if progress.first or not refused:
                    raise
                without |= refused
            else:
                upstream.unknown |= without
                return

    async def _read(self, upstream: Upstream, arguments: Json, progress: _Progress) -> AsyncGenerator[Delta, None]:
        """What came in one read is one delta, so that a busy process has fewer of them."""
        reply = await upstream.client.post(
            "/chat/completions", body=arguments, cast_to=object, stream=True, stream_cls=openai.AsyncStream[object]
        )
        # As bytes: the client's own events and types take longer than all the rest of a token here.
        received = reply.response.aiter_bytes()
        try:
            rest, over = b"", False
            while not over and (data := await anext(received, None)) is not None:
                *lines, rest = (rest + data).split(b"\n")
                pieces: list[Delta] = []
                try:
                    over = self._take_all(lines, reply.response.request, progress, pieces)
                finally:  # what came before an error comes before it here as well
                    for delta in joined(pieces):
                        yield delta
            await _read_out(received)
        finally:
            await reply.close()
        if not progress.reason:
            raise EngineFailed(f"{upstream.name} ended its answer without a reason.")
        if progress.reason not in _REASONS:  # abort, where it gave the answer up
            raise NotReady(f"{upstream.name} broke its answer off ({progress.reason}). Ask again in a moment.")

    def _take_all(self, lines: list[bytes], request: httpx2.Request, progress: _Progress, pieces: list[Delta]) -> bool:
        """Adds to `pieces` what lines of an event stream say; gives whether that was all."""
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            if line[5:].strip() == b"[DONE]":
                return True
            chunk = json.loads(line[5:])
            if not isinstance(chunk, dict):
                continue
            if error := chunk.get("error"):
                raise openai.APIError(str(error), request, body=error)
            pieces += self._take(chunk, progress)
        return False

    def _take(self, chunk: Json, progress: _Progress) -> list[Delta]:
        progress.last = time.perf_counter()
        if usage := chunk.get("usage"):
            details = usage.get("prompt_tokens_details") or {}
            progress.usage = Usage(
                usage.get("prompt_tokens") or 0,
                details.get("image_tokens") or 0,
                usage.get("completion_tokens") or 0,
                details.get("cached_tokens") or 0,
            )
        if not chunk.get("choices"):
            return []
        choice = chunk["choices"][0]
        if reason := choice.get("finish_reason"):
            progress.reason = "repetition" if choice.get("stop_reason") == "repetition" else reason
        delta = choice.get("delta") or {}
        words, logprobs = delta.get("content"), _logprobs(choice.get("logprobs"))
        told: list[Delta] = [TextDelta(words, logprobs)] if words else []
        told += progress.calls.take(delta.get("tool_calls"))
        if told:
            progress.first = progress.first or progress.last
            told[0] = replace(told[0], logprobs=logprobs)
        return told

    def _finished(self, progress: _Progress, reason: FinishReason) -> Finished:
        first, prepared = progress.first or progress.last, progress.prepared
        timing = Timing(
            preprocess_s=prepared - progress.arrived,
            prefill_s=first - prepared,
            ttft_s=first - progress.arrived,
            decode_s=progress.last - first,
            total_s=progress.last - progress.arrived,
        )
        return Finished(reason, progress.usage or Usage(0, 0, 0), timing)


async def _read_out(received: AsyncIterator[bytes]) -> None:
    """Only a connection whose answer was read to the end of its body is used again."""
    with suppress(TimeoutError, httpx2.RequestError):
        async with asyncio.timeout(END_S):
            async for _ in received:
                pass


def _logprobs(found: Json | None) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            token["token"],
            token["logprob"],
            tuple((other["token"], other["logprob"]) for other in token.get("top_logprobs") or ()),
        )
        for token in (found or {}).get("content") or ()
        if token.get("token") is not None and token.get("logprob") is not None
    )

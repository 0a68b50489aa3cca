"""Any OpenAI-compatible server as an engine: vLLM, SGLang, Ray Serve, another copy of this program.

Pictures travel as data URLs. A request goes to the server with the fewest open ones; if it cannot
be had before its first token, to the next. After the first token nothing is tried again.
"""

import asyncio
import base64
import io
import json
import logging
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import openai
import PIL.Image
from openai.types.chat import ChatCompletionChunk

from qwen_demo.errors import EngineFailed, InvalidRequest, ModelLoadError, NotReady, Overloaded, SettingsError
from qwen_demo.settings import Settings
from qwen_demo.types import (
    ChatRequest,
    Event,
    Finished,
    Health,
    Image,
    ModelInfo,
    Part,
    Text,
    TextDelta,
    Timing,
    TokenLogprob,
    Usage,
)

log = logging.getLogger(__name__)

CHECK_EVERY_S = 2.0
CHECK_TIMEOUT_S = 5.0
# What this engine works on at once is the other side's affair; this bounds open connections only.
SLOTS = 512
DEFAULT_RETRY_S = 2.0


@dataclass(eq=False)
class Upstream:
    """One server and what is known about it."""

    client: openai.AsyncOpenAI
    name: str
    open: int = 0
    trouble: str = "not checked yet"


@dataclass
class _Progress:
    """What a stream has given so far."""

    arrived: float
    first: float = 0.0
    reason: str = ""
    usage: Usage | None = None
    last: float = field(default=0.0)


class RemoteEngine:
    """Forwards requests to the servers of `--base-url`."""

    def __init__(self, settings: Settings):
        if not settings.base_url:
            raise SettingsError("--engine remote needs --base-url, such as http://127.0.0.1:8000/v1")
        key = settings.remote_key.get_secret_value() if settings.remote_key else "none"
        self._settings = settings
        self._upstreams = [
            Upstream(
                openai.AsyncOpenAI(base_url=url, api_key=key, max_retries=0, timeout=settings.request_timeout_s),
                urlsplit(url).netloc,
            )
            for url in settings.base_url
        ]
        self._state = "starting"
        self._watching: asyncio.Task | None = None
        self.info = ModelInfo(model_id=settings.model, engine="remote")

    async def start(self) -> None:
        """Ask every server for its models. Raises `ModelLoadError` when none has the wanted one."""
        try:
            await self._find_model()
        except ModelLoadError:
            await self.close()
            raise
        for upstream in self._upstreams:
            await self._check(upstream)
        self._watching = asyncio.create_task(self._watch())
        self._state = "ready"

    async def _find_model(self) -> None:
        self._state = "asking " + ", ".join(upstream.name for upstream in self._upstreams)
        found = await asyncio.gather(*[self._check(upstream) for upstream in self._upstreams])
        offered = [model for models in found for model in models]
        if not offered:
            troubles = "; ".join(f"{upstream.name}: {upstream.trouble}" for upstream in self._upstreams)
            raise ModelLoadError(f"No server of --base-url answers ({troubles}). Start one, or correct the address.")
        wanted = self._settings.model
        if wanted == "auto":
            wanted = offered[0].id
        chosen = next((model for model in offered if model.id == wanted), None)
        if chosen is None:
            names = ", ".join(sorted({model.id for model in offered}))
            raise ModelLoadError(f"--model {wanted} is not served by --base-url; there is: {names}.")
        where = ", ".join(upstream.name for upstream in self._upstreams)
        self.info = replace(
            self.info,
            model_id=chosen.id,
            reason=f"served by {where}",
            device="another server",
            dtype="as served",
            context_tokens=getattr(chosen, "max_model_len", None) or 0,
            min_pixels=self._settings.min_pixels or 4 * 28 * 28,
            max_pixels=self._settings.max_pixels or 2560 * 28 * 28,
            logprobs=True,
            json_schema=True,
        )

    async def _check(self, upstream: Upstream) -> list:
        """The server's models; its `trouble` says what is wrong, if anything."""
        try:
            models = (await upstream.client.models.list(timeout=CHECK_TIMEOUT_S)).data
        except openai.OpenAIError as error:
            upstream.trouble = _cause(error)
            return []
        served = not self.info.reason or any(model.id == self.info.model_id for model in models)
        upstream.trouble = "" if served else f"does not serve {self.info.model_id}"
        return models

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            await asyncio.gather(*[self._check(upstream) for upstream in self._upstreams])

    def health(self) -> Health:
        healthy = [upstream for upstream in self._upstreams if not upstream.trouble]
        running = sum(upstream.open for upstream in self._upstreams)
        detail = self._state
        if self._state == "ready" and not healthy:
            detail = "; ".join(f"{upstream.name}: {upstream.trouble}" for upstream in self._upstreams)
        stats = {"upstreams": len(self._upstreams), "healthy_upstreams": len(healthy)}
        return Health(detail == "ready", running, 0, detail, SLOTS, stats)

    async def close(self) -> None:
        self._state = "closed"
        if self._watching:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        for upstream in self._upstreams:
            await upstream.client.close()

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        if self._state != "ready":
            raise NotReady(f"The model is not ready: {self._state}.")
        progress = _Progress(time.perf_counter())
        arguments = await asyncio.to_thread(self._arguments, request)
        prepared = time.perf_counter()
        tried: set[Upstream] = set()
        while True:
            upstream = self._choose(tried)
            tried.add(upstream)
            upstream.open += 1
            try:
                async for delta in self._read(upstream, arguments, progress):
                    yield delta
                break
            except openai.APIConnectionError as error:
                upstream.trouble = _cause(error)
                if progress.first or len(tried) == len(self._upstreams):
                    raise EngineFailed(f"The connection to {upstream.name} broke: {_cause(error)}") from error
                log.warning("%s: %s; trying the next server", upstream.name, _cause(error))
            except openai.APIStatusError as error:
                self._translate(upstream, error, last=progress.first > 0 or len(tried) == len(self._upstreams))
            finally:
                upstream.open -= 1
        yield self._finished(progress, prepared)

    def _choose(self, tried: set[Upstream]) -> Upstream:
        left = [upstream for upstream in self._upstreams if upstream not in tried]
        healthy = [upstream for upstream in left if not upstream.trouble]
        return min(healthy or left, key=lambda upstream: upstream.open)

    async def _read(self, upstream: Upstream, arguments: dict, progress: _Progress) -> AsyncGenerator[TextDelta, None]:
        chunks = await upstream.client.chat.completions.create(**arguments)
        try:
            async for chunk in chunks:
                if delta := self._take(chunk, progress):
                    yield delta
        finally:
            await chunks.close()
        if not progress.reason:
            raise EngineFailed(f"{upstream.name} ended its answer without a reason.")

    def _take(self, chunk: ChatCompletionChunk, progress: _Progress) -> TextDelta | None:
        progress.last = time.perf_counter()
        if chunk.usage:
            details = chunk.usage.prompt_tokens_details
            progress.usage = Usage(
                chunk.usage.prompt_tokens,
                getattr(details, "image_tokens", None) or 0,
                chunk.usage.completion_tokens,
                (details.cached_tokens if details else 0) or 0,
            )
        if not chunk.choices:
            return None
        choice = chunk.choices[0]
        if choice.finish_reason:
            looped = getattr(choice, "stop_reason", None) == "repetition"
            progress.reason = "repetition" if looped else choice.finish_reason
        if not choice.delta.content:
            return None
        progress.first = progress.first or progress.last
        return TextDelta(choice.delta.content, _logprobs(choice.logprobs))

    def _finished(self, progress: _Progress, prepared: float) -> Finished:
        first = progress.first or progress.last
        reason = progress.reason if progress.reason in ("stop", "length", "repetition") else "stop"
        timing = Timing(
            preprocess_s=prepared - progress.arrived,
            prefill_s=first - prepared,
            ttft_s=first - progress.arrived,
            decode_s=progress.last - first,
            total_s=progress.last - progress.arrived,
        )
        return Finished(reason, progress.usage or Usage(0, 0, 0), timing)

    def _translate(self, upstream: Upstream, error: openai.APIStatusError, *, last: bool) -> None:
        """Raises what the caller should know, or returns when another server may be tried."""
        message = _message(error)
        if error.status_code in (429, 503):
            if not last:
                return
            raise Overloaded(
                f"{upstream.name} is at its limit: {message}", retry_after_s=_retry_after_s(error)
            ) from error
        if error.status_code in (400, 413, 422):
            raise InvalidRequest(f"{upstream.name} refused the request: {message}") from error
        if last or error.status_code in (401, 403, 404):
            raise EngineFailed(f"{upstream.name} answered {error.status_code}: {message}") from error
        upstream.trouble = f"answered {error.status_code}"

    def _arguments(self, request: ChatRequest) -> dict:
        """The OpenAI call. Runs in a thread: it compresses pictures."""
        sampling = request.sampling
        extra: dict = {}
        if sampling.top_k:
            extra["top_k"] = sampling.top_k
        if sampling.min_p:
            extra["min_p"] = sampling.min_p
        if sampling.repetition_penalty != 1:
            extra["repetition_penalty"] = sampling.repetition_penalty
        pixels = {"min_pixels": request.min_pixels, "max_pixels": request.max_pixels}
        if any(pixels.values()):
            extra["mm_processor_kwargs"] = {name: value for name, value in pixels.items() if value}
        arguments = {
            "model": self.info.model_id,
            "messages": [
                {"role": message.role, "content": [_part(part) for part in message.parts]}
                for message in request.messages
            ],
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
            "extra_body": extra,
        }
        for name, value, unset in (
            ("top_p", sampling.top_p, 1.0),
            ("presence_penalty", sampling.presence_penalty, 0.0),
            ("frequency_penalty", sampling.frequency_penalty, 0.0),
            ("seed", sampling.seed, None),
            ("stop", list(sampling.stop), []),
        ):
            if value != unset:
                arguments[name] = value
        if sampling.json_schema:
            schema = {"name": "answer", "schema": json.loads(sampling.json_schema), "strict": True}
            arguments["response_format"] = {"type": "json_schema", "json_schema": schema}
        if sampling.top_logprobs is not None:
            arguments |= {"logprobs": True, "top_logprobs": sampling.top_logprobs}
        return arguments


def _part(part: Part) -> dict:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        # Lossless, so that the other side sees exactly these pixels; the weakest level is the fastest.
        return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + _encoded(part.pixels, "PNG")}}
    # vLLM's spelling of a clip that is already cut into frames.
    frames = ",".join(_encoded(frame, "JPEG") for frame in part.frames)
    return {"type": "video_url", "video_url": {"url": "data:video/jpeg;base64," + frames}}


def _encoded(pixels: PIL.Image.Image, kind: str) -> str:
    data = io.BytesIO()
    pixels.save(data, kind, **({"compress_level": 1} if kind == "PNG" else {"quality": 95}))
    return base64.b64encode(data.getvalue()).decode()


def _logprobs(found) -> tuple[TokenLogprob, ...]:
    if not found or not found.content:
        return ()
    return tuple(
        TokenLogprob(token.token, token.logprob, tuple((other.token, other.logprob) for other in token.top_logprobs))
        for token in found.content
    )


def _cause(error: Exception) -> str:
    """The innermost cause, which names what went wrong with the connection."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _message(error: openai.APIStatusError) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or error.message)


def _retry_after_s(error: openai.APIStatusError) -> float:
    try:
        return max(0.0, float(error.response.headers.get("retry-after", "")))
    except ValueError:
        return DEFAULT_RETRY_S

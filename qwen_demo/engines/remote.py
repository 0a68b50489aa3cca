"""Any OpenAI-compatible server as an engine: vLLM, SGLang, Ray Serve, another copy of this program.

Images travel as data URLs. A request goes to the server with the fewest open ones; if it cannot
be had before its first token, to the next. After the first token nothing is tried again.
"""

import asyncio
import base64
import io
import json
import logging
import time
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

import httpx2
import openai
import PIL.Image

from qwen_demo.engines.upstreams import Upstream, Upstreams, cause
from qwen_demo.errors import EngineFailed, InvalidRequest, ModelLoadError, NotReady, Overloaded, SettingsError
from qwen_demo.sentences import Sentence
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

# What this engine works on at once is the other side's affair; this bounds open connections only.
SLOTS = 512
DEFAULT_RETRY_S = 2.0
END_S = 0.1  # for the end of a body whose last event has come


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
        self.info = replace(
            self.info,
            model_id=model.id,
            reason=Sentence("served by {servers}", servers=self._upstreams.names),
            device=Sentence("another server"),
            dtype=Sentence("as served"),
            context_tokens=getattr(model, "max_model_len", None) or 0,
            min_pixels=self._settings.min_pixels or 4 * 28 * 28,
            max_pixels=self._settings.max_pixels or 2560 * 28 * 28,
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
        arguments = await asyncio.to_thread(self._arguments, request)
        prepared = time.perf_counter()
        tried: set[Upstream] = set()
        while not progress.reason:
            with self._upstreams.borrowed(tried) as upstream:
                last = len(tried) == len(self._upstreams)
                try:
                    async for delta in self._read(upstream, arguments, progress):
                        yield delta
                except (openai.APIConnectionError, httpx2.RequestError) as error:
                    upstream.trouble = cause(error)
                    if progress.first or last:
                        raise EngineFailed(f"The connection to {upstream.name} broke: {cause(error)}") from error
                    log.warning("%s: %s; trying the next server", upstream.name, cause(error))
                except openai.APIError as error:
                    _translate(upstream, error, last=progress.first > 0 or last)
                except json.JSONDecodeError as error:
                    raise EngineFailed(f"{upstream.name} sent an answer that is no JSON.") from error
        yield self._finished(progress, prepared)

    async def _read(self, upstream: Upstream, arguments: dict, progress: _Progress) -> AsyncGenerator[TextDelta, None]:
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
                pieces: list[TextDelta] = []
                try:
                    over = self._take_all(lines, reply.response.request, progress, pieces)
                finally:  # what came before an error comes before it here as well
                    if pieces:
                        yield _joined(pieces)
            await _read_out(received)
        finally:
            await reply.close()
        if not progress.reason:
            raise EngineFailed(f"{upstream.name} ended its answer without a reason.")

    def _take_all(self, lines: list[bytes], request, progress: _Progress, pieces: list[TextDelta]) -> bool:
        """Adds to `pieces` what lines of an event stream say; gives whether that was all."""
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            if line[5:].strip() == b"[DONE]":
                return True
            chunk = json.loads(line[5:])
            if error := chunk.get("error"):
                raise openai.APIError(str(error), request, body=error)
            if delta := self._take(chunk, progress):
                pieces.append(delta)
        return False

    def _take(self, chunk: dict, progress: _Progress) -> TextDelta | None:
        progress.last = time.perf_counter()
        if usage := chunk.get("usage"):
            details = usage.get("prompt_tokens_details") or {}
            progress.usage = Usage(
                usage["prompt_tokens"],
                details.get("image_tokens") or 0,
                usage["completion_tokens"],
                details.get("cached_tokens") or 0,
            )
        if not chunk.get("choices"):
            return None
        choice = chunk["choices"][0]
        if reason := choice.get("finish_reason"):
            progress.reason = "repetition" if choice.get("stop_reason") == "repetition" else reason
        words = choice["delta"].get("content")
        if not words:
            return None
        progress.first = progress.first or progress.last
        return TextDelta(words, _logprobs(choice.get("logprobs")))

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

    def _arguments(self, request: ChatRequest) -> dict:
        """The body of the OpenAI call. Runs in a thread: it compresses images."""
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
            **extra,
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


def _joined(pieces: list[TextDelta]) -> TextDelta:
    if len(pieces) == 1:
        return pieces[0]
    logprobs = tuple(token for piece in pieces for token in piece.logprobs)
    return TextDelta("".join(piece.text for piece in pieces), logprobs)


async def _read_out(received: AsyncIterator[bytes]) -> None:
    """Only a connection whose answer was read to the end of its body is used again."""
    with suppress(TimeoutError, httpx2.RequestError):
        async with asyncio.timeout(END_S):
            async for _ in received:
                pass


def _part(part: Part) -> dict:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        # Lossless, so that the other side sees exactly these pixels.
        return {"type": "image_url", "image_url": {"url": "data:image/png;base64," + _encoded(part.pixels, "PNG")}}
    # vLLM's spelling of a clip that is already cut into frames.
    frames = ",".join(_encoded(frame, "JPEG") for frame in part.frames)
    return {"type": "video_url", "video_url": {"url": "data:video/jpeg;base64," + frames}}


# Runs of equal bytes only: a fifth faster than the default for a photograph, and no file is larger.
_SAVING = {"PNG": {"compress_level": 1, "compress_type": zlib.Z_RLE}, "JPEG": {"quality": 95}}


def _encoded(pixels: PIL.Image.Image, kind: str) -> str:
    data = io.BytesIO()
    pixels.save(data, kind, **_SAVING[kind])
    return base64.b64encode(data.getvalue()).decode()


def _logprobs(found: dict | None) -> tuple[TokenLogprob, ...]:
    return tuple(
        TokenLogprob(
            token["token"],
            token["logprob"],
            tuple((other["token"], other["logprob"]) for other in token["top_logprobs"]),
        )
        for token in (found or {}).get("content") or ()
    )


def _translate(upstream: Upstream, error: openai.APIError, *, last: bool) -> None:
    """Raises what the caller should know, or returns when another server may be tried."""
    status, message = _status(error), _message(error)
    if status in (429, 503):
        if not last:
            return
        raise Overloaded(f"{upstream.name} is at its limit: {message}", retry_after_s=_retry_after_s(error)) from error
    if status in (400, 413, 422):
        raise InvalidRequest(f"{upstream.name} refused the request: {message}") from error
    if last or status in (401, 403, 404):
        raise EngineFailed(f"{upstream.name} answered {status}: {message}") from error
    upstream.trouble = f"answered {status}"


def _status(error: openai.APIError) -> int:
    """vLLM and this program begin a stream with 200 and tell in an event of it what went wrong."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code
    told = error.code
    if isinstance(told, int) or (isinstance(told, str) and told.isdecimal()):
        return int(told)
    return {"overloaded": 429, "not_ready": 503}.get(told, 400 if error.type == "invalid_request_error" else 500)


def _message(error: openai.APIError) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or error.message)


def _retry_after_s(error: openai.APIError) -> float:
    told = error.response.headers.get("retry-after", "") if isinstance(error, openai.APIStatusError) else ""
    try:
        return max(0.0, float(told))
    except ValueError:
        return DEFAULT_RETRY_S

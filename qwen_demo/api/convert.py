"""Wire schemas -> the domain's requests, and answers -> wire objects."""

import json
import time
from typing import Any

from qwen_demo.api.schemas import (
    AnyPart,
    ChatCompletionRequest,
    ChatMessage,
    InferenceRequest,
    ResponseFormat,
    TextPart,
)
from qwen_demo.errors import InvalidRequest
from qwen_demo.http.sse import dumped
from qwen_demo.media import MediaLoader, decode_base64
from qwen_demo.types import ChatRequest, Finished, Message, Part, Sampling, Text, TokenLogprob, Usage

DEFAULT_MAX_TOKENS = 512
LOW_DETAIL_PIXELS = 256 * 28 * 28
# OpenAI has no word for an answer that ran in a loop and clients take its words only; vLLM's
# `stop_reason` beside it tells.
FINISH_REASONS = {"stop": "stop", "length": "length", "repetition": "stop"}


async def chat_request(body: ChatCompletionRequest, loader: MediaLoader) -> ChatRequest:
    """Opens every image. Raises `InvalidRequest` or `MediaRefused`."""
    messages = tuple([await _message(message, loader) for message in body.messages])
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop)
    wanted = body.max_completion_tokens if body.max_tokens is None else body.max_tokens
    sampling = Sampling(
        max_new_tokens=min(DEFAULT_MAX_TOKENS, loader.settings.max_new_tokens) if wanted is None else wanted,
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=body.top_k,
        min_p=body.min_p,
        repetition_penalty=body.repetition_penalty,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        seed=body.seed,
        stop=stop,
        json_schema=_json_schema(body.response_format),
        top_logprobs=(body.top_logprobs or 0) if body.logprobs else None,
    )
    budget = body.mm_processor_kwargs
    low = LOW_DETAIL_PIXELS if _low_detail(body.messages) else None
    return ChatRequest(messages, sampling, budget.min_pixels, budget.max_pixels or low)


async def inference_request(body: InferenceRequest, loader: MediaLoader) -> ChatRequest:
    if body.image and body.image_url:
        raise InvalidRequest("Give image or image_url, not both.", field="image")
    parts: list[Part] = []
    if body.image:
        data = decode_base64(body.image, loader.settings, kind="image")
        parts.append(await loader.load_bytes(data, kind="image"))
    elif body.image_url:
        parts.append(await loader.load_url(body.image_url, kind="image"))
    return inference_question(body, *parts)


def inference_question(body: InferenceRequest, *parts: Part) -> ChatRequest:
    sampling = Sampling(body.max_tokens, body.temperature)
    return ChatRequest((Message("user", (*parts, Text(body.prompt))),), sampling)


async def _message(message: ChatMessage, loader: MediaLoader) -> Message:
    role = "system" if message.role == "developer" else message.role
    if isinstance(message.content, str):
        return Message(role, (Text(message.content),) if message.content else ())
    return Message(role, tuple([await _part(part, loader) for part in message.content]))


async def _part(part: AnyPart, loader: MediaLoader) -> Part:
    if isinstance(part, TextPart):
        return Text(part.text)
    if part.type == "image_url":
        return await loader.load_url(part.image_url.url, kind="image")
    return await loader.load_url(part.video_url.url, kind="video")


def _json_schema(wanted: ResponseFormat | None) -> str | None:
    if wanted is None or wanted.type == "text":
        return None
    return json.dumps(wanted.json_schema.json_schema if wanted.json_schema else {"type": "object"})


def _low_detail(messages: list[ChatMessage]) -> bool:
    parts = [part for message in messages if not isinstance(message.content, str) for part in message.content]
    details = {part.image_url.detail for part in parts if part.type == "image_url"}
    if "low" in details and len(details) > 1:
        raise InvalidRequest(
            "Images of one request must have the same detail; use mm_processor_kwargs.max_pixels for a budget.",
            field="messages",
        )
    return details == {"low"}


def _reason(finished: Finished) -> dict[str, Any]:
    looped = finished.reason == "repetition"
    return {"finish_reason": FINISH_REASONS[finished.reason], "stop_reason": finished.reason if looped else None}


def usage(finished: Finished) -> dict[str, Any]:
    counted: Usage = finished.usage
    return {
        "prompt_tokens": counted.prompt_tokens,
        "completion_tokens": counted.completion_tokens,
        "total_tokens": counted.prompt_tokens + counted.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": counted.cached_tokens, "image_tokens": counted.image_tokens},
    }


def logprobs(tokens: tuple[TokenLogprob, ...]) -> dict[str, Any]:
    def one(token: str, value: float) -> dict[str, Any]:
        return {"token": token, "logprob": value, "bytes": list(token.encode())}

    return {
        "content": [
            {**one(token.token, token.logprob), "top_logprobs": [one(*other) for other in token.top]}
            for token in tokens
        ]
    }


class Completion:
    """Makes the objects of one chat completion, whole or in chunks, with one id."""

    def __init__(self, request_id: str, model: str, with_logprobs: bool):
        self._common = {"id": f"chatcmpl-{request_id}", "created": int(time.time()), "model": model}
        self._with_logprobs = with_logprobs
        self._before, self._after = dumped(self._chunk({"content": ""})).split('"content":""')

    def whole(self, text: str, finished: Finished, tokens: tuple[TokenLogprob, ...]) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
            **_reason(finished),
            "logprobs": logprobs(tokens) if self._with_logprobs else None,
        }
        return {**self._common, "object": "chat.completion", "choices": [choice], "usage": usage(finished)}

    def first(self) -> dict[str, Any]:
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, text: str, tokens: tuple[TokenLogprob, ...]) -> dict[str, Any] | str:
        """The chunk, or its JSON: all but the words of it is the same each time."""
        if self._with_logprobs:
            return self._chunk({"content": text}, tokens=tokens)
        return f'{self._before}"content":{dumped(text)}{self._after}'

    def last(self, finished: Finished) -> dict[str, Any]:
        return self._chunk({}, **_reason(finished))

    def usage(self, finished: Finished) -> dict[str, Any]:
        return {**self._common, "object": "chat.completion.chunk", "choices": [], "usage": usage(finished)}

    def _chunk(
        self, delta: dict[str, Any], tokens: tuple[TokenLogprob, ...] | None = None, **reason: str | None
    ) -> dict[str, Any]:
        shared = {"finish_reason": None, "logprobs": logprobs(tokens) if tokens else None}
        choice = {"index": 0, "delta": delta, **shared, **reason}
        return {**self._common, "object": "chat.completion.chunk", "choices": [choice]}

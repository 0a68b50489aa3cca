"""Wire schemas -> the domain's requests, and answers -> wire objects."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from qwen_demo.api import tools as tools_
from qwen_demo.api.knowledge.schemas import CitationBody
from qwen_demo.api.parts import AnyPart, FilePart, ImagePart, ModelPart, RefusalPart, TextPart
from qwen_demo.api.schemas import (
    ChatCompletionRequest,
    ChatMessage,
    InferenceRequest,
    NamedTool,
    ResponseFormat,
    ToolBody,
)
from qwen_demo.errors import InvalidRequest
from qwen_demo.http.sse import dumped
from qwen_demo.knowledge.answering import CitedAnswer
from qwen_demo.media import MediaLoader, decode_base64
from qwen_demo.points.words import parts_of
from qwen_demo.types import (
    Adapter,
    Answer,
    ChatRequest,
    Finished,
    Message,
    Part,
    Role,
    Sampling,
    Text,
    TextDelta,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    Usage,
)

DEFAULT_MAX_TOKENS = 512
LOW_DETAIL_PIXELS = 256 * 28 * 28
UNSET = -1  # vLLM's and SGLang's word for no top_k and for a fresh seed
# OpenAI has no word for an answer that ran in a loop and clients take its words only: it was cut. vLLM's
# `stop_reason` beside it tells.
FINISH_REASONS = {
    "stop": "stop",
    "length": "length",
    "repetition": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
}


async def chat_request(body: ChatCompletionRequest, loader: MediaLoader) -> ChatRequest:
    """Opens every image. Raises `InvalidRequest` or `MediaRefused`."""
    tools, choice, parallel = _tools(body)
    messages = tools_.in_order(
        [await _message(message, f"messages.{n}", loader) for n, message in enumerate(body.messages)]
    )
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop)
    wanted = body.max_tokens or body.max_completion_tokens or DEFAULT_MAX_TOKENS
    sampling = Sampling(
        max_new_tokens=min(wanted, loader.settings.max_new_tokens),
        temperature=body.temperature,
        top_p=body.top_p,
        top_k=0 if body.top_k == UNSET else body.top_k,
        min_p=body.min_p,
        repetition_penalty=body.repetition_penalty,
        presence_penalty=body.presence_penalty,
        frequency_penalty=body.frequency_penalty,
        seed=None if body.seed == UNSET else body.seed,
        stop=stop,
        json_schema=_json_schema(body.response_format),
        top_logprobs=(body.top_logprobs or 0) if body.logprobs else None,
    )
    budget = body.mm_processor_kwargs
    low = LOW_DETAIL_PIXELS if _low_detail(body.messages) else None
    # An empty message has nothing to go on from: its answer begins.
    continues = body.continue_final_message and bool(messages[-1].parts)
    if body.continue_final_message and not continues:
        messages = messages[:-1]
    return ChatRequest(
        messages,
        sampling,
        budget.min_pixels,
        budget.max_pixels or low,
        continue_final_message=continues,
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=parallel,
        adapter=Adapter(body.model) if body.model else None,
    )


def _tools(body: ChatCompletionRequest) -> tuple[tuple[Tool, ...], ToolChoice, bool]:
    """Tools, which of them, and whether several calls may come; checked also where none may be called."""
    made = (_tool(each, f"tools.{n}.function") for n, each in enumerate(body.tools))
    tools = tools_.tools(made, len(body.tools), "tools")
    wanted, parallel = body.tool_choice, body.parallel_tool_calls
    choice = tools_.tool_choice(wanted not in ("none", "auto"), (), tools, "tool_choice")
    if isinstance(wanted, str):
        return (() if wanted == "none" else tools), choice, parallel
    if isinstance(wanted, NamedTool):
        return tools, tools_.tool_choice(True, [wanted.function.name], tools, "tool_choice.function.name"), False
    allowed = wanted.allowed_tools
    names = [each.function.name for each in allowed.tools]
    place = "tool_choice.allowed_tools.tools"
    return tools, tools_.tool_choice(allowed.mode == "required", names, tools, place), parallel


def _tool(body: ToolBody, place: str) -> Tool:
    function = body.function
    strict = function.strict or body.strict
    return tools_.tool(function.name, function.description, function.parameters, strict, place)


def opens_files(body: ChatCompletionRequest) -> bool:
    """Whether there is more than words in it."""
    contents = [message.content for message in body.messages if not isinstance(message.content, str)]
    return any(not isinstance(part, TextPart | RefusalPart) for content in contents for part in content)


async def inference_request(body: InferenceRequest, loader: MediaLoader) -> ChatRequest:
    if body.image and body.image_url:
        raise InvalidRequest("Give image or image_url, not both.", field="image")
    parts: list[Part] = []
    if body.image:
        with named("image"):
            data = await asyncio.to_thread(decode_base64, body.image, loader.settings, kind="image")
            parts += parts_of(await loader.load_bytes(data, kind="image"))
    elif body.image_url:
        with named("image_url"):
            parts += parts_of(await loader.load_url(body.image_url, kind="image"))
    return inference_question(body, loader, *parts)


def inference_question(body: InferenceRequest, loader: MediaLoader, *parts: Part) -> ChatRequest:
    sampling = Sampling(min(body.max_tokens, loader.settings.max_new_tokens), body.temperature)
    return ChatRequest((Message("user", (*parts, Text(body.prompt))),), sampling)


async def _message(message: ChatMessage, place: str, loader: MediaLoader) -> Message:
    renamed: dict[str, Role] = {"developer": "system", "function": "tool"}
    role = renamed.get(message.role) or cast(Role, message.role)
    content = message.content or message.refusal
    parts: list[Part] = [Text(content)] if content and isinstance(content, str) else []
    if not isinstance(content, str):
        opened = [await _part(part, f"{place}.content.{n}", loader) for n, part in enumerate(content)]
        parts = [part for each in opened for part in each]
    calls = [
        ToolCall(each.id, each.function.name, tools_.arguments_text(each.function.arguments))
        for each in message.tool_calls
    ]
    if function := message.function_call:
        calls = [ToolCall("", function.name, tools_.arguments_text(function.arguments))]
    return Message(role, tuple(parts), tuple(calls), message.tool_call_id)


async def _part(part: AnyPart, place: str, loader: MediaLoader) -> tuple[Part, ...]:
    """One, but of a point cloud or 3D model its views with what is said of them."""
    if isinstance(part, TextPart | RefusalPart):
        return (Text(part.text),)
    if isinstance(part, ModelPart):
        with named(f"{place}.model_url"):
            model = part.model_url
            return parts_of(await loader.load_url(model.url, kind="points", clip=model.viewing))
    if isinstance(part, FilePart):
        given = part.given
        with named(f"{place}.file.file_data" if part.file else f"{place}.file_data"):
            return parts_of(await loader.load_url(given.file_data, name=given.filename))
    with named(f"{place}.{part.spelling}"):
        if isinstance(part, ImagePart):
            return parts_of(await loader.load_url(part.given.url, kind="image"))
        if isinstance(part.given, str):
            return parts_of(await loader.load_url(part.given, kind="video"))
        return (await loader.load_frames(part.given),)


@contextmanager
def named(place: str) -> Iterator[None]:
    """What is refused within gets the name of the field that holds it."""
    try:
        yield
    except InvalidRequest as error:
        error.field = error.field or place
        raise


def _json_schema(wanted: ResponseFormat | None) -> str | None:
    if wanted is None or wanted.type == "text":
        return None
    return json.dumps(wanted.json_schema.json_schema if wanted.json_schema else {"type": "object"})


def _low_detail(messages: list[ChatMessage]) -> bool:
    parts = [part for message in messages if not isinstance(message.content, str) for part in message.content]
    details = {part.wanted_detail for part in parts if isinstance(part, ImagePart)}
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


def _called(name: str, arguments: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


def _call_piece(delta: ToolCallDelta) -> dict[str, Any]:
    if delta.id:
        return {"index": delta.index, "id": delta.id, **_called(delta.name, delta.arguments)}
    return {"index": delta.index, "function": {"arguments": delta.arguments}}


def citations(cited: CitedAnswer) -> list[dict[str, Any]]:
    return [CitationBody.of(each).model_dump() for each in cited.citations]


class Completion:
    """Makes the objects of one chat completion, whole or in chunks, with one id."""

    def __init__(self, request_id: str, model: str, with_logprobs: bool):
        self._common = {"id": f"chatcmpl-{request_id}", "created": int(time.time()), "model": model}
        self._with_logprobs = with_logprobs
        self._before, self._after = dumped(self._chunk({"content": ""})).split('"content":""')

    def whole(self, answer: Answer, cited: CitedAnswer | None = None) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": None}
        if cited:
            message["citations"] = citations(cited)
        if answer.tool_calls:
            calls = [{"id": call.id, **_called(call.name, call.arguments)} for call in answer.tool_calls]
            message |= {"content": answer.text or None, "tool_calls": calls}
        choice = {
            "index": 0,
            "message": message,
            **_reason(answer.finished),
            "logprobs": logprobs(answer.logprobs) if self._with_logprobs else None,
        }
        counts = usage(answer.finished)
        return {**self._common, "object": "chat.completion", "choices": [choice], "usage": counts}

    def first(self) -> dict[str, Any]:
        return self._chunk({"role": "assistant", "content": ""})

    def piece(self, delta: TextDelta | ToolCallDelta) -> dict[str, Any] | str:
        """The chunk, or its JSON: all but the words of it is the same each time."""
        if isinstance(delta, ToolCallDelta):
            return self._chunk({"tool_calls": [_call_piece(delta)]}, tokens=self._tokens(delta))
        if self._with_logprobs:
            return self._chunk({"content": delta.text}, tokens=delta.logprobs)
        return f'{self._before}"content":{dumped(delta.text)}{self._after}'

    def _tokens(self, delta: ToolCallDelta) -> tuple[TokenLogprob, ...] | None:
        return delta.logprobs if self._with_logprobs else None

    def last(self, finished: Finished, cited: CitedAnswer | None = None) -> dict[str, Any]:
        return self._chunk({"citations": citations(cited)} if cited else {}, **_reason(finished))

    def usage(self, finished: Finished) -> dict[str, Any]:
        return {**self._common, "object": "chat.completion.chunk", "choices": [], "usage": usage(finished)}

    def _chunk(
        self, delta: dict[str, Any], tokens: tuple[TokenLogprob, ...] | None = None, **reason: str | None
    ) -> dict[str, Any]:
        shared = {"finish_reason": None, "logprobs": logprobs(tokens) if tokens else None}
        choice = {"index": 0, "delta": delta, **shared, **reason}
        return {**self._common, "object": "chat.completion.chunk", "choices": [choice]}

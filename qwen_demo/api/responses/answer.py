"""The object of one response, and the typed events in which it grows. What is not streamed is the last event's object."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from qwen_demo import errors
from qwen_demo.api.convert import logprobs
from qwen_demo.api.responses.schemas import LOGPROBS, ResponsesRequest
from qwen_demo.http.errors import UNEXPECTED
from qwen_demo.types import Finished, TextDelta, ToolCallDelta, Usage

Event = dict[str, Any]
Told = tuple[str, dict[str, Any]]
_OF_A_TOOL = {"type", "name", "description", "parameters", "strict"}
# Why an answer is not whole, in OpenAI's words; what ran in a loop was cut.
_CUT = {"length": "max_output_tokens", "repetition": "max_output_tokens", "content_filter": "content_filter"}
# OpenAI's codes for a failure after the answer began; first match wins.
_FAILURES: tuple[tuple[type[errors.QwenDemoError], str], ...] = (
    (errors.FetchRefused, "failed_to_download_image"),
    (errors.MediaRefused, "invalid_image"),
    (errors.InvalidRequest, "invalid_prompt"),
    (errors.Overloaded, "rate_limit_exceeded"),
    (errors.QwenDemoError, "server_error"),
)


class GrowingResponse:
    """Takes what an engine says and gives the events that tell it.

    Attributes:
        object: the response as far as it is.
    """

    def __init__(self, request_id: str, model: str, asked: ResponsesRequest):
        self._id, self._with_logprobs = request_id, LOGPROBS in asked.include
        self._sent = 0
        self._item: _GrowingMessage | _GrowingCall | None = None
        self.object: dict[str, Any] = {
            "id": f"resp_{request_id}",
            "object": "response",
            "created_at": int(time.time()),
            "completed_at": None,
            "status": "in_progress",
            "error": None,
            "incomplete_details": None,
            "model": model,
            "output": [],
            "usage": None,
            **_as_asked(asked),
        }

    def begin(self) -> Iterator[Event]:
        yield self._event("response.created", response=self._snapshot())
        yield self._event("response.in_progress", response=self._snapshot())

    def take(self, told: TextDelta | ToolCallDelta | Finished) -> Iterator[Event]:
        return self._end(told) if isinstance(told, Finished) else self._add(told)

    def fail(self, error: errors.QwenDemoError | None) -> Iterator[Event]:
        """An error after the first event; None is one that nobody expected."""
        words = str(error) if error else UNEXPECTED
        ours = error or errors.QwenDemoError()
        yield self._event("error", code=ours.code, message=words, param=getattr(error, "field", None))
        yield from self._close("incomplete")
        code = next(code for kind, code in _FAILURES if isinstance(ours, kind))
        self.object["status"], self.object["error"] = "failed", {"code": code, "message": words}
        yield self._event("response.failed", response=self._snapshot())

    def _add(self, delta: TextDelta | ToolCallDelta) -> Iterator[Event]:
        item = self._item
        if item is None or not item.takes(delta):
            yield from self._close("completed")
            name = f"{self._id}_{len(self.object['output'])}"
            item = self._item = _GrowingMessage(name) if isinstance(delta, TextDelta) else _GrowingCall(name, delta)
            yield from self._told(item.opened())
        yield from self._told(item.grown(delta, self._with_logprobs))

    def _end(self, finished: Finished) -> Iterator[Event]:
        cut = _CUT.get(finished.reason)
        status = "incomplete" if cut else "completed"
        if self._item is None:
            # An answer without a word is a message without one.
            self._item = _GrowingMessage(f"{self._id}_0")
            yield from self._told(self._item.opened())
        yield from self._close(status)
        self.object["status"], self.object["completed_at"] = status, None if cut else int(time.time())
        self.object["incomplete_details"] = {"reason": cut} if cut else None
        self.object["usage"] = _usage(finished.usage)
        yield self._event(f"response.{status}", response=self._snapshot())

    def _close(self, status: str) -> Iterator[Event]:
        if self._item is not None:
            item = self._item.object | {"status": status}
            yield from self._told([*self._item.closed(), ("output_item.done", {"item": item})])
            self.object["output"].append(item)
            self._item = None

    def _told(self, told: Iterable[Told]) -> Iterator[Event]:
        for kind, members in told:
            yield self._event(f"response.{kind}", output_index=len(self.object["output"]), **members)

    def _event(self, kind: str, **members: Any) -> Event:
        number, self._sent = self._sent, self._sent + 1
        return {"type": kind, "sequence_number": number, **members}

    def _snapshot(self) -> dict[str, Any]:
        return {**self.object, "output": [*self.object["output"]]}


class _GrowingMessage:
    """One that is being said. What it tells are kinds of events and their members."""

    def __init__(self, name: str):
        self._place = {"item_id": f"msg_{name}", "content_index": 0}
        self._pieces: list[str] = []
        self._tokens: list[dict[str, Any]] = []

    @property
    def object(self) -> dict[str, Any]:
        return {**self._empty(), "content": [_text("".join(self._pieces), self._tokens)]}

    def takes(self, delta: TextDelta | ToolCallDelta) -> bool:
        return isinstance(delta, TextDelta)

    def opened(self) -> Iterator[Told]:
        yield "output_item.added", {"item": self._empty()}
        yield "content_part.added", {**self._place, "part": _text("", [])}

    def grown(self, delta: TextDelta | ToolCallDelta, with_logprobs: bool) -> Iterator[Told]:
        assert isinstance(delta, TextDelta)
        tokens = logprobs(delta.logprobs)["content"] if with_logprobs else []
        self._pieces.append(delta.text)
        self._tokens.extend(tokens)
        yield "output_text.delta", {**self._place, "delta": delta.text, "logprobs": tokens}

    def closed(self) -> Iterator[Told]:
        (part,) = self.object["content"]
        yield "output_text.done", {**self._place, "text": part["text"], "logprobs": self._tokens}
        yield "content_part.done", {**self._place, "part": part}

    def _empty(self) -> dict[str, Any]:
        name = self._place["item_id"]
        return {"id": name, "type": "message", "status": "in_progress", "role": "assistant", "content": []}


class _GrowingCall:
    """One that is being made."""

    def __init__(self, name: str, first: ToolCallDelta):
        self._index, self._arguments = first.index, ""
        self._known = {"id": f"fc_{name}", "type": "function_call", "call_id": first.id, "name": first.name}

    @property
    def object(self) -> dict[str, Any]:
        return {**self._known, "status": "in_progress", "arguments": self._arguments}

    def takes(self, delta: TextDelta | ToolCallDelta) -> bool:
        return isinstance(delta, ToolCallDelta) and delta.index == self._index

    def opened(self) -> Iterator[Told]:
        yield "output_item.added", {"item": self.object}

    def grown(self, delta: TextDelta | ToolCallDelta, with_logprobs: bool) -> Iterator[Told]:
        assert isinstance(delta, ToolCallDelta)
        if delta.arguments:
            self._arguments += delta.arguments
            yield "function_call_arguments.delta", {"item_id": self._known["id"], "delta": delta.arguments}

    def closed(self) -> Iterator[Told]:
        members = {"item_id": self._known["id"], "name": self._known["name"], "arguments": self._arguments}
        yield "function_call_arguments.done", members


def _text(text: str, tokens: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": tokens}


def _as_asked(asked: ResponsesRequest) -> dict[str, Any]:
    """What a response repeats of its request; of what was dropped, what it means here."""
    wanted = asked.text.format
    form: dict[str, Any] = {"type": wanted.type}
    if wanted.type == "json_schema":
        form |= {"name": wanted.name, "description": wanted.description, "schema": wanted.json_schema}
        form |= {"strict": wanted.strict}
    return {
        "instructions": asked.instructions or None,
        "max_output_tokens": asked.max_output_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "top_logprobs": asked.top_logprobs,
        "text": {"format": form, "verbosity": "medium"},
        "tools": [each.model_dump(include=_OF_A_TOOL) for each in asked.tools],
        "tool_choice": asked.tool_choice if isinstance(asked.tool_choice, str) else asked.tool_choice.model_dump(),
        "parallel_tool_calls": asked.parallel_tool_calls,
        "metadata": _small(asked.metadata or {}),
        "store": False,
        "background": False,
        "truncation": "disabled",
        "service_tier": "default",
        "previous_response_id": None,
        "max_tool_calls": None,
        "reasoning": {"effort": None, "summary": None},
    }


def _small(metadata: dict[str, Any]) -> dict[str, str]:
    """What of it is within OpenAI's bounds: each event that holds a response repeats it. No half surrogate pairs."""
    texts = {key: value for key, value in metadata.items() if isinstance(value, str)}
    pairs = [(key, value.encode(errors="replace").decode()) for key, value in texts.items()]
    return dict([pair for pair in pairs if len(pair[0]) <= 64 and len(pair[1]) <= 512][:16])


def _usage(counted: Usage) -> dict[str, Any]:
    return {
        "input_tokens": counted.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": counted.cached_tokens,
            "cache_write_tokens": 0,
            "image_tokens": counted.image_tokens,
        },
        "output_tokens": counted.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": counted.prompt_tokens + counted.completion_tokens,
    }

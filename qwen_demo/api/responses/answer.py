"""The object of one response, and the typed events in which it grows. What is not streamed is the last event's object."""

import time
from collections.abc import Iterator
from typing import Any

from qwen_demo import errors
from qwen_demo.api.convert import logprobs
from qwen_demo.api.responses.schemas import LOGPROBS, ResponsesRequest
from qwen_demo.http.errors import UNEXPECTED
from qwen_demo.types import Finished, TextDelta, Usage

Event = dict[str, Any]
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
        self._message: dict[str, Any] | None = None
        self._pieces: list[str] = []
        self._tokens: list[dict[str, Any]] = []
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

    def add(self, delta: TextDelta) -> Iterator[Event]:
        if self._message is None:
            yield from self._open_message()
        tokens = logprobs(delta.logprobs)["content"] if self._with_logprobs else []
        self._pieces.append(delta.text)
        self._tokens.extend(tokens)
        yield self._of_part("response.output_text.delta", delta=delta.text, logprobs=tokens)

    def end(self, finished: Finished) -> Iterator[Event]:
        cut = _CUT.get(finished.reason)
        status = "incomplete" if cut else "completed"
        if self._message is None and not self.object["output"]:
            yield from self._open_message()
        yield from self._close_message(status)
        self.object["status"], self.object["completed_at"] = status, None if cut else int(time.time())
        self.object["incomplete_details"] = {"reason": cut} if cut else None
        self.object["usage"] = _usage(finished.usage)
        yield self._event(f"response.{status}", response=self._snapshot())

    def fail(self, error: errors.QwenDemoError | None, field: str | None = None) -> Iterator[Event]:
        """An error after the first event.

        Args:
            error: None for one that nobody expected.
            field: of the request, if one is to blame.
        """
        words = str(error) if error else UNEXPECTED
        ours = error or errors.QwenDemoError()
        yield self._event("error", code=ours.code, message=words, param=field)
        yield from self._close_message("incomplete")
        code = next(code for kind, code in _FAILURES if isinstance(ours, kind))
        self.object["status"], self.object["error"] = "failed", {"code": code, "message": words}
        yield self._event("response.failed", response=self._snapshot())

    def _open_message(self) -> Iterator[Event]:
        self._message = {
            "id": f"msg_{self._id}",
            "type": "message",
            "status": "in_progress",
            "role": "assistant",
            "content": [],
        }
        yield self._of_item("response.output_item.added", item={**self._message, "content": []})
        yield self._of_part("response.content_part.added", part=_text("", []))

    def _close_message(self, status: str) -> Iterator[Event]:
        if self._message is None:
            return
        part = _text("".join(self._pieces), self._tokens)
        yield self._of_part("response.output_text.done", text=part["text"], logprobs=self._tokens)
        yield self._of_part("response.content_part.done", part=part)
        item = {**self._message, "status": status, "content": [part]}
        yield self._of_item("response.output_item.done", item=item)
        self._message = None
        self.object["output"].append(item)

    def _of_item(self, kind: str, **members: Any) -> Event:
        return self._event(kind, output_index=len(self.object["output"]), **members)

    def _of_part(self, kind: str, **members: Any) -> Event:
        return self._of_item(kind, item_id=f"msg_{self._id}", content_index=0, **members)

    def _event(self, kind: str, **members: Any) -> Event:
        number, self._sent = self._sent, self._sent + 1
        return {"type": kind, "sequence_number": number, **members}

    def _snapshot(self) -> dict[str, Any]:
        return {**self.object, "output": [*self.object["output"]]}


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
        "tools": [],
        "tool_choice": asked.tool_choice or "auto",
        "parallel_tool_calls": True if asked.parallel_tool_calls is None else asked.parallel_tool_calls,
        "metadata": asked.metadata or {},
        "user": asked.user,
        "store": False,
        "background": False,
        "truncation": "disabled",
        "service_tier": "default",
        "previous_response_id": None,
        "max_tool_calls": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": asked.safety_identifier,
        "prompt_cache_key": asked.prompt_cache_key,
    }


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

"""The OpenAPI document's part on responses. Nothing here is checked at run time; tests/api/test_openapi.py does."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from qwen_demo.api.openapi import TokenBody


class OutputText(BaseModel):
    type: Literal["output_text"]
    text: str
    annotations: list[Any] = Field(max_length=0)
    logprobs: list[TokenBody]


class OutputMessage(BaseModel):
    id: str
    type: Literal["message"]
    status: Literal["completed", "incomplete"]
    role: Literal["assistant"]
    content: list[OutputText]


class OutputCall(BaseModel):
    id: str
    type: Literal["function_call"]
    status: Literal["completed", "incomplete"]
    call_id: str
    name: str
    arguments: str


class IncompleteDetails(BaseModel):
    reason: Literal["max_output_tokens", "content_filter"]


class InputDetails(BaseModel):
    cached_tokens: int
    cache_write_tokens: int
    image_tokens: int


class OutputDetails(BaseModel):
    reasoning_tokens: int


class ResponseUsage(BaseModel):
    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


class ResponseObject(BaseModel):
    """Members that only repeat the request are left out here."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: Literal["completed", "incomplete"]
    error: None
    incomplete_details: IncompleteDetails | None
    model: str
    output: list[OutputMessage | OutputCall]
    usage: ResponseUsage
    store: Literal[False]


# Before 3.2, OpenAPI has no word of its own for one event of a stream: its schema stands for each.
_EVENT = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "description": "The `type` in `data`, such as response.output_text.delta."},
        "data": {"type": "string", "description": "One typed event of OpenAI's as JSON."},
    },
    "required": ["event", "data"],
}
RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ResponseObject,
        "description": "The answer; with `stream: true` typed server-sent events, the last one with the whole answer.",
        "content": {"text/event-stream": {"schema": _EVENT}},
    }
}

"""The OpenAPI document: what answers look like. Nothing here is checked at run time; tests/api/test_openapi.py does."""

from typing import Any, Literal

from fastapi import FastAPI
from pydantic import BaseModel

from qwen_demo.api.knowledge.schemas import CitationBody

State = Literal["loading", "ready", "restarting", "failed", "closing"]


class ErrorBody(BaseModel):
    message: str
    type: str
    param: str | None
    code: str
    request_id: str


class Error(BaseModel):
    """What every refusal and failure looks like."""

    error: ErrorBody


class PromptDetails(BaseModel):
    cached_tokens: int
    image_tokens: int


class UsageBody(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class Alternative(BaseModel):
    token: str
    logprob: float
    bytes: list[int]


class TokenBody(Alternative):
    top_logprobs: list[Alternative]


class LogprobsBody(BaseModel):
    content: list[TokenBody]


class CalledBody(BaseModel):
    name: str
    arguments: str


class CallBody(BaseModel):
    id: str
    type: Literal["function"]
    function: CalledBody


class AnswerMessage(BaseModel):
    role: Literal["assistant"]
    content: str | None
    refusal: None
    tool_calls: list[CallBody] | None = None
    citations: list[CitationBody] | None = None


class ChoiceBody(BaseModel):
    index: Literal[0]
    message: AnswerMessage
    finish_reason: Literal["stop", "length", "content_filter", "tool_calls"]
    stop_reason: Literal["repetition"] | None
    logprobs: LogprobsBody | None


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChoiceBody]
    usage: UsageBody


class ModelBody(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    root: str
    parent: str | None
    merged_adapter: str | None
    max_model_len: int
    min_pixels: int
    max_pixels: int


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelBody]


class HealthBody(BaseModel):
    status: Literal["ok", "failed"]
    detail: str
    state: Literal["loading", "ready", "restarting", "failed", "closing"]
    model: str
    device: str
    quantization: str
    engine: str
    version: str


class ReadyBody(BaseModel):
    ready: bool
    state: Literal["loading", "ready", "restarting", "failed", "closing"]
    detail: str
    running: int
    waiting: int
    eta_s: float


_TEXTS = {
    400: "The request is at fault; `param` names the field.",
    401: "A key is needed or wrong.",
    403: "Another web site sent it.",
    404: "There is no such model, collection or file, or nothing under this id.",
    408: "The body came too slowly.",
    413: "The body is too large.",
    415: "The body is neither JSON nor a form, or packed in another way than gzip and deflate.",
    421: "It was asked by the name of a host that is not its own.",
    429: "Over capacity or over the rate; see Retry-After.",
    500: "Something failed on the server.",
    503: "Not ready; see Retry-After.",
    504: "The answer took too long.",
    507: "The disk for uploads is full.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Error, "description": _TEXTS[status]} for status in statuses}


ASKING = refusals(400, 401, 403, 404, 408, 413, 415, 421, 429, 500, 503, 504, 507)
LOOKING = refusals(400, 401, 403, 404, 421, 429, 500)
# Before 3.2, OpenAPI has no word of its own for one event of a stream: its schema stands for each.
EVENT = {
    "type": "object",
    "properties": {
        "data": {"type": "string", "description": "A chat.completion.chunk or an error as JSON; or [DONE]."}
    },
    "required": ["data"],
}
CHAT: dict[int | str, dict[str, Any]] = {
    200: {
        "model": ChatCompletion,
        "description": "The answer; with `stream: true` chunks as server-sent events, the last one `[DONE]`.",
        "content": {"text/event-stream": {"schema": EVENT}},
    }
}
ADDING: dict[int | str, dict[str, Any]] = {
    200: {"description": "It is read, or cannot be: `state` and `problem` say."},
    202: {"description": "It is being read; ask for it again to see how far that is."},
}
PAGE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The page.", "content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}
HEALTH: dict[int | str, dict[str, Any]] = {
    200: {"model": HealthBody, "description": "The program works, or comes back by itself."},
    503: {"model": HealthBody, "description": "Start it again: its engine does not come back by itself."},
}
READY: dict[int | str, dict[str, Any]] = {
    200: {"model": ReadyBody, "description": "A request sent now would be answered."},
    503: {"model": ReadyBody, "description": "Not ready; `detail` says why."},
}
METRICS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


def correct(app: FastAPI) -> None:
    """Take out FastAPI's own 422, which never happens here, and say that a key may be asked for."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
                if "401" in operation["responses"]:
                    operation["security"] = [{"key": []}, {}]
        parts = document["components"]
        for name in ("HTTPValidationError", "ValidationError"):
            parts["schemas"].pop(name, None)
        parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way

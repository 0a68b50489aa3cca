"""One table: which error gets which HTTP status. Bodies have OpenAI's shape."""

import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from qwen_demo import errors
from qwen_demo.knowledge.vectors.store import VectorsAway
from qwen_demo.service.telemetry import request_id

# First match wins, so a class stands before its bases.
TABLE: tuple[tuple[type[errors.QwenDemoError], int, str], ...] = (
    (errors.NotFound, 404, "invalid_request_error"),
    (errors.InvalidRequest, 400, "invalid_request_error"),
    (errors.Overloaded, 429, "rate_limit_error"),
    (errors.NotReady, 503, "service_unavailable"),
    (VectorsAway, 503, "service_unavailable"),
    (errors.EngineRestarting, 503, "service_unavailable"),
    (errors.DeadlineExceeded, 504, "timeout"),
    (errors.DiskFull, 507, "server_error"),
    (errors.QwenDemoError, 500, "server_error"),
)
UNEXPECTED = "Something failed on the server; its log has the cause under this request's id."


UNSUPPORTED = "unsupported_field"
_UNSUPPORTED = ("extra_forbidden", UNSUPPORTED)
_MESSAGES = {
    "extra_forbidden": "This server does not support this field",
    "json_invalid": "The body is not valid JSON",
    "model_attributes_type": "It must be an object",
    "model_type": "It must be an object",
    "missing": "It is needed and was not sent",
}
# What pydantic puts into a place for a choice between spellings, see `api/parts.py`: no caller wrote it.
TAGS = ("<words>", "<parts>", "<text>", "<refusal>", "<image>", "<video>", "<model>", "<file>", "<url>", "<frames>", "<named>",
        "<allowed>", "<message>", "<reasoning>", "<reference>", "<call>", "<output>")  # fmt: skip


class ApiError(Exception):
    """A refusal that is about HTTP itself, such as a missing key."""

    def __init__(self, status: int, code: str, message: str, *, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}


def body(message: str, kind: str, code: str, field: str | None = None) -> dict[str, Any]:
    message = message.encode(errors="backslashreplace").decode()  # it may quote half a surrogate pair
    error = {"message": message, "type": kind, "param": field, "code": code, "request_id": request_id()}
    return {"error": error}


def describe(error: errors.QwenDemoError) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, body and headers of one of our own errors."""
    status, kind = next((status, kind) for cls, status, kind in TABLE if isinstance(error, cls))
    headers = {}
    if isinstance(error, errors.Overloaded):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    elif status == 503:
        headers["Retry-After"] = "5"
    return status, body(str(error), kind, error.code, getattr(error, "field", None)), headers


def field_of(error: dict[str, Any]) -> str:
    """Where pydantic found it, as the caller wrote it: `messages.0.content.0.image_url`. Empty for the whole body."""
    if error["type"] == "json_invalid":
        return ""  # FastAPI puts the number of a character there
    # Where it came in stands first; a field may have that name, too.
    inside = error["loc"][1:] if error["loc"][:1] in (("body",), ("query",)) else error["loc"]
    place = [part for part in inside if part not in TAGS]
    place.append("type" if error["type"] == "unknown_part" else error.get("ctx", {}).get("field", ""))
    return ".".join(str(part) for part in place if part != "")[:200]


def _count(request: Request, reason: str) -> None:
    """A refusal that never reached the service, which counts its own."""
    request.app.state.service.metrics.rejected(reason)


def install(app: FastAPI) -> None:
    """Every error of the API's routes leaves in one shape."""

    @app.exception_handler(errors.QwenDemoError)
    async def ours(request: Request, error: errors.QwenDemoError) -> JSONResponse:
        status, content, headers = describe(error)
        return JSONResponse(content, status, headers)

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> JSONResponse:
        _count(request, error.code)
        kind = "authentication_error" if error.status in (401, 403) else "invalid_request_error"
        return JSONResponse(body(str(error), kind, error.code), error.status, error.headers)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = field_of(first)
        code = UNSUPPORTED if first["type"] in _UNSUPPORTED else "invalid_request"
        _count(request, code)
        message = _MESSAGES.get(first["type"], first["msg"].removeprefix("Value error, "))
        if first["type"] == "json_invalid" and first["loc"]:
            message += f", from character {first['loc'][-1]} on"
        text = f"{field}: {message}." if field else f"{message[:1].upper()}{message[1:]}."
        return JSONResponse(body(text, "invalid_request_error", code, field or None), 400)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(
            body(str(error.detail), "invalid_request_error", f"http_{error.status_code}"),
            error.status_code,
            error.headers,
        )

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        # The server gives up the connection after an error that nobody expected; clients must know.
        return JSONResponse(body(UNEXPECTED, "server_error", "internal_error"), 500, {"Connection": "close"})

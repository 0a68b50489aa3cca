"""What another server says has gone wrong -> an error of ours, or leave to ask the next server."""

import openai

from qwen_demo.engines.remote.upstreams import Upstream
from qwen_demo.errors import EngineFailed, InvalidRequest, Overloaded

DEFAULT_RETRY_S = 2.0


def translate(upstream: Upstream, error: openai.APIError, *, last: bool) -> None:
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
    return {"overloaded": 429, "not_ready": 503}.get(str(told), 400 if error.type == "invalid_request_error" else 500)


def _message(error: openai.APIError) -> str:
    body = error.body if isinstance(error.body, dict) else {}
    return str(body.get("message") or error.message)


def _retry_after_s(error: openai.APIError) -> float:
    told = error.response.headers.get("retry-after", "") if isinstance(error, openai.APIStatusError) else ""
    try:
        return max(0.0, float(told))
    except ValueError:
        return DEFAULT_RETRY_S

"""`POST /v1/responses`, and the true answer of those beside it: there is nothing to be read again or deleted."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from qwen_demo.api import convert, openapi
from qwen_demo.api.asking import model_asked, streamed
from qwen_demo.api.responses.answer import GrowingResponse
from qwen_demo.api.responses.convert import Translation, translated
from qwen_demo.api.responses.document import RESPONSE
from qwen_demo.api.responses.schemas import ResponsesRequest
from qwen_demo.errors import InvalidRequest, QwenDemoError
from qwen_demo.http.access import ApiAccess, Caller
from qwen_demo.http.errors import ApiError
from qwen_demo.http.sse import named_event, while_connected
from qwen_demo.media import MediaLoader
from qwen_demo.service.pacing import PacedStream
from qwen_demo.service.service import Service
from qwen_demo.service.telemetry import request_id
from qwen_demo.types import Event

FRONT = "responses"
GONE = "Nothing is stored here, so there is no response {id!r}: an answer is given once, to whoever asked for it."


def add_responses(router: APIRouter, service: Service, access: ApiAccess, loader: MediaLoader) -> None:
    @router.post("/v1/responses", responses=openapi.ASKING | RESPONSE, tags=["answers"])
    async def responses(
        request: Request,
        asked: ResponsesRequest,
        caller: Caller = Depends(access),  # noqa: B008 FastAPI's way
    ) -> Response:
        """OpenAI's Responses API, without a memory: each request brings all turns."""
        response = GrowingResponse(request_id(), model_asked(service, asked.model), asked)
        translation = translated(asked)
        making, opens_files = convert.chat_request(translation.chat, loader), convert.opens_files(translation.chat)

        def events(answer: PacedStream) -> AsyncGenerator[bytes, None]:
            return _events(answer, response, translation)

        with _in_the_callers_words(translation):
            if asked.stream:
                return await streamed(service, making, FRONT, events, opens_files)
            answer = service.answer(making, front=FRONT, opens_files=opens_files)
            return JSONResponse(await while_connected(request.receive, _grown(answer, response)))

    @router.get("/v1/responses/{id}", responses=openapi.LOOKING, status_code=404, tags=["answers"])
    @router.delete("/v1/responses/{id}", responses=openapi.LOOKING, status_code=404, tags=["answers"])
    async def stored(id: str, caller: Caller = Depends(access)) -> Response:  # noqa: B008
        """Nothing is stored: 404."""
        raise ApiError(404, "response_not_found", GONE.format(id=id[:200]))


@contextmanager
def _in_the_callers_words(translation: Translation) -> Iterator[None]:
    try:
        yield
    except InvalidRequest as error:
        raise translation.retold(error) from error


async def _grown(events: AsyncGenerator[Event, None], response: GrowingResponse) -> dict[str, Any]:
    """The whole response: what its events come to."""
    async with aclosing(events):
        async for told in events:
            for _ in response.take(told):
                pass
    return response.object


async def _events(
    events: PacedStream, response: GrowingResponse, translation: Translation
) -> AsyncGenerator[bytes, None]:
    for each in response.begin():
        yield named_event(each)
    try:
        async for told in events:
            if told is not None:
                for each in response.take(told):
                    yield named_event(each)
    except QwenDemoError as error:
        for each in response.fail(translation.retold(error) if isinstance(error, InvalidRequest) else error):
            yield named_event(each)
    except Exception:
        for each in response.fail(None):
            yield named_event(each)
        raise

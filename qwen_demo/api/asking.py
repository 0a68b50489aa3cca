"""How a route asks the service: in one piece, or as a stream that gets the right status while nothing was said."""

from collections.abc import AsyncGenerator, Awaitable, Callable

from fastapi import Request, Response

from qwen_demo.http.errors import ApiError
from qwen_demo.http.sse import EventStream, while_connected
from qwen_demo.service.pacing import EVENT_STREAM, PacedStream
from qwen_demo.service.service import Service
from qwen_demo.types import Answer, ChatRequest, Event, collect

# How long a stream may hold back its status line, so that a refusal still gets the right one.
STATUS_WAIT_S = 1.0

Making = Awaitable[ChatRequest]


def model_asked(service: Service, name: str) -> str:
    """The model or adapter that answers. Raises `ApiError` if another was asked for."""
    model = service.status().model.model_id
    adapters = service.adapters.known
    if name not in ("", model, *adapters):
        here = ", ".join(map(repr, (model, *adapters)))
        raise ApiError(404, "model_not_found", f"There is no model {name!r} here; this server has {here}.")
    return name or model


async def collected(request: Request, service: Service, making: Making, front: str, opens_files: bool = True) -> Answer:
    return await collected_events(request, service.answer(making, front=front, opens_files=opens_files))


async def collected_events(request: Request, events: AsyncGenerator[Event, None]) -> Answer:
    """The whole answer, however its events came to be."""
    return await while_connected(request.receive, collect(events))


async def streamed(
    service: Service,
    making: Making,
    front: str,
    write: Callable[[PacedStream], AsyncGenerator[bytes, None]],
    opens_files: bool = True,
) -> Response:
    """
    Args:
        write: gives what is sent for what the engine says. Whoever sends it closes the engine's stream.
        opens_files: see `Service.answer`.
    """
    return await streamed_events(service, service.answer(making, front=front, opens_files=opens_files), write)


async def streamed_events(
    service: Service,
    answering: AsyncGenerator[Event, None],
    write: Callable[[PacedStream], AsyncGenerator[bytes, None]],
) -> Response:
    """The same of events, however they came to be."""
    events = PacedStream(answering, lambda: EVENT_STREAM.pause_s(service.in_flight))
    try:
        await events.begun(STATUS_WAIT_S)
    except BaseException:
        await events.aclose()
        raise
    return EventStream(write(events), events)

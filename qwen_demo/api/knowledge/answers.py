"""Chat completions that are taken from the caller's own documents."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from qwen_demo.api.asking import Making, collected_events, streamed_events
from qwen_demo.api.convert import Completion
from qwen_demo.api.schemas import ChatCompletionRequest
from qwen_demo.knowledge.answering import CitedAnswer
from qwen_demo.knowledge.knowledge import Knowledge
from qwen_demo.knowledge.shelf import NoCollection
from qwen_demo.service.pacing import PacedStream
from qwen_demo.service.service import Service
from qwen_demo.types import Event

Chunks = Callable[[PacedStream, CitedAnswer], AsyncGenerator[bytes, None]]


class FromDocuments:
    """Answers one request from `knowledge`, for `owner`."""

    def __init__(self, knowledge: Knowledge, owner: str, front: str):
        self._knowledge, self._owner, self._front = knowledge, owner, front

    async def whole(
        self, request: Request, asked: ChatCompletionRequest, making: Making, completion: Completion
    ) -> Response:
        events, cited = self._begun(asked, making)
        return JSONResponse(completion.whole(await collected_events(request, events), cited))

    async def streamed(
        self, service: Service, asked: ChatCompletionRequest, making: Making, chunks: Chunks
    ) -> Response:
        events, cited = self._begun(asked, making)
        return await streamed_events(service, events, lambda paced: chunks(paced, cited))

    def _begun(self, asked: ChatCompletionRequest, making: Making) -> tuple[AsyncGenerator[Event, None], CitedAnswer]:
        wanted = asked.knowledge
        assert wanted
        events, cited = self._knowledge.answer(self._owner, wanted.collection, wanted.top_k, making, self._front)
        return _by_their_field(events), cited


async def _by_their_field(events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """The same; a collection that is not there is refused by its place in a chat completion's body."""
    async with aclosing(events):
        try:
            async for event in events:
                yield event
        except NoCollection as error:
            error.field = "knowledge.collection"
            raise

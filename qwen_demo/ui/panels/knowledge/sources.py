"""Answers of the chat from a collection: the switch at the question, and the cited page beside the chat with its mark."""

from collections.abc import AsyncGenerator, Awaitable, Sequence
from typing import Any, cast

import gradio as gr
from gradio.events import Dependency

from qwen_demo.errors import QwenDemoError
from qwen_demo.knowledge.answering import CitedAnswer
from qwen_demo.knowledge.knowledge import Knowledge
from qwen_demo.service.queue import Ticket
from qwen_demo.service.service import Service
from qwen_demo.types import ChatRequest, Event
from qwen_demo.ui import assets
from qwen_demo.ui.gradio_internals import EACH, PRIVATE, UNQUEUED
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import words_for
from qwen_demo.ui.kept_settings import kept_settings
from qwen_demo.ui.panels.knowledge.knowledge import boxes_in, owner_of, page_value, place_in, refused

PAGES = 5
OFF = ""


class FromCollection:
    """The service as the chat asks it, with answers that are taken from one collection."""

    def __init__(self, service: Service, knowledge: Knowledge, owner: str, collection: str):
        self._service, self._knowledge, self._owner, self.collection = service, knowledge, owner, collection
        self.cited: CitedAnswer | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def answer(
        self, request: Awaitable[ChatRequest], *, ticket: Ticket | None = None, opens_files: bool = True
    ) -> AsyncGenerator[Event, None]:
        events, self.cited = self._knowledge.answer(self._owner, self.collection, PAGES, request, "page", ticket)
        return events

    def sources(self) -> dict[str, Any]:
        """For the view, once the answer has ended."""
        found = self.cited.citations if self.cited else []
        citations = [{"file": each.file, "page": each.page, "boxes": each.boxes} for each in found]
        return {"collection": self.collection, "citations": citations}


def asked(service: Service, knowledge: Knowledge, owner: str, collection: str) -> Service:
    """What the chat asks: the service, or in its place `FromCollection`, which answers all that the chat calls."""
    return cast(Service, FromCollection(service, knowledge, owner, collection)) if collection else service


def clear_after(events: Sequence[Dependency], view: gr.HTML) -> None:
    """Sources are of the conversation that cites them: a page of the same name may be in another collection."""
    for event in events:
        event.then(None, None, view, js="() => ({})", **UNQUEUED)


def draw_switch() -> gr.Dropdown:
    return gr.Dropdown(
        [(texts.NO_COLLECTION, OFF)],
        value=OFF,
        label=texts.ASK_WITH,
        elem_id="ask-with",
        filterable=False,
        visible=False,
    )


def draw() -> gr.HTML:
    return assets.view("sources", {}, texts.SOURCES)


def wire(switch: gr.Dropdown, view: gr.HTML, knowledge: Knowledge, *refresh: Any) -> None:
    """`refresh`: events after which there may be other collections."""

    async def offered(value, request: gr.Request):
        names = [each.name for each in await knowledge.collections(owner_of(request))]
        words = words_for(request)
        chosen = value.get("collection") if isinstance(value, dict) else OFF
        return gr.Dropdown(
            [(words.NO_COLLECTION, OFF), *((name, name) for name in names)],
            value=chosen if chosen in names else OFF,
            visible=bool(names),
        )

    async def open_page(value, switched, event: gr.EventData, request: gr.Request):
        place = place_in(event, (value or {}).get("collection") or switched)
        try:
            page = await page_value(knowledge, owner_of(request), place, boxes_in(event))
        except QwenDemoError as error:
            return {**(value or {}), **refused(error, words_for(request))}
        return {**(value or {}), "page": page, "problem": ""}

    for event in refresh:
        event(offered, view, switch, js=kept_settings.COLLECTION, **UNQUEUED)
    switch.input(None, switch, None, js=kept_settings.KEEP_COLLECTION, **UNQUEUED)
    view.open(open_page, [view, switch], view, **PRIVATE, **EACH)

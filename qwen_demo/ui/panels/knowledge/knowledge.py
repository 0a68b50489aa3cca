"""The Knowledge panel: collections, their files and how far they are read, a search that shows pages with marks."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import PIL.Image

from qwen_demo.errors import QwenDemoError
from qwen_demo.knowledge.knowledge import LOCAL, Knowledge
from qwen_demo.media import Passage
from qwen_demo.ui import assets, render
from qwen_demo.ui.attachments import MAX_VIEW_SIDE, save_jpeg
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.gradio_internals import EACH, PRIVATE, UNQUEUED, event_data
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Problem, Words, words_for

HITS = 10
LOOK_EVERY_S = 2.0
USUAL_NAME = "documents"
MOST_NAME_CHARACTERS = 240


@dataclass
class KnowledgeWidgets:
    """Attributes:
    clock: runs while files are read.
    """

    name: gr.Textbox
    files: gr.File
    query: gr.Textbox
    search: gr.Button
    view: gr.HTML
    clock: gr.Timer


def draw() -> KnowledgeWidgets:
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            name = gr.Textbox(USUAL_NAME, label=texts.COLLECTION, max_lines=1, elem_id="collection-name")
            files = gr.File(
                label=texts.COLLECTION_FILES,
                file_count="multiple",
                type="filepath",
                height=170,
                elem_id="collection-files",
            )
        with gr.Column(scale=3, min_width=320):
            query = gr.Textbox(label=texts.COLLECTION_SEARCH, max_lines=1, elem_id="collection-query")
            search = gr.Button(texts.COLLECTION_FIND, variant="primary", min_width=120, elem_id="collection-find")
    view = assets.view("collections", {}, texts.COLLECTIONS)
    return KnowledgeWidgets(name, files, query, search, view, gr.Timer(LOOK_EVERY_S, active=False))


def owner_of(request: gr.Request) -> str:
    """Whose collections a visitor sees: a login's, or where nobody logs in, those of this machine."""
    return f"user:{request.username}" if request.username else LOCAL


async def listed(knowledge: Knowledge, owner: str) -> dict[str, Any]:
    """The collections for the view."""
    return {
        "collections": [
            {
                "name": each.name,
                "state": each.state,
                "pages": each.pages,
                "done": each.pages_done,
                "files": [
                    {
                        "name": entry.name,
                        "state": entry.state,
                        "pages": entry.pages,
                        "done": entry.pages_done,
                        "problem": entry.problem,
                    }
                    for entry in each.files
                ],
            }
            for each in await knowledge.collections(owner)
        ]
    }


async def page_value(
    knowledge: Knowledge, owner: str, place: tuple[str, str, int], boxes: Sequence[Sequence[float]]
) -> dict[str, Any]:
    """A page as it looks, with boxes on it; its words where it cannot be drawn.

    Args:
        place: collection, file, page.

    Raises:
        NotFound: there is no such page.
    """
    page = await knowledge.page(owner, *place)
    value: dict[str, Any] = {"file": page.file, "number": page.number, "boxes": boxes}
    drawn = await knowledge.page_image(owner, *place)
    if drawn is None:
        return value | {"text": "\n\n".join(passage.told for passage in page.passages)}
    image = drawn.image.pixels.copy()
    image.thumbnail((MAX_VIEW_SIDE, MAX_VIEW_SIDE), PIL.Image.Resampling.LANCZOS)
    view = await asyncio.to_thread(save_jpeg, image, "page.jpg")
    return value | {"view": view, "width": drawn.image.size[0], "height": drawn.image.size[1]}


def boxes_of(passages: Sequence[Passage]) -> list[list[float]]:
    return [list(passage.box) for passage in passages if passage.box]


def place_in(event: gr.EventData, collection: str = "") -> tuple[str, str, int]:
    """What a view's script asks for; a browser may send anything."""
    data = event_data(event)
    number = data.get("page")
    name, file = data.get("collection") or collection, data.get("file")
    return (
        str(name)[:MOST_NAME_CHARACTERS],
        str(file)[:MOST_NAME_CHARACTERS],
        number if isinstance(number, int) and 0 < number < 1_000_000 else 1,
    )


def boxes_in(event: gr.EventData) -> list[list[float]]:
    boxes = event_data(event).get("boxes")
    fits = [box for box in boxes if isinstance(box, list) and len(box) == 4] if isinstance(boxes, list) else []
    return [[float(n) for n in box] for box in fits[:50] if all(isinstance(n, int | float) for n in box)]


def refused(error: QwenDemoError, words: Words) -> dict[str, str]:
    problem, original = Problem.of(error).localize(words)
    return {"problem": problem, "original": original}


def wire(widgets: KnowledgeWidgets, knowledge: Knowledge, reader: Reader, tab: gr.Tab) -> None:
    async def show(value, request: gr.Request):
        found = await listed(knowledge, owner_of(request))
        busy = any(each["state"] == "reading" for each in found["collections"])
        return {**(value or {}), **found}, gr.Timer(LOOK_EVERY_S, active=busy)

    async def add(paths, name, value, request: gr.Request):
        owner, words = owner_of(request), words_for(request)
        problems: dict[str, str] = {}
        for path in paths or []:
            try:
                data = await reader.bytes_of(path)
                await knowledge.add(owner, name.strip(), Path(path).name, data, wait_s=0.5)
            except QwenDemoError as error:
                problems = refused(error, words)
        found = await listed(knowledge, owner)
        busy = any(each["state"] == "reading" for each in found["collections"])
        return None, {**found, **problems}, gr.Timer(LOOK_EVERY_S, active=busy)

    async def find(query, name, value, request: gr.Request):
        owner, words = owner_of(request), words_for(request)
        if not (query or "").strip():
            raise render.refusal(words.EMPTY_QUESTION)
        found = await listed(knowledge, owner)
        try:
            hits = await knowledge.search(owner, name.strip(), query, HITS)
        except QwenDemoError as error:
            return {**found, **refused(error, words)}
        shown = [
            {"file": hit.page.file, "page": hit.page.number, "text": hit.text[:400], "boxes": boxes_of(hit.marked)}
            for hit in hits
        ]
        return {**found, "collection": name.strip(), "hits": shown}

    async def open_page(value, event: gr.EventData, request: gr.Request):
        try:
            page = await page_value(knowledge, owner_of(request), place_in(event), boxes_in(event))
        except QwenDemoError as error:
            return {**(value or {}), **refused(error, words_for(request))}
        return {**(value or {}), "page": page, "problem": ""}

    async def remove(value, event: gr.EventData, request: gr.Request):
        owner, (name, file, _) = owner_of(request), place_in(event)
        try:
            await (
                knowledge.remove_file(owner, name, file)
                if event_data(event).get("file")
                else knowledge.remove(owner, name)
            )
        except QwenDemoError as error:
            return {**await listed(knowledge, owner), **refused(error, words_for(request))}
        return await listed(knowledge, owner)

    async def stop(value, event: gr.EventData, request: gr.Request):
        return await told(knowledge.stop, value, event, request)

    async def go_on(value, event: gr.EventData, request: gr.Request):
        return await told(knowledge.go_on, value, event, request)

    async def told(what, value, event, request):
        owner, problems = owner_of(request), {"problem": ""}
        try:
            await what(owner, place_in(event)[0])
        except QwenDemoError as error:
            problems = refused(error, words_for(request))
        found = await listed(knowledge, owner)
        busy = any(each["state"] == "reading" for each in found["collections"])
        return {**(value or {}), **found, **problems}, gr.Timer(LOOK_EVERY_S, active=busy)

    outputs = [widgets.view, widgets.clock]
    tab.select(show, widgets.view, outputs, **UNQUEUED)
    widgets.clock.tick(show, widgets.view, outputs, **UNQUEUED)
    widgets.files.upload(add, [widgets.files, widgets.name, widgets.view], [widgets.files, *outputs], **PRIVATE)
    for event in (widgets.search.click, widgets.query.submit):
        event(find, [widgets.query, widgets.name, widgets.view], widgets.view, **PRIVATE)
    widgets.view.open(open_page, widgets.view, widgets.view, **PRIVATE, **EACH)
    widgets.view.remove(remove, widgets.view, widgets.view, **PRIVATE, **EACH)
    widgets.view.stop(stop, widgets.view, outputs, **PRIVATE, **EACH)
    widgets.view.go_on(go_on, widgets.view, outputs, **PRIVATE, **EACH)

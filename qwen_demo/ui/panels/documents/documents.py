"""The Documents panel: a page of a PDF or an image, and beside it what the model reads off it."""

import asyncio
import json
import re
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import PIL.Image
from gradio.events import Dependency

from qwen_demo.answers import documents
from qwen_demo.answers.documents.parse import MAX_ELEMENTS
from qwen_demo.errors import QwenDemoError
from qwen_demo.media import Page
from qwen_demo.service.service import Service
from qwen_demo.types import ChatRequest, Message, Sampling, Text
from qwen_demo.ui import assets, render
from qwen_demo.ui.attachments import MAX_VIEW_SIDE, Attachment, save_jpeg
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.file_types import DOCUMENT_FILES
from qwen_demo.ui.gradio_internals import EACH, PRIVATE, UNQUEUED, event_data
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Problem, Words, words_for
from qwen_demo.ui.panels import answering

MAX_ELEMENT_CHARACTERS = 120
MAX_FORMULAS = 30
MAX_FORMULA_CHARACTERS = 2000
_NO_FORMULA = re.compile(r"[$`]|\\(?:href|url|html\w*|includegraphics)\b")


@dataclass
class DocumentWidgets:
    file: gr.File
    task: gr.Radio
    prompt: gr.Textbox
    read: gr.Button
    stop: gr.Button
    note: gr.Markdown
    view: gr.HTML
    formulas: gr.Markdown
    wanted: gr.JSON


def draw() -> DocumentWidgets:
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            file = gr.File(
                label=texts.DOCUMENT_FILE,
                file_types=DOCUMENT_FILES,
                type="filepath",
                height=150,
                elem_id="page-file",
            )
        with gr.Column(scale=3, min_width=320):
            choices = [(texts.DOCUMENT_TASKS[key], key) for key in texts.DOCUMENT_PROMPTS]
            task = gr.Radio(choices, value="text", label=texts.DOCUMENT_TASK, elem_id="page-task")
            prompt = gr.Textbox(
                texts.DOCUMENT_PROMPTS["text"], label=texts.DOCUMENT_PROMPT, max_lines=4, elem_id="page-prompt"
            )
            with gr.Row():
                read = gr.Button(texts.DOCUMENT_READ, variant="primary", min_width=120, elem_id="page-read")
                stop = gr.Button(texts.STOP, interactive=False, min_width=120, elem_id="page-stop")
            note = gr.Markdown(texts.DOCUMENT_EMBEDDED, visible=False, elem_id="page-note")
    view = assets.view("document", {}, texts.DOCUMENT)
    with gr.Accordion(texts.FORMULAS, open=True, visible=True, elem_id="formulas", elem_classes="unless-empty"):
        formulas = gr.Markdown(
            "", latex_delimiters=[{"left": "$$", "right": "$$", "display": True}], elem_id="formulas-text"
        )
    return DocumentWidgets(
        file, task, prompt, read, stop, note, view, formulas, gr.JSON(visible="hidden", label="wanted pages")
    )


async def turn_page(path: str | None, number: int, reader: Reader, words: Words = texts) -> dict:
    """The view with a page and nothing read off it."""
    if not path:
        return {}
    try:
        page = await reader.page(path, number)
        return {"page": await _page_value(path, page)}
    except QwenDemoError as error:
        problem, original = Problem.of(error).localize(words)
        return {"problem": problem, "original": original}


async def _page_value(path: str, page: Page) -> dict:
    image = page.image.pixels.copy()
    image.thumbnail((MAX_VIEW_SIDE, MAX_VIEW_SIDE), PIL.Image.Resampling.LANCZOS)
    view = await asyncio.to_thread(save_jpeg, image, "page.jpg")
    width, height = page.image.size
    return {
        "view": view,
        "width": width,
        "height": height,
        "number": page.number,
        "pages": page.pages,
        "name": Path(path).name[:80],
    }


async def read_page(
    path: str, number: int, prompt: str, sampling: Sampling, service: Service, reader: Reader, words: Words = texts
) -> AsyncGenerator[dict, None]:
    """Values of the view while the page is read. The answer is shown as it is written, and as a document at its end."""
    pages: list[Page] = []
    page_value: dict = {}

    async def request() -> ChatRequest:
        pages.append(await reader.page(path, number))
        page_value.update(await _page_value(path, pages[0]))
        return ChatRequest((Message("user", (pages[0].image, Text(prompt))),), sampling)

    async with aclosing(answering.answer(request(), service, words)) as steps:
        async for step in steps:
            value = step.value
            if pages:
                value["page"] = page_value
            if step.text and not step.running:
                value |= await asyncio.to_thread(read_document, step.text, pages[0], path, service)
            yield value


async def read_pages(
    path: str, numbers: Sequence[int], prompt: str, sampling: Sampling, service: Service, reader: Reader,
    words: Words = texts
) -> AsyncGenerator[dict, None]:  # fmt: skip
    """Values of the view while these pages are read one after the other; a page that cannot be read ends it.

    `all` says how many are read, of how many.
    """
    for done, number in enumerate(numbers):
        value: dict = {}
        async with aclosing(read_page(path, number, prompt, sampling, service, reader, words)) as values:
            async for value in values:
                ended = not value["running"] and not value["problem"]
                more = not value["problem"] and not (ended and done + 1 == len(numbers))
                yield {**value, "running": more, "all": {"done": done + ended, "of": len(numbers)}}
        if value.get("problem"):
            return


def wanted_in(data: Any, most: int) -> list[int]:
    """Numbers of the pages that the view asks for, at most `most`; a browser may send anything."""
    numbers = data.get("pages") if isinstance(data, dict) else None
    numbers = numbers[:most] if isinstance(numbers, list) else []
    return sorted({number for number in numbers if type(number) is int and 0 < number < 1_000_000})


def read_document(text: str, page: Page, path: str, service: Service) -> dict:
    """What the view shows of an answer: its elements, the frame's content, the files to save."""
    size = page.image.size
    seen = Attachment(path, size).seen(service.status().model, None)
    document = documents.parse(text).scaled(seen if seen[0] else size, size)
    name = Path(path).stem[:60]
    return {
        "elements": [
            {
                "number": element.number,
                "kind": element.kind,
                "text": element.text[:MAX_ELEMENT_CHARACTERS],
                "region": element.region,
                "formula": element.text[:MAX_FORMULA_CHARACTERS] if element.kind == "formula" else "",
            }
            for element in document.elements
        ],
        "frame": documents.srcdoc(document),
        "cut": document.cut,
        "files": {
            "markdown": documents.markdown(document),
            "html": documents.html(document, f"{name}, page {page.number}"),
            "json": json.dumps(
                {
                    "name": Path(path).name,
                    "page": page.number,
                    "width": size[0],
                    "height": size[1],
                    "elements": documents.rows(document),
                },
                indent=1,
                ensure_ascii=False,
            ),
        },
    }


def formulas_of(value: Any) -> str:
    """Markdown with the document's formulas, for Gradio's own KaTeX; what could end a formula is taken out."""
    elements = value.get("elements", []) if isinstance(value, dict) else []
    rows = []
    for element in elements[:MAX_ELEMENTS]:
        source = (
            _NO_FORMULA.sub(" ", str(element.get("formula", ""))[:MAX_FORMULA_CHARACTERS])
            .replace("<", r"\lt ")
            .replace(">", r"\gt ")
        )
        if source := " ".join(re.sub(r"&(?=[a-zA-Z#])", "& ", source).split()):
            rows.append(f"{int(element['number'])}\n$${source}$$")
    return "\n\n".join(rows[:MAX_FORMULAS])


def prompt_of(task: Any, prompt: Any, request: gr.Request) -> Any:
    """The prompt of a task that came out of the browser's storage; one that somebody typed stays."""
    prompts = words_for(request).DOCUMENT_PROMPTS
    known = {*prompts.values(), *texts.DOCUMENT_PROMPTS.values()}
    return prompts[task] if task in prompts and prompt in known else gr.skip()


def follow_task(widgets: "DocumentWidgets", events: Sequence[Dependency]) -> None:
    """`events` set the task; its prompt follows."""
    for event in events:
        event.then(prompt_of, [widgets.task, widgets.prompt], widgets.prompt, **UNQUEUED)


def number_in(value: Any) -> int:
    """The page that the view shows, or that is on its way to it; it comes back from the browser."""
    known = value if isinstance(value, dict) else {}
    page = known.get("page")
    number = known.get("turning") or (page.get("number") if isinstance(page, dict) else None)
    return number if type(number) is int and 0 < number < 1_000_000 else 1


def wire(widgets: DocumentWidgets, service: Service, reader: Reader) -> None:
    async def open_file(path, request: gr.Request):
        return {**await turn_page(path, 1, reader, words_for(request)), "opened": secrets.token_hex(4)}

    async def turn(path, value, event: gr.EventData, request: gr.Request):
        number = event_data(event).get("page")
        number = number if isinstance(number, int) else 1
        return {**await turn_page(path, number, reader, words_for(request)), "turned": number} if path else value

    def choose(task, request: gr.Request):
        return words_for(request).DOCUMENT_PROMPTS.get(task)

    def begin(path, prompt, request: gr.Request):
        if not path or not (prompt or "").strip():
            words = words_for(request)
            raise render.refusal(words.NO_DOCUMENT if not path else words.EMPTY_QUESTION)
        return answering.busy(True)

    def begin_all(path, prompt, event: gr.EventData, request: gr.Request):
        wanted = wanted_in(event_data(event), service.settings.max_pdf_pages)
        return (*begin(path, prompt, request), {"pages": wanted})

    def note(value, request: gr.Request):
        return answering.note_stop(value, words_for(request))

    async def read(path, prompt, value, request: gr.Request) -> AsyncGenerator:
        sampling = Sampling(max_new_tokens=service.settings.max_new_tokens)
        words = words_for(request)
        async with aclosing(read_page(path, number_in(value), prompt, sampling, service, reader, words)) as values:
            async for step in values:
                yield {**({"page": value["page"]} if value and value.get("page") else {}), **step}

    async def read_all(path, prompt, value, wanted, request: gr.Request) -> AsyncGenerator:
        sampling = Sampling(max_new_tokens=service.settings.max_new_tokens)
        numbers = wanted_in(wanted, service.settings.max_pdf_pages) or [number_in(value)]
        words = words_for(request)
        async with aclosing(read_pages(path, numbers, prompt, sampling, service, reader, words)) as values:
            async for step in values:
                yield step

    buttons, inputs = [widgets.read, widgets.stop], [widgets.file, widgets.prompt, widgets.view]
    turning = widgets.view.turn(turn, [widgets.file, widgets.view], widgets.view, **PRIVATE, **EACH)
    widgets.task.input(choose, widgets.task, widgets.prompt, **UNQUEUED)
    begun = widgets.read.click(begin, [widgets.file, widgets.prompt], buttons, **PRIVATE)
    begun_all = widgets.view.read_all(begin_all, [widgets.file, widgets.prompt], [*buttons, widgets.wanted], **PRIVATE)
    answers: dict[str, Any] = {**PRIVATE, "concurrency_id": "answers"}
    reading = [
        begun.success(read, inputs, widgets.view, **answers),
        # What is wanted is kept apart from the view, which another page may come into meanwhile.
        begun_all.success(read_all, [*inputs, widgets.wanted], widgets.view, **answers),
    ]
    for event in reading:
        event.then(lambda: answering.busy(False), None, buttons, **UNQUEUED)
    # Another file ends what is read of the last one, and a page of that which is still on its way.
    ended = [*reading, turning]
    widgets.file.change(None, None, buttons, js=f"() => [{answering.IDLE}]", cancels=ended, **UNQUEUED)
    widgets.file.change(open_file, widgets.file, widgets.view, **PRIVATE)
    widgets.view.change(formulas_of, widgets.view, widgets.formulas, **UNQUEUED)
    # In two steps: what was on its way when the answer was cancelled must not come after the note.
    stopping = widgets.stop.click(lambda: answering.busy(False), None, buttons, cancels=reading, **UNQUEUED)
    stopping.then(note, widgets.view, widgets.view, **UNQUEUED)


def note(service: Service) -> gr.Markdown:
    """What the model that answers now cannot do here."""
    return gr.Markdown(visible=service.status().model.embedded)

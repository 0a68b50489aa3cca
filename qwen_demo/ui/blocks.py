"""The page: first drawn, then wired. What the handlers do is in `chat.py` and `render.py`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from qwen_demo import media
from qwen_demo.errors import QwenDemoError
from qwen_demo.service import Service
from qwen_demo.types import Sampling
from qwen_demo.ui import boxes, chat, render, texts
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.endpoints import Endpoints
from qwen_demo.ui.examples import EXAMPLES
from qwen_demo.ui.payloads import guard

CSS = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
# Fonts of the system: Gradio's own would be asked from a foreign server at each visit.
THEME = gr.themes.Default(
    primary_hue="violet", neutral_hue="slate", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
)
FILE_TYPES = ["image", "video"]
UPLOADS_KEPT_S = 24 * 3600


@dataclass
class Page:
    """The widgets that handlers read or write."""

    demo: gr.Blocks
    badge: gr.HTML
    about: gr.Markdown
    chatbot: gr.Chatbot
    question: gr.MultimodalTextbox
    boxes: gr.AnnotatedImage
    camera: gr.Image
    url: gr.Textbox
    add_url: gr.Button
    options: list[gr.components.Component]
    clock: gr.Timer


def build_page(service: Service, reader: Reader) -> gr.Blocks:
    """The Blocks to mount; `service` answers, `reader` opens what visitors send."""
    page = _draw(service)
    guard(page.demo)
    with page.demo:
        _wire_status(page, service)
        _wire_chat(page, service, reader)
        _wire_pictures(page, service, reader)
        _publish(service, reader)
    return page.demo


def _draw(service: Service) -> Page:
    settings = service.settings
    with gr.Blocks(
        title=texts.TITLE, fill_width=True, analytics_enabled=False, delete_cache=(3600, UPLOADS_KEPT_S)
    ) as demo:
        gr.Markdown(f"# {texts.TITLE}", elem_id="title")
        badge = gr.HTML(render.badge(service.status()).html, elem_id="badge", padding=False)
        clock = gr.Timer(1.0)
        with gr.Row(equal_height=False):
            with gr.Column(scale=3, min_width=320):
                chatbot = gr.Chatbot(
                    show_label=False,
                    label="Conversation",
                    height="60vh",
                    min_height=320,
                    buttons=["copy", "copy_all"],
                    editable="user",
                    feedback_options=None,
                    examples=[example.card() for example in EXAMPLES],
                    placeholder=f"### {texts.WELCOME}",
                    elem_id="chat",
                )
                question = gr.MultimodalTextbox(
                    show_label=False,
                    label="Question",
                    placeholder=texts.PLACEHOLDER,
                    file_types=FILE_TYPES,
                    file_count="multiple",
                    sources=["upload"],
                    autofocus=True,
                    max_plain_text_length=20_000,
                    elem_id="question",
                )
                drawn = gr.AnnotatedImage(label=texts.BOXES, visible=False, height=380, elem_id="boxes", format="png")
            with gr.Column(scale=1, min_width=280):
                options = _draw_options(settings)
                with gr.Accordion(texts.MORE_SOURCES, open=False):
                    url = gr.Textbox(label=texts.URL, placeholder="https://…", visible=settings.fetch_urls != "off")
                    add_url = gr.Button(texts.ADD_URL, size="sm", visible=settings.fetch_urls != "off")
                    camera = gr.Image(label=texts.CAMERA, sources=["webcam"], type="filepath", height=220)
                with gr.Accordion(texts.ABOUT, open=False):
                    about = gr.Markdown(render.about(service.status()))
    return Page(demo, badge, about, chatbot, question, drawn, camera, url, add_url, options, clock)


def _draw_options(settings) -> list[gr.components.Component]:
    """In the order of `respond`'s parameters."""
    longest = settings.max_new_tokens
    temperature = gr.Slider(0, 2, 0, step=0.05, label=texts.TEMPERATURE, info=texts.TEMPERATURE_INFO)
    length = gr.Slider(16, longest, min(512, longest), step=16, label=texts.MAX_NEW_TOKENS)
    with gr.Accordion(texts.ADVANCED, open=False):
        top_p = gr.Slider(0.05, 1, 1, step=0.05, label=texts.TOP_P)
        penalty = gr.Slider(1, 2, 1, step=0.05, label=texts.REPETITION_PENALTY)
        seed = gr.Number(None, label=texts.SEED, precision=0, minimum=0, placeholder=texts.SEED_PLACEHOLDER)
        budget = gr.Slider(0, 4096, 0, step=32, label=texts.PIXEL_BUDGET, info=texts.PIXEL_BUDGET_INFO)
        system = gr.Textbox("", label=texts.SYSTEM_PROMPT, lines=2, placeholder="You are a helpful assistant.")
    return [temperature, length, top_p, penalty, seed, budget, system]


def _wire_status(page: Page, service: Service) -> None:
    def status():
        badge = render.badge(service.status())
        return badge.html, render.about(service.status()), gr.Timer(active=not badge.settled)

    outputs = [page.badge, page.about, page.clock]
    for event in (page.demo.load, page.clock.tick):
        event(status, None, outputs, queue=False, show_progress="hidden", api_visibility="private")


def _wire_chat(page: Page, service: Service, reader: Reader) -> None:
    async def respond(history, temperature, length, top_p, penalty, seed, budget, system) -> AsyncGenerator:
        sampling = Sampling(
            max_new_tokens=int(length),
            temperature=temperature,
            top_p=top_p,
            repetition_penalty=penalty,
            seed=None if seed is None else int(seed),
        )
        max_pixels = _pixels(budget, service)
        async with aclosing(chat.answer(history, sampling, system, max_pixels, service, reader)) as histories:
            async for grown in histories:
                yield grown

    async def point(history, budget):
        found = await boxes.drawing(history, _pixels(budget, service), service.status().model, reader)
        if found is None:
            return gr.AnnotatedImage(visible=False)
        return gr.AnnotatedImage((found.picture, found.boxes), visible=True)

    def take(question, history):
        grown = chat.ask(history, question)
        if grown == history:
            raise gr.Error(texts.EMPTY_QUESTION, title="", print_exception=False)
        return _busy(value=None), grown

    def take_example(selected: gr.SelectData, history):
        # By its number: what the browser says is in it could be any file of the machine.
        example = EXAMPLES[_flat(selected.index)]
        return _busy(value=None), chat.ask(history, {"text": example.question, "files": example.paths})

    def retry(history, event: gr.RetryData):
        return _busy(), chat.again(history, _flat(event.index))

    def edit(history, event: gr.EditData):
        return _busy(), chat.edited(history, _flat(event.index), str(event.value))

    def undo(history, event: gr.UndoData):
        index = _flat(event.index)
        return gr.MultimodalTextbox(value=chat.question_of(history, index)), chat.before(history, index)

    private = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    both = [page.question, page.chatbot]
    begun = [
        page.question.submit(take, both, both, **private),
        page.chatbot.example_select(take_example, page.chatbot, both, **private),
        page.chatbot.retry(retry, page.chatbot, both, **private),
        page.chatbot.edit(edit, page.chatbot, both, **private),
    ]
    answering = [
        event.success(
            respond,
            [page.chatbot, *page.options],
            page.chatbot,
            show_progress="hidden",
            api_visibility="private",
            concurrency_id="answers",
        )
        for event in begun
    ]
    budget = page.options[-2]
    for event in answering:
        event.then(_idle, None, page.question, **private).then(point, [page.chatbot, budget], page.boxes, **private)
    page.question.stop(
        lambda history: (_idle(), chat.stopped(history)), page.chatbot, both, cancels=answering, **private
    )
    page.chatbot.undo(undo, page.chatbot, both, cancels=answering, **private)
    page.chatbot.clear(_idle, None, page.question, cancels=answering, **private)


def _wire_pictures(page: Page, service: Service, reader: Reader) -> None:
    def add(question, path):
        if not path:
            return gr.skip(), None
        question = question or {"text": "", "files": []}
        return {"text": question["text"], "files": [*question["files"], path]}, None

    async def add_from_url(question, url):
        try:
            data = await media.fetch_url(url.strip(), service.settings)
            path = save_bytes_to_cache(data, "from-the-web", get_upload_folder())
            await reader.file(path)
        except QwenDemoError as error:
            raise gr.Error(str(error), title=texts.URL_REFUSED, print_exception=False) from error
        return add(question, path)

    private = {"show_progress": "hidden", "api_visibility": "private"}
    page.camera.input(add, [page.question, page.camera], [page.question, page.camera], queue=False, **private)
    for event in (page.add_url.click, page.url.submit):
        event(add_from_url, [page.question, page.url], [page.question, page.url], **private)


def _publish(service: Service, reader: Reader) -> None:
    endpoints = Endpoints(service, reader)
    for function in (endpoints.ask, endpoints.chat):
        gr.api(function, api_name=function.__name__, concurrency_id="answers")


def _pixels(budget: float, service: Service) -> int | None:
    """The slider counts tokens; 0 leaves the size to the model."""
    return int(budget) * service.status().model.patch_pixels ** 2 or None


def _busy(**changes) -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(submit_btn=False, stop_btn=True, **changes)


def _idle() -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(submit_btn=True, stop_btn=False)


def _flat(index: int | tuple[int, ...] | list[int]) -> int:
    return index[0] if isinstance(index, tuple | list) else index

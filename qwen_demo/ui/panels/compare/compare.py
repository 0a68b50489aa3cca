"""The Compare panel: one question asked twice at once, with two settings, and what differs between the answers.

Both sides go through a service, like every other question; closing the stream ends both. An error on
one side is shown there and leaves the other alone.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qwen_demo.service.service import Service, Status
from qwen_demo.settings import Settings
from qwen_demo.types import Sampling
from qwen_demo.ui import adapter_choice, assets, chat, render
from qwen_demo.ui.attachments import Gallery
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.difference import difference
from qwen_demo.ui.file_types import MEDIA_FILES
from qwen_demo.ui.gradio_internals import PRIVATE, UNQUEUED
from qwen_demo.ui.history import generation_params
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words, translate, words_for
from qwen_demo.ui.panels import answering
from qwen_demo.ui.panels.compare import timings
from qwen_demo.ui.panels.context import context

SIDES = ("A", "B")
ENGINES = ("first", "second")  # values of the choice; its labels say what they are
DEFAULT_MAX_TOKENS = 256
CONTRAST_TEMPERATURE = 1.0  # of B where nothing else differs: two equal sides would show nothing


@dataclass
class SideWidgets:
    """CompareWidgets of one side. `model_inputs` shows the images as its model will see them."""

    engine: gr.Radio
    adapter: gr.Dropdown
    temperature: gr.Slider
    budget: gr.Slider
    length: gr.Slider
    seed: gr.Number
    model_inputs: gr.HTML

    @property
    def controls(self) -> list[gr.components.Component]:
        """In the order of `SideChoice`'s attributes."""
        return [self.engine, self.temperature, self.budget, self.length, self.seed, self.adapter]


@dataclass
class CompareWidgets:
    """Attributes:
    attached: paths of the question's files as JSON; hidden.
    how: how a second engine is loaded, for those who start the server.
    """

    question: gr.MultimodalTextbox
    attached: gr.Textbox
    ask: gr.Button
    stop: gr.Button
    sides: list[SideWidgets]
    view: gr.HTML
    how: gr.Markdown


@dataclass(frozen=True, slots=True)
class SideChoice:
    """What the controls of one side say.

    Attributes:
        engine: one of `ENGINES`.
        budget: tokens of an image; 0 leaves it to the model.
    """

    engine: str = ENGINES[0]
    temperature: float = 0.0
    budget: float = 0
    length: float = DEFAULT_MAX_TOKENS
    seed: float | None = 0
    adapter: str = adapter_choice.NONE

    @property
    def sampling(self) -> Sampling:
        return Sampling(int(self.length), self.temperature, seed=generation_params.seed_of(self.seed))


def draw(settings: Settings, engines: int) -> CompareWidgets:
    """`engines` is how many are loaded, one or two."""
    question = gr.MultimodalTextbox(
        label=texts.COMPARE_QUESTION,
        placeholder=texts.PLACEHOLDER,
        file_types=MEDIA_FILES,
        file_count="multiple",
        sources=["upload"],
        submit_btn=False,
        max_plain_text_length=20_000,
        elem_id="compare-question",
    )
    attached = gr.Textbox("[]", visible="hidden", label="attached files")
    with gr.Row():
        ask = gr.Button(texts.COMPARE_ASK, variant="primary", min_width=120, elem_id="compare-ask")
        stop = gr.Button(texts.STOP, interactive=False, min_width=120, elem_id="compare-stop")
    # Before the settings, so that the answers come into view where one asks.
    view = assets.view("compare", {}, texts.COMPARE)
    if engines == 1:
        gr.Markdown(texts.COMPARE_ONE, elem_id="compare-one")
    how = gr.Markdown(texts.COMPARE_TWO, visible=False, elem_id="compare-two")
    with gr.Row(equal_height=False):
        sides = [_draw_side(number, settings, engines) for number in range(len(SIDES))]
    return CompareWidgets(question, attached, ask, stop, sides, view, how)


def _draw_side(number: int, settings: Settings, engines: int) -> SideWidgets:
    name, longest = SIDES[number], settings.max_new_tokens
    with gr.Column(min_width=320, elem_id=f"compare-{name}", elem_classes="compare-side"):
        gr.Markdown(f"## {name}")
        engine = gr.Radio(
            [(key, key) for key in ENGINES[:engines]],
            value=ENGINES[number % engines],
            label=texts.COMPARE_ENGINE,
            visible=engines > 1,
        )
        adapter = adapter_choice.draw(settings, f"compare-adapter-{name}", number=number)
        usual = CONTRAST_TEMPERATURE if number and engines == 1 and not settings.adapters else 0
        temperature = gr.Slider(0, 2, usual, step=0.05, label=texts.TEMPERATURE, info=texts.TEMPERATURE_INFO)
        budget = context.draw_budget(f"compare-budget-{name}")
        model_inputs = assets.view("model_inputs", {}, texts.CONTEXT, elem_id=f"compare-inputs-{name}")
        with gr.Row():
            length = gr.Slider(
                16, longest, min(DEFAULT_MAX_TOKENS, longest), step=16, label=texts.MAX_NEW_TOKENS, min_width=150
            )
            seed = gr.Number(0, label=texts.SEED, precision=0, minimum=generation_params.FRESH_SEED, min_width=150)
    return SideWidgets(engine, adapter, temperature, budget, length, seed, model_inputs)


async def answers(
    question: dict, choices: Sequence[SideChoice], services: Sequence[Service], reader: Reader, words: Words = texts
) -> AsyncGenerator[dict, None]:
    """Values of the view: both answers as they grow, and at the end of both what differs and who was faster."""
    streams, sides, ended = [], [], {}
    for choice in choices:
        service = _service(choice, services)
        max_pixels = context.budget_pixels(choice.budget, service.status().model)
        request = chat.chat_request(
            reader, chat.ask([], question), choice.sampling, "", max_pixels, choice.adapter or ""
        )
        streams.append(answering.answer(request, service, words))
        sides.append({"settings": _settings(choice, service, services, words), "running": True, "note": words.LOOKING})
    yield {"sides": sides}
    async with aclosing(together(streams)) as steps:
        async for number, step in steps:
            sides[number] = {**sides[number], **step.value}
            if step.finished:
                ended[number] = step.finished
            if len(ended) < len(sides):
                yield {"sides": list(sides)}
                continue
            pieces = await asyncio.to_thread(difference, *(side["text"] for side in sides))
            same = sides[0]["text"] == sides[1]["text"]
            yield {"sides": sides, "same": same, "difference": pieces, "timings": timings.compare(ended[0], ended[1])}


async def together(
    streams: Sequence[AsyncGenerator[answering.PanelStep, None]],
) -> AsyncGenerator[tuple[int, Any], None]:
    """Steps of all streams as they come, each with its stream's number. Closing this closes all of them."""
    upcoming = {asyncio.ensure_future(anext(stream, None)): number for number, stream in enumerate(streams)}
    try:
        while upcoming:
            done, _ = await asyncio.wait(upcoming, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                number = upcoming.pop(task)
                if (step := task.result()) is not None:
                    upcoming[asyncio.ensure_future(anext(streams[number], None))] = number
                    yield number, step
    finally:
        for task in upcoming:
            task.cancel()
        await asyncio.gather(*upcoming, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


def label(status: Status, words: Words = texts) -> str:
    """What one of the engines is, for the choice between them."""
    model = status.model
    if status.state != "ready":
        return f"{model.engine} ({words.COMPARE_LOADING})"
    quantised = "" if model.quantization == "none" else f", {model.quantization.upper()}"
    dtype, device = (translate(text, words) or text for text in (model.dtype, model.device))
    return f"{model.engine}, {dtype}{quantised}, {device}"


def _service(choice: SideChoice, services: Sequence[Service]) -> Service:
    return services[ENGINES.index(choice.engine) if choice.engine in ENGINES[: len(services)] else 0]


def _settings(choice: SideChoice, service: Service, services: Sequence[Service], words: Words) -> dict:
    """What a side was asked with: the controls may change while the answer stays."""
    return {
        "temperature": choice.temperature,
        "budget": int(choice.budget or 0),
        "max_tokens": int(choice.length),
        "seed": choice.sampling.seed,
        "engine": label(service.status(), words) if len(services) > 1 else "",
        "adapter": choice.adapter or "",
    }


def note_stop(value: Any, words: Words = texts) -> dict:
    """The view's value after Stop: what was written stays. It comes back from the browser."""
    sides = value.get("sides") if isinstance(value, dict) else None
    sides = sides if isinstance(sides, list) else []
    return {
        "sides": [
            answering.note_stop(side, words) if isinstance(side, dict) and side.get("running") else side
            for side in sides[: len(SIDES)]
        ]
    }


async def preview_inputs(
    attached: str, engine: str, budget: float, services: Sequence[Service], gallery: Gallery, words: Words = texts
) -> dict:
    """Value of a side's preview: each image's size and tokens for its model."""
    service = _service(SideChoice(engine), services)
    model = service.status().model
    items = await context.survey([], context.attached_paths(attached), None, gallery)
    return context.value_of(items, model, context.budget_pixels(budget, model), service.rates, words=words)


def wire(widgets: CompareWidgets, services: Sequence[Service], reader: Reader) -> None:
    both = [control for side in widgets.sides for control in side.controls]
    each = len(both) // len(SIDES)

    def begin(question, request: gr.Request):
        if not chat.ask([], question or {}):
            raise render.refusal(words_for(request).EMPTY_QUESTION)
        return answering.busy(True)

    async def ask(request: gr.Request, question, *controls) -> AsyncGenerator:
        choices = [SideChoice(*controls[:each]), SideChoice(*controls[each:])]
        async with aclosing(answers(question, choices, services, reader, words_for(request))) as values:
            async for value in values:
                yield value

    def stop(value, request: gr.Request):
        return note_stop(value, words_for(request))

    # Gradio shows errors of queued events alone.
    buttons = [widgets.ask, widgets.stop]
    begun = gr.on([widgets.ask.click, widgets.question.submit], begin, widgets.question, buttons, **PRIVATE)
    asking = begun.success(ask, [widgets.question, *both], widgets.view, **PRIVATE, concurrency_id="answers")
    asking.then(lambda: answering.busy(False), None, buttons, **UNQUEUED)
    # In two steps: what was on its way when the answers were cancelled must not come after the note.
    stopping = widgets.stop.click(lambda: answering.busy(False), None, buttons, cancels=[asking], **UNQUEUED)
    stopping.then(stop, widgets.view, widgets.view, **UNQUEUED)
    _wire_previews(widgets, services, Gallery(reader))


def _wire_previews(widgets: CompareWidgets, services: Sequence[Service], gallery: Gallery) -> None:
    async def preview(attached, engine, budget, request: gr.Request):
        return await preview_inputs(attached, engine, budget, services, gallery, words_for(request))

    widgets.view.attached(None, widgets.question, widgets.attached, js=context.ATTACHED_FILES, **UNQUEUED)
    for side in widgets.sides:
        for changed in (widgets.attached.change, side.engine.change, side.budget.change):
            inputs = [widgets.attached, side.engine, side.budget]
            changed(preview, inputs, side.model_inputs, trigger_mode="always_last", **UNQUEUED)


def fill_choices(services: Sequence[Service], words: Words = texts) -> list:
    """What answers is known when the tab is opened: choices, pixel budgets and adapters of both sides."""
    labels = [(label(service.status(), words), key) for service, key in zip(services, ENGINES, strict=False)]
    slider = context.fitted_budget(services[0].status().model)
    return [gr.Radio(choices=labels), slider, adapter_choice.offered(services[0], words)] * len(SIDES)

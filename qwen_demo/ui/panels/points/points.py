"""The 3D panel: which views of a point cloud or 3D model the model sees, what they cost, and where its answer points."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
import PIL.Image

from qwen_demo.errors import QwenDemoError
from qwen_demo.media import MOST_VIEWS, Viewing
from qwen_demo.models.pixels import seen_views
from qwen_demo.points.exports import COLUMNS
from qwen_demo.points.join import Thing
from qwen_demo.points.words import parts_of
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Message, ModelInfo, Points, Sampling, Text
from qwen_demo.ui import render, space
from qwen_demo.ui.attachments import save_png, sheet
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.file_types import MODELS
from qwen_demo.ui.gradio_internals import EACH, PRIVATE, UNQUEUED, event_data
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Problem, Words, words_for
from qwen_demo.ui.panels import answering

# What Gradio's view of models draws itself; other files, clouds of points among them, are turned as their views show them.
TURNABLE = (".glb", ".gltf", ".obj", ".stl")
PATCH = 28
SHOWN_COLUMNS = 7


@dataclass
class PointsWidgets:
    file: gr.File
    up: gr.Radio
    cut: gr.Radio
    views: gr.Slider
    side: gr.Slider
    model: gr.Model3D
    sheet: gr.Image
    note: gr.HTML
    question: gr.Textbox
    ask: gr.Button
    stop: gr.Button
    answer: gr.Textbox
    things: gr.Dataframe
    files: gr.File

    @property
    def controls(self) -> list[gr.Radio | gr.Slider]:
        """In the order of `viewing_of`'s parameters."""
        return [self.up, self.cut, self.views, self.side]


def draw(settings: Settings) -> PointsWidgets:
    usual = round(settings.points_view_pixels**0.5) // PATCH * PATCH
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=320):
            file = gr.File(
                label=texts.POINTS_FILE,
                file_types=[*MODELS, ".csv"],
                type="filepath",
                height=150,
                elem_id="points-file",
            )
            shown = gr.Image(label=texts.POINTS_VIEWS, interactive=False, buttons=[], elem_id="points-views")
            note = gr.HTML("", elem_id="points-note")
        with gr.Column(scale=2, min_width=320):
            model = gr.Model3D(label=texts.POINTS_MODEL, interactive=False, height=280, elem_id="points-model")
            question = gr.Textbox(
                texts.POINTS_QUESTION_VALUE, label=texts.POINTS_QUESTION, lines=2, elem_id="points-question"
            )
            with gr.Row():
                ask = gr.Button(texts.ASK, variant="primary", min_width=120, elem_id="points-ask")
                stop = gr.Button(texts.STOP, interactive=False, min_width=120, elem_id="points-stop")
            answer = gr.Textbox("", label=texts.POINTS_ANSWER, interactive=False, lines=4, elem_id="points-answer")
    with gr.Row(equal_height=True):
        up = gr.Radio(
            [(texts.POINTS_UP_AUTO, "auto"), "x", "y", "z", "-x", "-y", "-z"],
            value="auto", label=texts.POINTS_UP, elem_id="points-up",
        )  # fmt: skip
        cut = gr.Radio(
            [(texts.POINTS_CUTS[name], name) for name in texts.POINTS_CUTS],
            value="none", label=texts.POINTS_CUT, elem_id="points-cut",
        )  # fmt: skip
        views = gr.Slider(
            1, min(MOST_VIEWS, settings.max_images), min(settings.points_views, settings.max_images), step=1,
            label=texts.POINTS_COUNT, elem_id="points-count",
        )  # fmt: skip
        side = gr.Slider(112, max(896, usual), usual, step=PATCH, label=texts.POINTS_SIDE, elem_id="points-side")
    things = gr.Dataframe(
        headers=[texts.POINTS_COLUMNS.get(name, name) for name in COLUMNS[:SHOWN_COLUMNS]], value=[],
        label=texts.POINTS_THINGS, interactive=False, type="array", elem_id="points-things",
    )  # fmt: skip
    files = gr.File(label=texts.POINTS_FILES, interactive=False, file_count="multiple", elem_id="points-files")
    return PointsWidgets(
        file, up, cut, views, side, model, shown, note, question, ask, stop, answer, things, files
    )  # fmt: skip


def viewing_of(up: str, cut: str, views: float | None, side: float | None) -> Viewing:
    """What the controls say."""
    return Viewing(up=up, cut=cut, views=int(views) if views else None, pixels=int(side) ** 2 if side else None)


@dataclass(frozen=True, slots=True)
class Shown:
    """A drawn file as the panel shows it; `model` is the path of what is turned: the file, or what its views show."""

    sheet: PIL.Image.Image | None = None
    note: str = ""
    model: str | None = None


async def preview(path: str | None, viewing: Viewing, service: Service, reader: Reader, words: Words = texts) -> Shown:
    """The views side by side, and what they cost. A file is given to the browser once it was found to be harmless."""
    if not path:
        return Shown()
    try:
        points = await _open(path, viewing, reader)
    except QwenDemoError as error:
        return Shown(note=escape(Problem.of(error).localize(words)[0]))
    model = service.status().model
    tokens = sum(width * height // model.patch_pixels**2 for width, height in seen_views(points, model))
    note = words.points_note(points.points, points.triangles, points.left_out, tokens)
    turns = path if Path(path).suffix.lower() in TURNABLE else await asyncio.to_thread(space.turnable, points)
    return Shown(await asyncio.to_thread(sheet, points), note, turns)


@dataclass(frozen=True, slots=True)
class MarkedStep:
    """A step of an answer: its text and, at the end, what it marks.

    Attributes:
        sheet: the views with the marks drawn in.
        files: JSON and CSV of all things.
        model: path of what is turned, with the boxes of things; None where there are none.
    """

    step: answering.PanelStep
    things: list[list[Any]] | None = None
    sheet: PIL.Image.Image | None = None
    files: list[str] | None = None
    model: str | None = None


async def answers(
    path: str,
    question: str,
    viewing: Viewing,
    sampling: Sampling,
    service: Service,
    reader: Reader,
    words: Words = texts,
) -> AsyncGenerator[MarkedStep, None]:
    """The answer, growing; what it marks comes with its last step."""
    seen: list[Points] = []

    async def request() -> ChatRequest:
        seen.append(await _open(path, viewing, reader))
        return ChatRequest((Message("user", (*parts_of(seen[0]), Text(question))),), sampling)

    async with aclosing(answering.answer(request(), service, words)) as steps:
        async for step in steps:
            if step.finished and seen:
                yield await asyncio.to_thread(_marked, step, seen[0], service.status().model)
            else:
                yield MarkedStep(step)


def _marked(step: answering.PanelStep, points: Points, model: ModelInfo) -> MarkedStep:
    found = space.marked(step.text, points, model)
    if not found.marks:
        return MarkedStep(step, [])
    files = [space.save(found, kind) for kind in ("json", "csv")]
    turned = space.turnable(points, found.things) if any(thing.box for thing in found.things) else None
    return MarkedStep(step, [_row(thing) for thing in found.things], space.drawn(found), files, turned)


def _row(thing: Thing) -> list[Any]:
    center = ["", "", ""] if thing.center is None else [float(f"{value:.7g}") for value in thing.center]
    size = ["", "", ""] if thing.box is None else [float(f"{value:.4g}") for value in thing.box.size]
    return [thing.label, *center, *size]


async def _open(path: str, viewing: Viewing, reader: Reader) -> Points:
    points = await reader.file(path, viewing)
    assert isinstance(points, Points)
    return points


def told(step: answering.PanelStep) -> str:
    """What the answer's box shows: the answer so far, and why there is no more of it."""
    ending = "" if step.running and step.text else step.problem or step.note
    return "\n\n".join(filter(None, [step.text, ending]))


def note_stop(text: str, words: Words = texts) -> str:
    """The answer's box after Stop: what was written stays, what was waited for goes."""
    return words.STOPPED_HERE if text == words.LOOKING or not text else f"{text}\n\n{words.STOPPED_HERE}"


def wire(widgets: PointsWidgets, service: Service, reader: Reader) -> None:
    async def show(request: gr.Request, path, *controls):
        shown = await preview(path, viewing_of(*controls), service, reader, words_for(request))
        return _saved(shown.sheet), shown.note, shown.model

    async def ask(request: gr.Request, path, question, *controls) -> AsyncGenerator:
        sampling = Sampling(max_new_tokens=min(1024, service.settings.max_new_tokens))
        words = words_for(request)
        async with aclosing(answers(path, question, viewing_of(*controls), sampling, service, reader, words)) as steps:
            async for marked in steps:
                step = marked.step
                text = told(step)
                given = marked.things is not None and marked.files
                yield (
                    text,
                    marked.things if given else gr.skip(),
                    _saved(marked.sheet) if given else gr.skip(),
                    marked.files if given else gr.skip(),
                    marked.model or gr.skip(),
                )

    def begin(path, question, request: gr.Request):
        if not path or not (question or "").strip():
            words = words_for(request)
            raise render.refusal(words.NO_POINTS if not path else words.EMPTY_QUESTION)
        return (*answering.busy(True), words_for(request).LOOKING, [], None)

    def stopped(text, request: gr.Request):
        return note_stop(text or "", words_for(request))

    buttons = [widgets.ask, widgets.stop]
    outputs = [widgets.answer, widgets.things, widgets.sheet, widgets.files, widgets.model]
    shown = [widgets.sheet, widgets.note, widgets.model]
    begun = gr.on(
        [widgets.ask.click, widgets.question.submit],
        begin,
        [widgets.file, widgets.question],
        [*buttons, widgets.answer, widgets.things, widgets.files],
        **PRIVATE,
    )
    asking = begun.success(
        ask, [widgets.file, widgets.question, *widgets.controls], outputs, **PRIVATE, concurrency_id="answers"
    )
    asking.then(lambda: answering.busy(False), None, buttons, **UNQUEUED)
    # Another file ends the answer about the last one. Before it is drawn: events go one after the other, and a
    # question that is asked meanwhile is about this file.
    widgets.file.change(
        None, None, [*buttons, widgets.answer], js=f"() => [{answering.IDLE}, '']", cancels=[asking], **UNQUEUED
    )
    widgets.file.change(lambda: ([], None), None, [widgets.things, widgets.files], **UNQUEUED)
    for event in (widgets.file.change, *(control.change for control in widgets.controls)):
        event(show, [widgets.file, *widgets.controls], shown, **PRIVATE, trigger_mode="always_last")
    # In two steps: what was on its way when the answer was cancelled must not come after the note.
    stopping = widgets.stop.click(lambda: answering.busy(False), None, buttons, cancels=[asking], **UNQUEUED)
    stopping.then(stopped, widgets.answer, widgets.answer, **UNQUEUED)


def wire_turn(widgets: PointsWidgets, tabs: gr.Tabs, viewer: gr.HTML, reader: Reader) -> None:
    """From the chat's viewer to the panel, with the same file."""

    async def turn(event: gr.EventData, request: gr.Request):
        file = event_data(event).get("id")
        words = words_for(request)
        if not isinstance(file, str) or not Path(file).is_absolute():
            raise render.refusal(words.NO_POINTS)
        try:
            medium = await reader.file(file)  # what the browser names; nothing but uploads is opened
        except QwenDemoError as error:
            raise render.refusal(error, words) from error
        if not isinstance(medium, Points):
            raise render.refusal(words.NO_POINTS)
        return gr.Tabs(selected="points"), file

    viewer.turn(turn, None, [tabs, widgets.file], **PRIVATE, **EACH)


def _saved(image: PIL.Image.Image | None) -> str | None:
    return save_png(image, "views.png") if image else None

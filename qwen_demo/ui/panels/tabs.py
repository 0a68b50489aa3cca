"""The tabs beside the chat: tasks, video, documents, 3D, comparing, live camera. Draws them and wires them to the chat."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.events import Dependency

from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.gradio_internals import EACH, UNQUEUED, event_data
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import words_for
from qwen_demo.ui.panels.camera import camera
from qwen_demo.ui.panels.compare import compare
from qwen_demo.ui.panels.documents import documents
from qwen_demo.ui.panels.knowledge import knowledge as knowledge_panel
from qwen_demo.ui.panels.points import points
from qwen_demo.ui.panels.tasks import tasks
from qwen_demo.ui.panels.video import video


@dataclass
class PanelWidgets:
    """Attributes:
    tabs: all tabs of the page, the chat's among them.
    """

    tabs: gr.Tabs
    tasks_tab: gr.Tab
    tasks: gr.HTML
    video: video.VideoWidgets
    documents_tab: gr.Tab
    documents: documents.DocumentWidgets
    points: points.PointsWidgets
    knowledge_tab: gr.Tab
    knowledge: knowledge_panel.KnowledgeWidgets
    compare_tab: gr.Tab
    compare: compare.CompareWidgets
    camera: camera.CameraWidgets


@dataclass
class ChatWidgets:
    """What a preset fills in for the chat, and the chat's viewer."""

    question: gr.MultimodalTextbox
    length: gr.Slider
    schema: gr.Textbox
    viewer: gr.HTML


def draw(tabs: gr.Tabs, settings: Settings, engines: int) -> PanelWidgets:
    """Inside of `tabs`, after the chat's. What is in a tab reaches the browser when it is first opened.

    `engines` is how many are loaded.
    """
    with gr.Tab(texts.TAB_TASKS, id="tasks") as tasks_tab:
        cards = tasks.draw()
    with gr.Tab(texts.TAB_VIDEO, id="video"):
        clip = video.draw(settings)
    with gr.Tab(texts.TAB_DOCUMENTS, id="documents") as documents_tab:
        pages = documents.draw()
    with gr.Tab(texts.TAB_POINTS, id="points"):
        models = points.draw(settings)
    with gr.Tab(texts.TAB_KNOWLEDGE, id="knowledge") as knowledge_tab:
        shelves = knowledge_panel.draw()
    with gr.Tab(texts.TAB_COMPARE, id="compare") as compare_tab:
        pair = compare.draw(settings, engines)
    with gr.Tab(texts.TAB_CAMERA, id="camera"):
        stills = camera.draw()
    return PanelWidgets(
        tabs, tasks_tab, cards, clip, documents_tab, pages, models, knowledge_tab, shelves, compare_tab, pair, stills
    )


def settings_of(panels: PanelWidgets) -> dict[str, Any]:
    """What is set in the tabs and belongs to no file or question, by a name for each."""
    clip, models = panels.video, panels.points
    found: dict[str, Any] = {
        "video.fps": clip.fps,
        "video.frames": clip.frames,
        "documents.task": panels.documents.task,
        "points.up": models.up,
        "points.cut": models.cut,
        "points.views": models.views,
        "points.side": models.side,
        "camera.every": panels.camera.every,
    }
    for name, side in zip(compare.SIDES, panels.compare.sides, strict=True):
        for control in ("temperature", "budget", "length", "seed"):
            found[f"compare.{name}.{control}"] = getattr(side, control)
    return found


def wire(panels: PanelWidgets, chat: ChatWidgets, services: Sequence[Service], reader: Reader) -> Dependency:
    """The first of `services` answers; with a second one, the two can be compared. Returns the event that picks a task."""
    service = services[0]
    video.wire(panels.video, service, reader)
    documents.wire(panels.documents, service, reader)
    points.wire(panels.points, service, reader)
    points.wire_turn(panels.points, panels.tabs, chat.viewer, reader)
    compare.wire(panels.compare, services, reader)
    camera.wire(panels.camera, service, reader)
    picked = _wire_tasks(panels, chat, service)
    # Which model answers is known when a tab is opened, not when the page is drawn.
    panels.documents_tab.select(lambda: documents.note(service), None, panels.documents.note, **UNQUEUED)
    choices = [control for side in panels.compare.sides for control in (side.engine, side.budget, side.adapter)]

    def opened(request: gr.Request) -> list:
        words = words_for(request)
        return [*compare.fill_choices(services, words), gr.Markdown(visible=len(services) == 1 and not words.visitor)]

    panels.compare_tab.select(opened, None, [*choices, panels.compare.how], **UNQUEUED)
    return picked


def _wire_tasks(panels: PanelWidgets, chat: ChatWidgets, service: Service) -> Dependency:
    clip, pages = panels.video, panels.documents
    chat_outputs = [chat.question, chat.length, chat.schema]
    clip_outputs = [clip.player, clip.question]
    page_outputs = [pages.file, pages.task, pages.prompt]

    model_outputs = [panels.points.file, panels.points.question]
    groups: tuple[list[Any], ...] = (chat_outputs, clip_outputs, page_outputs, model_outputs)

    def pick(event: gr.EventData, request: gr.Request):
        task = tasks.pick(event_data(event), words_for(request))
        filled = {
            "chat": lambda: (
                {"text": task.prompt, "files": task.paths},
                min(task.tokens, service.settings.max_new_tokens),
                task.schema,
            ),
            "video": lambda: (task.paths[0], task.prompt),
            "documents": lambda: (task.paths[0], task.kind, task.prompt),
            "points": lambda: (task.paths[-1], task.prompt),
        }
        given = filled[task.tab]()
        rest = [
            given if tab == task.tab else [gr.skip()] * len(group) for tab, group in zip(filled, groups, strict=True)
        ]
        return gr.Tabs(selected=task.tab), *[value for values in rest for value in values]

    def cards(request: gr.Request):
        return tasks.cards(service, words_for(request))

    outputs = [widget for group in groups for widget in group]
    picked = panels.tasks.pick(pick, None, [panels.tabs, *outputs], **UNQUEUED, **EACH)
    panels.tasks_tab.select(cards, None, panels.tasks, **UNQUEUED)
    return picked

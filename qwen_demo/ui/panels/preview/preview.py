"""What the model sees: viewer, context and pixel budget, kept in step with the conversation.

The three views hold no state on the server. Each change goes through `Preview.values`, which looks at
the conversation, the attached files and what the views have now, and gives what they show next.
"""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from qwen_demo.answers import detections
from qwen_demo.service.service import Service
from qwen_demo.types import Finished
from qwen_demo.ui import chat, render, space
from qwen_demo.ui.attachments import Gallery
from qwen_demo.ui.chat import History
from qwen_demo.ui.draft import draft
from qwen_demo.ui.gradio_internals import EACH, PRIVATE, UNQUEUED, event_data
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words, words_for
from qwen_demo.ui.panels.context import context
from qwen_demo.ui.panels.viewer import viewer


@dataclass
class PreviewWidgets:
    """Attributes:
    attached: paths of the files of the question that is being written, as JSON; hidden.
    held: what a refresh of the views found, until the browser knows whether it is still true; hidden.
    """

    viewer: gr.HTML
    context: gr.HTML
    budget: gr.Slider
    attached: gr.Textbox
    held: gr.JSON


def draw() -> tuple[gr.HTML, gr.HTML, gr.Textbox, gr.JSON]:
    """Viewer, context and the hidden widgets, for `with_budget`."""
    view = viewer.draw()
    attached = gr.Textbox("[]", visible="hidden", label="attached files")
    return view, context.draw(), attached, gr.JSON(visible="hidden", label="refreshed views")


def with_budget(views: tuple[gr.HTML, gr.HTML, gr.Textbox, gr.JSON], budget: gr.Slider) -> PreviewWidgets:
    """The budget is drawn among the settings."""
    view, items, attached, held = views
    return PreviewWidgets(view, items, budget, attached, held)


class Preview:
    """Handlers of the three views."""

    def __init__(self, service: Service, gallery: Gallery):
        self._service, self._gallery, self._finder = service, gallery, space.ViewFinder(gallery)

    async def values(self, history: History, attached: str, budget: float, items: Any, view: Any,
                  *, keep: bool = False, as_seen: bool = False, words: Words = texts) -> tuple[dict, dict]:  # fmt: skip
        """Values of viewer and context.

        Args:
            attached: paths as JSON.
            items, view: the values that the views hold now; from the browser.
            keep: the viewer goes on showing its image as long as there is one, and its earlier answer.
        """
        model = self._service.status().model
        surveyed = await context.survey(history, context.attached_paths(attached), items, self._gallery)
        max_pixels = context.budget_pixels(budget, model)
        image = await self._earlier(history, view, max_pixels, as_seen) if keep else None
        if image is None:
            answer = viewer.pointing(history, viewer.last_answer(history))
            picked = viewer.picked_file(view) if keep else ""
            image = viewer.value_of(surveyed, answer, model, picked=picked, max_pixels=max_pixels, as_seen=as_seen)
            image = await viewer.with_places(image, answer, self._finder, model)
        return image, context.value_of(surveyed, model, max_pixels, self._service.rates, words=words)

    def of_answer(self, history: History, budget: float, items: Any, words: Words = texts) -> "AnswerPreview":
        return AnswerPreview(self._service, self._gallery, self._finder, history, budget, items, words)

    async def _earlier(self, history: History, view: Any, max_pixels: int | None, as_seen: bool = False) -> dict | None:
        """The viewer's value where it shows an earlier answer with what that one was about; else None."""
        shown = viewer.up_to(history, viewer.turn_of(view))
        if not shown:
            return None
        model, answer = self._service.status().model, viewer.last_answer(shown)
        items = await context.survey(shown, [], {}, self._gallery)
        value = viewer.value_of(
            items, answer, model, picked=viewer.picked_file(view), max_pixels=max_pixels, as_seen=as_seen
        )
        value = await viewer.with_places(value, answer, self._finder, model)
        return {**value, "turn": viewer.turn_of(view), "asked": answer.question}

    async def look(self, history: History, attached: str, budget: float, items: Any, turn: Any) -> dict:
        """The viewer with the `turn`-th answer; with the newest where it is no earlier one."""
        return (await self.values(history, attached, budget, items, {"turn": turn}, keep=True))[0]

    async def pick(self, history: History, attached: str, budget: float, items: Any, view: Any, file: Any) -> dict:
        """The viewer with another image."""
        picked = {"image": {"id": file}, "turn": viewer.turn_of(view)}
        return (await self.values(history, attached, budget, items, picked, keep=True))[0]

    async def export(self, history: History, attached: str, items: Any, view: Any, kind: Any,
                     words: Words = texts) -> dict:  # fmt: skip
        """The viewer's value with a file to download. Raises `gr.Error` where there is nothing to export."""
        model = self._service.status().model
        if shown := viewer.up_to(history, viewer.turn_of(view)):
            answer, surveyed = viewer.last_answer(shown), await context.survey(shown, [], {}, self._gallery)
        else:
            answer = viewer.pointing(history, viewer.last_answer(history))
            surveyed = await context.survey(history, context.attached_paths(attached), items, self._gallery)
        file = viewer.picked_file(view)
        attachment = viewer.image_of(surveyed, file)
        if attachment is None or kind not in viewer.FORMATS:
            raise render.refusal(words.NOTHING_TO_EXPORT)
        text, model = answer.for_placing(model)
        if attachment.views:
            marked = await self._finder.marked(file, text, model, answer.max_pixels)
            if marked is None or kind not in space.FORMATS:
                raise render.refusal(words.NOTHING_TO_EXPORT)
            return {**view, "download": await viewer.export_places(kind, marked)}
        found = viewer.place(detections.find(text), answer, attachment, model)
        download = await viewer.export(kind, found, attachment, self._gallery)
        return {**view, "download": download}

    async def ask_about(self, budget: float, items: Any, view: Any, data: dict,
                        words: Words = texts) -> tuple[dict, Any]:  # fmt: skip
        """The region as an addition to the question, and the context, where a crop goes alone to a small model."""
        file = viewer.picked_file(view)
        attachment = await self._gallery.look(file) if file else None
        if attachment is None or not attachment.is_image:
            raise render.refusal(words.NO_REGION)
        model = self._service.status().model
        if data.get("how") == "coordinates":
            region = viewer.region_of(data, attachment.original)
            if region is None:
                raise render.refusal(words.NO_REGION)
            seen = attachment.seen(model, context.budget_pixels(budget, model))
            as_json = detections.as_model_json(region, attachment.original, seen)
            return draft.addition(words=as_json, otherwise=words.WHAT_IS_THERE), gr.skip()
        path = await viewer.crop(file, data, self._gallery)
        if path is None:
            raise render.refusal(words.NO_REGION)
        added = draft.addition([path], otherwise=words.WHAT_IS_THIS)
        return added, context.switched_off(items, path) if model.embedded else gr.skip()


class AnswerPreview:
    """Views of one answer while it grows: they change at its first words, with every detection, and at the end.

    They are outputs of the answering event itself: an event of their own could end after it and bring back old ones.
    """

    def __init__(self, service: Service, gallery: Gallery, finder: space.ViewFinder, history: History, budget: float,
                 items: Any, words: Words):  # fmt: skip
        self._service, self._gallery, self._finder, self._words = service, gallery, finder, words
        self._history, self._budget, self._value = history, budget, items
        self._items: list[context.Item] | None = None
        self._found: list[detections.Detection] | None = None

    async def update(self, text: str, finished: Finished | None) -> tuple[Any, Any]:
        """What viewer and context show now."""
        found = detections.find(text)
        if not finished and (not text or found == self._found):
            return gr.skip(), gr.skip()
        self._found = found
        model = self._service.status().model
        items, first = self._items, self._items is None
        if items is None:
            items = self._items = await context.survey(self._history, [], self._value, self._gallery)
        max_pixels = context.budget_pixels(self._budget, model)
        question = chat.question_of(self._history, len(self._history) - 1)["text"]
        answer = viewer.LastAnswer(text, question, max_pixels)
        # Until this answer points at something, what an earlier one pointed at stays.
        answer = answer if found else viewer.pointing(self._history, answer)
        view = viewer.value_of(items, answer, model, max_pixels=max_pixels)
        view = await viewer.with_places(view, answer, self._finder, model, whole=finished is not None)
        if finished is None and not first:
            return view, gr.skip()
        items = context.after_answer(items, finished) if finished else items
        return view, context.value_of(items, model, max_pixels, self._service.rates, finished, self._words)


def _state(widgets: PreviewWidgets, chatbot: gr.Chatbot) -> list[gr.components.Component]:
    """In the order of `Preview.values`'s parameters."""
    return [chatbot, widgets.attached, widgets.budget, widgets.context, widgets.viewer]


def _refresh(preview: Preview, *, keep: bool = False, as_seen: bool = False):
    """A handler that gives what the views show now."""

    async def refresh(request: gr.Request, *values):
        return await preview.values(*values, keep=keep, as_seen=as_seen, words=words_for(request))

    return refresh


# A refresh that was begun before an answer may end after it, and knows nothing of its boxes. So what a refresh found is
# held with the conversation that it looked at, and shown only where that is still the conversation.
_WITH_STAMP = """(...values) => {
  return [...values.slice(0, -1), {stamp: `${values[1]} ${window.qwenDemo.longChat.stamp(values[0])}`}];
}"""
_IF_STILL_TRUE = """(held, history, attached, view, items) => {
  const still = held && held.stamp === `${attached} ${window.qwenDemo.longChat.stamp(history)}`;
  return still ? [held.view, held.items] : [view, items];
}"""


def _refresh_if_still_true(event, preview: Preview, widgets: PreviewWidgets, chatbot: gr.Chatbot) -> None:
    async def refresh(request: gr.Request, *values):
        *state, held = values
        view, items = await preview.values(*state, words=words_for(request))
        return {"stamp": (held or {}).get("stamp"), "view": view, "items": items}

    state = [*_state(widgets, chatbot), widgets.held]
    looked = event(refresh, state, widgets.held, js=_WITH_STAMP, **UNQUEUED)
    known = [widgets.held, chatbot, widgets.attached, widgets.viewer, widgets.context]
    looked.then(None, known, [widgets.viewer, widgets.context], js=_IF_STILL_TRUE, **UNQUEUED)


def refresh_after(events: list, widgets: PreviewWidgets, preview: Preview, chatbot: gr.Chatbot) -> None:
    """The views follow what these events made of the conversation."""
    for event in events:
        event.then(_refresh(preview), _state(widgets, chatbot), [widgets.viewer, widgets.context], **UNQUEUED)


def wire(
    widgets: PreviewWidgets,
    preview: Preview,
    chatbot: gr.Chatbot,
    question: gr.MultimodalTextbox,
    added: gr.JSON,
) -> None:
    """`added` holds what goes into `question`."""
    state, views = _state(widgets, chatbot), [widgets.viewer, widgets.context]

    async def pick(history, attached, budget, items, view, event: gr.EventData):
        return await preview.pick(history, attached, budget, items, view, event_data(event).get("id"))

    async def pick_of_all(history, attached, budget, items, view, event: gr.EventData):
        return await preview.pick(history, attached, budget, items, {}, event_data(event).get("id"))

    async def look(history, attached, budget, items, view, event: gr.EventData):
        return await preview.look(history, attached, budget, items, event_data(event).get("turn"))

    async def export(history, attached, items, view, event: gr.EventData, request: gr.Request):
        return await preview.export(history, attached, items, view, event_data(event).get("kind"), words_for(request))

    async def ask_about(budget, items, view, event: gr.EventData, request: gr.Request):
        return await preview.ask_about(budget, items, view, event_data(event), words_for(request))

    # Not `change`, which each key is.
    widgets.context.attached(None, question, widgets.attached, js=draft.KEEP_FILES, **UNQUEUED)
    _refresh_if_still_true(widgets.attached.change, preview, widgets, chatbot)
    # Not `input`: a typed number is put within the bounds afterwards.
    widgets.budget.change(
        _refresh(preview, keep=True, as_seen=True), state, views, trigger_mode="always_last", **UNQUEUED
    )
    widgets.context.toggle(_refresh(preview, keep=True), state, views, **UNQUEUED, **EACH)
    widgets.context.pick(pick_of_all, state, widgets.viewer, **UNQUEUED, **EACH)
    widgets.viewer.pick(pick, state, widgets.viewer, **UNQUEUED, **EACH)
    widgets.viewer.look(look, state, widgets.viewer, **UNQUEUED, **EACH)
    widgets.viewer.export(
        export,
        [chatbot, widgets.attached, widgets.context, widgets.viewer],
        widgets.viewer,
        **PRIVATE,
        **EACH,
    )
    asked = widgets.viewer.region(
        ask_about,
        [widgets.budget, widgets.context, widgets.viewer],
        [added, widgets.context],
        **PRIVATE,
        **EACH,
    )
    draft.put_in(asked, added, question)

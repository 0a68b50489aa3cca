"""The Live camera panel: one question, asked of an image every few seconds.

The script in the browser takes an image only when the last answer is there or was dropped, so there
is never a backlog, here or in the queue. Images come as data URLs in the event itself: none is
stored. Whatever a browser sends is decoded by `media` within the usual limits.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qwen_demo.errors import InvalidRequest
from qwen_demo.points.words import parts_of
from qwen_demo.sentences import Sentence
from qwen_demo.service.service import Service
from qwen_demo.types import ChatRequest, Message, Sampling, Text
from qwen_demo.ui import assets
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.gradio_internals import PRIVATE, event_data
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words, words_for
from qwen_demo.ui.panels import answering

MAX_ANSWER_TOKENS = 256


@dataclass
class CameraWidgets:
    question: gr.Textbox
    every: gr.Slider
    view: gr.HTML


def draw() -> CameraWidgets:
    # First what is looked at and what is answered: the controls are set once.
    view = assets.view("camera", {}, texts.CAMERA_VIEW)
    with gr.Row(equal_height=False):
        question = gr.Textbox(
            texts.CAMERA_QUESTION_VALUE, label=texts.CAMERA_QUESTION, scale=3, min_width=280, elem_id="camera-question"
        )
        every = gr.Slider(1, 30, 3, step=1, label=texts.CAMERA_INTERVAL, scale=2, min_width=240, elem_id="camera-every")
    return CameraWidgets(question, every, view)


async def answers(
    data: Any, question: str, every: float, service: Service, reader: Reader, words: Words = texts
) -> AsyncGenerator[dict, None]:
    """Values of the view for one image: the answer as it grows. `shot` says which image it belongs to."""
    shot = data.get("shot") if isinstance(data, dict) else None
    image = data.get("image") if isinstance(data, dict) else None

    async def request() -> ChatRequest:
        # A data URL alone: what this event names is opened here, and nowhere else.
        if not isinstance(image, str) or not image.startswith("data:image/"):
            raise InvalidRequest(Sentence("The camera gave no image."))
        parts = (*parts_of(await reader.url(image, "image")), Text(question.strip() or words.CAMERA_QUESTION_VALUE))
        most = min(MAX_ANSWER_TOKENS, service.settings.max_new_tokens)
        return ChatRequest((Message("user", parts),), Sampling(max_new_tokens=most))

    async with aclosing(answering.answer(request(), service, words)) as steps:
        async for step in steps:
            yield {"shot": shot if isinstance(shot, int) else 0, "every": every, **step.value}


def wire(widgets: CameraWidgets, service: Service, reader: Reader) -> None:
    async def look(question, every, event: gr.EventData, request: gr.Request) -> AsyncGenerator:
        words = words_for(request)
        async with aclosing(answers(event_data(event), question or "", every, service, reader, words)) as values:
            async for value in values:
                yield value

    looking = widgets.view.look(
        look,
        [widgets.question, widgets.every],
        widgets.view,
        **PRIVATE,
        # The script waits for the answer itself; an image after a dropped one must not be swallowed.
        trigger_mode="multiple",
        concurrency_id="answers",
    )
    widgets.view.drop(None, None, None, cancels=[looking], queue=False, **PRIVATE)

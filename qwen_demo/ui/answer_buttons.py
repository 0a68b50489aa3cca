"""Buttons at the last note of an answer: ask a larger model instead, or let an answer that was cut go on."""

from collections.abc import Callable, Sequence
from contextlib import aclosing

import gradio as gr
from gradio.events import Dependency

from qwen_demo.service.model_menu import ModelMenu
from qwen_demo.service.service import Service
from qwen_demo.ui import chat
from qwen_demo.ui.gradio_internals import PRIVATE, UNQUEUED
from qwen_demo.ui.history import generation_params, go_on
from qwen_demo.ui.i18n.languages import words_for
from qwen_demo.ui.long_chat import long_chat
from qwen_demo.ui.model_menu import instead

# The menu in the header, see `model_menu.js`.
_TELL_MENU = "() => { window.dispatchEvent(new Event('qwen-demo-model')); }"


def wire(
    chatbot: gr.Chatbot,
    question: gr.MultimodalTextbox,
    controls: Sequence[gr.components.Component],
    service: Service,
    menu: ModelMenu | None,
    busy: Callable[[], gr.Component],
) -> Dependency:
    """The event of both: it gives question and chat as they are while something is answered, and the chat is to be
    answered once it ends well.

    Args:
        controls: budget and options.
        busy: gives the question's box as it is while something is answered.
    """
    as_they_are = [gr.skip()] * (1 + generation_params.CONTROLS)

    async def press(history, event: gr.SelectData, request: gr.Request):
        index = long_chat.index_of(history, event.index)
        if menu is None or event.value != instead.ASK_INSTEAD:
            kept = chat.without_notes(history[: chat.end_of_turn(history, index)])
            yield busy(), kept, *go_on.controls_of(str(event.value), service)
            return
        async with aclosing(instead.until_it_answers(history, index, menu, words_for(request))) as steps:
            async for grown in steps:
                yield busy(), grown, *as_they_are

    if menu:
        chatbot.option_select(None, None, None, js=_TELL_MENU, **UNQUEUED)
    pressed = chatbot.option_select(press, chatbot, [question, chatbot, *controls], **PRIVATE)
    if menu:
        pressed.then(None, None, None, js=_TELL_MENU, **UNQUEUED)
    return pressed

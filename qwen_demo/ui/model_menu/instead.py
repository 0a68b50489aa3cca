"""The button "Ask … instead" at an answer that the embedded model should not be asked for: it fetches the larger model,
lets it take over, and asks again."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import gradio as gr
from gradio.events import Dependency

from qwen_demo.errors import QwenDemoError
from qwen_demo.service.model_menu import ModelMenu
from qwen_demo.service.switch_status import SwitchStatus
from qwen_demo.ui import chat, render
from qwen_demo.ui.chat import History
from qwen_demo.ui.gradio_internals import PRIVATE, UNQUEUED
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words, translate, words_for
from qwen_demo.ui.model_menu.model_menu import name_of

# What the button sends back.
ASK_INSTEAD = "ask-instead"
# How the embedded model says that something is beyond it, see its model card.
BEYOND_IT = ("demo model and cannot", "演示模型，无法", "演示模型，认不出")
LOOK_EVERY_S = 0.5
# The menu in the header, see `model_menu.js`.
TELL_MENU = "() => { window.dispatchEvent(new Event('qwen-demo-model')); }"


def is_beyond(text: str) -> bool:
    """Whether the embedded model has said that it cannot answer."""
    return any(words in text for words in BEYOND_IT)


def with_button(
    history: History, text: str, menu: ModelMenu | None, words: Words = texts, *, doubtful: bool = False
) -> History:
    """`history` with the button at its last note, where the answer `text` asks for it.

    Args:
        doubtful: the answer is marked as one not to be trusted.
    """
    if menu is None or menu.present != "embedded" or not (doubtful or is_beyond(text)) or menu.larger is None:
        return history
    label = words.ask_instead(name_of(menu.larger, words))
    return [*history[:-1], {**history[-1], "options": [{"value": ASK_INSTEAD, "label": label}]}]


async def until_it_answers(
    history: History, index: int, menu: ModelMenu, words: Words = texts
) -> AsyncGenerator[History, None]:
    """The conversation while the larger model comes; the last one is to be answered again.

    Args:
        index: of the message with the button.

    Raises:
        gr.Error: it did not come; the conversation before it is as it was, with the reason.
    """
    asked, model = chat.again(history, index), menu.larger
    assert model is not None, "there is a button where there is a larger model"
    try:
        if menu.present != model and not (menu.status.under_way and menu.status.model == model):
            menu.choose(model)
        while menu.present != model:
            status = menu.status
            if status.stage == "failed":
                yield [*history, render.note("⚠ " + (translate(status.detail, words) or status.detail))]
                raise render.refusal(translate(status.detail, words) or status.detail)
            if status.stage == "idle":
                yield history
                raise render.refusal(words.given_up(name_of(model, words)))
            yield [*asked, render.note(progress(status, words), pending=True)]
            await asyncio.sleep(LOOK_EVERY_S)
    except QwenDemoError as error:
        yield [*history, render.error_note(error, words)]
        raise render.refusal(error, words) from error
    yield asked


def wire(
    chatbot: gr.Chatbot, question: gr.MultimodalTextbox, menu: ModelMenu | None, busy: Callable[[], gr.Component]
) -> list[Dependency]:
    """The event of the button, if there is one: it gives question and chat as they are while something is answered, and
    the chat is to be answered once it ends well.

    Args:
        busy: gives the question's box as it is while something is answered.
    """
    if menu is None:
        return []

    async def ask(history, event: gr.SelectData, request: gr.Request):
        index = event.index[0] if isinstance(event.index, list | tuple) else event.index
        async with aclosing(until_it_answers(history, index, menu, words_for(request))) as steps:
            async for grown in steps:
                yield busy(), grown

    chatbot.option_select(None, None, None, js=TELL_MENU, **UNQUEUED)
    asking = chatbot.option_select(ask, chatbot, [question, chatbot], **PRIVATE)
    asking.then(None, None, None, js=TELL_MENU, **UNQUEUED)
    return [asking]


def progress(status: SwitchStatus, words: Words = texts) -> str:
    """One line of how far the model is."""
    stage: Any = words.MODEL_MENU["stages"].get(status.stage, "")
    said = translate(status.detail, words) or status.detail
    heading = stage.format(name=name_of(status.model, words))
    return f"{heading} ({said})" if said else heading

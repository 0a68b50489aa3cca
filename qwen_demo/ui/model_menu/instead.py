"""The button "Ask … instead" at an answer that the embedded model should not be asked for: it fetches the larger model,
lets it take over, and asks again."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from qwen_demo.answers.beyond import is_beyond
from qwen_demo.errors import QwenDemoError
from qwen_demo.service.model_menu import ModelMenu
from qwen_demo.service.switch_status import SwitchStatus
from qwen_demo.ui import chat, render
from qwen_demo.ui.chat import History
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words, translate
from qwen_demo.ui.model_menu.model_menu import name_of

# What the button sends back.
ASK_INSTEAD = "ask-instead"
LOOK_EVERY_S = 0.5


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


def progress(status: SwitchStatus, words: Words = texts) -> str:
    """One line of how far the model is."""
    stage: Any = words.MODEL_MENU["stages"].get(status.stage, "")
    said = translate(status.detail, words) or status.detail
    heading = stage.format(name=name_of(status.model, words))
    return f"{heading} ({said})" if said else heading

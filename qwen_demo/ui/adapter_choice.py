"""The choice of an adapter: at the question, and on both sides of Compare. Nothing of it shows where there is none."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.ui.gradio_internals import UNQUEUED
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words, words_for

NONE = ""


def draw(settings: Settings, elem_id: str, *, number: int = 0) -> gr.Dropdown:
    """
    Args:
        number: of the adapter of the start that is chosen at first, from 1 on; 0 is none.
    """
    names = list(settings.named_adapters)
    # What is chosen may have been unloaded, or come from a conversation of another server: asking says so.
    return gr.Dropdown(
        choices(names),
        value=names[number - 1] if 0 < number <= len(names) else NONE,
        label=texts.ADAPTER,
        elem_id=elem_id,
        allow_custom_value=True,
        visible=bool(names),
    )


def choices(names: Sequence[str], words: Words = texts) -> list[tuple[str, str]]:
    return [(words.NO_ADAPTER, NONE), *((name, name) for name in names)]


def offered(service: Service, words: Words = texts) -> gr.Dropdown:
    """The choice as it is now: operators load and unload some while the program runs."""
    names = list(service.adapters.known)
    return gr.Dropdown(choices(names, words), visible=bool(names))


def wire(choice: gr.Dropdown, service: Service, *refresh: Any) -> None:
    """`refresh`: events after which there may be other adapters."""

    def show(request: gr.Request):
        return offered(service, words_for(request))

    for event in refresh:
        event(show, None, choice, **UNQUEUED)

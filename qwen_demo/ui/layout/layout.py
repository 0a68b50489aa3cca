"""The page's frame: where each part mounts. What opens and closes is decided in the browser, see `layout.js`.

| id | what |
|---|---|
| `header` | title, model menu, state of the model, buttons |
| `rail` | at the left: conversations, and beneath them the tabs of `tabs`, one for each panel; a drawer on a phone |
| `conversation` | in the middle of the tab Chat: chat, chips of what is set, question |
| `side` | beside it, while there is something to see: viewer and context |
| `settings` | a drawer over all tabs: sampling, pixel budget, system prompt, schema, sharing, about the model |
"""

from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from qwen_demo.ui import assets
from qwen_demo.ui.i18n import texts


def buttons(place: str, *names: str) -> gr.HTML:
    """A row of buttons, each of which opens or closes a part of the frame.

    Args:
        place: the row's id.
        names: of `rail`, `rail-close`, `side`, `side-close`, `settings`, `settings-close`, `theme`.
    """
    return assets.view("buttons", {"buttons": names}, texts.LAYOUT, elem_id=place)


@contextmanager
def header() -> Iterator[None]:
    with gr.Row(elem_id="header", equal_height=False):
        buttons("header-start", "rail")
        gr.Markdown(f"# {texts.TITLE}", elem_id="title")
        yield


@contextmanager
def drawer(name: str, title: str) -> Iterator[None]:
    """A part with a heading and a button that closes it."""
    with gr.Column(elem_id=name, min_width=0):
        with gr.Row(elem_classes="drawer-head", equal_height=False):
            gr.Markdown(f"### {title}", elem_classes="drawer-title")
            buttons(f"{name}-head", f"{name}-close")
        yield

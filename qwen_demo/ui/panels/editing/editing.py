"""Changing the words of a question that was asked; its files stay. Gradio's own editor fails at questions with files.

`editing.js` takes the press of the message's button, asks for the words of that question, and sends the new ones.
"""

import secrets
from typing import Any

import gradio as gr

from qwen_demo.ui import assets, chat
from qwen_demo.ui.chat import History
from qwen_demo.ui.gradio_internals import EACH, UNQUEUED, event_data
from qwen_demo.ui.i18n import texts


def draw() -> gr.HTML:
    return assets.view("editing", {}, texts.EDITING)


def index_of(history: History, turn: Any) -> int | None:
    """Index of the last message of the `turn`-th question, as the chat draws them: messages in a row are one.

    None where there is none; `turn` comes from the browser.
    """
    asked = [i for i, message in enumerate(history) if message["role"] == "user"]
    last = [i for i in asked if i + 1 not in asked]
    return last[turn] if isinstance(turn, int) and 0 <= turn < len(last) else None


def wire(view: gr.HTML, chatbot: gr.Chatbot, question: gr.MultimodalTextbox, busy) -> Any:
    """The event after which the changed question is to be answered; `busy` gives the question's box meanwhile."""

    def begin(history, event: gr.EventData):
        turn = event_data(event).get("turn")
        index = index_of(history, turn)
        if index is None:
            return gr.skip()
        return {"turn": turn, "text": chat.question_of(history, index)["text"], "nonce": secrets.token_hex(4)}

    def edit(history, event: gr.EventData):
        data = event_data(event)
        index = index_of(history, data.get("turn"))
        if index is None:
            return gr.skip(), gr.skip()
        return busy(), chat.edit(history, index, str(data.get("text", "")))

    view.begin(begin, chatbot, view, **UNQUEUED, **EACH)
    return view.edit(edit, chatbot, [question, chatbot], **UNQUEUED)

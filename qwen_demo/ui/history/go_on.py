"""An answer that was cut goes on from its last word: the page was left, the server was lost, Stop was pressed, or the
answer had reached its length. What was written stands in the request, and the model writes on from there.

An answer that must be JSON, or that is taken from a collection, cannot be begun in the middle: it is asked for anew.
"""

import gradio as gr

from qwen_demo.service.service import Service
from qwen_demo.ui import chat
from qwen_demo.ui.chat import History
from qwen_demo.ui.gradio_internals import UNQUEUED, event_data
from qwen_demo.ui.history import generation_params
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words

# What the button sends back: this, and what the answer was asked with where that is not what the controls say.
GO_ON = "go-on"


def with_button(history: History, words: Words = texts, params: str = "") -> History:
    """`history` with the button at its last note, where an answer was begun above it.

    Args:
        params: of `generation_params.encode`, behind a semicolon.
    """
    if not (history and history[-1].get("metadata") and chat.begun(chat.without_notes(history))):
        return history
    options = [*(history[-1].get("options") or []), {"value": GO_ON + params, "label": words.GO_ON}]
    return [*history[:-1], {**history[-1], "options": options}]


def params_of(choices: chat.Choices, service: Service) -> str:
    """What an answer is asked with, for the browser that may have to go on with it."""
    model = service.status().model
    asked = choices.sampling, choices.system_prompt, choices.max_pixels, model, choices.adapter
    return ";" + generation_params.encode(*asked)


def controls_of(params: str, service: Service) -> list:
    """What budget and options are set to; "no change" where `params`, which come from a browser, are none."""
    known = generation_params.decode(params)
    if known is None:
        return [gr.skip()] * (1 + generation_params.CONTROLS)
    length = min(known.max_new_tokens, service.settings.max_new_tokens)
    return generation_params.control_values(known, length, service.status().model)


def wire(view: gr.HTML, chatbot: gr.Chatbot, question: gr.MultimodalTextbox, controls: list, service: Service, busy):
    """The event after which the chat is to be answered: the page finds that an answer was cut.

    Args:
        controls: budget and options.
        busy: gives the question's box as it is while something is answered.
    """

    def go_on(history, event: gr.EventData):
        return busy(), chat.without_notes(history), *controls_of(str(event_data(event).get("params", "")), service)

    return view.go_on(go_on, chatbot, [question, chatbot, *controls], **UNQUEUED)

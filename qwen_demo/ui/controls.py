"""The chat, the box for the question, and the settings, as they are drawn; `page.py` wires them."""

from typing import NamedTuple

import gradio as gr

from qwen_demo.settings import Settings
from qwen_demo.ui import maths
from qwen_demo.ui.examples import EXAMPLES
from qwen_demo.ui.file_types import MEDIA_FILES
from qwen_demo.ui.history import generation_params
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.long_chat import long_chat


class OptionWidgets(NamedTuple):
    """In the order of `respond`'s parameters."""

    temperature: gr.Slider
    length: gr.Slider
    top_p: gr.Slider
    penalty: gr.Slider
    seed: gr.Number
    system: gr.Textbox
    schema: gr.Textbox
    adapter: gr.Dropdown


def draw_chat() -> long_chat.Chatbot:
    return long_chat.Chatbot(
        show_label=False,
        label=texts.CONVERSATION,
        height="60vh",
        min_height=320,
        buttons=["copy"],
        editable="user",
        feedback_options=None,
        latex_delimiters=maths.DELIMITERS,
        examples=[example.card() for example in EXAMPLES],
        placeholder=f"### {texts.WELCOME}",
        elem_id="chat",
    )


def draw_question() -> gr.MultimodalTextbox:
    return gr.MultimodalTextbox(
        show_label=False,
        label=texts.QUESTION,
        placeholder=texts.PLACEHOLDER,
        file_types=MEDIA_FILES,
        file_count="multiple",
        sources=["upload"],
        autofocus=True,
        lines=1,
        max_lines=8,
        max_plain_text_length=20_000,
        elem_id="question",
    )


def draw_options(settings: Settings, adapter: gr.Dropdown) -> OptionWidgets:
    """Those of the drawer, and `adapter`, which stands at the question."""
    longest = settings.max_new_tokens
    temperature = gr.Slider(0, 2, 0, step=0.05, label=texts.TEMPERATURE, info=texts.TEMPERATURE_INFO)
    length = gr.Slider(16, longest, min(512, longest), step=16, label=texts.MAX_NEW_TOKENS)
    with gr.Accordion(texts.ADVANCED, open=False):
        top_p = gr.Slider(0.05, 1, 1, step=0.05, label=texts.TOP_P)
        penalty = gr.Slider(1, 2, 1, step=0.05, label=texts.REPETITION_PENALTY)
        # An empty number comes back from the browser as 0.
        seed = gr.Number(
            generation_params.FRESH_SEED, label=texts.SEED, precision=0, minimum=generation_params.FRESH_SEED
        )
        system = gr.Textbox("", label=texts.SYSTEM_PROMPT, lines=2, placeholder="You are a helpful assistant.")
    with gr.Accordion(texts.JSON_SCHEMA, open=False, elem_id="schema"):
        schema = gr.Textbox(
            "", show_label=False, label=texts.JSON_SCHEMA, info=texts.JSON_SCHEMA_INFO, lines=6, max_lines=16,
            placeholder='{"type": "object", "properties": {…}}', elem_classes="code",
        )  # fmt: skip
    return OptionWidgets(temperature, length, top_p, penalty, seed, system, schema, adapter)

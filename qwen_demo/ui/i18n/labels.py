"""What stands on the page before anybody asks, in both languages: labels, choices, words of the views."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components.chatbot import ExampleMessage

from qwen_demo.ui.i18n import texts, texts_zh
from qwen_demo.ui.i18n.languages import words_for


def chinese() -> dict[str, str]:
    """English label -> Chinese one."""
    pairs = [(getattr(texts, name, None), value) for name, value in vars(texts_zh).items() if name.isupper()]
    labels = {english: chinese for english, chinese in pairs if isinstance(english, str)}
    for name in ("DOCUMENT_TASKS", "DOCUMENT_PROMPTS", "EXAMPLE_TITLES"):
        labels |= {english: getattr(texts_zh, name)[key] for key, english in getattr(texts, name).items()}
    return labels


def both(words: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """A view's words in both languages, by the browser's name for them."""
    name = next((name for name, value in vars(texts).items() if value is words), None)
    return {"en": words, "zh-CN": {**words, **getattr(texts_zh, name, {})} if name else words}


def translate_on_load(demo: gr.Blocks) -> None:
    """What Gradio does not translate: cards of an empty chat, choices, questions in boxes. Once the page is open."""
    cards = [block for block in demo.blocks.values() if isinstance(block, gr.Chatbot) and block.examples]
    radios = [block for block in demo.blocks.values() if isinstance(block, gr.Radio)]
    known = chinese()
    boxes = [block for block in demo.blocks.values() if isinstance(block, gr.Textbox) and block.value in known]
    outputs = [*cards, *radios, *boxes]

    def chosen(request: gr.Request):
        if words_for(request) is texts:
            return [gr.skip()] * len(outputs)
        titles = [[_titled(card, known) for card in chat.examples or ()] for chat in cards]
        choices = [[(known.get(str(label), str(label)), str(key)) for label, key in radio.choices] for radio in radios]
        filled = [gr.Textbox(known[box.value]) for box in boxes]
        return [*(gr.Chatbot(examples=value) for value in titles), *(gr.Radio(choices=value) for value in choices),
                *filled]  # fmt: skip

    demo.load(chosen, None, outputs, queue=False, show_progress="hidden", api_visibility="private")


def _titled(card: ExampleMessage, known: Mapping[str, str]) -> ExampleMessage:
    return {**card, "display_text": known.get(card["display_text"], card["display_text"])}

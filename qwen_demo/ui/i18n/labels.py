"""What stands on the page before anybody asks, in all languages: labels, choices, words of the views."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components.chatbot import ExampleMessage

from qwen_demo.ui.i18n import catalogues, texts
from qwen_demo.ui.i18n.languages import words_for

_CHOICES = ("DOCUMENT_TASKS", "DOCUMENT_PROMPTS", "EXAMPLE_TITLES", "EXAMPLE_LINES", "POINTS_CUTS", "POINTS_COLUMNS")


def translations(locale: str) -> dict[str, str]:
    """English label -> the one in another language; itself where nobody translated it."""
    words = catalogues.words(locale)
    names = [name for name in vars(texts) if name.isupper()]
    labels = {value: getattr(words, name) for name in names if isinstance(value := getattr(texts, name), str)}
    for name in _CHOICES:
        labels |= {english: getattr(words, name)[key] for key, english in getattr(texts, name).items()}
    return labels


def in_all(words: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """A view's words in every language, by the browser's name for it."""
    name = next((name for name, value in vars(texts).items() if value is words), None)
    return {tag: getattr(catalogues.words(locale), name) if name else words for locale, tag in catalogues.TAGS.items()}


def translate_on_load(demo: gr.Blocks) -> None:
    """What Gradio does not translate: cards of an empty chat, choices, questions in boxes. Once the page is open."""
    cards = [block for block in demo.blocks.values() if isinstance(block, gr.Chatbot) and block.examples]
    radios = [block for block in demo.blocks.values() if isinstance(block, gr.Radio)]
    english = translations("en")
    boxes = [block for block in demo.blocks.values() if isinstance(block, gr.Textbox) and block.value in english]
    tables = [block for block in demo.blocks.values() if isinstance(block, gr.Dataframe) and block.headers]
    outputs = [*cards, *radios, *boxes, *tables]

    def chosen(request: gr.Request):
        if (locale := words_for(request).locale) == "en":
            return [gr.skip()] * len(outputs)
        known = translations(locale)
        titles = [[_titled(card, known) for card in chat.examples or ()] for chat in cards]
        choices = [[(known.get(str(label), str(label)), str(key)) for label, key in radio.choices] for radio in radios]
        filled = [gr.Textbox(known[box.value]) for box in boxes]
        heads = [
            gr.Dataframe([], headers=[known.get(str(each), str(each)) for each in table.headers]) for table in tables
        ]
        return [*(gr.Chatbot(examples=value) for value in titles), *(gr.Radio(choices=value) for value in choices),
                *filled, *heads]  # fmt: skip

    demo.load(chosen, None, outputs, queue=False, show_progress="hidden", show_progress_on=[], api_visibility="private")


def _titled(card: ExampleMessage, known: Mapping[str, str]) -> ExampleMessage:
    """The title and the line beneath it."""
    return {**card, "display_text": "\n".join(known.get(words, words) for words in card["display_text"].split("\n"))}

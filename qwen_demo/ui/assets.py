"""Scripts and styles: those that lie in this package are the page's, each beside the Python that it belongs to.

A view is a `gr.HTML` whose template never changes and holds nothing: its script builds the
elements, and writes what comes from models and visitors as text alone. So no value, whatever it
holds, is ever read as HTML.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from qwen_demo.ui.i18n import catalogues, labels, texts

FOLDER = Path(__file__).parent
# Fonts of the system: Gradio's own would be asked from a foreign server at each visit.
THEME = gr.themes.Default(
    primary_hue="violet", neutral_hue="slate", font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
).set(
    # Gradio's own are too pale to read on white, and to read white on.
    body_text_color_subdued="*neutral_600",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover_dark="*primary_700",
)
# In the body of the page's HTML, in this order, each with its words: before anything of Gradio's runs.
EARLY_SCRIPTS: dict[str, dict] = {"locale": catalogues.TAGS, "early": texts.EARLY}
# In the page's head, where Gradio puts them when it begins to draw, in this order, each with its words.
HEAD_SCRIPTS: dict[str, dict] = {
    "gradio_internals": texts.ACCESSIBILITY,
    "long_chat": texts.EARLIER,
    "layout": {},
    "store": {},
    "corrections": texts.CORRECTIONS,
    "draft": {},
    "kept_settings": {},
    "drop": texts.DROP,
}
# Gradio puts its container before each selector of other sheets, so those cannot tell what the document's classes say.
HEAD_SHEETS = ("layout", "drop")
EARLY_SHEETS = ("early",)


def source(name: str) -> str:
    """The script NAME.js, wherever in the package it lies."""
    (path,) = FOLDER.rglob(f"{name}.js")
    return path.read_text(encoding="utf-8")


def styles() -> str:
    """All style sheets, those of outer folders first: a panel's own rules come after those that panels share."""
    sheets = sorted((path for path in FOLDER.rglob("*.css") if path.stem not in HEAD_SHEETS + EARLY_SHEETS),
                    key=lambda path: (len(path.parts), path))  # fmt: skip
    return "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


def head() -> str:
    """The elements for the page's head."""
    return _elements(HEAD_SHEETS, HEAD_SCRIPTS)


def early() -> str:
    """The elements for the page's HTML itself, see `early.py`."""
    return _elements(EARLY_SHEETS, EARLY_SCRIPTS)


def _elements(sheets: Sequence[str], scripts: Mapping[str, dict]) -> str:
    styles = [f"<style>{(FOLDER / name / name).with_suffix('.css').read_text('utf-8')}</style>" for name in sheets]
    return "".join([*styles, *(_script(name, words) for name, words in scripts.items())])


def _script(name: str, words: dict) -> str:
    known = _json(labels.in_all(words))
    chosen = f"const words = ((known) => known[document.documentElement.lang] ?? known.en)({known});"
    return f"<script>(() => {{\n{chosen}\n{source(name)}}})();</script>"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def view(name: str, value: Any, words: Mapping[str, Any], elem_id: str = "") -> gr.HTML:
    """A custom view: NAME.js, after `views.js` which all of them use, draws `value` into a `<div class="NAME">`.

    Args:
        value: what JSON can hold.
        words: every text that the script shows.
        elem_id: NAME unless there are several of its kind.
    """
    return gr.HTML(
        value=value,
        html_template=f'<div class="{name}"></div>',
        # Gradio runs it once, as a function's body. The words stand in it, as Gradio goes through all properties of a
        # view whenever its value may have changed.
        js_on_load=f"const inAll = {_json(labels.in_all(words))};\n{source('views')}\n{source(name)}",
        apply_default_css=False,
        elem_id=elem_id or name,
    )

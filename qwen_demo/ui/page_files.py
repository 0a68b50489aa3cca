"""Scripts and styles of the page's own views, read from `static/`.

A view is a `gr.HTML` whose template never changes and holds nothing: its script builds the
elements, and writes what comes from models and visitors as text alone. So no value, whatever it
holds, is ever read as HTML.
"""

import json
from pathlib import Path
from typing import Any

import gradio as gr

from qwen_demo.ui import languages

FOLDER = Path(__file__).parent / "static"


def script(name: str) -> str:
    """The view's script after `dom.js`, which all of them use. Gradio runs it once, as a function's body."""
    return "\n".join((FOLDER / f"{part}.js").read_text(encoding="utf-8") for part in ("dom", name))


def styles() -> str:
    """All styles of the page."""
    sheets = [FOLDER.parent / "page.css", *sorted(FOLDER.glob("*.css"))]
    return "\n".join(sheet.read_text(encoding="utf-8") for sheet in sheets)


def page_script(name: str, words: dict) -> str:
    """An element for the page's head: `static/NAME.js` with all its texts as `words`."""
    both = json.dumps(languages.both(words), ensure_ascii=False)
    code = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
    chosen = 'document.documentElement.lang === "zh-CN" ? "zh-CN" : "en"'
    return f"<script>(() => {{\nconst words = {both}[{chosen}];\n{code}}})();</script>"


def view(name: str, value: Any, words: dict[str, str], elem_id: str = "") -> gr.HTML:
    """A custom view: `static/NAME.js` draws `value` into a `<div class="NAME">`.

    Args:
        value: what JSON can hold.
        words: every text that the script shows.
        elem_id: NAME unless there are several of its kind.
    """
    return gr.HTML(
        value=value,
        html_template=f'<div class="{name}"></div>',
        js_on_load=script(name),
        apply_default_css=False,
        elem_id=elem_id or name,
        words=languages.both(words),
    )

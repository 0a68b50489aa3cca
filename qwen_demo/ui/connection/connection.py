"""Whether the server still answers: the page asks now and then, and says so in place of the model's state.

Gradio would load the page again once the server is back; `connection.js` decides when that has to be.
"""

import gradio as gr

from qwen_demo.ui import assets
from qwen_demo.ui.i18n import texts


def draw() -> gr.HTML:
    """Its event `back` says that the server answers again, `restarted` that it has none of the question's files."""
    return assets.view("connection", {}, texts.CONNECTION)

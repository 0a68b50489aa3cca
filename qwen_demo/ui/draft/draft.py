"""The question that is being written outlives its page: a reload, the language switch, a new start of the server.

All of it happens in the browser, see `draft.js`; it is kept for the tab until the question is sent.
"""

import gradio as gr

from qwen_demo.ui.gradio_internals import UNQUEUED

KEEP = "question => { window.qwenDemo.draft.keep(question); }"
RESTORE = "() => window.qwenDemo.draft.restore()"


def wire(question: gr.MultimodalTextbox, demo: gr.Blocks) -> None:
    question.change(None, question, None, js=KEEP, **UNQUEUED)
    demo.load(None, None, question, js=RESTORE, **UNQUEUED)

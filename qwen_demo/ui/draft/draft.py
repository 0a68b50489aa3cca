"""The question that is being written outlives its page: a reload, the language switch, a new start of the server.

All of it happens in the browser, see `draft.js`; it is kept for the tab until the question is sent.
"""

from typing import Any

import gradio as gr

from qwen_demo.ui.gradio_internals import UNQUEUED

# The question's files, whenever they change; gives their paths as JSON.
KEEP_FILES = "question => window.qwenDemo.draft.keepFiles(question?.files)"
RESTORE = "() => window.qwenDemo.draft.restore()"
REVIVE = "question => window.qwenDemo.draft.revive(question)"


def wire(question: gr.MultimodalTextbox, connection: Any, demo: gr.Blocks) -> None:
    """`connection`: the view whose event says that the server was started again, and has none of the files."""
    demo.load(None, None, question, js=RESTORE, **UNQUEUED)
    connection.restarted(None, question, question, js=REVIVE, **UNQUEUED)

"""The question that is being written outlives its page: a reload, the language switch, a new start of the server.

All of it happens in the browser, see `draft.js`; it is kept for the tab until the question is sent.
"""

from typing import Any

import gradio as gr

from qwen_demo.ui.gradio_internals import UNQUEUED

# The question's files, whenever they change; gives their paths as JSON.
KEEP_FILES = "question => window.qwenDemo.draft.keepFiles(question?.files)"
RESTORE = "question => window.qwenDemo.draft.restore(question)"
REVIVE = "question => window.qwenDemo.draft.revive(question)"
# Nothing is given: what is found waits in the script for the step after it.
_LOOK_FOR_DRAFT = "async () => { await window.qwenDemo.draft.lookForDraft(); return []; }"
_LOOK_FOR_FILES = "async question => { await window.qwenDemo.draft.lookFor(question?.files); return []; }"


def wire(question: gr.MultimodalTextbox, connection: Any, demo: gr.Blocks) -> None:
    """`connection`: the view whose event says that the server was started again, and has none of the files."""
    looked = demo.load(None, None, None, js=_LOOK_FOR_DRAFT, **UNQUEUED)
    looked.then(None, question, question, js=RESTORE, **UNQUEUED)
    looked = connection.restarted(None, question, None, js=_LOOK_FOR_FILES, **UNQUEUED)
    looked.then(None, question, question, js=REVIVE, **UNQUEUED)

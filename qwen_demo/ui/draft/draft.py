"""The question that is being written outlives its page: a reload, the language switch, a new start of the server.

All of it happens in the browser, see `draft.js`; it is kept for the tab until the question is sent. No handler gives the
box a value that it made of what stood there before: that would take away what was typed meanwhile. It gives an
`addition`, or nothing, and the browser puts it to what stands there now.
"""

import secrets
from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.events import Dependency

from qwen_demo.ui.file_types import shown_type
from qwen_demo.ui.gradio_internals import UNQUEUED

# The question's files, whenever they change; gives their paths as JSON.
KEEP_FILES = "question => window.qwenDemo.draft.keepFiles(question?.files)"
RESTORE = "question => window.qwenDemo.draft.restore(question)"
REVIVE = "question => window.qwenDemo.draft.revive(question)"
# Question and chat, before they go to the server.
SENT = "(question, shown) => [window.qwenDemo.draft.send(question), shown]"
_REST = "question => window.qwenDemo.draft.rest(question)"
_ADD = "(added, question) => window.qwenDemo.draft.add(added, question)"
# Nothing is given: what is found waits in the script for the step after it.
_LOOK_FOR_DRAFT = "async () => { await window.qwenDemo.draft.lookForDraft(); return []; }"
_LOOK_FOR_FILES = "async question => { await window.qwenDemo.draft.lookFor(question?.files); return []; }"


def wire(question: gr.MultimodalTextbox, connection: Any, demo: gr.Blocks) -> None:
    """`connection`: the view whose event says that the server was started again, and has none of the files."""
    looked = demo.load(None, None, None, js=_LOOK_FOR_DRAFT, **UNQUEUED)
    looked.then(None, question, question, js=RESTORE, **UNQUEUED)
    looked = connection.restarted(None, question, None, js=_LOOK_FOR_FILES, **UNQUEUED)
    looked.then(None, question, question, js=REVIVE, **UNQUEUED)


def draw_added() -> gr.JSON:
    """Holds an `addition` until the browser has put it to the question; hidden."""
    return gr.JSON(visible="hidden", label="added to the question")


def addition(files: Sequence[str] = (), words: str = "", otherwise: str = "") -> dict:
    """What a handler gives.

    Args:
        files: paths of uploads.
        words: for the end of the question.
        otherwise: the question, where none was typed.
    """
    named = [{"file": file, "type": shown_type(file)} for file in files]
    return {"files": named, "words": words, "otherwise": otherwise, "nonce": secrets.token_hex(4)}


def put_in(event: Dependency, added: gr.JSON, question: gr.MultimodalTextbox) -> None:
    """After `event`, which gave an addition."""
    event.success(None, [added, question], question, js=_ADD, **UNQUEUED)


def keep_rest(taken: Dependency, question: gr.MultimodalTextbox) -> None:
    """After `taken`, for which `SENT` was run: the box holds what came since."""
    taken.success(None, question, question, js=_REST, **UNQUEUED)

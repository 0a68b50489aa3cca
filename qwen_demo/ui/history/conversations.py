"""Conversations that the visitor's browser keeps: named, searched, reopened in any of their versions, exported.

The server keeps none. What it sends to the browser, when a question is asked and when it is answered, is a transcript
that names its images and clips; the browser fetches and keeps those, and uploads them again when this server has
deleted them. What comes back may be anything: it is checked here, and a file that is no upload of this server refuses
the whole of it.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import gradio as gr
from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter, ValidationError, model_validator

from qwen_demo.service.service import Status
from qwen_demo.ui import assets, chat, gradio_internals, render
from qwen_demo.ui.attachments import Gallery
from qwen_demo.ui.chat import History
from qwen_demo.ui.doubt import doubt
from qwen_demo.ui.gradio_internals import EACH, PRIVATE, UNQUEUED, event_data
from qwen_demo.ui.history import export, generation_params, go_on, transcript
from qwen_demo.ui.history.transcript import File, Turn
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words, words_for

# Of one conversation: no less than can be asked, see `http/json_bounds.py`, as it would be kept and never opened again.
# The browser keeps as many conversations as fit its own bound, see the script.
MAX_MESSAGES, MAX_CHARACTERS = 1600, 4 << 20
MAX_NAME_CHARACTERS = 60
MAX_FILES = 1000
SAVED_EVERY_S = 1.0


class KeptPart(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str | None = None
    file: Annotated[str, StringConstraints(min_length=1, max_length=1000)] | None = None

    @model_validator(mode="after")
    def _one(self):
        if (self.text is None) == (self.file is None):
            raise ValueError("a part is text or file")
        return self


class KeptMessage(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "assistant"]
    parts: list[KeptPart]
    params: str = ""
    whole: bool = True
    unsure: bool = False
    corrected: str = ""


_MESSAGES = TypeAdapter(list[KeptMessage])


def for_browser(history: History, *, whole: bool = True) -> dict:
    """What the browser keeps: the name and the messages, as JSON values.

    Args:
        whole: an answer at the end has ended.
    """
    turns = transcript.of_history(history)
    if turns and turns[-1].role == "assistant" and not whole:
        turns[-1] = replace(turns[-1], whole=False)
    messages = [
        {
            "role": turn.role,
            "parts": [{"text": part} if isinstance(part, str) else {"file": part.path} for part in turn.parts],
            **({"params": turn.params} if turn.params else {}),
            **({} if turn.whole else {"whole": False}),
            **({"unsure": True} if turn.unsure else {}),
        }
        for turn in turns
    ]
    return {"name": name_of(turns), "messages": messages}


def save(history: History, *, whole: bool = True) -> dict:
    """The view's value that makes the browser keep `history`; an empty one begins a new conversation.

    Args:
        whole: an answer at the end has ended as the model wanted; else it is kept as one that can go on.
    """
    return {"save": for_browser(history, whole=whole), "nonce": secrets.token_hex(4)}


def save_asked(history: History, params: str) -> dict:
    """The same while `history` is answered: should the page go before the end, the answer goes on with `params`."""
    return {"save": {**for_browser(history, whole=False), "asking": params}, "nonce": secrets.token_hex(4)}


def partial(text: str) -> dict:
    """The view's value that makes the browser keep the answer so far, should the page go before it is whole."""
    return {"partial": text, "nonce": secrets.token_hex(4)}


def left() -> dict:
    """The view's value after which the answer that was begun does not go on: its visitor has left it."""
    return {"left": True, "nonce": secrets.token_hex(4)}


class Saver:
    """What the browser is to keep while an answer grows: at first the question, then now and then the words so far.

    Args:
        params: see `save_asked`.
    """

    def __init__(self, history: History, params: str):
        self._value, self._told_s = save_asked(history, params), time.monotonic()

    def update(self, step: chat.ChatStep) -> dict:
        """The view's value. It is told at each step: Gradio would mix "no change" into what it streamed last."""
        if step.text and not step.finished and time.monotonic() - self._told_s > SAVED_EVERY_S:
            self._value, self._told_s = partial(step.text), time.monotonic()
        return self._value


def gone(files: Any) -> list[str]:
    """Those of `files`, which a browser named, that are no uploads of this server (any more)."""
    named = [file for file in files if isinstance(file, str)] if isinstance(files, list) else []
    return [file for file in named[:MAX_FILES] if not (gradio_internals.is_upload(file) and Path(file).is_file())]


def name_of(turns: list[Turn]) -> str:
    """The first question, or the name of its image."""
    first = next((turn for turn in turns if turn.role == "user"), None)
    if first is None:
        return ""
    words = " ".join(first.text.split()) or (first.files[0].name if first.files else "")
    return words if len(words) <= MAX_NAME_CHARACTERS else words[: MAX_NAME_CHARACTERS - 1] + "…"


def read(value: Any, words: Words = texts) -> list[Turn]:
    """Messages that a browser kept.

    Raises:
        gr.Error: of another shape, too long, or with a file that is no upload of this server.
    """
    if not isinstance(value, list) or len(value) > MAX_MESSAGES:
        raise render.refusal(words.KEPT_BROKEN)
    try:
        messages = _MESSAGES.validate_python(value)
    except (ValidationError, RecursionError) as error:
        raise render.refusal(words.KEPT_BROKEN) from error
    turns = [
        Turn(m.role, tuple(map(_read_part, m.parts)), m.params, m.whole, m.unsure, m.corrected.strip())
        for m in messages
    ]
    if sum(len(turn.text) + len(turn.params) + len(turn.corrected) for turn in turns) > MAX_CHARACTERS:
        raise render.refusal(words.KEPT_BROKEN)
    if not all(gradio_internals.is_upload(file.path) for turn in turns for file in turn.files):
        raise render.refusal(words.KEPT_FOREIGN)
    return turns


def _read_part(part: KeptPart) -> str | File:
    return part.text or "" if part.file is None else File(part.file)


@dataclass(frozen=True, slots=True)
class Reopened:
    """Attributes:
    gone: images that the server has deleted since.
    """

    history: History
    gone: int


def reopen(turns: list[Turn], words: Words = texts) -> Reopened:
    """As the chat shows it. A word stands where an image was that is gone."""
    history: History = []
    gone = 0
    for turn in turns:
        if turn.role == "user":
            missing = [file for file in turn.files if not Path(file.path).is_file()]
            gone += len(missing)
            files = [file.path for file in turn.files if file not in missing]
            text = [*(words.IMAGE_GONE.format(name=file.name) for file in missing), turn.text]
            history = chat.note_unanswered(history, words)
            history = chat.ask(history, {"text": "\n\n".join(filter(None, text)), "files": files})
            continue
        history.append(render.answer(turn.text))
        if turn.unsure:
            history.append(doubt.mark(words))
        if not turn.whole:
            interrupted = [*history, render.note(words.INTERRUPTED)]
            history = go_on.with_button(interrupted, words, turn.params) if turn.params else interrupted
        elif known := generation_params.decode(turn.params):
            note = render.note(render.behind_clock(words.kept_answer(known.answered_by, known.temperature)))
            # Boxes of the answer are scaled by the budget in it.
            note["metadata"]["id"] = f"max_pixels={known.max_pixels or 0};{turn.params.partition(';')[2]}"
            history.append(note)
    return Reopened(chat.note_unanswered(history, words), gone)


def draw() -> gr.HTML:
    return assets.view("conversations", {}, texts.CONVERSATIONS)


def wire(
    view: gr.HTML,
    chatbot: gr.Chatbot,
    question: gr.MultimodalTextbox,
    gallery: Gallery,
    status: Callable[[], Status],
    answering: list,
):
    """Returns the events that open another conversation. Whatever changes the one in the chat cancels `answering`."""

    def on_look(event: gr.EventData):
        data = event_data(event)
        return {"gone": gone(data.get("files")), "id": str(data.get("id"))[:64], "nonce": secrets.token_hex(4)}

    def on_fresh():
        return [], gr.MultimodalTextbox(value=None, submit_btn=True, stop_btn=False), save([])

    def on_reopen(event: gr.EventData, request: gr.Request):
        # Outside the queue, so that it waits for nobody's answer; what is to be said goes with the value.
        data, words = event_data(event), words_for(request)
        value = {"opened": str(data.get("id"))[:64], "said": "", "nonce": secrets.token_hex(4)}
        try:
            found = reopen(read(data.get("messages"), words), words)
        except gr.Error as refusal:
            return gr.skip(), gr.skip(), {**value, "opened": "", "said": refusal.message}
        if found.gone:
            value["said"] = words.images_gone(found.gone)
        return found.history, gr.MultimodalTextbox(submit_btn=True, stop_btn=False), value

    async def on_export(event: gr.EventData, request: gr.Request):
        data, words = event_data(event), words_for(request)
        if data.get("kind") not in export.FORMATS:
            raise render.refusal(words.KEPT_BROKEN)
        name = str(data.get("name") or "")[: 2 * MAX_NAME_CHARACTERS]
        text = await export.write(data["kind"], name, read(data.get("messages"), words), gallery, status().model, words)
        return {"file": {"kind": data["kind"], "name": name, "text": text}, "nonce": secrets.token_hex(4)}

    # First, and in the browser: a question that is asked while the server answers to these is not meant.
    for event in (view.reopen, view.fresh, chatbot.undo, chatbot.clear):
        event(None, None, None, cancels=answering, **UNQUEUED)
    reopened = view.reopen(on_reopen, None, [chatbot, question, view], **UNQUEUED, **EACH)
    fresh = view.fresh(on_fresh, None, [chatbot, question, view], **UNQUEUED, **EACH)
    view.earlier(None, chatbot, chatbot, js="(shown) => [window.qwenDemo.longChat.opened(shown)]", **UNQUEUED)
    view.look(on_look, None, view, **UNQUEUED, **EACH)
    view.export(on_export, None, view, **PRIVATE, **EACH)
    return reopened, fresh

"""A chat that shows the last questions of a long conversation, and holds the earlier ones until they are asked for.

At each piece of an answer Gradio goes through every message that is shown. So what came before the last questions
travels as one string, in the metadata of a first message that looks like a button; `long_chat.js` opens some of it. No
handler knows of this: what it is given and what it gives is the whole conversation. The one thing to mind is an index
that the browser tells, see `index_of`.
"""

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.components.chatbot import ChatbotDataMessages, Message, TextMessage
from pydantic import TypeAdapter, ValidationError

from qwen_demo.ui import gradio_internals, render
from qwen_demo.ui.chat import History
from qwen_demo.ui.i18n import texts

# Questions that are shown at least, of more than there may be by `MORE`; so what is shown moves on now and then only.
SHOWN, MORE = 6, 3
PREFIX = "earlier="
_MESSAGES = TypeAdapter(list[Message])


class Whole(list):
    """A conversation as a handler is given it.

    Attributes:
        hidden: how many of its messages the page holds back.
    """

    hidden = 0


class Chatbot(gr.Chatbot, metaclass=gradio_internals.NoInterfaceFile):
    """Gradio's, which knows no earlier messages."""

    def get_block_name(self) -> str:
        return "chatbot"

    def preprocess(self, payload: ChatbotDataMessages | None) -> Whole:
        """Raises `gr.Error` where the earlier messages are none, or name files that are no uploads."""
        shown = payload.root if payload else []
        if not (shown and _is_head(shown[0])):
            return Whole(super().preprocess(payload))
        earlier = _read(shown[0])
        whole = Whole(super().preprocess(ChatbotDataMessages(root=[*earlier, *shown[1:]])))
        whole.hidden = len(earlier)
        return whole

    def postprocess(self, value: Sequence[Any] | None) -> ChatbotDataMessages:
        return super().postprocess(Growing(self, value).of(value) if value else [])

    def head(self, earlier: Sequence[Any]) -> Message:
        """The message that holds them."""
        messages = super().postprocess(list(earlier)).root
        files = " files" if any(part.type == "file" for message in messages for part in message.content) else ""
        title = (
            f'<span class="earlier asked-{len(_questions(earlier))}{files}"></span>'  # Gradio leaves the class alone
        )
        held = PREFIX + _MESSAGES.dump_json(messages).decode()
        return Message(
            role="assistant", content=[TextMessage(text="")], metadata={"title": title, "id": held, "status": "done"}
        )


class Growing:
    """What is shown of a conversation while its last answer grows: what is held back is gone through once."""

    def __init__(self, chatbot: Chatbot, history: Sequence[Any]):
        self._from = 0 if history and _is_head(history[0]) else hidden_of(history)
        self._head = [chatbot.head(history[: self._from])] if self._from else []

    def of(self, history: Sequence[Any]) -> list:
        return [*self._head, *history[self._from :]]


def hidden_of(history: Sequence[Any]) -> int:
    """How many messages are held back: all before some question."""
    questions = _questions(history)
    more = len(questions) - SHOWN
    return questions[more - more % MORE] if more >= MORE else 0


def index_of(history: History, shown: int | Sequence[int]) -> int:
    """Where in `history` the message stands that the browser counts as `shown`."""
    index = shown if isinstance(shown, int) else shown[0]
    hidden = getattr(history, "hidden", 0)
    return index + hidden - 1 if hidden else index


def _questions(history: Sequence[Any]) -> list[int]:
    """Where each begins; messages of the visitor in a row are one."""
    asked = [_role(message) == "user" for message in history]
    return [i for i, is_question in enumerate(asked) if is_question and not (i and asked[i - 1])]


def _role(message: Any) -> str:
    return message["role"] if isinstance(message, dict) else message.role


def _is_head(message: Any) -> bool:
    return isinstance(message, Message) and str((message.metadata or {}).get("id", "")).startswith(PREFIX)


def _read(head: Message) -> list[Message]:
    try:
        messages = _MESSAGES.validate_json(str((head.metadata or {}).get("id")).removeprefix(PREFIX))
    except (ValidationError, RecursionError) as error:
        raise render.refusal(texts.KEPT_BROKEN) from error
    gradio_internals.check_paths([message.model_dump() for message in messages])
    return messages

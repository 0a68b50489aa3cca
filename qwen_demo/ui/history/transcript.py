"""A conversation as plain turns: what is kept, exported, shared and written as code.

Gradio's histories hold notes of the page and addresses of this server; a transcript holds what was
said, which files came along, and under which settings each answer was given.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from qwen_demo.ui import chat, maths
from qwen_demo.ui.chat import History
from qwen_demo.ui.conversation import messages_to_send
from qwen_demo.ui.doubt import doubt


@dataclass(frozen=True, slots=True)
class File:
    """An attached image or clip, by the path of its upload."""

    path: str

    @property
    def name(self) -> str:
        return Path(self.path).name[:80]


@dataclass(frozen=True, slots=True)
class Turn:
    """One message.

    Attributes:
        role: user or assistant.
        params: for an answer, the id of the note under it, which keeps how it was generated; see `generation_params`.
        whole: False for an answer that the page left before its end.
        unsure: of an answer that is marked as one not to be trusted.
        corrected: what a person says should have been answered; the browser alone keeps it, so histories have none.
    """

    role: Literal["user", "assistant"]
    parts: tuple[str | File, ...]
    params: str = ""
    whole: bool = True
    unsure: bool = False
    corrected: str = ""

    @property
    def text(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def files(self) -> list[File]:
        return [part for part in self.parts if isinstance(part, File)]


def of_history(history: Iterable[dict]) -> list[Turn]:
    """Notes of the page stay out; the id of the one under an answer stays with the answer."""
    turns: list[Turn] = []
    for message in history:
        if metadata := message.get("metadata"):
            if turns and turns[-1].role == "assistant" and doubt.is_mark(message):
                turns[-1] = replace(turns[-1], unsure=True)
            elif turns and turns[-1].role == "assistant" and metadata.get("id"):
                turns[-1] = replace(turns[-1], params=str(metadata["id"]))
            continue
        parts = tuple(part for part in map(_part, chat.parts_of(message)) if part)
        if parts:
            turns.append(Turn(message["role"], parts))
    return turns


def _part(part: dict) -> str | File | None:
    if part.get("type") == "file":
        return File(part["file"]["path"])
    return maths.unmarked(part.get("text") or "") or None


def question_only(turns: Sequence[Turn]) -> list[Turn]:
    """Up to and with the last question; what answers it goes."""
    last = next((i for i in range(len(turns) - 1, -1, -1) if turns[i].role == "user"), -1)
    return list(turns[: last + 1])


def asked_next(history: History, question: dict | None, off: frozenset[str]) -> list[Turn]:
    """What would be sent now: the question that is being written, or else the last one again."""
    return question_only(of_history(messages_to_send(chat.without_files(chat.ask(history, question or {}), off))))

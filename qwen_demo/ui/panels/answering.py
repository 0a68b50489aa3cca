"""One question without a conversation, as the panels ask it: request in, growing text out."""

from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qwen_demo.errors import QwenDemoError
from qwen_demo.service.queue import Ticket
from qwen_demo.service.service import Service
from qwen_demo.types import ChatRequest, Finished, TextDelta
from qwen_demo.ui import chat, render
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Problem, Words


@dataclass(frozen=True, slots=True)
class PanelStep:
    """One step of a growing answer.

    Attributes:
        text: the answer so far.
        note: the page's own word: that it waits, how it ended.
        problem: why there is no (whole) answer.
        original: the same in English, where `problem` is not and says less.
        finished: at the last step of an answer that went well.
    """

    text: str
    note: str = ""
    problem: str = ""
    original: str = ""
    finished: Finished | None = None

    @property
    def running(self) -> bool:
        return not (self.finished or self.problem)

    @property
    def value(self) -> dict:
        """What every panel's view has of it."""
        return {"text": self.text, "note": self.note, "problem": self.problem, "original": self.original,
                "running": self.running}  # fmt: skip


async def answer(
    request: Coroutine[None, None, ChatRequest], service: Service, words: Words = texts
) -> AsyncGenerator[PanelStep, None]:
    """Grow one answer. Errors of ours become the last step; closing this ends the request."""
    text, ticket = "", Ticket()
    try:
        async for said in chat.until_loaded(service, words):
            yield PanelStep(text, said)
    except BaseException:
        request.close()  # nobody will await it
        raise
    try:
        async with aclosing(chat.paced(service.answer(request, ticket=ticket), service)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    line = filter(None, [render.timings(event, words), render.ending(event, words)])
                    yield PanelStep(text, " · ".join(line), finished=event)
                elif event is None:
                    yield PanelStep(text, "" if text else chat.progress(ticket, service, words))
                elif isinstance(event, TextDelta):
                    text += event.text
                    yield PanelStep(text)
    except QwenDemoError as error:
        problem, original = Problem.of(error).localize(words)
        yield PanelStep(text, problem=problem, original=original)


def note_stop(value: Any, words: Words = texts) -> dict:
    """A view's value after Stop: what was written stays. It comes back from the browser."""
    kept = value if isinstance(value, dict) else {}
    return {**kept, "running": False, "note": words.STOPPED_HERE}


# The pair of Ask and Stop while nothing is answered, as the browser itself says it at once: from the server it could
# come after the next question, whose buttons these are by then.
IDLE = "{ __type__: 'update', interactive: true }, { __type__: 'update', interactive: false }"


def busy(running: bool) -> tuple[gr.Button, gr.Button]:
    """The pair of Ask and Stop."""
    return gr.Button(interactive=not running), gr.Button(interactive=running)

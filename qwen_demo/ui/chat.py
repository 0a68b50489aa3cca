"""What happens in the page when somebody asks: history in, history out, without any widget.

Every function takes and gives Gradio chat histories, so all of it is tested without a browser.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from qwen_demo.errors import QwenDemoError
from qwen_demo.service.pacing import Pace, PacedStream
from qwen_demo.service.queue import Ticket
from qwen_demo.service.service import Service
from qwen_demo.types import Adapter, ChatRequest, Event, Finished, ModelInfo, Sampling, TextDelta
from qwen_demo.ui import maths, render
from qwen_demo.ui.conversation import Reader, names_files
from qwen_demo.ui.doubt import doubt
from qwen_demo.ui.file_types import shown_type
from qwen_demo.ui.history import generation_params
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words, translate

History = list[dict]

# Between two yields of a growing answer, and while nothing comes. Gradio notices a closed tab
# at the next yield only, so the second is also the longest time that an orphan runs.
FLUSH_S = 0.1
HEARTBEAT_S = 0.5
# Whether a model is there that was waited for.
LOOK_EVERY_S = 0.05
# One yield costs Gradio about a millisecond of the event loop.
CROWD = Pace(0.0, 0.3, 0.0015)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the page's controls say about one question.

    Attributes:
        max_pixels: budget of an image; None is the model's own.
        off: files of the conversation that are not sent.
        adapter: name of the one that answers with the model.
    """

    sampling: Sampling = field(default_factory=Sampling)
    system_prompt: str = ""
    max_pixels: int | None = None
    off: frozenset[str] = frozenset()
    adapter: str = ""


@dataclass(frozen=True, slots=True)
class ChatStep:
    """One step of a growing answer.

    Attributes:
        history: with the answer and its notes.
        text: the answer so far.
        finished: at the last step of an answer that went well.
        doubtful: the model was unsure of it, and the history says so.
    """

    history: History
    text: str
    finished: Finished | None = None
    doubtful: bool = False


async def answer(
    history: History, choices: Choices, service: Service, reader: Reader, words: Words = texts
) -> AsyncGenerator[ChatStep, None]:
    """Grow an answer at the end of `history`, or the one that stands there. Errors of ours become a note; nothing is lost."""
    asked, history, text = history, to_answer(history), begun(history)
    shown, surety = [render.answer(text)] if text else [], doubt.Surety()
    try:
        async for said in until_loaded(service, words):
            yield ChatStep([*history, *shown, render.note(said, pending=True)], text)
        yield ChatStep([*history, *(shown or [render.note(words.LOOKING, pending=True)])], text)
        sent, model = without_files(asked, choices.off), service.status().model
        sampling = replace(choices.sampling, top_logprobs=0) if model.logprobs else choices.sampling
        asks = sampling, choices.system_prompt, choices.max_pixels, choices.adapter
        request = chat_request(reader, sent, *asks)
        ticket = Ticket()
        answering = service.answer(
            _going_on(request) if text else request, ticket=ticket, opens_files=names_files(sent)
        )
        async with aclosing(paced(answering, service)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    doubtful = surety.is_low(model)
                    marks = [doubt.mark(words)] if doubtful else []
                    note = _closing_note(event, choices, model, words)
                    yield ChatStep([*history, render.answer(text), *marks, note], text, event, doubtful)
                elif event is None:
                    waiting = render.note(progress(ticket, service, words), pending=True)
                    yield ChatStep([*history, render.answer(text) if text else waiting], text)
                elif isinstance(event, TextDelta):
                    text += event.text
                    surety.add(event)
                    yield ChatStep([*history, render.answer(text)], text)
    except QwenDemoError as error:
        partial = [render.answer(text)] if text else []
        yield ChatStep([*history, *partial, render.error_note(error, words)], text)


def _closing_note(finished: Finished, choices: Choices, model: ModelInfo, words: Words) -> dict:
    note = render.statistics(finished, choices.max_pixels, words)
    asked = choices.sampling, choices.system_prompt, choices.max_pixels, model, choices.adapter
    params = generation_params.encode(*asked)
    note["metadata"]["id"] += f";{params}"
    return note


async def until_loaded(service: Service, words: Words = texts) -> AsyncGenerator[str, None]:
    """What the model does that is not there yet, or again, now and then, until it is there or will not be."""
    while service.is_coming:
        detail = service.status().detail
        yield translate(detail, words) or detail or words.MODEL_LOADING
        told_s = time.monotonic()
        while service.is_coming and time.monotonic() - told_s < HEARTBEAT_S:  # noqa: ASYNC110 it comes in many ways
            await asyncio.sleep(LOOK_EVERY_S)


def progress(ticket: Ticket, service: Service, words: Words = texts) -> str:
    """What a request does that has no word of its answer yet."""
    seconds = time.monotonic() - ticket.since
    if ticket.stage == "opening":
        return words.opening(seconds) if seconds >= 1 else words.LOOKING
    ahead = service.ahead_of(ticket)
    return words.reading(ticket.tokens, seconds) if ahead is None else words.in_line(ahead, service.eta_s(ahead))


def without_files(history: History, off: frozenset[str]) -> History:
    """The conversation without the files in `off`; an earlier message that had nothing else goes as well."""
    if not off:
        return history
    kept = []
    for message in history:
        parts = parts_of(message)
        left = [part for part in parts if part.get("type") != "file" or part["file"]["path"] not in off]
        if left or not parts or message is history[-1]:
            kept.append({**message, "content": left} if len(left) < len(parts) else message)
    return kept


async def chat_request(
    reader: Reader,
    history: History,
    sampling: Sampling,
    system_prompt: str,
    max_pixels: int | None,
    adapter: str = "",
) -> ChatRequest:
    """Opens every image of `history`. The service awaits this once there is room for it."""
    messages = await reader.messages(history, system_prompt)
    return ChatRequest(messages, sampling, max_pixels=max_pixels, adapter=Adapter(adapter) if adapter else None)


async def _going_on(request: Coroutine[None, None, ChatRequest]) -> ChatRequest:
    return replace(await request, continue_final_message=True)


def paced(events: AsyncGenerator[Event, None], service: Service) -> PacedStream:
    """The same stream for Gradio: text gathered for `FLUSH_S`, in a crowd for longer; None as a heartbeat."""
    return PacedStream(events, lambda: max(FLUSH_S, CROWD.pause_s(service.in_flight)), HEARTBEAT_S)


def ask(history: History, question: dict) -> History:
    """`question` is a multimodal textbox's value: {"text": ..., "files": [...]}."""
    parts = [_file(path) for path in question.get("files") or []]
    if text := (question.get("text") or "").strip():
        parts.append({"type": "text", "text": text})
    return [*history, {"role": "user", "content": parts}] if parts else history


def note_unanswered(history: History, words: Words = texts) -> History:
    """With a note where a conversation that comes back ends in a question; see `conversation.messages_to_send`."""
    return [*history, render.note(words.UNANSWERED)] if history and history[-1]["role"] == "user" else history


def begun(history: History) -> str:
    """The answer at the end of `history` that is to go on; "" where a question stands there."""
    if not history or history[-1]["role"] != "assistant" or history[-1].get("metadata"):
        return ""
    return maths.unmarked("".join(part.get("text") or "" for part in parts_of(history[-1])))


def to_answer(history: History) -> History:
    """Up to and with the question that is to be answered, without what was written of its answer."""
    return history[:-1] if begun(history) else history


def without_notes(history: History) -> History:
    """Without the page's notes at the end: what was written of the last answer goes on from there."""
    end = len(history)
    while end and history[end - 1].get("metadata"):
        end -= 1
    return history[:end]


def end_of_turn(history: History, index: int) -> int:
    """Index of the question after the message at `index`, or how many messages there are."""
    return next((i for i in range(index + 1, len(history)) if history[i]["role"] == "user"), len(history))


def before(history: History, index: int) -> History:
    """The conversation up to the user's message at or before `index`, without it."""
    return history[: _question_index(history, index)]


def again(history: History, index: int) -> History:
    """The conversation up to and with the user's message at or before `index`."""
    return history[: _question_index(history, index) + 1]


def question_of(history: History, index: int) -> dict:
    """The user's message at or before `index` as a multimodal textbox's value."""
    parts = parts_of(history[_question_index(history, index)])
    files = [part["file"]["path"] for part in parts if part.get("type") == "file"]
    text = "".join(part["text"] for part in parts if part.get("type") == "text")
    return {"text": text, "files": files}


def edit(history: History, index: int, text: str) -> History:
    """The user's message at `index` with new words and its old images; later messages go."""
    question = question_of(history, index)
    return ask(before(history, index), {"text": text, "files": question["files"]})


def note_stop(history: History, words: Words = texts) -> History:
    """After Stop: what was written stays, with a note that says so."""
    kept = [m for m in history if (m.get("metadata") or {}).get("status") != "pending"]
    if not kept or (kept[-1].get("metadata") or {}).get("title"):
        return kept
    return [*kept, render.note(words.STOPPED)]


def _question_index(history: History, index: int) -> int:
    return next((i for i in range(min(index, len(history) - 1), -1, -1) if history[i]["role"] == "user"), 0)


def _file(path: str) -> dict:
    """With a media type the chat shows the image, without it a link."""
    return {"type": "file", "file": {"path": path, "mime_type": shown_type(path)}}


def parts_of(message: dict) -> list[dict]:
    content = message["content"]
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [content] if isinstance(content, dict) else list(content)

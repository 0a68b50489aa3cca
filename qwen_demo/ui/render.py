"""Engine events and errors -> what the page shows of them, as pure functions."""

from dataclasses import dataclass
from html import escape

import gradio as gr

from qwen_demo.errors import QwenDemoError
from qwen_demo.service.service import Status
from qwen_demo.types import Finished
from qwen_demo.ui import maths, waterfall
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Problem, Words, translate

Message = dict

# A model that failed may be started again.
LOADING_RECHECK_S, FAILED_RECHECK_S = 1.0, 3.0
_BUDGET = "max_pixels="


def answer(text: str) -> Message:
    """A list of parts keeps the indentation that Gradio would strip from a plain string."""
    return {"role": "assistant", "content": [{"type": "text", "text": maths.marked(text)}]}


def note(title: str, detail: str = "", *, pending: bool = False) -> Message:
    """A line under an answer. Its metadata marks it as the page's own word, not the model's."""
    metadata = {"title": title, "status": "pending" if pending else "done"}
    return {"role": "assistant", "content": [{"type": "text", "text": detail}], "metadata": metadata}


def error_note(error: QwenDemoError, words: Words = texts) -> Message:
    text, original = Problem.of(error).localize(words)
    text = escape(text, quote=False)  # the chat reads Markdown
    title, rest = _first_sentence(text)
    return note("⚠ " + title, "\n\n".join(filter(None, [rest, in_english(original)])))


def in_english(text: str) -> str:
    """HTML that says that these words are English."""
    return f'<span lang="en">{escape(text)}</span>' if text else ""


def refusal(problem: str | QwenDemoError, words: Words = texts) -> gr.Error:
    """What a handler raises; the browser shows it in passing. Only events of the queue can: of others Gradio's
    client gives the page the error without the mark that it is to be seen.
    """
    text, original = (problem, "") if isinstance(problem, str) else Problem.of(problem).localize(words)
    message = f"{escape(text)} {in_english(original)}".strip()
    return gr.Error(message, title="", print_exception=False)


def timings(finished: Finished, words: Words = texts) -> str:
    """One line of how fast the answer came."""
    usage = finished.usage
    line = [words.first_token(waterfall.first_s(finished))]
    if speed := waterfall.speed(finished):
        line.append(f"{speed} {words.TOKENS_PER_SECOND}")
    line.append(words.prompt_length(usage.prompt_tokens, usage.image_tokens))
    return " · ".join(line)


def ending(finished: Finished, words: Words = texts) -> str:
    """Why an answer ended before the model did; "" where it did not."""
    return {"length": words.LENGTH, "repetition": words.REPETITION}.get(finished.reason, "")


def behind_clock(text: str) -> str:
    """Title of a note that the page shows as a small clock until it is asked for."""
    return f'<span class="timing">{escape(text, quote=False)}</span>'


def statistics(finished: Finished, max_pixels: int | None = None, words: Words = texts) -> Message:
    """The note under an answer. Its id keeps the pixel budget that the answer was given with."""
    title = " ".join(filter(None, [behind_clock(timings(finished, words)), ending(finished, words)]))
    line_note = note(title, waterfall.table(finished, words))
    line_note["metadata"]["id"] = f"{_BUDGET}{max_pixels or 0}"
    return line_note


def budget_of(message: Message) -> int | None:
    """The pixel budget that a note of `statistics` keeps; None is the model's own."""
    kept = str((message.get("metadata") or {}).get("id", ""))
    number = kept.removeprefix(_BUDGET).partition(";")[0]
    return int(number) or None if kept.startswith(_BUDGET) and number.isdecimal() and len(number) < 10 else None


def _first_sentence(text: str) -> tuple[str, str]:
    """A title and what it leaves to say: nothing is said twice, unless the title had to be cut."""
    head, dot, rest = text.partition("。" if "。" in text else ". ")
    return (head + dot.strip(), rest.strip()) if len(head) <= 160 else (head[:157] + "…", text)


@dataclass(frozen=True, slots=True)
class Badge:
    """The statement of which model answers, as HTML.

    Attributes:
        recheck_s: when to look again, as the statement will change; None where it stays.
    """

    html: str
    recheck_s: float | None = None


def badge(status: Status, words: Words = texts) -> Badge:
    model, detail = status.model, _in_either(status.detail, words)
    if status.state == "loading":
        return Badge(_badge("loading", words.MODEL_LOADING, detail), LOADING_RECHECK_S)
    if status.state != "ready":
        return Badge(_badge("failed", words.MODEL_UNAVAILABLE, detail), FAILED_RECHECK_S)
    dtype, device = (translate(text, words) or text for text in (model.dtype, model.device))
    quantised = "" if model.quantization == "none" else f", {model.quantization.upper()}"
    where = escape(words.answers_how(dtype + quantised, device, model.context_tokens))
    where = " · ".join(filter(None, [where, _in_either(model.reason, words)]))
    if not model.embedded:
        return Badge(_badge("ready", words.answers(model.model_id), where))
    return Badge(_badge("ready", words.EMBEDDED_ANSWERS, f"{escape(words.EMBEDDED_ABILITIES)} {where}"))


def _in_either(text: str, words: Words) -> str:
    """HTML of a text in the visitor's language, or in English."""
    known = translate(text, words)
    return in_english(text) if known is None else escape(known)


def _badge(state: str, title: str, detail: str) -> str:
    """`detail` is HTML."""
    return (
        f'<div class="badge {state}" role="status"><span class="dot" aria-hidden="true"></span>'
        f"<b>{escape(title)}</b> <span>{detail}</span></div>"
    )


def about(status: Status, words: Words = texts) -> str:
    """The longer statement of which model answers, as Markdown."""
    model, formats = status.model, words.ABOUT_VALUES
    if status.state != "ready":
        return _in_either(status.detail, words)
    name = formats["model"].format(model=model.model_id, revision=model.revision) if model.revision else model.model_id
    dtype, device = (translate(text, words) or text for text in (model.dtype, model.device))
    rows = {
        "model": name,
        "reason": _in_either(model.reason, words),
        "device": device,
        "numbers": formats["numbers"].format(dtype=dtype, quantization=model.quantization),
        "attention": model.attention,
        "engine": model.engine,
        "context": formats["context"].format(tokens=model.context_tokens),
        "image": formats["image"].format(smallest=model.min_pixels, largest=model.max_pixels),
    }
    lines = [f"- **{words.ABOUT_ROWS[key]}**: {value}" for key, value in rows.items() if value]
    about = [words.EMBEDDED_ABILITIES, words.EMBEDDED_REMEDY] if model.embedded else []
    return "\n\n".join(filter(None, [*about, "\n".join(lines)]))

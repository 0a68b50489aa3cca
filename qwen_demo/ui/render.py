"""Engine events -> chat messages, as pure functions."""

from dataclasses import dataclass
from html import escape

from qwen_demo.errors import QwenDemoError
from qwen_demo.service import Status
from qwen_demo.types import Finished
from qwen_demo.ui import texts, waterfall

Message = dict

_BUDGET = "max_pixels="


def answer(text: str) -> Message:
    """A list of parts keeps the indentation that Gradio would strip from a plain string."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def note(title: str, detail: str = "", *, pending: bool = False) -> Message:
    """A line under an answer. Its metadata marks it as the page's own word, not the model's."""
    metadata = {"title": title, "status": "pending" if pending else "done"}
    return {"role": "assistant", "content": [{"type": "text", "text": detail}], "metadata": metadata}


def error_note(error: QwenDemoError) -> Message:
    return note("⚠ " + _first_sentence(str(error)), str(error))


def statistics(finished: Finished, max_pixels: int | None = None) -> Message:
    """The note under an answer. Its id keeps the pixel budget that the answer was given with."""
    usage = finished.usage
    line = [f"first token {waterfall.first_s(finished):.2f} s"]
    if speed := waterfall.speed(finished):
        line.append(f"{speed} tokens/s")
    pictures = f" ({usage.picture_tokens} picture)" if usage.picture_tokens else ""
    line.append(f"prompt {usage.prompt_tokens} tokens{pictures}")
    if finished.reason == "length":
        line.append(texts.LENGTH)
    if finished.reason == "repetition":
        line.append(texts.REPETITION)
    said = note(" · ".join(line), waterfall.table(finished))
    said["metadata"]["id"] = f"{_BUDGET}{max_pixels or 0}"
    return said


def budget_of(message: Message) -> int | None:
    """The pixel budget that a note of `statistics` keeps; None is the model's own."""
    kept = str((message.get("metadata") or {}).get("id", ""))
    number = kept.removeprefix(_BUDGET).partition(";")[0]
    return int(number) or None if kept.startswith(_BUDGET) and number.isdecimal() and len(number) < 10 else None


def _first_sentence(text: str) -> str:
    head, dot, _ = text.partition(". ")
    return head + dot.strip() if len(head) <= 160 else head[:157] + "…"


@dataclass(frozen=True, slots=True)
class Badge:
    """The statement of which model answers, as HTML."""

    html: str
    settled: bool


def badge(status: Status) -> Badge:
    """`settled` is false while the statement will still change."""
    model = status.model
    if status.state == "loading":
        return Badge(_badge("loading", "The model is loading", status.detail), False)
    if status.state != "ready":
        return Badge(_badge("failed", "The model is not available", status.detail), status.state == "failed")
    quantised = "" if model.quantization == "none" else f", {model.quantization.upper()}"
    where = f"{model.dtype}{quantised} on {model.device} · {model.context_tokens} tokens of context · {model.reason}"
    if not model.embedded:
        return Badge(_badge("ready", f"{model.model_id} answers", where), True)
    return Badge(_badge("ready", texts.EMBEDDED_ANSWERS, f"{texts.EMBEDDED_ABILITIES} {where}"), True)


def _badge(state: str, title: str, detail: str) -> str:
    return (
        f'<div class="badge {state}" role="status"><span class="dot" aria-hidden="true"></span>'
        f"<b>{escape(title)}</b> <span>{escape(detail)}</span></div>"
    )


def about(status: Status) -> str:
    """The longer statement of which model answers, as Markdown."""
    model = status.model
    if status.state != "ready":
        return status.detail
    rows = [
        ("Model", model.model_id + (f" at {model.revision}" if model.revision else "")),
        ("Why this one", model.reason),
        ("Device", model.device),
        ("Numbers", f"{model.dtype}, quantisation: {model.quantization}"),
        ("Attention", model.attention),
        ("Engine", model.engine),
        ("Context", f"{model.context_tokens} tokens"),
        ("Picture size", f"{model.min_pixels:,} to {model.max_pixels:,} pixels as the model sees it"),
    ]
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
    words = [texts.EMBEDDED_ABILITIES, texts.EMBEDDED_REMEDY] if model.embedded else []
    return "\n\n".join([*words, table])

"""Engine events -> chat messages, as pure functions."""

from dataclasses import dataclass
from html import escape

from qwen_demo.errors import QwenDemoError
from qwen_demo.service import Status
from qwen_demo.types import Finished
from qwen_demo.ui import texts

Message = dict


def answer(text: str) -> Message:
    """A list of parts keeps the indentation that Gradio would strip from a plain string."""
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def note(title: str, detail: str = "", *, pending: bool = False) -> Message:
    """A line under an answer. Its metadata marks it as the page's own word, not the model's."""
    metadata = {"title": title, "status": "pending" if pending else "done"}
    return {"role": "assistant", "content": [{"type": "text", "text": detail}], "metadata": metadata}


def error_note(error: QwenDemoError) -> Message:
    return note("⚠ " + _first_sentence(str(error)), str(error))


def statistics(finished: Finished) -> Message:
    usage, timing = finished.usage, finished.timing
    line = [f"first token {timing.ttft_s:.2f} s"]
    if timing.decode_s > 0 and usage.completion_tokens > 1:
        line.append(f"{(usage.completion_tokens - 1) / timing.decode_s:.0f} tokens/s")
    pictures = f" ({usage.picture_tokens} picture)" if usage.picture_tokens else ""
    line.append(f"prompt {usage.prompt_tokens} tokens{pictures}")
    if finished.reason == "length":
        line.append(texts.LENGTH)
    if finished.reason == "repetition":
        line.append(texts.REPETITION)
    return note(" · ".join(line), _table(finished))


def _table(finished: Finished) -> str:
    usage, timing = finished.usage, finished.timing
    rows = [
        ("waiting", f"{timing.queue_s * 1e3:.0f} ms"),
        ("resizing and prompt", f"{timing.preprocess_s * 1e3:.0f} ms"),
        ("vision encoder", f"{timing.vision_s * 1e3:.0f} ms"),
        ("reading the prompt", f"{timing.prefill_s * 1e3:.0f} ms"),
        ("writing", f"{timing.decode_s * 1e3:.0f} ms"),
        ("prompt tokens", f"{usage.prompt_tokens}, {usage.picture_tokens} of pictures, {usage.cached_tokens} cached"),
        ("answer tokens", str(usage.completion_tokens)),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


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

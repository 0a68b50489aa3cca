"""Where the time of one answer went: a bar for each stage and its number, as HTML of ours alone.

It is a table, so it reads well without its looks, and lies in a note under the answer.
"""

from qwen_demo.types import Finished
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words


def stages(finished: Finished) -> list[tuple[str, float]]:
    """(key of `texts.STAGES`, seconds) in the order in which an answer goes through them."""
    timing = finished.timing
    return [
        ("media", timing.media_s),
        ("queue", timing.queue_s),
        ("resize", timing.preprocess_s),
        ("vision", timing.vision_s),
        ("prefill", timing.prefill_s),
        ("decode", timing.decode_s),
    ]


def table(finished: Finished, words: Words = texts) -> str:
    """Each bar begins where the one before ends; the mark of the first token stands before the last."""
    rows, before = [], 0.0
    whole = sum(seconds for _, seconds in stages(finished)) or 1.0
    for key, seconds in stages(finished):
        if key == "decode":
            rows.append(_row(words.STAGES, "first", first_s(finished), before / whole, 0.0))
        rows.append(_row(words.STAGES, key, seconds, before / whole, seconds / whole))
        before += seconds
    return f'<table class="waterfall"><tbody>{"".join(rows)}</tbody></table>\n\n{_counts(finished, words)}'


def _row(names: dict[str, str], key: str, seconds: float, begin: float, share: float) -> str:
    bar = f'<span class="bar {key}" style="margin-left: {begin * 100:.2f}%; width: {share * 100:.2f}%"></span>'
    return f'<tr><th scope="row">{names[key]}</th><td class="track">{bar}</td><td>{format_seconds(seconds)}</td></tr>'


def counts(finished: Finished) -> list[tuple[str, str]]:
    """(key of `texts.COUNTS`, number as people read it)."""
    usage = finished.usage
    return [
        ("prompt", f"{usage.prompt_tokens:,}"),
        ("images", f"{usage.image_tokens:,}"),
        ("cached", f"{usage.cached_tokens:,}"),
        ("encoder_hits", str(finished.timing.encoder_hits)),
        ("tokens", f"{usage.completion_tokens:,}"),
        ("speed", speed(finished) or "–"),
    ]


def _counts(finished: Finished, words: Words) -> str:
    cells = "".join(f"<div><dt>{words.COUNTS[key]}</dt><dd>{number}</dd></div>" for key, number in counts(finished))
    return f'<dl class="counts">{cells}</dl>'


def first_s(finished: Finished) -> float:
    """From the arrival of the files to the first token."""
    return finished.timing.media_s + finished.timing.ttft_s


def whole_s(finished: Finished) -> float:
    """From the arrival of the files to the last token."""
    return finished.timing.media_s + finished.timing.total_s


def speed(finished: Finished) -> str:
    """Tokens a second after the first, "" if there was one only."""
    tokens, seconds = finished.usage.completion_tokens - 1, finished.timing.decode_s
    return f"{tokens / seconds:.0f}" if tokens > 0 and seconds > 0 else ""


def format_seconds(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"

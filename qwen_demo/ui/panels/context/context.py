"""Context: every image and clip that the next question sends, what it costs, and a switch to leave it out.

The view's value is the only memory of the switches, so nothing is kept for visitors who left. It
comes back from the browser and is trusted with nothing but names of files to leave out.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from qwen_demo.service.estimates import Rates
from qwen_demo.types import Finished, ModelInfo
from qwen_demo.ui import assets
from qwen_demo.ui.attachments import Attachment, Gallery
from qwen_demo.ui.chat import History, parts_of
from qwen_demo.ui.conversation import messages_to_send
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words

# Runs in the browser.
ATTACHED_FILES = "question => JSON.stringify(((question && question.files) || []).map(file => file.path))"
# Of an image, before the model's own bound is known.
MAX_BUDGET_TOKENS = 4096
# Far more than any model looks at; each is looked up on the disk.
MAX_ATTACHED = 100


@dataclass(frozen=True, slots=True)
class Item:
    """One image or clip of the conversation.

    Attributes:
        turn: index of its message among the conversation's; pending ones come after all.
        pending: attached to the question that is being written.
        on: sent with the next question.
        alone: another file, about which a question was asked without this one. While that question is asked, and no
            longer, this item stays out.
        cached: its encoding was in the cache when it was last sent; None if it never was, or that is not known.
    """

    attachment: Attachment
    turn: int
    pending: bool = False
    on: bool = True
    cached: bool | None = None
    alone: str = ""


def attached_paths(attached: str) -> list[str]:
    """From the browser: anything may come."""
    try:
        files = json.loads(attached or "[]")
    except (ValueError, RecursionError):
        return []
    return [file for file in files[:MAX_ATTACHED] if isinstance(file, str)] if isinstance(files, list) else []


def files_of(history: History, attached: Sequence[str]) -> list[tuple[int, str]]:
    """(turn, path) of every file that the next question sends, in the order of sending."""
    entries = messages_to_send(history)
    files = [
        (turn, part["file"]["path"])
        for turn, entry in enumerate(entries)
        for part in parts_of(entry)
        if part.get("type") == "file"
    ]
    return files + [(len(entries), file) for file in attached]


async def survey(history: History, attached: Sequence[str], value: Any, gallery: Gallery) -> list[Item]:
    """Every item with its switch as `value`, the view's, says."""
    off, cached, alone = off_files(value, history, attached), _cached_files(value), _alone_files(value)
    turns = files_of(history, attached)
    last = turns[-1][0] if attached else -1
    return [
        Item(await gallery.look(file), turn, turn == last, file not in off, cached.get(file), alone.get(file, ""))
        for turn, file in turns
    ]


def after_answer(items: Sequence[Item], finished: Finished) -> list[Item]:
    """The same items, with the cache's part in the answer."""
    hits = finished.timing.encoder_hit
    sent = [item for item in items if item.on]
    known = dict(zip((item.attachment.file for item in sent), hits, strict=True)) if len(hits) == len(sent) else {}
    return [
        replace(
            item,
            on=item.on or bool(item.alone),
            cached=known.get(item.attachment.file) if item.on else item.cached,
        )
        for item in items
    ]


def value_of(items: Sequence[Item], model: ModelInfo, max_pixels: int | None, rates: Rates,
             finished: Finished | None = None, words: Words = texts) -> dict:  # fmt: skip
    """What the view draws; every number in plain units."""
    tokens = sum(item.attachment.tokens(model, max_pixels) for item in items if item.on)
    # What was encoded for the last answer is in the cache by now.
    fresh = sum(item.attachment.tokens(model, max_pixels) for item in items if item.on and item.cached is None)
    return {
        "items": [_row(item, model, max_pixels, words) for item in items],
        "tokens": tokens,
        "context": model.context_tokens,
        "fresh": fresh,
        "seconds": rates.seconds_until_read(fresh),
        "bytes": tokens * model.kv_bytes_per_token,
        "prompt": finished.usage.prompt_tokens if finished else 0,
        "reused": finished.usage.cached_tokens if finished else 0,
    }


def _row(item: Item, model: ModelInfo, max_pixels: int | None, words: Words) -> dict:
    attachment = item.attachment
    problem, original = attachment.problem.localize(words) if attachment.problem else ("", "")
    return {
        "id": attachment.file,
        "name": attachment.name,
        "view": attachment.view,
        "size": attachment.original,
        "seen": attachment.seen(model, max_pixels),
        "tokens": attachment.tokens(model, max_pixels),
        "frames": attachment.frames,
        "problem": problem,
        "original": original,
        "pending": item.pending,
        "on": item.on,
        "cached": item.cached,
        "alone": item.alone,
    }


def off_files(value: Any, history: Sequence[dict] = (), attached: Sequence[str] = ()) -> frozenset[str]:
    """Files that the view's value switches off for the question at the end of `history`, or the one with `attached`.

    Anything may stand in the value.
    """
    asked = {*attached, *_files_asked(history)}
    alone = _alone_files(value)
    return frozenset(
        row["id"]
        for row in _rows(value)
        if (alone[row["id"]] in asked if row["id"] in alone else row.get("on") is False)
    )


def _files_asked(history: Sequence[dict]) -> list[str]:
    """Those of a question that has no answer yet."""
    if not history or history[-1]["role"] != "user":
        return []
    return [part["file"]["path"] for part in parts_of(history[-1]) if part.get("type") == "file"]


def _alone_files(value: Any) -> dict[str, str]:
    return {row["id"]: row["alone"] for row in _rows(value) if isinstance(row.get("alone"), str) and row["alone"]}


def _cached_files(value: Any) -> dict[str, bool]:
    return {row["id"]: row["cached"] for row in _rows(value) if isinstance(row.get("cached"), bool)}


def _rows(value: Any) -> list[dict]:
    rows = value.get("items") if isinstance(value, dict) else None
    if not isinstance(rows, list):
        return []
    return [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]


def switched_off(value: dict, spared: str) -> dict:
    """The same value with everything that is on left out of the question about the file `spared`, and of no other."""
    rows = [{**row, "on": False, "alone": spared} if row.get("on") is not False else row for row in _rows(value)]
    return {"items": rows}


def draw() -> gr.HTML:
    return assets.view("context", {"items": []}, texts.CONTEXT)


def draw_budget(elem_id: str = "pixel-budget") -> gr.Slider:
    """Pixel budget: a slider in visual tokens; what it changes is shown by the context and the viewer."""
    return gr.Slider(
        0, MAX_BUDGET_TOKENS, 0, step=4, label=texts.PIXEL_BUDGET, info=texts.PIXEL_BUDGET_INFO, elem_id=elem_id
    )


def fitted_budget(model: ModelInfo) -> gr.Slider:
    """Once the model is known: its bounds are the slider's."""
    most = model.max_pixels // model.patch_pixels**2 or MAX_BUDGET_TOKENS
    return gr.Slider(maximum=min(most, MAX_BUDGET_TOKENS))


def budget_pixels(budget: float | None, model: ModelInfo) -> int | None:
    """The slider counts tokens; 0 leaves the size to the model."""
    return int(budget or 0) * model.patch_pixels**2 or None

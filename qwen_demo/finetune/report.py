"""What a run gained, as one HTML page with the worst cases as images, and as the adapter's model card."""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import PIL.Image
import PIL.ImageDraw

from qwen_demo.answers.detections import find
from qwen_demo.finetune.encoding import Encoded
from qwen_demo.finetune.judging import Judged

WORST = 24
MOST_SIDE = 480
# The page loads and runs nothing, whatever an answer holds.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse}td,th{padding:.2rem .8rem;border-bottom:1px solid #8885;text-align:left}"
    "article{border-top:1px solid #8885;padding:1rem 0;display:flex;gap:1rem;flex-wrap:wrap}img{max-width:20rem}"
    "div.words{flex:1;min-width:16rem}dd{margin:0 0 .5rem;white-space:pre-wrap;overflow-wrap:anywhere}dt{opacity:.7}"
)
NAMES = {"exact": "exact matches", "character_errors": "character errors", "box_iou": "overlap of boxes (IoU)"}

WORSE = "It answers the held-out rows worse than the base does: more images, or more --epochs, may help."

Case = tuple[Encoded, Judged, Judged]  # a row, before and after


def is_worse(facts: Mapping[str, Any]) -> bool:
    """Whether nothing is better after teaching, and something is worse."""
    before, after = facts["before"], facts["after"]
    gains = [after["exact"] - before["exact"], before["character_errors"] - after["character_errors"]]
    if after["box_iou"] is not None:
        gains.append(after["box_iou"] - before["box_iou"])
    return min(gains) < 0 and max(gains) <= 0


def worst(cases: Sequence[Case]) -> list[Case]:
    """The least good after training first."""
    return sorted(cases, key=lambda case: -case[2].badness)[:WORST]


def html(summary: dict[str, Any], cases: Sequence[Case], images: Sequence[PIL.Image.Image | None]) -> str:
    """
    Args:
        summary: as `qwen_demo.finetune.run` makes it.
        images: as the model sees them, one for each case.
    """
    articles = [_article(case, image) for case, image in zip(cases, images, strict=True)]
    title = f"Adapter for {summary['base']}"
    what = (
        "The held-out rows that are answered worst"
        if cases
        else "No row was held out, so nothing is known of what it gained."
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p>{escape(summary['told'])}</p>{_table(summary)}<h2>{what}</h2>{''.join(articles)}</body></html>\n"
    )


def _table(summary: dict[str, Any]) -> str:
    before, after = summary.get("before"), summary.get("after")
    if not before or not after:
        return ""
    rows = "".join(
        f"<tr><th>{name}</th><td>{_shown(before[key])}</td><td>{_shown(after[key])}</td></tr>"
        for key, name in NAMES.items()
        if after[key] is not None
    )
    head = f"<tr><th>{after['rows']} held-out rows</th><th>before</th><th>after</th></tr>"
    return f"<table>{head}{rows}</table>" + (f"<p>{WORSE}</p>" if is_worse(summary) else "")


def _article(case: Case, image: PIL.Image.Image | None) -> str:
    row, before, after = case
    words = [("question", row.row.question), ("expected", after.expected), ("after", after.answer)]
    words.append(("before", before.answer))
    said = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in words)
    shown = f'<img alt="{escape(row.row.where)}" src="{_data_url(image, after)}">' if image else ""
    return f'<article>{shown}<div class="words"><dl>{said}<dt>{escape(row.row.where)}</dt></dl></div></article>'


def _data_url(image: PIL.Image.Image, judged: Judged) -> str:
    """With expected boxes in green and answered ones in red, over the smaller copy."""
    drawn = image.copy()
    drawn.thumbnail((MOST_SIDE, MOST_SIDE))
    scale = (drawn.width / image.width, drawn.height / image.height)
    pen = PIL.ImageDraw.Draw(drawn)
    for text, colour in ((judged.expected, (0, 150, 60)), (judged.answer, (210, 30, 30))):
        for box in (each.coordinates for each in find(text) if each.is_box):
            at = [value * scale[i % 2] for i, value in enumerate(box)]
            if at[0] < at[2] and at[1] < at[3]:
                pen.rectangle(at, outline=colour, width=2)
    file = io.BytesIO()
    drawn.save(file, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def card(summary: dict[str, Any], adapter: str) -> str:
    """README.md of the adapter's folder."""
    before, after = summary.get("before"), summary.get("after")
    lines = [
        "---",
        f"base_model: {json.dumps(summary['base'])}",
        "library_name: peft",
        "pipeline_tag: image-text-to-text",
        "tags: [lora, qwen2.5-vl]",
        "---",
        f"# {adapter}",
        "",
        f"A low-rank adapter for `{summary['base']}` (revision {summary['revision'] or 'not given'}, fingerprint "
        f"`{summary['fingerprint'][:16]}`).",
        "",
        summary["told"],
        "",
        f"{summary['updates']} updates, the last {summary['updates_of_this_run']} in {summary['seconds']} s; loss "
        f"{summary['loss']}, held out {summary['held_out_loss']}. Images of at most {summary['max_pixels']} pixels "
        "as the model sees them.",
        "",
    ]
    if before and after:
        lines += [f"| {after['rows']} held-out rows | before | after |", "|---|---|---|"]
        lines += [
            f"| {name} | {_shown(before[key])} | {_shown(after[key])} |"
            for key, name in NAMES.items()
            if after[key] is not None
        ]
        lines += ["", WORSE] if is_worse(summary) else []
    else:
        lines.append("No row was held out: nothing is known of what it gained.")
    lines += [
        "",
        "Made by `qwen-demo finetune`. What it says of images unlike those it learnt from has not been measured; the data",
        "may hold mistakes, and the adapter repeats them. The base's licence holds for it as well.",
        "",
    ]
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return "" if value is None else f"{value:.3f}"

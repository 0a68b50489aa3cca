"""A conversation as a file: Markdown, JSON, one HTML page with its images inside, or a row of data that a model learns.

Words are escaped where a reader could take them for HTML; the JSON keeps every character. The page
has no script, and a policy that lets it load and run nothing.
"""

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path

from qwen_demo.answers.detections import Size, asked_image
from qwen_demo.finetune.boxes import has_places, rescaled
from qwen_demo.types import ModelInfo
from qwen_demo.ui import file_types
from qwen_demo.ui.attachments import Gallery
from qwen_demo.ui.history import generation_params
from qwen_demo.ui.history.transcript import File, Turn
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.i18n.languages import Words

FORMATS = ("markdown", "json", "html", "training")
# Of all images in one page; the others are named.
MAX_IMAGE_BYTES = 16 << 20
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "article{border-top:1px solid #8885;padding:.6rem 0}h1{font-size:1.4rem}h2{font-size:.9rem;margin:0;opacity:.75}"
    "p{white-space:pre-wrap;overflow-wrap:anywhere;margin:.4rem 0}img{max-width:100%;max-height:30rem}"
    "small{opacity:.75}"
)


async def write(
    kind: str, name: str, turns: Sequence[Turn], gallery: Gallery, model: ModelInfo, words: Words = texts
) -> str:
    """`kind` is one of `FORMATS`; `model`: the one that answers now."""
    if kind == "markdown":
        return markdown(name, turns, words)
    if kind == "json":
        return as_json(name, turns)
    if kind == "training":
        return await asyncio.to_thread(as_training, await in_own_pixels(turns, gallery, model))
    return html(name, turns, await _images(turns, gallery), words)


def markdown(name: str, turns: Sequence[Turn], words: Words) -> str:
    lines = [f"# {_plain(' '.join(name.split()))}", ""]
    for turn in turns:
        lines += [f"## {words.SPEAKERS[turn.role]}", ""]
        for part in turn.parts:
            lines += [f"*{_plain(part.name)}*" if isinstance(part, File) else _plain(part), ""]
        if facts := _facts(turn, words):
            lines += [f"*{_plain(facts)}*", ""]
        if turn.corrected:
            lines += [f"**{words.CORRECTIONS['corrected']}**", "", _plain(turn.corrected), ""]
    return "\n".join(lines)


def as_json(name: str, turns: Sequence[Turn]) -> str:
    messages = []
    for turn in turns:
        parts = [{"text": part} if isinstance(part, str) else {"file": part.name} for part in turn.parts]
        known = generation_params.decode(turn.params)
        messages.append(
            {
                "role": turn.role,
                "parts": parts,
                **({"corrected": turn.corrected} if turn.corrected else {}),
                **({"params": known.model_dump(exclude_defaults=True)} if known else {}),
            }
        )
    return json.dumps({"name": name, "messages": messages}, ensure_ascii=False, indent=2) + "\n"


async def in_own_pixels(turns: Sequence[Turn], gallery: Gallery, model: ModelInfo) -> list[tuple[Turn, bool]]:
    """The same with boxes and points in the pixels of their image, as people label; a model says them in those that it
    saw. False stands beside an answer whose places cannot be told so: how its model saw is not known, or the image is gone."""
    made: list[tuple[Turn, bool]] = []
    files: list[File] = []
    asked = ""
    for turn, after in zip(turns, [*turns[1:], None], strict=True):
        if turn.role == "user":
            # As the viewer has it, places are of the newest images; in a question they are a region that was marked.
            files, asked = turn.files or files, turn.text
        answer = after if after and turn.role == "user" else turn
        size = await _sizes(files[asked_image(asked, len(files))], answer, gallery, model) if files else None
        if size is None:
            made.append((turn, not has_places(asked + (turn.corrected or turn.text))))
            continue
        parts = tuple(rescaled(part, *size) if isinstance(part, str) else part for part in turn.parts)
        made.append((replace(turn, parts=parts, corrected=rescaled(turn.corrected, *size)), True))
    return made


async def _sizes(file: File, answer: Turn, gallery: Gallery, model: ModelInfo) -> tuple[Size, Size] | None:
    """Of an image: as the model saw it for `answer`, and its own; None where either is not known."""
    known, image = generation_params.decode(answer.params), await gallery.look(file.path)
    sight = known.sight(model) if known else None
    if known is None or sight is None or not image.is_image:
        return None
    seen = image.seen(sight, known.max_pixels)
    return (seen, image.original) if seen[0] else None


def as_training(turns: Sequence[tuple[Turn, bool]]) -> str:
    """One line that `qwen-demo finetune` reads: the images as they were sent, and beside each answer `corrected` for
    what should have been said, empty where nothing was corrected. Other files, and images beyond `MAX_IMAGE_BYTES` in
    all, are named alone: `finetune` looks for them beside the data.

    Args:
        turns: of `in_own_pixels`; what cannot be told so is left out of training.
    """
    left = MAX_IMAGE_BYTES
    messages: list[dict] = []
    for turn, known in turns:
        if turn.role == "assistant":
            # What was cut is no answer to learn, least of all where it ends.
            unlearnt = {} if known and (turn.whole or turn.corrected) else {"weight": 0}
            messages.append({"role": turn.role, "content": turn.text, "corrected": turn.corrected, **unlearnt})
            continue
        parts: list[dict] = []
        for part in turn.parts:
            if isinstance(part, str):
                parts.append({"type": "text", "text": part})
                continue
            kind = file_types.media_type(part.name) or ""
            data = _read(part.path, left) if kind.startswith("image/") else b""
            left -= len(data)
            url = f"data:{kind};base64,{base64.b64encode(data).decode()}" if data else part.name
            parts.append({"type": "image_url", "image_url": {"url": url}})
        messages.append({"role": turn.role, "content": parts})
    params = [found for turn, _ in turns if (found := generation_params.decode(turn.params))]
    if params and params[-1].system_prompt:
        messages.insert(0, {"role": "system", "content": params[-1].system_prompt})
    return json.dumps({"messages": messages}, ensure_ascii=False) + "\n"


def html(name: str, turns: Sequence[Turn], images: dict[str, str], words: Words) -> str:
    """
    Args:
        images: data URLs by the path of the upload; a file without one is named.
    """
    rows = []
    for turn in turns:
        body = "".join(_html_part(part, images) for part in turn.parts)
        facts = f"<small>{escape(_facts(turn, words))}</small>" if _facts(turn, words) else ""
        mark = escape(words.CORRECTIONS["corrected"])
        corrected = f"<p><strong>{mark}</strong></p>{_html_part(turn.corrected, {})}" if turn.corrected else ""
        rows.append(f"<article><h2>{escape(words.SPEAKERS[turn.role])}</h2>{body}{facts}{corrected}</article>")
    return (
        '<!doctype html><html><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{escape(name)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(name)}</h1>{''.join(rows)}</body></html>\n"
    )


def _html_part(part: str | File, images: dict[str, str]) -> str:
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>"
    if url := images.get(part.path):
        return f'<p><img src="{escape(url)}" alt="{escape(part.name)}"></p>'
    return f"<p><em>{escape(part.name)}</em></p>"


async def _images(turns: Sequence[Turn], gallery: Gallery) -> dict[str, str]:
    """Copies as the page shows them, the first frame of a clip, up to a size in all."""
    urls: dict[str, str] = {}
    left = MAX_IMAGE_BYTES
    for file in dict.fromkeys(file for turn in turns for file in turn.files):
        attachment = await gallery.look(file.path)
        data = await asyncio.to_thread(_read, attachment.view, left) if attachment.view else b""
        left -= len(data)
        if data:
            urls[file.path] = "data:image/jpeg;base64," + base64.b64encode(data).decode()
    return urls


def _read(path: str, most: int) -> bytes:
    """Nothing where the file is larger, or gone by now."""
    try:
        file = Path(path)
        return file.read_bytes() if file.stat().st_size <= most else b""
    except OSError:
        return b""


def _facts(turn: Turn, words: Words) -> str:
    known = generation_params.decode(turn.params)
    return words.kept_answer(known.answered_by, known.temperature) if known else ""


def _plain(text: str) -> str:
    """Markdown lets HTML through; this is none any more."""
    return text.replace("<", "&lt;")

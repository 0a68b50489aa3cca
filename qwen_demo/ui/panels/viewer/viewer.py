"""The viewer: one image of the conversation as the model sees it, with what its answer points at.

Detections are found in the answer while it grows, scaled from the size that the processor used, and
sent to `viewer.js` in pixels of the original image. A visitor may draw a region, pick
another image of the turn, and take the detections along as a file. Of a point cloud or 3D model the image is the sheet
of its views, and what the answer points at lies in space (`space.py`).
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from qwen_demo.answers import annotations, detections
from qwen_demo.types import ModelInfo
from qwen_demo.ui import assets, attachments, chat, render, space
from qwen_demo.ui.attachments import Attachment, Gallery
from qwen_demo.ui.chat import History
from qwen_demo.ui.history import generation_params
from qwen_demo.ui.i18n import texts
from qwen_demo.ui.panels.context.context import Item

# A region keeps this share of its longer side around it, and a point this share of the image.
CROP_MARGIN, POINT_SHARE = 0.15, 0.15
EMPTY: dict[str, Any] = {"image": None, "detections": [], "choices": []}
FORMATS = ("json", "coco", "csv", "png")


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """The last answer and what is needed to place its detections.

    Attributes:
        params: what it was given with, None where that is not known. Another model sees the image in another size.
    """

    text: str
    question: str
    max_pixels: int | None
    params: generation_params.GenerationParams | None = None

    def for_placing(self, model: ModelInfo) -> tuple[str, ModelInfo]:
        """The text, and `model` with the bounds of the one that gave it; no text where those are not known."""
        sight = model if self.params is None else self.params.sight(model)
        return (self.text, sight) if sight else ("", model)


def last_answer(history: History) -> LastAnswer:
    text, max_pixels, params = "", None, None
    for message in reversed(history):
        if message["role"] == "user":
            return LastAnswer(text, chat.question_of([message], 0)["text"], max_pixels, params)
        if message.get("metadata"):
            max_pixels = max_pixels or render.budget_of(message)
            params = params or generation_params.decode(str(message["metadata"].get("id") or ""))
        else:
            text = "".join(part.get("text", "") for part in chat.parts_of(message)) + text
    return LastAnswer(text, "", max_pixels, params)


def pointing(history: History, newest: LastAnswer) -> LastAnswer:
    """`newest`, or where it points at nothing the answer before it that does, of those about the same images."""
    if detections.find(newest.text):
        return newest
    end = len(history)
    while (end := _question_at(history, end)) > 0 and not chat.question_of([history[end]], 0)["files"]:
        earlier = last_answer(history[:end])
        if detections.find(earlier.text):
            return earlier
    return newest


def _question_at(history: History, end: int) -> int:
    """Index of the last question before `end`; -1 where there is none."""
    return next((i for i in range(end - 1, -1, -1) if history[i]["role"] == "user"), -1)


def clip_of(items: Sequence[Item]) -> Attachment | None:
    """The clip to show: where the newest files of the conversation are clips."""
    shown = [item for item in items if item.on and item.attachment.view]
    newest = [item.attachment for item in shown if item.turn == shown[-1].turn]
    return newest[-1] if newest and all(attachment.frames for attachment in newest) else None


def images_of_turn(items: Sequence[Item]) -> list[Attachment]:
    """The images and 3D models that the newest question with any brought along: those that boxes can belong to."""
    stills = [item for item in items if _can_be_marked(item.attachment) and item.on]
    return [item.attachment for item in stills if item.turn == stills[-1].turn]


def image_of(items: Sequence[Item], file: str) -> Attachment | None:
    """The image or 3D model with this path among `items`."""
    images = [item.attachment for item in items if _can_be_marked(item.attachment)]
    return next((image for image in images if image.file == file), None)


def _can_be_marked(attachment: Attachment) -> bool:
    return attachment.is_image or bool(attachment.views and attachment.view)


def value_of(items: Sequence[Item], answer: LastAnswer, model: ModelInfo, *, picked: str = "",
             max_pixels: int | None = None, as_seen: bool = False) -> dict:  # fmt: skip
    """What the viewer draws.

    Args:
        picked: file of the image that the visitor wants to see; of several, the question decides otherwise.
        max_pixels: budget of the next question.
        as_seen: show the image at the resolution that the model will see.
    """
    pending = any(item.pending and _can_be_marked(item.attachment) for item in items)
    choices = images_of_turn(items)
    attachment = image_of(items, picked)
    if attachment is None and (clip := clip_of(items)):
        return EMPTY | {"clip": _clip_value(clip, model, max_pixels)}
    if attachment is None and choices:
        attachment = choices[-1] if pending else choices[detections.asked_image(answer.question, len(choices))]
    if attachment is None:
        return EMPTY
    chosen = [{"id": choice.file, "name": choice.name} for choice in choices] if len(choices) > 1 else []
    text, model = ("", model) if pending else answer.for_placing(model)
    if attachment.views:
        return _views_value(attachment, model, max_pixels, text) | {"choices": chosen}
    found = detections.find(text)
    placed = place(found, answer, attachment, model)
    colours = annotations.colours(placed)
    return {
        "image": {
            "id": attachment.file,
            "name": attachment.name,
            "view": attachment.view,
            "size": attachment.original,
            "seen": attachment.seen(model, max_pixels),
        },
        "detections": [
            {"at": [round(c, 1) for c in detection.coordinates], "label": detection.label, "colour": colour}
            for detection, colour in zip(placed, colours, strict=True)
        ],
        "found": len(found),
        "capped": len(found) == detections.MAX_DETECTIONS,
        "choices": chosen,
        "as_seen": as_seen,
        "crop_only": model.embedded,
    }


def _views_value(attachment: Attachment, model: ModelInfo, max_pixels: int | None, text: str) -> dict:
    """The sheet of all views; `with_places` adds what `text`, the answer, marks on it."""
    seen = attachment.seen(model, max_pixels)
    image = {
        "id": attachment.file,
        "name": attachment.name,
        "view": attachment.view,
        "size": attachment.sheet_size,
        "seen": (0, 0),
        "views": attachment.views,
        "view_size": seen if seen[0] else attachment.size,
        "marked": bool(detections.find(text)),
    }
    return {"image": image, "detections": [], "found": 0}


async def with_places(
    value: dict, answer: LastAnswer, finder: space.ViewFinder, model: ModelInfo, whole: bool = True
) -> dict:
    """The value with what the answer marks in space, where it shows a point cloud or 3D model."""
    image = value["image"]
    if not image or not image.get("marked"):
        return value
    found = await finder.on_sheet(image["id"], answer.text, model, answer.max_pixels, whole)
    return value | {"detections": found, "found": len(found)}


def _clip_value(clip: Attachment, model: ModelInfo, max_pixels: int | None) -> dict:
    return {
        "id": clip.file,
        "name": clip.name,
        "view": clip.view,
        "size": clip.size,
        "seen": clip.seen(model, max_pixels),
        "frames": clip.frames,
    }


def place(
    found: Sequence[detections.Detection], answer: LastAnswer, attachment: Attachment, model: ModelInfo
) -> list[detections.Detection]:
    """Detections found in the answer, in pixels of the original image."""
    seen = attachment.seen(model, answer.max_pixels)
    return detections.place(found, seen, attachment.original) if found and seen[0] else []


def up_to(history: History, turn: Any) -> History:
    """The conversation as the `turn`-th question left it, counted as the chat draws them: questions in a row are one.

    Empty where that is the newest one, or none; `turn` comes from the browser.
    """
    asked = [i for i, message in enumerate(history) if message["role"] == "user"]
    ends = [i for i in asked if i + 1 not in asked]
    if not isinstance(turn, int) or not 0 <= turn < len(ends) - 1:
        return []
    return history[: next(i for i in asked if i > ends[turn])]


def turn_of(value: Any) -> Any:
    """Of the viewer's value: which earlier answer it shows, if it does."""
    return value.get("turn") if isinstance(value, dict) else None


def picked_file(value: Any) -> str:
    """The image that the viewer shows, by the value that came back from the browser."""
    image = value.get("image") if isinstance(value, dict) else None
    file = image.get("id") if isinstance(image, dict) else None
    return file if isinstance(file, str) else ""


def region_of(data: dict, size: tuple[int, int]) -> detections.Detection | None:
    """What was drawn, in pixels of the original image of that `size`; None where it has no area in it."""
    numbers = data.get("at")
    if not isinstance(numbers, list) or len(numbers) not in (2, 4):
        return None
    if not all(isinstance(n, int | float) and not isinstance(n, bool) and abs(n) < 1e7 for n in numbers):
        return None
    return next(iter(detections.place([detections.Detection(tuple(map(float, numbers)), "")], size, size)), None)


def crop_box(region: detections.Detection, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The part of the image to cut out for a question about the region."""
    width, height = size
    if region.is_box:
        x1, y1, x2, y2 = region.coordinates
        margin = CROP_MARGIN * max(x2 - x1, y2 - y1)
    else:
        (x1, y1), (x2, y2) = region.coordinates, region.coordinates
        margin = POINT_SHARE * min(size)
    left, top = int(min(max(x1 - margin, 0), width - 1)), int(min(max(y1 - margin, 0), height - 1))
    right, bottom = round(min(x2 + margin, width)), round(min(y2 + margin, height))
    return left, top, max(right, left + 1), max(bottom, top + 1)


async def crop(file: str, region_data: dict, gallery: Gallery) -> str | None:
    """Path of the region as an image of its own."""
    image = await gallery.original(file)
    original = (image.sent_size or image.size) if image else None
    region = region_of(region_data, original) if original else None
    if image is None or original is None or region is None:
        return None
    box = crop_box(region, original)
    held = image.raster.size
    scale = (held[0] / original[0], held[1] / original[1])
    left, top, right, bottom = (round(c * scale[i % 2]) for i, c in enumerate(box))
    region_pixels = image.pixels.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    return attachments.save_png(region_pixels, "region.png")


async def export(
    kind: str, found: Sequence[detections.Detection], attachment: Attachment, gallery: Gallery
) -> dict | None:
    """A file for the visitor: its path and the name to save it under. The nonce makes each one new to the viewer."""
    stem = attachment.name.rpartition(".")[0] or attachment.name
    name = f"{stem}-boxes.{'coco.json' if kind == 'coco' else kind}"
    if kind == "png":
        image = await gallery.original(attachment.file)
        if image is None:
            return None
        there = detections.place(found, attachment.original, image.raster.size)
        path = attachments.save_png(annotations.draw(there, image.pixels), name)
    else:
        write = {"json": annotations.as_json, "coco": annotations.as_coco, "csv": annotations.as_csv}[kind]
        path = attachments.save_text(write(found, attachment.name, attachment.original), name)
    return {"file": path, "name": name, "nonce": secrets.token_hex(4)}


async def export_places(kind: str, marked: space.Marked) -> dict:
    """The same for what was marked on the views of a point cloud or 3D model."""
    stem = f"{Path(marked.points.name).stem[:60] or 'model'}-places"
    path = await asyncio.to_thread(space.save, marked, kind, stem)
    return {"file": path, "name": f"{stem}.{kind}", "nonce": secrets.token_hex(4)}


def draw() -> gr.HTML:
    return assets.view("viewer", EMPTY, texts.VIEWER)

"""Where the model points: the last answer's boxes over the last picture of the conversation."""

from dataclasses import dataclass

import PIL.Image

from qwen_demo import grounding
from qwen_demo.errors import QwenDemoError
from qwen_demo.pixels import seen_size
from qwen_demo.types import Image, ModelInfo
from qwen_demo.ui.chat import History
from qwen_demo.ui.conversation import Reader

# A point is shown as a square of this share of the picture's shorter side.
POINT_SHARE = 0.03
LONGEST_SIDE = 1600


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture and what to draw over it, as Gradio's annotated image takes it.

    Attributes:
        picture: RGB, at most `LONGEST_SIDE` long.
        boxes: (x1, y1, x2, y2) in its pixels, with a label each.
    """

    picture: PIL.Image.Image
    boxes: list[tuple[tuple[int, int, int, int], str]]


async def drawing(history: History, max_pixels: int | None, model: ModelInfo, reader: Reader) -> Drawing | None:
    """None when the last answer points at nothing or there is no picture.

    Args:
        max_pixels: the budget that the answer was given with.
    """
    marks = grounding.find(_last_answer(history))
    if not marks:
        return None
    try:
        messages = await reader.messages(history)
    except QwenDemoError:
        return None
    pictures = [part for message in messages for part in message.parts if isinstance(part, Image)]
    return draw(marks, pictures[-1].pixels, max_pixels, model) if pictures else None


def draw(marks: list[grounding.Mark], picture: PIL.Image.Image, max_pixels: int | None, model: ModelInfo) -> Drawing:
    largest = min(max_pixels or model.max_pixels, model.max_pixels)
    smallest = min(model.min_pixels, largest)
    seen = seen_size(*picture.size, min_pixels=smallest, max_pixels=largest, patch=model.patch_pixels)
    shown = picture.copy()
    shown.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    half = max(2, round(min(shown.size) * POINT_SHARE / 2))
    boxes = []
    for mark in grounding.place(marks, seen, shown.size):
        if mark.is_box:
            x1, y1, x2, y2 = map(round, mark.coordinates)
        else:
            x, y = map(round, mark.coordinates)
            x1, y1, x2, y2 = max(x - half, 0), max(y - half, 0), x + half, y + half
        boxes.append(((x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)), mark.label or f"#{len(boxes) + 1}"))
    return Drawing(shown, boxes)


def _last_answer(history: History) -> str:
    for message in reversed(history):
        if message["role"] == "user":
            break
        if not message.get("metadata"):
            content = message["content"]
            return content if isinstance(content, str) else "".join(p.get("text", "") for p in content)
    return ""

"""What a visitor can try with one click. The images are ours and lie in `examples/`."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import PIL.ImageOps
from gradio.components.chatbot import ExampleMessage

from qwen_demo.answers import annotations

PACKAGE = Path(__file__).parents[1]
# An installed package holds them inside, a checkout beside itself.
FOLDER = next(path for path in (PACKAGE / "examples", PACKAGE.parent / "examples") if path.is_dir())
CLIP, MOVING = (252, 224), "#9240b0"  # pixels and colour of clip.mp4
CARD = (480, 320)  # pixels; shown at some 250 wide, a few kilobytes each


@dataclass(frozen=True, slots=True)
class Example:
    """A question about images, with the words on its card.

    Attributes:
        line: what happens, beneath the title.
        boxes: drawn on the card, in pixels of the image: what the answer points at; of a clip, where the thing in it
            stands from second to second.
    """

    title: str
    line: str
    question: str
    files: tuple[str, ...]
    boxes: tuple[tuple[int, int, int, int], ...] = ()

    @property
    def paths(self) -> list[str]:
        return [str(FOLDER / name) for name in self.files]

    def card(self) -> ExampleMessage:
        words = f"{self.title}\n{self.line}"
        card: ExampleMessage = {"display_text": words, "text": self.question, "files": self.paths}
        # Gradio would look for a file behind what has its own mark, which the type asks for.
        if stills := [path for path in self.paths if path.endswith(".png")]:
            card["icon"] = _icon(stills, self.boxes)  # type: ignore[typeddict-item]
        elif self.boxes:
            card["icon"] = _moving(self.boxes)  # type: ignore[typeddict-item]
        return card


def _icon(images: Sequence[str], boxes: Sequence[tuple[int, int, int, int]]) -> dict[str, str]:
    """A small copy that travels in the page itself; the images would be a third of what a first visit loads."""
    width = CARD[0] // len(images)
    card = PIL.Image.new("RGB", CARD)
    for place, path in enumerate(images):
        image = PIL.Image.open(path).convert("RGB")
        for box, colour in zip(boxes, annotations.COLOURS, strict=False):
            PIL.ImageDraw.Draw(image).rectangle(box, outline=colour, width=4)
        corner = image.crop((0, 0, 1, 1)).tobytes()  # it goes on around the image
        card.paste(PIL.ImageOps.pad(image, (width, CARD[1]), color=tuple(corner)), (place * width, 0))
    return _within(card)


def _moving(boxes: Sequence[tuple[int, int, int, int]]) -> dict[str, str]:
    """A thing that moves, the later the stronger: the first image of a clip says nothing of it."""
    card = PIL.Image.new("RGB", CLIP, "white")
    for strength, box in enumerate(boxes, 1):
        one = PIL.Image.new("RGB", CLIP, "white")
        PIL.ImageDraw.Draw(one).rectangle(box, fill=MOVING)
        mask = PIL.Image.new("L", CLIP, 0)
        PIL.ImageDraw.Draw(mask).rectangle(box, fill=255 * strength // len(boxes))
        card.paste(one, mask=mask)
    return _within(PIL.ImageOps.pad(card, CARD, color="white"))


def _within(card: PIL.Image.Image) -> dict[str, str]:
    file = io.BytesIO()
    card.save(file, "WEBP", quality=60)
    return {"path": "", "url": "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()}


EXAMPLES = (
    Example(
        "Point at things",
        "Boxes are drawn as it answers",
        "Detect all objects and output their bounding boxes in JSON.",
        ("boxes.png",),
        ((104, 10, 153, 72), (125, 149, 225, 227), (356, 140, 430, 193)),
    ),
    Example("Read a receipt", "What is the total?", "What is the total?", ("receipt.png",)),
    Example("Read a chart", "Which bar is the highest?", "Which bar is the highest?", ("bar_chart.png",)),
    Example(
        "Compare images",
        "What is the difference?",
        "What is the difference between the images?",
        ("two_images_1.png", "two_images_2.png"),
    ),
    Example("Count", "How many apples are there?", "How many apples are there?", ("count.png",)),
    Example(
        "Watch a clip",
        "Which way does it move?",
        "Which way does the purple square move?",
        ("clip.mp4",),
        tuple((144, top, 200, top + 56) for top in (20, 56, 92, 128)),
    ),
)

"""What a visitor can try with one click. The images are ours and lie in `examples/`."""

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
from gradio.components.chatbot import ExampleMessage

PACKAGE = Path(__file__).parents[1]
# An installed package holds them inside, a checkout beside itself.
FOLDER = next(path for path in (PACKAGE / "examples", PACKAGE.parent / "examples") if path.is_dir())
CARD_SIDE = 320  # pixels; shown at some 250, a few kilobytes each


@dataclass(frozen=True, slots=True)
class Example:
    """A question about images, with the words on its card."""

    title: str
    question: str
    files: tuple[str, ...]

    @property
    def paths(self) -> list[str]:
        return [str(FOLDER / name) for name in self.files]

    def card(self) -> ExampleMessage:
        card: ExampleMessage = {"display_text": self.title, "text": self.question, "files": self.paths}
        still = next((path for path in self.paths if path.endswith(".png")), None)
        if still:
            # Gradio would look for a file behind what has its own mark, which the type asks for.
            card["icon"] = _icon(still)  # type: ignore[typeddict-item]
        return card


def _icon(image: str) -> dict[str, str]:
    """A small copy that travels in the page itself; the images would be a third of what a first visit loads."""
    small = PIL.Image.open(image).convert("RGB")
    small.thumbnail((CARD_SIDE, CARD_SIDE))
    file = io.BytesIO()
    small.save(file, "WEBP", quality=60)
    return {"path": "", "url": "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()}


EXAMPLES = (
    Example("Describe an image", "Describe the image.", ("shapes.png",)),
    Example("Point at things", "Detect all objects and output their bounding boxes in JSON.", ("boxes.png",)),
    Example("Count", "How many apples are there?", ("count.png",)),
    Example("Read a sign", "Read the text.", ("sign.png",)),
    Example("Ask about a receipt", "What is the total?", ("receipt.png",)),
    Example("Read a chart", "Which bar is the highest?", ("bar_chart.png",)),
    Example(
        "Compare two images",
        "What is the difference between the images?",
        ("two_images_1.png", "two_images_2.png"),
    ),
    Example("Watch a clip", "Which way does the purple square move?", ("clip.mp4",)),
    Example("Ask in Chinese", "描述这张图片", ("chinese.png",)),
)

"""A line about each figure and table of pages that have words of their own, written by the served model.

It sees the figure cut out of the drawn page, and what words the file has in that place.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from qwen_demo.answers.beyond import is_beyond
from qwen_demo.knowledge.page_reader import PageReader
from qwen_demo.media import Figure, Passage, make_image
from qwen_demo.settings import Settings
from qwen_demo.types import Image, ModelInfo

FIGURE = "Describe this image in one sentence."
TABLE = "Say in one sentence what this table shows."
WORDS = " These words stand there: {words}"
MOST_WORDS = 400  # letters of the figure's own, put to the model
MOST_TOKENS = 96
MOST_LINE = 400  # letters
MARGIN = 0.01  # of the page, around a figure


@dataclass(frozen=True, slots=True)
class FigureReader:
    """Attributes:
    reader: asks the model, with patience.
    choice: `--knowledge-figures`.
    """

    reader: PageReader
    choice: str

    @classmethod
    def of(cls, settings: Settings, reader: PageReader) -> "FigureReader":
        return cls(reader, settings.knowledge_figures)

    async def wanted(self) -> bool:
        """Whether the model that is served is one to ask. Waits for it where it may be. Raises `QwenDemoError`."""
        if self.choice == "never" or (self.choice == "auto" and not is_quick(self.reader.model())):
            return False
        await self.reader.there()
        return self.choice == "always" or is_quick(self.reader.model())

    async def lines(self, page: Image, passages: Sequence[Passage], figures: Sequence[Figure]) -> list[Passage]:
        """For each figure of which the model says something, a passage with its place. Raises `QwenDemoError`."""
        found = []
        for figure in figures:
            line = " ".join((await self._line(page, passages, figure)).split())[:MOST_LINE]
            if line and not is_beyond(line):
                found.append(Passage(line, figure.box, "figure"))
        return found

    async def _line(self, page: Image, passages: Sequence[Passage], figure: Figure) -> str:
        words = " ".join(passage.text for passage in passages if passage.box and _inside(passage.box, figure.box))
        prompt = TABLE if figure.table else FIGURE
        return await self.reader.ask(
            cut_out(page, figure), prompt + (WORDS.format(words=words[:MOST_WORDS]) if words else ""), MOST_TOKENS
        )


def is_quick(model: ModelInfo) -> bool:
    """Whether it is a true model that does not take minutes for a page: not the embedded one, not one on a CPU."""
    return not model.embedded and model.engine != "scripted" and str(model.device) != "cpu"


def cut_out(page: Image, figure: Figure) -> Image:
    pixels = page.pixels
    x1, y1, x2, y2 = figure.box
    left, top = max(0.0, x1 - MARGIN) * pixels.width, max(0.0, y1 - MARGIN) * pixels.height
    right, bottom = min(1.0, x2 + MARGIN) * pixels.width, min(1.0, y2 + MARGIN) * pixels.height
    return make_image(
        pixels.crop((int(left), int(top), max(int(left) + 1, int(right)), max(int(top) + 1, int(bottom))))
    )


def _inside(box: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    """Its middle is."""
    return other[0] <= (box[0] + box[2]) / 2 <= other[2] and other[1] <= (box[1] + box[3]) / 2 <= other[3]

"""Pages without words of their own, read by the served model: its elements with their places, a line for a figure."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from qwen_demo.answers import documents
from qwen_demo.errors import InvalidRequest, NotReady, Overloaded, QwenDemoError
from qwen_demo.media import PageText, Passage
from qwen_demo.models.pixels import PixelBounds
from qwen_demo.types import ChatRequest, Image, Message, ModelInfo, Sampling, Text

READING = "QwenVL HTML"
READING_EMBEDDED = "Read the text."  # what the embedded model was taught instead
DESCRIBING = "Describe this image in one sentence."
MOST_TOKENS = 1024
TRIES, PAUSE_S = 30, 2.0

Answers = Callable[[ChatRequest], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class PageReader:
    """A model that reads.

    Attributes:
        answer: the whole answer to a request.
        model: which model answers, once it is there.
        there: waits for it.
    """

    answer: Answers
    model: Callable[[], ModelInfo]
    there: Callable[[], Awaitable[None]]

    async def read(self, image: Image, number: int) -> PageText:
        """Never raises for a page: what went wrong is its `problem`."""
        await self.there()
        try:
            passages = await self._elements(image)
            if len("".join(passage.text for passage in passages)) < 40 or not _all_words(passages):
                line = await self.ask(image, DESCRIBING, 96)
                passages += [Passage(line, (0.0, 0.0, 1.0, 1.0))] if line else []
        except (InvalidRequest, NotReady, Overloaded, QwenDemoError) as error:
            return PageText(number, (), f"The model could not read this page: {error}")
        problem = "" if passages else "There are no words on this page that the model can read."
        return PageText(number, tuple(passages), problem)

    async def _elements(self, image: Image) -> list[Passage]:
        text = await self.ask(image, READING_EMBEDDED if self.model().embedded else READING, MOST_TOKENS)
        seen = PixelBounds.of(self.model()).seen(*image.size)
        found = []
        for element in documents.parse(text).scaled(seen, seen).elements:
            if element.text.strip():
                box = None
                if element.region:
                    x1, y1, x2, y2 = element.region
                    box = (x1 / seen[0], y1 / seen[1], x2 / seen[0], y2 / seen[1])
                found.append(Passage(element.text.strip(), box))
        return found

    async def ask(self, image: Image, prompt: str, tokens: int) -> str:
        """Words about an image; "" where the answer only gives the question back."""
        request = ChatRequest((Message("user", (image, Text(prompt))),), Sampling(tokens))
        for left in range(TRIES, -1, -1):
            try:
                text = (await self.answer(request)).strip()
                return "" if _bare(text) == _bare(prompt) else text
            except (NotReady, Overloaded) as error:
                if not left:
                    raise
                await asyncio.sleep(min(PAUSE_S, getattr(error, "retry_after_s", PAUSE_S)))
        raise AssertionError("the last try answers or raises")


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text).strip().lower()


def _all_words(passages: list[Passage]) -> bool:
    """Whether none of them stands for a figure alone."""
    return all(len(passage.text) > 2 for passage in passages)

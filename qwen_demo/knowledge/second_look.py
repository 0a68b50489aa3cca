"""A second look at what was found: the served model sees each page by itself and says whether it answers.

Pages that it says no to come last; where it says no to all, the documents do not have the answer. What is neither yes
nor no is no judgement, and leaves a page where it was.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from qwen_demo.errors import ContextTooLong
from qwen_demo.knowledge.answering import Evidence, page_words
from qwen_demo.types import ChatRequest, Image, Message, Part, Sampling, Text

JUDGING = (
    "Question: {question}\n\nDoes this page hold the answer to the question? Do not answer the question itself. "
    "Say yes or no."
)
LOOKS = 5  # pages; each costs a request
_YES = re.compile(r"^\W*(yes\b|是|有)", re.IGNORECASE)
_NO = re.compile(r"^\W*(no\b|not\b|否|不|没|無|无)", re.IGNORECASE)
PAGE_CHARACTERS = 1_600

Answers = Callable[[ChatRequest], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Looked:
    """Attributes:
    kept: best first; empty where every page that was looked at was said no to.
    said: what the model said of each page that it looked at, in their old order.
    """

    kept: list[Evidence]
    said: list[bool | None]


async def looked_at(answer: Answers, question: str, evidence: Sequence[Evidence]) -> Looked:
    """Ask the model of the first `LOOKS` pages, one after the other."""
    said = [await _judged(answer, question, one) for one in evidence[:LOOKS]]
    if said and all(each is False for each in said):
        return Looked([], said)
    rest = [*said, *[None] * (len(evidence) - len(said))]
    order = {True: 0, None: 1, False: 2}
    ranked = sorted(range(len(evidence)), key=lambda place: (order[rest[place]], place))
    return Looked([evidence[place] for place in ranked], said)


async def _judged(answer: Answers, question: str, one: Evidence) -> bool | None:
    try:
        return judgement(await answer(judging(question, page_words(one.hit, PAGE_CHARACTERS), one.image)))
    except ContextTooLong:
        return None


def judging(question: str, words: str, image: Image | None) -> ChatRequest:
    """A page as an image where it can be drawn, else as its words."""
    page: Part = image if image is not None else Text(f"Page:\n{words}\n\n")
    return ChatRequest((Message("user", (page, Text(JUDGING.format(question=question)))),), Sampling(4))


def judgement(text: str) -> bool | None:
    return True if _YES.match(text) else False if _NO.match(text) else None

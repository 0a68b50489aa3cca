"""A conversation and the pages that were found for it -> the request that is put to the model, and its cited answer."""

import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from qwen_demo.answers.beyond import is_beyond
from qwen_demo.errors import QwenDemoError
from qwen_demo.knowledge import citations
from qwen_demo.knowledge.citations import Citation
from qwen_demo.knowledge.finding import Hit
from qwen_demo.types import (
    ChatRequest,
    Event,
    Finished,
    Image,
    Message,
    ModelInfo,
    Part,
    Sampling,
    Text,
    TextDelta,
    Timing,
    Usage,
)

RULES = (
    "Answer from these pages of the user's documents alone. After each statement name its page as it is written here, "
    "such as {example}. If the pages do not say it, answer: " + citations.NOT_FOUND
)
REWRITING = (
    "Conversation so far:\n{history}\n\nLast question: {question}\n\n"
    "Write the last question as one that can be understood without the conversation. Write the question only."
)
PAGE_CHARACTERS = 1_600
TEXT_SHARE, IMAGE_SHARE = 0.35, 0.4  # of the model's context
CHARACTERS_OF_A_TOKEN = 2.0  # Chinese has fewer, English more
MOST_REWRITTEN = 300
# Below this part of the question's weight, the best page is about something else.
LEAST_COVERAGE = 0.5


@dataclass(frozen=True, slots=True)
class Evidence:
    """A page that was found, and how it looks, where it can be drawn and there is room for it."""

    hit: Hit
    image: Image | None = None


def question_of(request: ChatRequest) -> str:
    return request.messages[-1].text.strip() if request.messages else ""


def is_follow_up(request: ChatRequest) -> bool:
    return any(message.role == "assistant" for message in request.messages)


def rewriting(request: ChatRequest) -> ChatRequest:
    """Asks the model for a question that can be searched."""
    history = "\n".join(f"{message.role}: {message.text[:600]}" for message in request.messages[:-1] if message.text)
    prompt = REWRITING.format(history=history[-3000:], question=question_of(request))
    return ChatRequest((Message("user", (Text(prompt),)),), Sampling(96))


def searched(request: ChatRequest, rewritten: str) -> str:
    """What is searched for: the rewritten question, or where the model gave none, the last two of the user's."""
    line = rewritten.strip().strip('"').strip()
    if line and len(line) <= MOST_REWRITTEN and "\n" not in line and "Last question" not in line:
        return line
    asked = [message.text for message in request.messages if message.role == "user" and message.text]
    return " ".join(asked[-2:])


def enough(hits: Sequence[Hit]) -> bool:
    """Whether any page is about the question at all."""
    return bool(hits) and max(hit.coverage for hit in hits) >= LEAST_COVERAGE


def images_that_fit(request: ChatRequest, model: ModelInfo, most: int) -> int:
    """How many pages may go along as images, beside those of the conversation."""
    own = sum(not isinstance(part, Text) for message in request.messages for part in message.parts)
    smallest = max(1, model.min_pixels // model.patch_pixels**2)
    return max(0, min(most - own, int(model.context_tokens * IMAGE_SHARE) // max(smallest, 256)))


def grounded(request: ChatRequest, evidence: Sequence[Evidence], model: ModelInfo) -> ChatRequest:
    """The last question with the pages before it, each with its name, its image and its passages.

    Pages come before the question, best first, so that the caches of prefix and images serve the next question about
    the same pages.
    """
    room = int(model.context_tokens * TEXT_SHARE * CHARACTERS_OF_A_TOKEN)
    each = min(PAGE_CHARACTERS, room // max(1, len(evidence)))
    parts: list[Part] = []
    for one in evidence:
        page = one.hit.page
        parts.append(Text(f"{citations.written(page.file, page.number)}\n"))
        if one.image is not None:
            parts.append(one.image)
        parts.append(Text(f"{page_words(one.hit, each)}\n\n"))
    first = evidence[0].hit.page
    parts.append(Text(RULES.format(example=citations.written(first.file, first.number)) + "\n\n"))
    *before, last = request.messages
    asked = replace(last, parts=(*parts, *last.parts))
    pixels = request.max_pixels or _pixels(sum(one.image is not None for one in evidence), model)
    return replace(request, messages=(*before, asked), max_pixels=pixels)


def page_words(hit: Hit, most: int) -> str:
    """The page's words where they fit, else those that were found and what stands around them."""
    whole = "\n".join(passage.told for passage in hit.page.passages)
    if len(whole) <= most:
        return whole
    return f"{hit.text[: most * 2 // 3]}\n…\n{whole[: most // 3]}"


def _pixels(images: int, model: ModelInfo) -> int | None:
    if not images or not model.max_pixels:
        return None
    tokens = int(model.context_tokens * IMAGE_SHARE) // images
    return max(model.min_pixels, min(model.max_pixels, tokens * model.patch_pixels**2), 784)


class NothingFound(QwenDemoError):
    """No page is about the question: that is the answer, and the model is not asked.

    Args:
        question: in whose language it is said.
    """

    code = "not_in_documents"

    def __init__(self, question: str):
        super().__init__(citations.not_found(question))


class CitedAnswer:
    """Passes an answer's events on, and knows at its end which pages it cites.

    Attributes:
        hits: the pages that the model gets; there before its first word.
        citations: of the answer; complete once the stream has ended.
    """

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        self.citations: list[Citation] = []

    async def of(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        """The same events; before the last one the page that the answer leans on, if it has named none."""
        text = ""
        try:
            async for event in events:
                if isinstance(event, TextDelta):
                    text += event.text
                if isinstance(event, Finished) and (added := self._end(text, event)):
                    yield TextDelta(added)
                yield event
        except NothingFound as nothing:
            yield TextDelta(str(nothing))
            yield Finished("stop", Usage(0, 0, 0), Timing())
        finally:
            await events.aclose()

    def _end(self, text: str, finished: Finished) -> str:
        if citations.is_refusal(text) or finished.reason == "tool_calls":
            return ""  # it leans on nothing
        self.citations = citations.cited(text, self.hits)
        if self.citations or is_beyond(text) or not (best := citations.best_supported(text, self.hits)):
            return ""
        self.citations = [best]
        between = "" if not text or re.search(r"\s$", text) else " "
        return between + citations.written(best.file, best.page)

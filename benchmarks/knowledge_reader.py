"""Answers from a collection by an engine without a model: which pages they cite, and what is refused.

The engine does with the pages that it is given what a rule can: it takes the one that has most of the question's words,
says the line of it that has most of them, and cites that page as the prompt asks. It never refuses by itself: what is
refused, finding refuses. So this shows what finding, the prompt and the reading of citations make of an engine that does
as it is told, and nothing of how a model reads.
"""

import re
import statistics
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.knowledge_corpus import Fact
from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.knowledge import citations
from qwen_demo.knowledge.knowledge import LOCAL, Knowledge
from qwen_demo.knowledge.words import asked_words, words_of
from qwen_demo.media import MediaLoader
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import ChatRequest, Event, Message, Sampling, Text, TextDelta

COLLECTION = "corpus"
TOP_K = 3
_PAGE = re.compile(r"^(\[[^\]\n]+, page \d+\])\n", re.MULTILINE)


class Reader(ScriptedEngine):
    """Answers from the pages that stand before the question.

    Args:
        cites: whether it names the page itself, or leaves that to the program.
    """

    def __init__(self, *, cites: bool):
        super().__init__()
        self._cites = cites

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        self.script = Script([self._said(request)])
        async for event in super().stream(request):
            yield event

    def _said(self, request: ChatRequest) -> str:
        *given, question = [part.text for part in request.messages[-1].parts if isinstance(part, Text)]
        asked = set(asked_words(question))
        _, *pieces = _PAGE.split("".join(given[:-1]))
        pages = list(zip(pieces[::2], pieces[1::2], strict=True))
        name, text = max(pages, key=lambda page: len(asked & set(words_of(" ".join(page)))))
        line = max(text.splitlines(), key=lambda each: len(asked & set(words_of(each))))
        return f"{line} {name}" if self._cites else line


async def answered(
    folder: Path, facts: Sequence[Fact], nowhere: Sequence[str], beside: Sequence[str], *, cites: bool
) -> dict[str, Any]:
    """Rates of one engine over the collection `COLLECTION` in `folder`.

    Args:
        nowhere: questions about what is on no page.
        beside: questions whose subject is there and whose answer is not.
    """
    engine = Reader(cites=cites)
    settings = Settings(knowledge_dir=folder, warmup=False, canary_s=0)
    service = Service(settings, engine)
    loader = MediaLoader.of(settings)
    knowledge = Knowledge(settings, loader, service)
    service.start()
    await service.loaded()
    try:
        right, wrong = [], []
        for fact in facts:
            _, cited = await asked(knowledge, fact.question)
            places = [(each.file, each.page) for each in cited]
            right.append(places == [(fact.file, fact.page)])
            wrong.append(bool(places) and not right[-1])
        refused = [citations.is_refusal((await asked(knowledge, each))[0]) for each in nowhere]
        refused_beside = [citations.is_refusal((await asked(knowledge, each))[0]) for each in beside]
    finally:
        await knowledge.close()
        await service.close()
        await loader.aclose()
    return {
        "cites_the_right_page_alone": statistics.fmean(right),
        "cites_another_page": statistics.fmean(wrong),
        "refused": statistics.fmean(refused),
        "refused_beside": statistics.fmean(refused_beside),
    }


async def asked(knowledge: Knowledge, question: str) -> tuple[str, list[citations.Citation]]:
    async def making() -> ChatRequest:
        return ChatRequest((Message("user", (Text(question),)),), Sampling(256))

    events, cited = knowledge.answer(LOCAL, COLLECTION, TOP_K, making(), "api")
    text = "".join([event.text async for event in events if isinstance(event, TextDelta)])
    return text, cited.citations

"""`[file, page]` in an answer: written into the prompt, read out of the answer, and where it lacks them, added. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from qwen_demo.knowledge.finding import Hit
from qwen_demo.knowledge.words import asked_words, words_of
from qwen_demo.media import Passage

_CITATION = re.compile(r"\[([^\[\]\n]{1,240}?),\s*(?:page|p\.|第)?\s*(\d{1,6})\s*(?:页|頁)?\]", re.IGNORECASE)
NOT_FOUND = "This is not in your documents."
NOT_FOUND_ZH = "您的文档中没有这方面的内容。"
_REFUSALS = re.compile(r"^\W*(this is )?not in (your|the) documents|文档中没有", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Citation:
    """A page that an answer leans on, and the passages that it is about."""

    file: str
    page: int
    marked: tuple[Passage, ...]
    page_id: int = 0

    @property
    def text(self) -> str:
        return "\n".join(passage.told for passage in self.marked)

    @property
    def boxes(self) -> list[list[float]]:
        return [list(passage.box) for passage in self.marked if passage.box]


def written(file: str, page: int) -> str:
    return f"[{file}, page {page}]"


def not_found(question: str) -> str:
    """In the language of the question."""
    return NOT_FOUND_ZH if re.search(r"[\u4e00-\u9fff]", question) else NOT_FOUND


def is_refusal(answer: str) -> bool:
    return bool(_REFUSALS.search(answer[:200]))


def cited(answer: str, hits: Sequence[Hit]) -> list[Citation]:
    """The pages that an answer names, in its order, of those that it was given; what it makes up is none."""
    found: dict[tuple[str, int], Citation] = {}
    for name, number in _CITATION.findall(answer):
        for hit in hits:
            page = hit.page
            if page.number == int(number) and name.strip() in (page.file, page.file.rpartition("/")[2]):
                found.setdefault((page.file, page.number), _citation(hit, answer))
    return list(found.values())


def best_supported(answer: str, hits: Sequence[Hit]) -> Citation | None:
    """The page on which most of the answer stands; the best one that was found where that does not tell."""
    words = set(asked_words(answer))
    if not hits:
        return None
    own = [len(words & {w for passage in hit.page.passages for w in words_of(passage.text)}) for hit in hits]
    return _citation(hits[own.index(max(own))] if max(own) > own[0] + 1 else hits[0], answer)


def _citation(hit: Hit, answer: str) -> Citation:
    """Its passages that were found; of these the one first that has most of the answer's words."""
    words = set(asked_words(_CITATION.sub(" ", answer)))
    marked = sorted(hit.marked, key=lambda passage: -len(words & set(words_of(passage.text))))
    return Citation(hit.page.file, hit.page.number, tuple(marked), hit.page.id)

"""Pages by the words of a question: BM25 in two steps, so that a search takes as long in a large collection. Blocking.

Rare words of the question name the candidates; words that stand on more than `MANY` pages only choose among them. The
best of the candidates are then scored by all words exactly (Okapi BM25: Robertson and Zaragoza, 2009). How much of the
question's weight a page covers says whether it is about it at all: that is how "not in your documents" is known.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.entries import StoredPage
from qwen_demo.knowledge.words import asked_words, words_of
from qwen_demo.media import Passage

K1, B = 1.2, 0.75
MANY = 1_500  # pages; a word on more is common
SCORED = 64  # candidates that are scored exactly
# A word that is nowhere may be another word for what is there; a number that is nowhere is not there.
UNKNOWN_WEIGHT = 0.5
MOST_MARKED = 6  # passages of a page
MARKED_SHARE = 0.5  # of the best passage's score


@dataclass(frozen=True, slots=True)
class Hit:
    """A page that was found.

    Attributes:
        score: from 0 to 1, higher is better; of one question, comparable between pages.
        coverage: part of the question's weight that stands on the page, from 0 to 1.
        marked: the passages that answer best, best first.
    """

    page: StoredPage
    score: float
    coverage: float
    marked: tuple[Passage, ...]

    @property
    def text(self) -> str:
        return "\n".join(passage.told for passage in self.marked)


class Weights:
    """How much each word of a question says, in one collection.

    Attributes:
        found: pages with the word, at most `MANY` + 1 of them, by word.
    """

    def __init__(self, collection: Collection, words: Sequence[str]):
        self.count, total = collection.counts()
        self.mean_words = max(1.0, total / max(1, self.count))
        with collection.lock:
            self._last = collection.database.execute("SELECT coalesce(max(id), 0) FROM pages").fetchone()[0]
            self.found = {word: _pages(collection, _quoted(word), MANY + 1) for word in words}
        self.words = list(words)

    def idf(self, word: str) -> float:
        pages = len(self.found[word])
        if pages > MANY:
            # Pages come in the order in which they were added: how far the first of them reach tells how many there are.
            pages = min(self.count, pages * self._last // max(1, self.found[word][-1]))
        return math.log(1 + (self.count - pages + 0.5) / (pages + 0.5))

    def weight(self, word: str) -> float:
        """For coverage."""
        known = self.found[word] or any(c.isdigit() for c in word)
        return self.idf(word) * (1 if known else UNKNOWN_WEIGHT)


def find(collection: Collection, question: str, top_k: int) -> list[Hit]:
    """The best pages, best first; none where no word of the question is anywhere."""
    weights = Weights(collection, asked_words(question))
    candidates = _candidates(collection, weights)
    scored = sorted(
        ((_score(collection, page, weights), page) for page in candidates), key=lambda each: (-each[0], each[1])
    )
    hits = [hit for score, page in scored[:top_k] if (hit := hit_of(collection, page, score, weights))]
    return hits


def _candidates(collection: Collection, weights: Weights) -> list[int]:
    """Ids of pages, at most `SCORED`."""
    found = {word: pages for word, pages in weights.found.items() if pages}
    rare = {word: pages for word, pages in found.items() if len(pages) <= MANY}
    votes: Counter[int] = Counter()
    for word, pages in rare.items():
        idf = weights.idf(word)
        for page in pages:
            votes[page] += idf  # type: ignore[assignment]  # a counter of weights
    common = sorted((word for word in found if word not in rare), key=weights.idf, reverse=True)
    among = sorted(rare, key=lambda word: len(rare[word]))[:4]
    with collection.lock:
        if not rare and common:
            # Words that are common alone may be rare together.
            query = " AND ".join(map(_quoted, common[:4]))
            pages = _pages(collection, query, MANY) or [page for word in common[:2] for page in found[word]]
            votes.update(dict.fromkeys(pages, 0))
            among = common[:1]
        elif votes and len(votes) > SCORED:
            either = " OR ".join(map(_quoted, among))
            for word in common[:8]:
                idf = weights.idf(word)
                for page in _pages(collection, f"{_quoted(word)} AND ({either})", MANY):
                    votes[page] += idf  # type: ignore[assignment]
    return [page for page, _ in votes.most_common(SCORED)]


def _quoted(word: str) -> str:
    return '"' + word.replace('"', "") + '"'


def _pages(collection: Collection, query: str, most: int) -> list[int]:
    rows = collection.database.execute("SELECT rowid FROM words WHERE words MATCH ? LIMIT ?", (query, most))
    return [page for (page,) in rows]


def _score(collection: Collection, page: int, weights: Weights) -> float:
    with collection.lock:
        row = collection.database.execute("SELECT body FROM words WHERE rowid = ?", (page,)).fetchone()
    return _bm25(row[0].split(), weights) if row else 0.0


def _bm25(words: list[str], weights: Weights) -> float:
    """From 0 to 1: of what a page could have at most."""
    counts = Counter(words)
    long = K1 * (1 - B + B * len(words) / weights.mean_words)
    total = sum(weights.idf(word) * counts[word] / (counts[word] + long) for word in weights.words)
    return total / max(1e-9, sum(map(weights.idf, weights.words)))


def hit_of(collection: Collection, page: int, score: float, weights: Weights) -> Hit | None:
    """A page as what was found; None where it was removed meanwhile."""
    stored = collection.page(page)
    if stored is None:
        return None
    # Also what the file's name says.
    there = set(words_of(stored.file)) | {word for each in stored.passages for word in words_of(each.text)}
    weight = sum(map(weights.weight, weights.words))
    covered = sum(weights.weight(word) for word in weights.words if word in there) / max(1e-9, weight)
    return Hit(stored, round(score, 4), round(covered, 4), marked(stored.passages, weights))


def marked(passages: Sequence[Passage], weights: Weights) -> tuple[Passage, ...]:
    """Those that say most of what was asked; the first one where none says anything."""
    scores = []
    for index, passage in enumerate(passages):
        own = set(words_of(passage.text))
        score = sum(weights.idf(word) for word in weights.words if word in own)
        scores.append((score / (1 + 0.002 * len(passage.text)), -index, passage))
    scores.sort(key=lambda each: each[:2], reverse=True)
    best = scores[0][0] if scores else 0.0
    return tuple(each[2] for each in scores[:MOST_MARKED] if each[0] >= best * MARKED_SHARE and each[0] > 0) or tuple(
        passages[:1]
    )

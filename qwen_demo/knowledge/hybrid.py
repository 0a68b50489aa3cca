"""Pages by words, and by vectors where there is an embedding model: two rankings as one by reciprocal ranks.

Reciprocal rank fusion is Cormack, Clarke and Büttcher, 2009. Vectors are made when they are first needed, of what was
added since, so that adding waits for no other server, and one that is away costs the vectors and not the answer.
"""

import asyncio
import logging
from typing import Self

from qwen_demo.knowledge.collection import Collection, StoredPage
from qwen_demo.knowledge.embedding import Embedder, EmbeddingsAway
from qwen_demo.knowledge.finding import Hit, Weights, find, hit_of
from qwen_demo.knowledge.vectors import SqliteVectors, VectorStore
from qwen_demo.knowledge.words import asked_words
from qwen_demo.settings import Settings

RANK_OFFSET = 60  # the paper's constant
RANKED = 50  # of each ranking
CATCHING_UP = 256  # pages that get their vectors at once
# Cosines of models differ; above this one says more than that both are sentences.
NEAR = 0.86

log = logging.getLogger(__name__)


class Finder:
    """Finds pages of any collection.

    Args:
        embedder: None finds by words alone.
    """

    def __init__(self, embedder: Embedder | None):
        self._embedder = embedder

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(Embedder.of(settings))

    async def close(self) -> None:
        """Let go of connections."""
        if self._embedder:
            await self._embedder.close()

    async def find(self, collection: Collection, question: str, top_k: int) -> list[Hit]:
        """The best pages, best first."""
        most = max(top_k, RANKED) if self._embedder else top_k
        by_words = await asyncio.to_thread(find, collection, question, most)
        if self._embedder is None:
            return by_words
        try:
            near = await self._near(self._embedder, collection, question)
        except EmbeddingsAway as error:
            log.warning("pages are found by words alone: %s", error)
            return by_words[:top_k]
        return await asyncio.to_thread(_fused, collection, question, by_words, near, top_k)

    async def _near(self, embedder: Embedder, collection: Collection, question: str) -> list[tuple[int, float]]:
        store: VectorStore = await asyncio.to_thread(SqliteVectors, collection, embedder.name)
        while pages := await asyncio.to_thread(store.lacking, CATCHING_UP):
            found = await asyncio.to_thread(_pages, collection, pages)
            texts = [" ".join(passage.text for passage in page.passages) if page else "" for page in found]
            await asyncio.to_thread(store.put, pages, await embedder.embed(texts))
            if not any(found):
                break
        (vector,) = await embedder.embed([question])
        return await asyncio.to_thread(store.nearest, vector, RANKED)


def _pages(collection: Collection, pages: list[int]) -> list[StoredPage | None]:
    return [collection.page(page) for page in pages]


def _fused(
    collection: Collection, question: str, by_words: list[Hit], near: list[tuple[int, float]], top_k: int
) -> list[Hit]:
    ranks: dict[int, float] = {}
    for ranking in ([hit.page.id for hit in by_words], [page for page, _ in near]):
        for rank, page in enumerate(ranking, 1):
            ranks[page] = ranks.get(page, 0.0) + 1 / (RANK_OFFSET + rank)
    best = sorted(ranks, key=lambda page: -ranks[page])[:top_k]
    known, cosines = {hit.page.id: hit for hit in by_words}, dict(near)
    weights = Weights(collection, asked_words(question))
    top = 2 / (RANK_OFFSET + 1)
    hits = []
    for page in best:
        hit = known.get(page) or hit_of(collection, page, 0.0, weights)
        if hit:
            # Other words for the same thing cover the question as well.
            coverage = max(hit.coverage, 1.0 if cosines.get(page, 0.0) >= NEAR else 0.0)
            hits.append(Hit(hit.page, round(ranks[page] / top, 4), coverage, hit.marked))
    return hits

"""Pages by words, and by vectors where there is an embedding model: two rankings as one by reciprocal ranks.

Reciprocal rank fusion is Cormack, Clarke and Büttcher, 2009. Vectors are made beside the answers, of what was added
since: a search waits for them a little and takes those that are there, and a model or a store that is away costs the
vectors and not the answer.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

import numpy as np

from qwen_demo.knowledge.answering import LEAST_COVERAGE
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.embedding.choosing import embedder_of
from qwen_demo.knowledge.embedding.embedder import Embedder, EmbeddingsAway
from qwen_demo.knowledge.finding import Hit, Weights, find, hit_of
from qwen_demo.knowledge.looks import Drawing, PageLooks
from qwen_demo.knowledge.making import Making
from qwen_demo.knowledge.vectors.choosing import store_of
from qwen_demo.knowledge.vectors.filling import Filling
from qwen_demo.knowledge.vectors.sqlite import SqliteStore
from qwen_demo.knowledge.vectors.store import Vectors, VectorsAway, VectorStore, drop
from qwen_demo.knowledge.words import asked_words
from qwen_demo.settings import Settings

RANK_OFFSET = 60  # the paper's constant
RANKED = 50  # of each ranking
PATIENCE_S = 3.0  # that a search waits for vectors of what was just added
ANSWERS_WITHIN_S = 10.0  # that it waits for its own vector: a model may be loading, or be downloaded
NEAR = 0.84  # for multilingual-e5-small, see docs/knowledge.md

T = TypeVar("T")
log = logging.getLogger(__name__)


class Finder:
    """Finds pages of any collection. Belongs to one event loop.

    Args:
        embedder: None finds by words alone.
        store: where vectors lie.
        looks: finds pages by how they look, too.
        near: cosine from which on a page is taken to be about the question, whatever its words.
        patience_s: how long a search waits for vectors that are missing.
        answers_within_s: how long for its own.
    """

    def __init__(
        self,
        embedder: Embedder | None,
        store: VectorStore | None = None,
        looks: PageLooks | None = None,
        *,
        near: float = NEAR,
        patience_s: float = PATIENCE_S,
        answers_within_s: float = ANSWERS_WITHIN_S,
    ):
        self._embedder, self._store, self._looks = embedder, store or SqliteStore(), looks
        self._near_from, self._patience_s, self._answers_within_s = near, patience_s, answers_within_s
        self._asked: set[asyncio.Task[Any]] = set()
        self._filling = Filling(embedder, self._store) if embedder else None
        self._making = Making(self._fill)

    @classmethod
    def of(cls, settings: Settings, draw: Drawing) -> Self:
        """Raises `SettingsError`."""
        looks = PageLooks.of(settings, draw)
        return cls(embedder_of(settings), store_of(settings), looks, near=settings.embedding_near)

    async def close(self) -> None:
        """Let go of connections; vectors that are being made are made at the next search."""
        await self._making.close()
        for task in self._asked:
            task.cancel()
        await asyncio.gather(*self._asked, return_exceptions=True)
        if self._looks:
            await self._looks.close()
        if self._embedder:
            await self._embedder.close()
        await asyncio.to_thread(self._store.close)

    async def find(self, collection: Collection, question: str, top_k: int) -> list[Hit]:
        """The best pages, best first."""
        alone = self._embedder is None and self._looks is None
        by_words = await asyncio.to_thread(find, collection, question, top_k if alone else max(top_k, RANKED))
        if alone:
            return by_words
        near, alike = await asyncio.gather(self._near(collection, question), self._alike(collection, question))
        if not near and not alike:
            return by_words[:top_k]
        return await asyncio.to_thread(self._fused, collection, question, by_words, [near, alike], top_k)

    async def _near(self, collection: Collection, question: str) -> list[tuple[int, float]]:
        """By vectors; nothing where those who make and keep them are away."""
        if self._embedder is None:
            return []
        try:
            return await self._by_vectors(self._embedder, collection, question)
        except (EmbeddingsAway, VectorsAway) as error:
            log.warning("pages are found without vectors: %s", error)
            return []

    async def _alike(self, collection: Collection, question: str) -> list[tuple[int, float]]:
        """By their looks; nothing where the model of page images is away, or takes too long."""
        if self._looks is None:
            return []
        self._looks.making.begin(collection)
        try:
            return await self._in_time(self._looks.near(collection, question, RANKED))
        except EmbeddingsAway as error:
            log.warning("pages are found without their looks: %s", error)
            return []

    async def _by_vectors(self, embedder: Embedder, collection: Collection, question: str) -> list[tuple[int, float]]:
        await self._making.wait(collection, self._patience_s)
        (vector,) = await self._in_time(embedder.embed([question], "question"))
        return await asyncio.to_thread(self._nearest, collection, embedder.name, vector)

    async def _in_time(self, asking: Coroutine[Any, Any, T]) -> T:
        """Raises `EmbeddingsAway` also where it takes too long; a model that is loading goes on with that."""
        asked = asyncio.create_task(asking)
        self._asked.add(asked)
        asked.add_done_callback(self._answered)
        done, _ = await asyncio.wait([asked], timeout=self._answers_within_s)
        if not done:
            raise EmbeddingsAway("The model of embeddings takes too long; it may be loading.")
        return asked.result()

    def _answered(self, task: asyncio.Task[Any]) -> None:
        self._asked.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it

    def _nearest(self, collection: Collection, model: str, vector: np.ndarray) -> list[tuple[int, float]]:
        return Vectors(collection, self._store, model).nearest(vector, RANKED)

    def embed(self, collection: Collection) -> asyncio.Task[None]:
        """Have the vectors made that are missing, and pages looked at, where a model does that.

        The task of the vectors raises `EmbeddingsAway` or `VectorsAway`.
        """
        if self._looks:
            self._looks.making.begin(collection)
        return self._making.begin(collection)

    async def _fill(self, collection: Collection) -> None:
        if self._filling:
            await self._filling.fill(collection)

    async def tidy(self, collection: Collection) -> None:
        """Take vectors of removed pages out of the store; a store that is away is told at the next search."""
        if self._embedder:
            with contextlib.suppress(VectorsAway):
                await asyncio.to_thread(lambda name: Vectors(collection, self._store, name).tidy(), self._embedder.name)

    async def forget(self, collection: Collection) -> None:
        """Before a collection goes. Raises `VectorsAway`, and then it should stay."""
        await self._making.stop(collection)
        if self._looks:
            await self._looks.making.stop(collection)
        await asyncio.to_thread(drop, collection, self._store)

    def _fused(
        self,
        collection: Collection,
        question: str,
        by_words: list[Hit],
        others: list[list[tuple[int, float]]],
        top_k: int,
    ) -> list[Hit]:
        """`others`: by vectors, and by looks; either may be empty."""
        near, alike = others
        ranks: dict[int, float] = {}
        # Pages with few of the question's words would outvote those that say the same in others.
        telling = [hit for hit in by_words if not near or hit.coverage >= LEAST_COVERAGE]
        for ranking in ([hit.page.id for hit in telling], [page for page, _ in near], [page for page, _ in alike]):
            for rank, page in enumerate(ranking, 1):
                ranks[page] = ranks.get(page, 0.0) + 1 / (RANK_OFFSET + rank)
        best = sorted(ranks, key=lambda page: -ranks[page])[:top_k]
        known, cosines = {hit.page.id: hit for hit in by_words}, dict(near)
        weights = Weights(collection, asked_words(question))
        top = (1 + bool(near) + bool(alike)) / (RANK_OFFSET + 1)
        hits = []
        for page in best:
            hit = known.get(page) or hit_of(collection, page, 0.0, weights)
            if hit:
                # Other words for the same thing cover the question as well.
                coverage = max(hit.coverage, 1.0 if cosines.get(page, 0.0) >= self._near_from else 0.0)
                hits.append(Hit(hit.page, round(ranks[page] / top, 4), coverage, hit.marked))
        return hits

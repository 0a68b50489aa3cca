"""Pages by words, and by vectors where there is an embedding model: two rankings as one by reciprocal ranks.

Reciprocal rank fusion is Cormack, Clarke and Büttcher, 2009. Vectors are made beside the answers, of what was added
since: a search waits for them a little and takes those that are there, and a model or a store that is away costs the
vectors and not the answer.
"""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Self

import numpy as np

from qwen_demo.errors import QwenDemoError
from qwen_demo.knowledge.answering import LEAST_COVERAGE
from qwen_demo.knowledge.collection import Collection, StoredPage
from qwen_demo.knowledge.embedding.choosing import embedder_of
from qwen_demo.knowledge.embedding.embedder import Embedder, EmbeddingsAway
from qwen_demo.knowledge.finding import Hit, Weights, find, hit_of
from qwen_demo.knowledge.vectors.choosing import store_of
from qwen_demo.knowledge.vectors.sqlite import SqliteStore
from qwen_demo.knowledge.vectors.store import Vectors, VectorsAway, VectorStore
from qwen_demo.knowledge.words import asked_words
from qwen_demo.settings import Settings

RANK_OFFSET = 60  # the paper's constant
RANKED = 50  # of each ranking
CATCHING_UP = 32  # pages that get their vectors at once
PATIENCE_S = 3.0  # that a search waits for vectors of what was just added
ANSWERS_WITHIN_S = 10.0  # that it waits for its own vector: a model may be loading, or be downloaded
NEAR = 0.84  # for multilingual-e5-small, see docs/knowledge.md

log = logging.getLogger(__name__)


class Finder:
    """Finds pages of any collection. Belongs to one event loop.

    Args:
        embedder: None finds by words alone.
        store: where vectors lie.
        near: cosine from which on a page is taken to be about the question, whatever its words.
        patience_s: how long a search waits for vectors that are missing.
        answers_within_s: how long for its own.
    """

    def __init__(
        self,
        embedder: Embedder | None,
        store: VectorStore | None = None,
        *,
        near: float = NEAR,
        patience_s: float = PATIENCE_S,
        answers_within_s: float = ANSWERS_WITHIN_S,
    ):
        self._embedder, self._store = embedder, store or SqliteStore()
        self._near_from, self._patience_s, self._answers_within_s = near, patience_s, answers_within_s
        self._asked: set[asyncio.Task[np.ndarray]] = set()
        self._making: dict[Path, asyncio.Task[None]] = {}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Raises `SettingsError`."""
        return cls(embedder_of(settings), store_of(settings), near=settings.embedding_near)

    async def close(self) -> None:
        """Let go of connections; vectors that are being made are made at the next search."""
        tasks = [*self._making.values(), *self._asked]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._embedder:
            await self._embedder.close()
        await asyncio.to_thread(self._store.close)

    async def find(self, collection: Collection, question: str, top_k: int) -> list[Hit]:
        """The best pages, best first."""
        most = max(top_k, RANKED) if self._embedder else top_k
        by_words = await asyncio.to_thread(find, collection, question, most)
        if self._embedder is None:
            return by_words
        try:
            near = await self._near(self._embedder, collection, question)
        except (EmbeddingsAway, VectorsAway) as error:
            log.warning("pages are found by words alone: %s", error)
            return by_words[:top_k]
        return await asyncio.to_thread(self._fused, collection, question, by_words, near, top_k)

    async def _near(self, embedder: Embedder, collection: Collection, question: str) -> list[tuple[int, float]]:
        making = self.embed(collection)
        done, _ = await asyncio.wait([making], timeout=self._patience_s)
        if done:
            making.result()
        vector = await self._vector(embedder, question)
        return await asyncio.to_thread(self._nearest, collection, embedder.name, vector)

    async def _vector(self, embedder: Embedder, question: str) -> np.ndarray:
        """Raises `EmbeddingsAway` also where it takes too long; a model that is loading goes on with that."""
        asked = asyncio.create_task(embedder.embed([question], "question"))
        self._asked.add(asked)
        asked.add_done_callback(self._answered)
        done, _ = await asyncio.wait([asked], timeout=self._answers_within_s)
        if not done:
            raise EmbeddingsAway("The model of embeddings takes too long; it may be loading.")
        return asked.result()[0]

    def _answered(self, task: asyncio.Task[np.ndarray]) -> None:
        self._asked.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it

    def _nearest(self, collection: Collection, model: str, vector: np.ndarray) -> list[tuple[int, float]]:
        return Vectors(collection, self._store, model).nearest(vector, RANKED)

    def embed(self, collection: Collection) -> asyncio.Task[None]:
        """Have the vectors made that are missing; the task that does is the same for everybody who asks.

        It raises `EmbeddingsAway` or `VectorsAway`.
        """
        task = self._making.get(collection.folder)
        if task is None:
            task = self._making[collection.folder] = asyncio.create_task(self._embed(collection))
            task.add_done_callback(lambda done: self._made(collection.folder, done))
        return task

    def _made(self, folder: Path, task: asyncio.Task[None]) -> None:
        self._making.pop(folder, None)
        if not task.cancelled() and (error := task.exception()) and isinstance(error, QwenDemoError):
            log.info("vectors wait for the next search: %s", error)

    async def _embed(self, collection: Collection) -> None:
        embedder = self._embedder
        if embedder is None:
            return
        vectors = await asyncio.to_thread(Vectors, collection, self._store, embedder.name)
        while pages := await asyncio.to_thread(vectors.lacking, CATCHING_UP):
            found = await asyncio.to_thread(_pages, collection, pages)
            texts = [" ".join(passage.text for passage in page.passages) if page else "" for page in found]
            await asyncio.to_thread(vectors.put, pages, await embedder.embed(texts, "passage"))

    async def tidy(self, collection: Collection) -> None:
        """Take vectors of removed pages out of the store; a store that is away is told at the next search."""
        if self._embedder:
            with contextlib.suppress(VectorsAway):
                await asyncio.to_thread(lambda name: Vectors(collection, self._store, name).tidy(), self._embedder.name)

    async def forget(self, collection: Collection) -> None:
        """Before a collection goes. Raises `VectorsAway`, and then it should stay."""
        if task := self._making.get(collection.folder):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._embedder:
            await asyncio.to_thread(lambda name: Vectors(collection, self._store, name).drop(), self._embedder.name)

    def _fused(
        self, collection: Collection, question: str, by_words: list[Hit], near: list[tuple[int, float]], top_k: int
    ) -> list[Hit]:
        ranks: dict[int, float] = {}
        # Pages with few of the question's words would outvote those that say the same in others.
        telling = [hit for hit in by_words if not near or hit.coverage >= LEAST_COVERAGE]
        for ranking in ([hit.page.id for hit in telling], [page for page, _ in near]):
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
                coverage = max(hit.coverage, 1.0 if cosines.get(page, 0.0) >= self._near_from else 0.0)
                hits.append(Hit(hit.page, round(ranks[page] / top, 4), coverage, hit.marked))
        return hits


def _pages(collection: Collection, pages: list[int]) -> list[StoredPage | None]:
    return [collection.page(page) for page in pages]

"""Vectors of a collection's pages are made here: many pages together, and by itself each that a model refuses."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.embedding.embedder import Embedder, EmbeddingsAway, TextsRefused
from qwen_demo.knowledge.unmade import IN_A_ROW
from qwen_demo.knowledge.vectors.store import Vectors, VectorStore
from qwen_demo.knowledge.vectors.windows import windows

AT_ONCE = 32  # pages


class Filling:
    """Belongs to one event loop.

    Args:
        embedder: makes the vectors.
        store: keeps them.
    """

    def __init__(self, embedder: Embedder, store: VectorStore):
        self._embedder, self._store = embedder, store
        self._tried: set[tuple[Path, int]] = set()  # pages that failed since the program started

    async def fill(self, collection: Collection) -> None:
        """All that a collection lacks.

        Raises:
            EmbeddingsAway, VectorsAway: what was made until then stays.
        """
        vectors = await asyncio.to_thread(Vectors, collection, self._store, self._embedder.name)
        failed = [page for page in await asyncio.to_thread(vectors.unmade.to_try)
                  if (collection.folder, page) not in self._tried]  # fmt: skip
        await self._one_by_one(collection, vectors, failed)
        while pages := await asyncio.to_thread(vectors.lacking, AT_ONCE):
            try:
                await self._put(collection, vectors, pages)
            except TextsRefused:
                await self._one_by_one(collection, vectors, pages)

    async def _one_by_one(self, collection: Collection, vectors: Vectors, pages: Sequence[int]) -> None:
        in_a_row = 0
        for page in pages:
            try:
                await self._put(collection, vectors, [page])
                in_a_row = 0
                await asyncio.to_thread(vectors.unmade.made, page)
            except TextsRefused as error:
                in_a_row += 1
                self._tried.add((collection.folder, page))
                await asyncio.to_thread(vectors.pass_over, page, str(error))
                if in_a_row == IN_A_ROW:
                    raise EmbeddingsAway(f"The model of embeddings fails at every page. {error}") from error

    async def _put(self, collection: Collection, vectors: Vectors, pages: Sequence[int]) -> None:
        texts = await asyncio.to_thread(_texts, collection, pages)
        rows = await self._embedder.embed([text for _, text in texts], "passage")
        await asyncio.to_thread(vectors.put, pages, [page for page, _ in texts], rows)


def _texts(collection: Collection, pages: Sequence[int]) -> list[tuple[int, str]]:
    """Each window with its page; of a page that is gone an empty one."""
    found = []
    for number in pages:
        page = collection.page(number)
        found += [(number, text) for text in windows(page.passages if page else ())]
    return found

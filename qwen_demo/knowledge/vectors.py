"""Vectors of pages, beside their words in the collection's SQLite file, and the nearest ones. Blocking.

Searched exactly, block by block, so that memory stays bounded; a collection of 100,000 pages has 77 MB of vectors of
384 numbers. Those of another model than the present one are dropped.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.schema import changing

_BLOCK = 8_192  # rows at a time
_TABLE = "CREATE TABLE IF NOT EXISTS vectors (page INTEGER PRIMARY KEY REFERENCES pages ON DELETE CASCADE, vector BLOB)"


class VectorStore(Protocol):
    """Where vectors of one collection live."""

    def lacking(self, most: int) -> list[int]:
        """Pages that have no vector yet, at most so many."""

    def put(self, pages: Sequence[int], vectors: np.ndarray) -> None:
        """Rows of length one, one for each page."""

    def nearest(self, vector: np.ndarray, most: int) -> list[tuple[int, float]]:
        """Pages and cosines, nearest first."""


class SqliteVectors:
    """In the collection's own file: a page and its vector go together.

    Args:
        model: whose vectors they are.
    """

    def __init__(self, collection: Collection, model: str):
        self._collection = collection
        with collection.lock, changing(collection.database) as database:
            database.execute(_TABLE)
            found = database.execute("SELECT value FROM meta WHERE key = 'vectors of'").fetchone()
            if found is None or found[0] != model:
                database.execute("DELETE FROM vectors")
                database.execute("INSERT OR REPLACE INTO meta VALUES ('vectors of', ?)", (model,))

    def lacking(self, most: int) -> list[int]:
        query = "SELECT id FROM pages WHERE id NOT IN (SELECT page FROM vectors) LIMIT ?"
        with self._collection.lock:
            return [page for (page,) in self._collection.database.execute(query, (most,))]

    def put(self, pages: Sequence[int], vectors: np.ndarray) -> None:
        rows = [(page, row.astype(np.float16).tobytes()) for page, row in zip(pages, vectors, strict=True)]
        with self._collection.lock, changing(self._collection.database) as database:
            # A page that was removed meanwhile has no place for its vector.
            database.executemany(
                "INSERT OR REPLACE INTO vectors SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM pages WHERE id = ?1)", rows
            )

    def nearest(self, vector: np.ndarray, most: int) -> list[tuple[int, float]]:
        best: list[tuple[int, float]] = []
        with self._collection.lock:
            cursor = self._collection.database.execute("SELECT page, vector FROM vectors")
            while rows := cursor.fetchmany(_BLOCK):
                pages = [page for page, data in rows if len(data) == 2 * len(vector)]
                if not pages:
                    continue
                packed = b"".join(data for _, data in rows if len(data) == 2 * len(vector))
                block = np.frombuffer(packed, np.float16).reshape(-1, len(vector)).astype(np.float32)
                cosines = block @ vector
                first = np.argsort(-cosines)[:most]
                best = sorted([*best, *((pages[n], float(cosines[n])) for n in first)], key=lambda each: -each[1])[
                    :most
                ]
        return best

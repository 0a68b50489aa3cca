"""Vectors beside the words, in the collection's SQLite file, searched exactly.

Block by block, so that memory stays bounded; a collection of 100,000 pages has 77 MB of vectors of 384 numbers.
"""

from collections.abc import Sequence

import numpy as np

from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.schema import changing

_BLOCK = 8_192  # rows at a time


class SqliteStore:
    """Needs no other program and no library."""

    place = "sqlite"

    def table(self, collection: Collection, name: str) -> "SqliteTable":
        return SqliteTable(collection, name)

    def close(self) -> None:
        """Collections close their files themselves."""


class SqliteTable:
    """A page and its vector go together."""

    def __init__(self, collection: Collection, name: str):
        self._collection, self._name = collection, f"vectors_{name}"

    def _make(self) -> None:
        self._collection.database.execute(
            f"CREATE TABLE IF NOT EXISTS {self._name} "
            "(page INTEGER PRIMARY KEY REFERENCES pages ON DELETE CASCADE, vector BLOB NOT NULL)"
        )

    def put(self, pages: Sequence[int], vectors: np.ndarray) -> None:
        rows = [(page, row.astype(np.float16).tobytes()) for page, row in zip(pages, vectors, strict=True)]
        with self._collection.lock, changing(self._collection.database) as database:
            self._make()
            # A page that was removed meanwhile has no place for its vector.
            database.executemany(
                f"INSERT OR REPLACE INTO {self._name} SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM pages WHERE id = ?1)",
                rows,
            )

    def remove(self, pages: Sequence[int]) -> None:
        """They went with their pages."""

    def nearest(self, vector: np.ndarray, most: int) -> list[tuple[int, float]]:
        best_pages, best = np.empty(0, np.int64), np.empty(0, np.float32)
        with self._collection.lock:
            if not self._there():
                return []
            cursor = self._collection.database.execute(f"SELECT page, vector FROM {self._name}")
            while rows := cursor.fetchmany(_BLOCK):
                pages, data = zip(*rows, strict=True)
                block = np.frombuffer(b"".join(data), np.float16).reshape(len(pages), -1).astype(np.float32)
                all_pages, cosines = np.append(best_pages, pages), np.append(best, block @ vector)
                first = np.argsort(-cosines, kind="stable")[:most]
                best_pages, best = all_pages[first], cosines[first]
        return list(zip(best_pages.tolist(), best.tolist(), strict=True))

    def _there(self) -> bool:
        query = "SELECT 1 FROM sqlite_master WHERE name = ?"
        return self._collection.database.execute(query, (self._name,)).fetchone() is not None

    def drop(self) -> None:
        with self._collection.lock, changing(self._collection.database) as database:
            database.execute(f"DROP TABLE IF EXISTS {self._name}")

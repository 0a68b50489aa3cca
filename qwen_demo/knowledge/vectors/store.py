"""What a store of vectors does for one collection, and which pages have theirs in it. Blocking.

A store keeps numbers of pages and their vectors, nothing else: no words, no names, no owner. Which model they are of and
how far they reach is in the collection's SQLite file, so that a kill between the two costs a batch that is made again.
"""

import secrets
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from qwen_demo.errors import QwenDemoError
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.schema import changing

_GONE_AT_ONCE = 1_000
# Pages go with their file; a store elsewhere hears of it by this list.
_TABLES = (
    "CREATE TABLE IF NOT EXISTS vectors_gone (page INTEGER PRIMARY KEY)",
    "CREATE TRIGGER IF NOT EXISTS vectors_go AFTER DELETE ON pages BEGIN "
    "INSERT OR IGNORE INTO vectors_gone VALUES (old.id); END",
)


class VectorsAway(QwenDemoError):
    """The store of vectors does not answer."""

    code = "vectors_away"


class VectorTable(Protocol):
    """A place for the vectors of one collection and model. Every method may raise `VectorsAway`."""

    def put(self, pages: Sequence[int], vectors: np.ndarray) -> None:
        """Rows of length one, one for each page; those of pages that have one are replaced."""

    def remove(self, pages: Sequence[int]) -> None:
        """Also of pages that have none."""

    def nearest(self, vector: np.ndarray, most: int) -> list[tuple[int, float]]:
        """Pages and cosines, nearest first."""

    def drop(self) -> None:
        """All of it, if it is there."""


class VectorStore(Protocol):
    """Gives collections their tables.

    Attributes:
        place: where it is; vectors of another place are not there.
    """

    place: str

    def table(self, collection: Collection, name: str) -> VectorTable:
        """`name`: of letters and digits, no other table's."""

    def close(self) -> None: ...


class Vectors:
    """The vectors of one collection by one model in one store.

    Page ids only ever grow and are embedded in order, so that one number tells which pages are without.

    Raises:
        VectorsAway: from every method and here, where vectors of another model lie in the store.
    """

    def __init__(self, collection: Collection, store: VectorStore, model: str):
        self._collection = collection
        self._of = f"{store.place} {model}"
        if _facts(collection).get("vectors of") != self._of:
            drop(collection, store)
            self._begin()
        self._table = store.table(collection, _facts(collection)["vectors in"])

    def _begin(self) -> None:
        made = {"vectors of": self._of, "vectors in": secrets.token_hex(16), "vectors to": 0}
        with self._collection.lock, changing(self._collection.database) as database:
            if _facts(self._collection).get("vectors of") == self._of:  # another process was first
                return
            for table in _TABLES:
                database.execute(table)
            database.execute("DELETE FROM vectors_gone")
            database.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", made.items())

    def lacking(self, most: int) -> list[int]:
        """Pages that have no vector yet, at most so many, in order."""
        query = "SELECT id FROM pages WHERE id > (SELECT value FROM meta WHERE key = 'vectors to') ORDER BY id LIMIT ?"
        with self._collection.lock:
            return [page for (page,) in self._collection.database.execute(query, (most,))]

    def put(self, pages: Sequence[int], vectors: np.ndarray) -> None:
        """`pages` as `lacking` gave them, whole."""
        self._table.put(pages, vectors)
        with self._collection.lock, changing(self._collection.database) as database:
            database.execute("UPDATE meta SET value = max(value, ?) WHERE key = 'vectors to'", (max(pages),))
            # What was removed meanwhile is to go after all.
            database.executemany(
                "INSERT OR IGNORE INTO vectors_gone SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM pages WHERE id = ?1)",
                [(page,) for page in pages],
            )

    def tidy(self) -> None:
        """Take out what belongs to pages that are gone."""
        query = "SELECT page FROM vectors_gone LIMIT ?"
        while True:
            with self._collection.lock:
                pages = [page for (page,) in self._collection.database.execute(query, (_GONE_AT_ONCE,))]
            if not pages:
                return
            self._table.remove(pages)
            with self._collection.lock, changing(self._collection.database) as database:
                database.executemany("DELETE FROM vectors_gone WHERE page = ?", [(page,) for page in pages])

    def nearest(self, vector: np.ndarray, most: int) -> list[tuple[int, float]]:
        """Pages and cosines, nearest first; `vector` of length one."""
        self.tidy()
        found = self._table.nearest(vector, most)
        if not found:
            # A store that was emptied by others gets them again.
            with self._collection.lock, changing(self._collection.database) as database:
                database.execute("UPDATE meta SET value = 0 WHERE key = 'vectors to'")
        return found


def drop(collection: Collection, store: VectorStore) -> None:
    """All vectors that the collection has in that store, by whatever model. Raises `VectorsAway`."""
    found = _facts(collection)
    if found.get("vectors of", "").startswith(f"{store.place} "):
        store.table(collection, found["vectors in"]).drop()


def _facts(collection: Collection) -> dict[str, str]:
    query = "SELECT key, value FROM meta WHERE key IN ('vectors of', 'vectors in')"
    with collection.lock:
        return dict(collection.database.execute(query))

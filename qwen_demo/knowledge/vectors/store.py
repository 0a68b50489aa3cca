"""What a store of vectors does for one collection, and which pages have theirs in it. Blocking.

A store keeps numbers and vectors, nothing else: no words, no names, no owner. A page has a vector for each window of its
words; a vector's key tells the page. Which model they are of and how far they reach is in the collection's SQLite file,
so that a kill between the two costs a batch that is made again.
"""

import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from qwen_demo.errors import QwenDemoError
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.schema import changing
from qwen_demo.knowledge.unmade import Unmade
from qwen_demo.knowledge.vectors.windows import HEAD, MOST, WIDE, WINDOW

# Vectors of other windows are made anew, as those of another model are.
_KIND = f"{MOST} windows of {WINDOW}, {WIDE}, {HEAD}"
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


def page_of(key: int) -> int:
    return key // MOST


def keys_of(page: int) -> range:
    """Of all vectors that a page may have."""
    return range(page * MOST, (page + 1) * MOST)


class VectorTable(Protocol):
    """A place for the vectors of one collection and model. Every method may raise `VectorsAway`."""

    def put(self, keys: Sequence[int], vectors: np.ndarray) -> None:
        """Rows of length one, one for each key, in the order of keys; those that are there are replaced."""

    def remove(self, pages: Sequence[int]) -> None:
        """All vectors of these pages, also of pages that have none."""

    def nearest(self, vector: np.ndarray, most: int) -> list[tuple[int, float]]:
        """Keys and cosines, nearest first."""

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
        self._of = f"{store.place} {model} {_KIND}"
        self.unmade = Unmade(collection, "vectors")
        if _facts(collection).get("vectors of") != self._of:
            drop(collection, store)
            self._begin()
            self.unmade.forget()
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

    def put(self, pages: Sequence[int], pages_of_rows: Sequence[int], vectors: np.ndarray) -> None:
        """Vectors of whole pages.

        Args:
            pages: in order.
            pages_of_rows: for each row of `vectors` the page that it is of, in the order of pages and windows.
        """
        made: Counter[int] = Counter()
        keys = []
        for page in pages_of_rows:
            keys.append(keys_of(page)[made[page]])
            made[page] += 1
        self._table.put(keys, vectors)
        self._reach(pages)

    def pass_over(self, page: int, reason: str) -> None:
        """It gets no vector now."""
        self.unmade.note(page, reason)
        self._reach([page])

    def _reach(self, pages: Sequence[int]) -> None:
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
        """Pages and the cosine of their nearest window, nearest first; `vector` of length one."""
        self.tidy()
        asked, best = 2 * most, dict[int, float]()
        while True:
            found = self._table.nearest(vector, asked)
            for key, cosine in found:
                best.setdefault(page_of(key), cosine)
            if len(best) >= most or len(found) < asked:
                break
            asked *= 4  # many windows of few pages
        if not found:
            # A store that was emptied by others gets them again.
            with self._collection.lock, changing(self._collection.database) as database:
                database.execute("UPDATE meta SET value = 0 WHERE key = 'vectors to'")
        return list(best.items())[:most]


def drop(collection: Collection, store: VectorStore) -> None:
    """All vectors that the collection has in that store, by whatever model. Raises `VectorsAway`."""
    found = _facts(collection)
    if found.get("vectors of", "").startswith(f"{store.place} "):
        store.table(collection, found["vectors in"]).drop()


def _facts(collection: Collection) -> dict[str, str]:
    query = "SELECT key, value FROM meta WHERE key IN ('vectors of', 'vectors in')"
    with collection.lock:
        return dict(collection.database.execute(query))

"""Figures of a collection's pages that nobody has looked at so far. Blocking.

A page to which lines were added is put in anew under a number of its own, so that words, vectors and looks of it are
those of the whole page, whoever makes them and when.
"""

import json
from collections.abc import Sequence

from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.schema import changing
from qwen_demo.knowledge.unmade import TRIES, Unmade
from qwen_demo.knowledge.words import indexed
from qwen_demo.media import Figure, PageText, Passage


class FigureTable:
    """Those of one collection."""

    def __init__(self, collection: Collection):
        self._collection = collection
        self.unmade = Unmade(collection, "figures")

    def pages(self, file: int) -> list[int]:
        """Pages of a file with figures to look at, by their number in it; those that failed too often are left."""
        query = (
            "SELECT id FROM pages p WHERE file = ?1 AND EXISTS (SELECT 1 FROM figures WHERE page = p.id) "
            "AND NOT EXISTS (SELECT 1 FROM unmade WHERE what = 'figures' AND page = p.id AND tries >= ?2) "
            "ORDER BY number"
        )
        with self._collection.lock:
            return [page for (page,) in self._collection.database.execute(query, (file, TRIES))]

    def of(self, page: int) -> list[Figure]:
        query = "SELECT box, is_table FROM figures WHERE page = ? ORDER BY id"
        with self._collection.lock:
            rows = list(self._collection.database.execute(query, (page,)))
        return [Figure(tuple(json.loads(box)), bool(table)) for box, table in rows]

    def told(self, page: int, lines: Sequence[Passage]) -> None:
        """All figures of a page were looked at; nothing of a page that is gone."""
        collection, database = self._collection, self._collection.database
        with collection.lock, changing(database):
            stored = collection.page(page)
            if stored is None:
                return
            if not lines:
                database.execute("DELETE FROM figures WHERE page = ?", (page,))
                return
            problem, words = database.execute("SELECT problem, words FROM pages WHERE id = ?", (page,)).fetchone()
            database.execute("DELETE FROM words WHERE rowid = ?", (page,))
            database.execute("DELETE FROM pages WHERE id = ?", (page,))
            collection.count_more(-1, -words)
            whole = PageText(stored.number, (*stored.passages, *lines), problem)
            collection.insert_page(stored.file_id, whole, indexed(stored.file, whole))

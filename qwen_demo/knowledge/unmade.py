"""Pages of which something could not be made, such as their vector: why, and how often it was tried. Blocking.

One page that a model fails at must cost that page alone: it is noted here, what comes after it goes on, and it is tried
again when the program starts anew, until that has failed `TRIES` times.
"""

from typing import Literal

from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.schema import changing

TRIES = 3
# So many one after the other are no fault of the pages: the model is left alone.
IN_A_ROW = 3
_MOST_REASON = 300  # characters

What = Literal["look", "vectors", "figures"]


class Unmade:
    """The pages of one collection that lack one thing."""

    def __init__(self, collection: Collection, what: What):
        self._collection, self._what = collection, what

    def note(self, page: int, reason: str) -> None:
        """One more try that failed; nothing of a page that is gone."""
        with self._collection.lock, changing(self._collection.database) as database:
            database.execute(
                "INSERT INTO unmade SELECT ?1, ?2, 1, ?3 WHERE EXISTS (SELECT 1 FROM pages WHERE id = ?2) "
                "ON CONFLICT (what, page) DO UPDATE SET tries = tries + 1, reason = excluded.reason",
                (self._what, page, reason[:_MOST_REASON]),
            )

    def to_try(self) -> list[int]:
        """Pages that failed less than `TRIES` times, in order."""
        query = "SELECT page FROM unmade WHERE what = ? AND tries < ? ORDER BY page"
        with self._collection.lock:
            return [page for (page,) in self._collection.database.execute(query, (self._what, TRIES))]

    def made(self, page: int) -> None:
        """It is there after all."""
        self._drop(" AND page = ?", page)

    def forget(self) -> None:
        """Another model has not failed yet."""
        self._drop("")

    def _drop(self, which: str, *values: int) -> None:
        with self._collection.lock, changing(self._collection.database) as database:
            database.execute(f"DELETE FROM unmade WHERE what = ?{which}", (self._what, *values))

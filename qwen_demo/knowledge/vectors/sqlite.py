"""Vectors beside the words, in the collection's SQLite file, all of them looked at in each search.

They lie in blocks, each of one file, so that they go with it; a number is a byte, with a scale for each vector, which
moves a cosine by less than 0.002. A collection of 100,000 pages has 40 MB of vectors of 384 numbers, and a search reads
them piece by piece, so that memory stays bounded.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np

from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.schema import changing

# Multiplied at a time. With more, BLAS starts threads, which on a busy machine take ten times as long as one.
_ROWS = 400
_LEVELS = 127


class SqliteStore:
    """Needs no other program and no library."""

    place = "sqlite"

    def table(self, collection: Collection, name: str) -> "SqliteTable":
        return SqliteTable(collection, name)

    def close(self) -> None:
        """Collections close their files themselves."""


class SqliteTable:
    def __init__(self, collection: Collection, name: str):
        self._collection, self._name = collection, f"vectors_{name}"

    def _make(self) -> None:
        """Inside a transaction."""
        run = self._collection.database.execute
        run(
            f"CREATE TABLE IF NOT EXISTS {self._name} (id INTEGER PRIMARY KEY, last INTEGER NOT NULL, "
            "file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE, pages BLOB, scales BLOB, vectors BLOB)"
        )
        run(f"CREATE INDEX IF NOT EXISTS {self._name}_file ON {self._name} (file, last)")

    def put(self, pages: Sequence[int], vectors: np.ndarray) -> None:
        scales = np.maximum(np.abs(vectors).max(1), 1e-9).astype(np.float32) / _LEVELS
        levels = np.rint(vectors / scales[:, None]).astype(np.int8)
        places = {page: place for place, page in enumerate(pages)}
        with self._collection.lock, changing(self._collection.database):
            self._make()
            for file, own in groupby(self._files_of(pages), key=lambda each: each[1]):
                # Those that were removed meanwhile are not among them.
                kept = [page for page, _ in own]
                rows = [places[page] for page in kept]
                self._insert(file, np.array(kept, np.int64), scales[rows], levels[rows])

    def _files_of(self, pages: Sequence[int]) -> list[tuple[int, int]]:
        query = "SELECT id, file FROM pages WHERE id = ?"
        found = (self._collection.database.execute(query, (page,)).fetchone() for page in pages)
        return sorted((each for each in found if each), key=lambda each: (each[1], each[0]))

    def _insert(self, file: int, pages: np.ndarray, scales: np.ndarray, levels: np.ndarray) -> None:
        """One block; of a batch that is made again, the old one goes."""
        run = self._collection.database.execute
        query = f"SELECT id, pages FROM {self._name} WHERE file = ? AND last >= ?"
        for block, known in run(query, (file, int(pages[0]))).fetchall():
            if np.isin(np.frombuffer(known, np.int64), pages).any():
                run(f"DELETE FROM {self._name} WHERE id = ?", (block,))
        run(
            f"INSERT INTO {self._name} (last, file, pages, scales, vectors) VALUES (?, ?, ?, ?, ?)",
            (int(pages[-1]), file, pages.tobytes(), scales.tobytes(), levels.tobytes()),
        )

    def remove(self, pages: Sequence[int]) -> None:
        """They went with their file."""

    def nearest(self, vector: np.ndarray, most: int) -> list[tuple[int, float]]:
        best_pages, best = np.empty(0, np.int64), np.empty(0, np.float32)
        with self._collection.lock:
            if not self._there():
                return []
            cursor = self._collection.database.execute(f"SELECT pages, scales, vectors FROM {self._name}")
            for blocks in _pieces(cursor, len(vector)):
                pages, scales, levels = (b"".join(each) for each in zip(*blocks, strict=True))
                rows = np.frombuffer(levels, np.int8).reshape(-1, len(vector))
                cosines = (rows.astype(np.float32) @ vector) * np.frombuffer(scales, np.float32)
                best_pages = np.append(best_pages, np.frombuffer(pages, np.int64))
                best = np.append(best, cosines)
                if len(best) > most:
                    first = np.argpartition(-best, most)[:most]
                    best_pages, best = best_pages[first], best[first]
        order = np.argsort(-best, kind="stable")
        return list(zip(best_pages[order].tolist(), best[order].tolist(), strict=True))

    def _there(self) -> bool:
        query = "SELECT 1 FROM sqlite_master WHERE name = ?"
        return self._collection.database.execute(query, (self._name,)).fetchone() is not None

    def drop(self) -> None:
        with self._collection.lock, changing(self._collection.database) as database:
            database.execute(f"DROP TABLE IF EXISTS {self._name}")


def _pieces(cursor: Iterable[tuple[bytes, bytes, bytes]], width: int) -> Iterator[list[tuple[bytes, bytes, bytes]]]:
    """Blocks, with so many rows together that no more is multiplied at once than one block has or `_ROWS`."""
    piece: list[tuple[bytes, bytes, bytes]] = []
    rows = 0
    for block in cursor:
        more = len(block[2]) // width
        if piece and rows + more > _ROWS:
            yield piece
            piece, rows = [], 0
        piece.append(block)
        rows += more
    if piece:
        yield piece

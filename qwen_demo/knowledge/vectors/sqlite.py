"""Vectors beside the words, in the collection's SQLite file, all of them looked at in each search.

They lie in blocks, each of one file, so that they go with it; a number is a byte, with a scale for each vector, which
moves a cosine by less than 0.002. A collection of 100,000 pages has 40 MB of vectors of 384 numbers, and a search reads
them piece by piece, so that memory stays bounded.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.schema import changing
from qwen_demo.knowledge.vectors.store import page_of

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
            "file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE, keys BLOB, scales BLOB, vectors BLOB)"
        )
        run(f"CREATE INDEX IF NOT EXISTS {self._name}_file ON {self._name} (file, last)")

    def put(self, keys: Sequence[int], vectors: np.ndarray) -> None:
        scales = np.maximum(np.abs(vectors).max(1), 1e-9).astype(np.float32) / _LEVELS
        levels = np.rint(vectors / scales[:, None]).astype(np.int8)
        with self._collection.lock, changing(self._collection.database):
            self._make()
            for file, rows in self._rows_of_files(keys).items():
                self._insert(file, np.array([keys[row] for row in rows], np.int64), scales[rows], levels[rows])

    def _rows_of_files(self, keys: Sequence[int]) -> dict[int, list[int]]:
        """Places of keys by the file of their page; those that were removed meanwhile are not among them."""
        query = "SELECT file FROM pages WHERE id = ?"
        files = {page: self._collection.database.execute(query, (page,)).fetchone() for page in map(page_of, keys)}
        found: dict[int, list[int]] = {}
        for row, key in enumerate(keys):
            if file := files[page_of(key)]:
                found.setdefault(file[0], []).append(row)
        return found

    def _insert(self, file: int, keys: np.ndarray, scales: np.ndarray, levels: np.ndarray) -> None:
        """One block; of a batch that is made again, the old one goes."""
        run = self._collection.database.execute
        query = f"SELECT id, keys FROM {self._name} WHERE file = ? AND last >= ?"
        for block, known in run(query, (file, int(keys[0]))).fetchall():
            if np.isin(np.frombuffer(known, np.int64), keys).any():
                run(f"DELETE FROM {self._name} WHERE id = ?", (block,))
        run(
            f"INSERT INTO {self._name} (last, file, keys, scales, vectors) VALUES (?, ?, ?, ?, ?)",
            (int(keys[-1]), file, keys.tobytes(), scales.tobytes(), levels.tobytes()),
        )

    def remove(self, pages: Sequence[int]) -> None:
        """They went with their file."""

    def nearest(self, vector: np.ndarray, most: int) -> list[tuple[int, float]]:
        best_keys, best = np.empty(0, np.int64), np.empty(0, np.float32)
        with self._collection.lock:
            if not self._there():
                return []
            cursor = self._collection.database.execute(f"SELECT keys, scales, vectors FROM {self._name}")
            for blocks in _pieces(cursor, len(vector)):
                keys, scales, levels = (b"".join(each) for each in zip(*blocks, strict=True))
                rows = np.frombuffer(levels, np.int8).reshape(-1, len(vector))
                cosines = (rows.astype(np.float32) @ vector) * np.frombuffer(scales, np.float32)
                best_keys = np.append(best_keys, np.frombuffer(keys, np.int64))
                best = np.append(best, cosines)
                if len(best) > most:
                    first = np.argpartition(-best, most)[:most]
                    best_keys, best = best_keys[first], best[first]
        order = np.argsort(-best, kind="stable")
        return list(zip(best_keys[order].tolist(), best[order].tolist(), strict=True))

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

"""Vectors in LanceDB: embedded, in files beside the collection, or on object storage. Needs the package `lancedb`."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from qwen_demo.errors import SettingsError
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.vectors.store import VectorsAway
from qwen_demo.knowledge.vectors.windows import MOST

FOLDER = "vectors.lance"
# Each batch is a fragment of its own until they are put together.
FRAGMENTS = 32
# What was removed or replaced lies in older versions until these go. Who still reads one is told that the store is away.
OLD = timedelta(milliseconds=1)


class LanceStore:
    """Args:
        url: a folder, or s3://, gs:// or az:// with a prefix, for all collections; "" is each collection's own folder.

    Raises:
        SettingsError: the package is not there.
    """

    def __init__(self, url: str = ""):
        try:
            import lancedb  # noqa: F401  told at start, not at the first search
        except ImportError as error:
            raise SettingsError("--vector-store lancedb needs a package: pip install '.[lancedb]'.") from error
        self._url = url
        self.place = f"lancedb:{url}"

    def table(self, collection: Collection, name: str) -> "LanceTable":
        return LanceTable(self._url or str(collection.folder / FOLDER), name)

    def close(self) -> None:
        """Nothing is held open between calls."""


class LanceTable:
    def __init__(self, url: str, name: str):
        self._url, self._name = url, f"pages_{name}"

    def put(self, keys: Sequence[int], vectors: np.ndarray) -> None:
        import pyarrow as pa

        width = vectors.shape[1]
        values = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
        rows = pa.table({"key": pa.array(keys, pa.int64()), "vector": pa.FixedSizeListArray.from_arrays(values, width)})
        with _away():
            table = self._connected().create_table(self._name, schema=rows.schema, exist_ok=True)
            table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all().execute(rows)
            if table.stats()["fragment_stats"]["num_fragments"] > FRAGMENTS:
                table.optimize(cleanup_older_than=OLD)

    def remove(self, pages: Sequence[int]) -> None:
        with _away():
            if table := self._opened():
                table.delete(f"key / {MOST} IN ({', '.join(str(int(page)) for page in pages)})")
                table.optimize()
                time.sleep(2 * OLD.total_seconds())  # that the versions before are old, those of `optimize` as well
                table.optimize(cleanup_older_than=OLD)

    def nearest(self, vector: np.ndarray, most: int) -> list[tuple[int, float]]:
        with _away():
            table = self._opened()
            if table is None:
                return []
            found = table.search(vector).distance_type("cosine").select(["key", "_distance"]).limit(most).to_arrow()
        keys, distances = found["key"].to_pylist(), found["_distance"].to_pylist()
        return [(key, 1 - distance) for key, distance in zip(keys, distances, strict=True)]

    def drop(self) -> None:
        with _away():
            self._connected().drop_table(self._name, ignore_missing=True)

    def _connected(self) -> Any:
        import lancedb

        # Another process may have written since.
        return lancedb.connect(self._url, read_consistency_interval=timedelta(0))

    def _opened(self) -> Any:
        database = self._connected()
        with contextlib.suppress(ValueError):  # there is no such table
            return database.open_table(self._name)
        return None


@contextlib.contextmanager
def _away() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, OSError, ValueError) as error:  # what its Rust side raises
        raise VectorsAway(f"LanceDB cannot be read or written: {error}") from error

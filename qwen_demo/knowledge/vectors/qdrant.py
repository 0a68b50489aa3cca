"""Vectors in a Qdrant server, for more than one machine. Needs the package `qdrant-client`.

Each collection has one of its own there, so that no filter stands between owners.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from qwen_demo.errors import SettingsError
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.vectors.store import VectorsAway, keys_of

TIMEOUT_S = 20
CONFLICT = 409


class QdrantStore:
    """Args:
    client: a `qdrant_client.QdrantClient`.
    place: of the server, without its key.
    """

    def __init__(self, client: Any, place: str):
        self._client, self.place = client, f"qdrant:{place}"

    @classmethod
    def at(cls, url: str, key: str, **options: Any) -> "QdrantStore":
        """Asks nothing yet. `options` go to the client's HTTP transport.

        Raises:
            SettingsError: the package is not there, or no address was given.
        """
        if not url:
            raise SettingsError("--vector-store qdrant needs --vector-store-url, such as http://127.0.0.1:6333.")
        try:
            from qdrant_client import QdrantClient
        except ImportError as error:
            raise SettingsError("--vector-store qdrant needs a package: pip install '.[qdrant]'.") from error
        # It would ask the server for its version here and now.
        client = QdrantClient(url, api_key=key or None, timeout=TIMEOUT_S, check_compatibility=False, **options)
        return cls(client, url)

    def table(self, collection: Collection, name: str) -> "QdrantTable":
        return QdrantTable(self._client, name)

    def close(self) -> None:
        self._client.close()


class QdrantTable:
    def __init__(self, client: Any, name: str):
        self._client, self._name = client, f"qwen-demo-{name}"
        self._known = False

    def put(self, keys: Sequence[int], vectors: np.ndarray) -> None:
        from qdrant_client import models

        points = [models.PointStruct(id=key, vector=row.tolist()) for key, row in zip(keys, vectors, strict=True)]
        with _away():
            if not self._there():
                self._make(vectors.shape[1])
            self._client.upsert(self._name, points, wait=True)

    def remove(self, pages: Sequence[int]) -> None:
        from qdrant_client import models

        keys = [key for page in pages for key in keys_of(page)]
        with _away():
            if self._there():
                self._client.delete(self._name, models.PointIdsList(points=list(keys)), wait=True)

    def nearest(self, vector: np.ndarray, most: int) -> list[tuple[int, float]]:
        with _away():
            if not self._there():
                return []
            found = self._client.query_points(self._name, query=vector.tolist(), limit=most, with_payload=False)
        return [(int(point.id), float(point.score)) for point in found.points]

    def drop(self) -> None:
        with _away():
            if self._there():
                self._client.delete_collection(self._name)
        self._known = False

    def _there(self) -> bool:
        self._known = self._known or self._client.collection_exists(self._name)
        return self._known

    def _make(self, width: int) -> None:
        from qdrant_client import models
        from qdrant_client.http.exceptions import UnexpectedResponse

        try:
            self._client.create_collection(
                self._name, vectors_config=models.VectorParams(size=width, distance=models.Distance.COSINE)
            )
        except UnexpectedResponse as error:
            if error.status_code != CONFLICT:  # another process was first
                raise


@contextlib.contextmanager
def _away() -> Iterator[None]:
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ApiException

    try:
        yield
    except (ApiException, QdrantException, OSError, ValueError) as error:
        raise VectorsAway(f"Qdrant does not answer as it should: {error}") from error

"""Texts -> vectors, by any server with OpenAI's `/v1/embeddings`: another program, so no weights are held here."""

from collections.abc import Sequence

import httpx
import numpy as np

from qwen_demo.errors import QwenDemoError
from qwen_demo.settings import Settings

AT_ONCE = 64  # texts in a request
MOST_CHARACTERS = 2_000  # of a text: models read some 512 tokens
TIMEOUT_S = 20.0


class EmbeddingsAway(QwenDemoError):
    """The server of embeddings does not answer, or not in its own form."""

    code = "embeddings_away"


class Embedder:
    """One server and model.

    Args:
        url: ends in /v1.
        transport: for tests.

    Attributes:
        name: of server and model: vectors of another one are no neighbours.
    """

    def __init__(self, url: str, model: str, key: str = "", transport: httpx.AsyncBaseTransport | None = None):
        self.name = f"{url} {model}"
        self._model = model
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/") + "/", headers=headers, timeout=TIMEOUT_S, transport=transport
        )

    @classmethod
    def of(cls, settings: Settings) -> "Embedder | None":
        if not settings.embedding_url:
            return None
        key = settings.embedding_key.get_secret_value() if settings.embedding_key else ""
        return cls(settings.embedding_url, settings.embedding_model, key)

    async def close(self) -> None:
        await self._client.aclose()

    async def embed(self, texts: Sequence[str]) -> np.ndarray:
        """A row of length one for each text, float32. Raises `EmbeddingsAway`."""
        rows: list[np.ndarray] = []
        for at in range(0, len(texts), AT_ONCE):
            rows += await self._embedded([text[:MOST_CHARACTERS] or " " for text in texts[at : at + AT_ONCE]])
        made = np.stack(rows)
        return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-9)

    async def _embedded(self, texts: list[str]) -> list[np.ndarray]:
        body = {"input": texts, "encoding_format": "float"} | ({"model": self._model} if self._model else {})
        try:
            answer = await self._client.post("embeddings", json=body)
            answer.raise_for_status()
            data = sorted(answer.json()["data"], key=lambda each: each["index"])
            rows = [np.asarray(each["embedding"], dtype=np.float32) for each in data]
        except (httpx.HTTPError, ValueError, TypeError, LookupError) as error:
            raise EmbeddingsAway(f"The server of embeddings does not answer as it should: {error}") from error
        if len(rows) != len(texts) or len({row.shape for row in rows}) != 1 or rows[0].ndim != 1:
            raise EmbeddingsAway("The server of embeddings gave another number of vectors than it was sent texts.")
        return rows

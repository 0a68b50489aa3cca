"""Vectors of any server with OpenAI's `/v1/embeddings`.

Models that tell questions from passages are told which by `input_type`, as several servers take it; a server that
refuses the field is not sent it again. Where a server adds no prefixes itself, the settings name them.
"""

from collections.abc import Mapping, Sequence

import httpx
import numpy as np

from qwen_demo.knowledge.embedding.embedder import EmbeddingsAway, Kind, TextsRefused, shortened, unit_rows

AT_ONCE = 64  # texts in a request
TIMEOUT_S = 20.0
REFUSING = (400, 413, 422, 500)  # statuses that may be the fault of a text
_INPUT_TYPES = {"question": "query", "passage": "passage"}


class RemoteEmbedder:
    """One server and model.

    Args:
        url: ends in /v1.
        prefixes: put before texts of each kind.
        transport: for tests.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key: str = "",
        *,
        prefixes: Mapping[Kind, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ):
        self._prefixes = dict(prefixes or {})
        told = "".join(f" {kind}={prefix!r}" for kind, prefix in self._prefixes.items() if prefix)
        self.name = f"{url} {model}{told}"
        self._model = model
        self._tells_kind = not told
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/") + "/", headers=headers, timeout=TIMEOUT_S, transport=transport
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def embed(self, texts: Sequence[str], kind: Kind) -> np.ndarray:
        rows: list[np.ndarray] = []
        prefix = self._prefixes.get(kind, "")
        for at in range(0, len(texts), AT_ONCE):
            rows += await self._embedded([prefix + text for text in shortened(texts[at : at + AT_ONCE])], kind)
        return unit_rows(np.stack(rows))

    async def _embedded(self, texts: list[str], kind: Kind) -> list[np.ndarray]:
        try:
            answer = await self._asked(texts, kind)
            if answer.status_code in REFUSING:
                raise TextsRefused(f"The server of embeddings refuses it with status {answer.status_code}.")
            answer.raise_for_status()
            data = sorted(answer.json()["data"], key=lambda each: each["index"])
            rows = [np.asarray(each["embedding"], dtype=np.float32) for each in data]
        except (httpx.HTTPError, ValueError, TypeError, LookupError) as error:
            raise EmbeddingsAway(f"The server of embeddings does not answer as it should: {error}") from error
        if len(rows) != len(texts) or len({row.shape for row in rows}) != 1 or rows[0].ndim != 1:
            raise EmbeddingsAway("The server of embeddings gave another number of vectors than it was sent texts.")
        if not all(np.isfinite(row).all() for row in rows):
            raise TextsRefused("The server of embeddings gave vectors whose numbers are none.")
        return rows

    async def _asked(self, texts: list[str], kind: Kind) -> httpx.Response:
        body = {"input": texts, "encoding_format": "float"} | ({"model": self._model} if self._model else {})
        if not self._tells_kind:
            return await self._client.post("embeddings", json=body)
        answer = await self._client.post("embeddings", json=body | {"input_type": _INPUT_TYPES[kind]})
        if answer.status_code not in (400, 422):
            return answer
        plain = await self._client.post("embeddings", json=body)
        self._tells_kind = not plain.is_success
        return plain

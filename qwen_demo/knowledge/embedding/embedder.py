"""What turns texts into vectors, whoever does it."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from qwen_demo.errors import QwenDemoError

Kind = Literal["question", "passage"]
MOST_CHARACTERS = 2_000  # of a text: models read some 512 tokens


class EmbeddingsAway(QwenDemoError):
    """The model of embeddings does not answer, or not in its own form."""

    code = "embeddings_away"


class TextsRefused(EmbeddingsAway):
    """It is there, and fails at these texts; it may take others."""


class Embedder(Protocol):
    """Attributes:
    name: of place and model: vectors of another one are no neighbours.
    """

    name: str

    async def embed(self, texts: Sequence[str], kind: Kind) -> np.ndarray:
        """A row of length one for each text, float32. Raises `EmbeddingsAway`, or `TextsRefused`."""

    async def close(self) -> None: ...


def shortened(texts: Sequence[str]) -> list[str]:
    """As models are given them: none is empty, none much longer than is read of it."""
    return [text[:MOST_CHARACTERS] or " " for text in texts]


def unit_rows(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

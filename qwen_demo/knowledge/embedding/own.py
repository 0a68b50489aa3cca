"""Vectors of a model in a process of this program: that of a package, a folder or a hub id."""

from collections.abc import Sequence

import numpy as np

from qwen_demo.engines.embedding.process import EmbeddingProcess, EmbeddingSetup, EmbeddingsResting
from qwen_demo.errors import EngineFailed, ModelLoadError
from qwen_demo.knowledge.embedding.embedder import EmbeddingsAway, Kind, TextsRefused, shortened, unit_rows

AT_ONCE = 16  # a question waits for no more


class OwnEmbedder:
    """The process starts with the first texts."""

    def __init__(self, setup: EmbeddingSetup):
        self.name = f"own {setup.model} {setup.revision or ''}"
        self._process = EmbeddingProcess(setup)

    async def close(self) -> None:
        await self._process.close()

    async def embed(self, texts: Sequence[str], kind: Kind) -> np.ndarray:
        whole = shortened(texts)
        try:
            rows = [await self._process.embed(whole[at : at + AT_ONCE], kind) for at in range(0, len(whole), AT_ONCE)]
        except (EmbeddingsResting, ModelLoadError) as error:
            raise EmbeddingsAway(str(error)) from error
        except EngineFailed as error:
            raise TextsRefused(str(error)) from error
        return unit_rows(np.concatenate(rows))

"""Pages by words, and by vectors where there is an embedding model: two rankings as one by reciprocal ranks.

Reciprocal rank fusion is Cormack, Clarke and Büttcher, 2009. Vectors are made when they are first needed, of what was
added since, so that adding waits for no other server, and one that is away costs the vectors and not the answer.
"""

import asyncio
from typing import Self

from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.finding import Hit, find
from qwen_demo.settings import Settings


class Finder:
    """Finds pages of any collection."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls()

    async def close(self) -> None:
        """Let go of connections."""

    async def find(self, collection: Collection, question: str, top_k: int) -> list[Hit]:
        """The best pages, best first."""
        return await asyncio.to_thread(find, collection, question, top_k)

"""Pages by how they look: each as many vectors, compared with those of a question by late interaction.

A page's score is the mean, over the question's vectors, of the largest cosine that one of the page's has with it (MaxSim;
Khattab and Zaharia, 2020). All pages are looked at; a page of 700 vectors of 128 numbers takes 92 kB, so this is for
some thousand pages. It needs no words, so scans are found before or without being read.
"""

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

import numpy as np

from qwen_demo.engines.embedding.process import EmbeddingProcess, EmbeddingSetup, EmbeddingsResting
from qwen_demo.errors import EngineFailed, ModelLoadError
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.embedding.embedder import EmbeddingsAway
from qwen_demo.knowledge.entries import StoredPage
from qwen_demo.knowledge.making import Making
from qwen_demo.knowledge.schema import changing
from qwen_demo.knowledge.unmade import IN_A_ROW, Unmade
from qwen_demo.settings import Settings
from qwen_demo.types import Image

_LEVELS = 127
_PAGES = 32  # read at a time, and made at a time
_TABLE = (
    "CREATE TABLE IF NOT EXISTS page_looks (page INTEGER PRIMARY KEY REFERENCES pages ON DELETE CASCADE, "
    "rows INTEGER NOT NULL, scales BLOB NOT NULL, levels BLOB NOT NULL)"
)

Drawing = Callable[[Collection, StoredPage], Awaitable[Image | None]]


class LookTable:
    """Looks of one collection's pages, in its SQLite file. Blocking. Those of another model are dropped."""

    def __init__(self, collection: Collection, model: str):
        self._collection = collection
        with collection.lock:
            found = collection.database.execute("SELECT value FROM meta WHERE key = 'looks of'").fetchone()
        if found != (model,):
            with collection.lock, changing(collection.database) as database:
                database.execute(_TABLE)
                database.execute("DELETE FROM page_looks")
                database.executemany(
                    "INSERT OR REPLACE INTO meta VALUES (?, ?)", [("looks of", model), ("looks to", 0)]
                )
            Unmade(collection, "look").forget()

    def lacking(self, most: int) -> list[int]:
        """Pages that were not looked at, in order."""
        query = "SELECT id FROM pages WHERE id > (SELECT value FROM meta WHERE key = 'looks to') ORDER BY id LIMIT ?"
        with self._collection.lock:
            return [page for (page,) in self._collection.database.execute(query, (most,))]

    def put(self, page: int, rows: np.ndarray | None) -> None:
        """`rows`: (vectors, width), each of length one; None of a page that has no look."""
        with self._collection.lock, changing(self._collection.database) as database:
            database.execute("UPDATE meta SET value = max(value, ?) WHERE key = 'looks to'", (page,))
            if rows is not None:
                scales = np.maximum(np.abs(rows).max(1), 1e-9).astype(np.float32) / _LEVELS
                levels = np.rint(rows / scales[:, None]).astype(np.int8)
                database.execute(
                    "INSERT OR REPLACE INTO page_looks SELECT ?1, ?2, ?3, ?4 "
                    "WHERE EXISTS (SELECT 1 FROM pages WHERE id = ?1)",
                    (page, len(rows), scales.tobytes(), levels.tobytes()),
                )

    def nearest(self, question: np.ndarray, most: int) -> list[tuple[int, float]]:
        """Pages and scores, best first. `question`: (vectors, width)."""
        found: list[tuple[int, float]] = []
        with self._collection.lock:
            cursor = self._collection.database.execute("SELECT page, rows, scales, levels FROM page_looks")
            while block := cursor.fetchmany(_PAGES):
                pages, counts, scales, levels = zip(*block, strict=True)
                rows = np.frombuffer(b"".join(levels), np.int8).reshape(-1, question.shape[1]).astype(np.float32)
                cosines = (rows @ question.T) * np.frombuffer(b"".join(scales), np.float32)[:, None]
                starts = np.cumsum((0, *counts[:-1]))
                scores = np.maximum.reduceat(cosines, starts, axis=0).mean(1)
                found += zip(pages, scores.tolist(), strict=True)
        return sorted(found, key=lambda each: -each[1])[:most]


class PageLooks:
    """Finds pages by their looks. Belongs to one event loop.

    Args:
        draw: a page as an image; None where it has no look.
    """

    def __init__(self, setup: EmbeddingSetup, draw: Drawing):
        self._name = f"{setup.model} {setup.revision or ''}"
        self._process, self._draw = EmbeddingProcess(setup), draw
        self._tried: set[tuple[Path, int]] = set()  # pages that failed since the program started
        self.making = Making(self._make)

    @classmethod
    def of(cls, settings: Settings, draw: Drawing) -> Self | None:
        if not settings.page_model:
            return None
        token = settings.hf_token.get_secret_value() if settings.hf_token else None
        setup = EmbeddingSetup(
            settings.page_model, settings.page_model_revision, token, settings.embedding_threads, pages=True
        )
        return cls(setup, draw)

    async def close(self) -> None:
        await self.making.close()
        await self._process.close()

    async def near(self, collection: Collection, question: str, most: int) -> list[tuple[int, float]]:
        """Pages and scores of those that were looked at so far, best first. Raises `EmbeddingsAway`."""
        try:
            rows = await self._process.embed([question], "question")
        except (EngineFailed, ModelLoadError) as error:
            raise EmbeddingsAway(str(error)) from error
        return await asyncio.to_thread(lambda: LookTable(collection, self._name).nearest(rows, most))

    async def _make(self, collection: Collection) -> None:
        table = await asyncio.to_thread(LookTable, collection, self._name)
        unmade = Unmade(collection, "look")
        failed = 0
        for page in await asyncio.to_thread(unmade.to_try):
            if (collection.folder, page) not in self._tried:
                failed = 0 if await self._made(table, unmade, collection, page) else failed + 1
                _check(failed)
        while pages := await asyncio.to_thread(table.lacking, _PAGES):
            for page in pages:
                failed = 0 if await self._made(table, unmade, collection, page) else failed + 1
                _check(failed)

    async def _made(self, table: LookTable, unmade: Unmade, collection: Collection, number: int) -> bool:
        """Whether the page has its look, or none to have; where the model fails at it, that is noted.

        Raises:
            EmbeddingsAway: the model cannot be asked at all.
        """
        page = await asyncio.to_thread(collection.page, number)
        image = await self._draw(collection, page) if page else None
        try:
            rows = await self._process.embed_page(await asyncio.to_thread(_jpeg, image)) if image else None
        except (EmbeddingsResting, ModelLoadError) as error:
            raise EmbeddingsAway(str(error)) from error
        except EngineFailed as error:
            self._tried.add((collection.folder, number))
            await asyncio.to_thread(unmade.note, number, str(error))
            await asyncio.to_thread(table.put, number, None)
            return False
        await asyncio.to_thread(table.put, number, rows)
        await asyncio.to_thread(unmade.made, number)
        return True


def _check(failed: int) -> None:
    if failed >= IN_A_ROW:
        raise EmbeddingsAway("The model of page images fails at every page.")


def _jpeg(image: Image) -> bytes:
    file = io.BytesIO()
    image.pixels.save(file, "JPEG", quality=92)
    return file.getvalue()

"""Collections out to a file and in from one, for the event loop: how another region gets what one has."""

import asyncio
from typing import BinaryIO

from qwen_demo.errors import MediaRefused
from qwen_demo.knowledge import archive
from qwen_demo.knowledge.adding import Adding
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.hybrid import Finder
from qwen_demo.knowledge.shelf import Shelf, check_name
from qwen_demo.settings import MIB, Settings


class Moving:
    """
    Args:
        shelf, adding, finder: of the collections.
    """

    def __init__(self, settings: Settings, shelf: Shelf, adding: Adding, finder: Finder):
        self._settings, self._shelf, self._adding, self._finder = settings, shelf, adding, finder

    async def out(self, owner: str, name: str, target: BinaryIO) -> list[str]:
        """As `archive.write`. Raises `NoCollection`."""
        collection = await asyncio.to_thread(self._shelf.open, owner, name)
        return await asyncio.to_thread(archive.write, collection, target)

    async def bring(self, owner: str, name: str, source: BinaryIO) -> None:
        """Make the collection from an archive, in the place of one of this name; before its end nothing is changed.

        Raises:
            InvalidRequest: a name that is none, or no archive.
            MediaRefused: the owner's collections hold too much.
            VectorsAway: the vectors of the one before could not be removed.
        """
        check_name(name)
        made = await asyncio.to_thread(self._shelf.aside)
        try:
            await asyncio.to_thread(archive.read, source, made, self._settings)
            old = await asyncio.to_thread(self._before, owner, name, made)
            if old is not None:
                await self._adding.stop(old)
                await self._finder.forget(old)
            await asyncio.to_thread(self._shelf.put, owner, name, made)
        finally:
            await asyncio.to_thread(self._shelf.throw_away, made)

    def _before(self, owner: str, name: str, made: Collection) -> Collection | None:
        """The collection that has the name now. Raises `MediaRefused` where there is no room for the new one."""
        old = self._shelf.open(owner, name) if name in self._shelf.names(owner) else None
        held = self._shelf.owned_bytes(owner) - (_file_bytes(old) if old else 0)
        if held + _file_bytes(made) > self._settings.max_knowledge_bytes:
            raise MediaRefused(
                f"Your collections hold {self._settings.max_knowledge_bytes / MIB:.0f} MiB at most "
                "(--max-knowledge-bytes). Remove some first."
            )
        return old


def _file_bytes(collection: Collection) -> int:
    return sum(path.stat().st_size for path in collection.files_folder.iterdir())

"""What is made of collections in the background, beside the answers: one task for each collection that lacks something."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from qwen_demo.errors import QwenDemoError
from qwen_demo.knowledge.collection import Collection

log = logging.getLogger(__name__)


class Making:
    """Belongs to one event loop.

    Args:
        make: makes all that a collection lacks; its errors reach those who wait, and the next call tries again.
    """

    def __init__(self, make: Callable[[Collection], Awaitable[None]]):
        self._make = make
        self._tasks: dict[Path, asyncio.Task[None]] = {}

    def begin(self, collection: Collection) -> asyncio.Task[None]:
        """The task that makes it is the same for everybody who asks."""
        task = self._tasks.get(collection.folder)
        if task is None:
            task = self._tasks[collection.folder] = asyncio.create_task(self._made(collection))
            task.add_done_callback(lambda done: self._ended(collection.folder, done))
        return task

    async def wait(self, collection: Collection, seconds: float) -> None:
        """At most so long, or until it is stopped; raises what it ended with."""
        done, _ = await asyncio.wait([making := self.begin(collection)], timeout=seconds)
        if done and not making.cancelled():
            making.result()

    async def stop(self, collection: Collection) -> None:
        if task := self._tasks.get(collection.folder):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """What is not made yet is made when it is next asked for."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _made(self, collection: Collection) -> None:
        await self._make(collection)

    def _ended(self, folder: Path, task: asyncio.Task[None]) -> None:
        self._tasks.pop(folder, None)
        if not task.cancelled() and isinstance(error := task.exception(), QwenDemoError):
            log.info("it is tried again at the next search: %s", error)

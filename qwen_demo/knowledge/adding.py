"""Files of collections read page by page, in the background: each page is kept as it is read, so nothing is done twice.

A file is read by one process at a time: whoever holds its lock, which the system frees when a process ends, however it
ends. What was not finished goes on at the next start, from the first page that is missing.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Literal

from qwen_demo.errors import DiskFull, MediaRefused, NotReady, Overloaded, QwenDemoError
from qwen_demo.fairness import Turns
from qwen_demo.knowledge import page_problems
from qwen_demo.knowledge.collection import UNFINISHED, Collection
from qwen_demo.knowledge.entries import FileEntry
from qwen_demo.knowledge.figure_reader import FigureReader
from qwen_demo.knowledge.figures import FigureTable
from qwen_demo.knowledge.page_reader import PageReader
from qwen_demo.knowledge.shelf import Shelf
from qwen_demo.knowledge.unmade import IN_A_ROW
from qwen_demo.media import MediaLoader, PageText, is_pdf, pages_of_text
from qwen_demo.media.content import HEAD_BYTES

FILES_AT_ONCE = 2
LITTLE_TEXT = 8  # characters; a page with fewer is a picture of one
OTHERS_PAUSE_S = 1.0  # while another process reads a file
TEXT_ENDINGS = (".txt", ".md", ".markdown", ".rst", ".csv", ".tsv", ".log", ".text")

log = logging.getLogger(__name__)


class Adding:
    """Reads what is waiting. Belongs to one event loop.

    Args:
        loader: with limits that suit documents.
        reader: for pages without words.
        figures: for figures of other pages.
        on_read: told of each collection that got pages.
    """

    def __init__(
        self,
        shelf: Shelf,
        loader: MediaLoader,
        reader: PageReader,
        figures: FigureReader,
        on_read: Callable[[Collection], object],
    ):
        self._shelf, self._loader, self._reader, self._figures, self._on_read = shelf, loader, reader, figures, on_read
        self._tasks: dict[tuple[Path, int], asyncio.Task[None]] = {}
        # Owners take turns, and who has none at work gets one beyond.
        self._places = Turns(lambda: FILES_AT_ONCE, lambda: FILES_AT_ONCE, reserved=1)

    async def resume(self) -> None:
        """Go on with what earlier runs left."""
        left = await asyncio.to_thread(lambda: [(each, each.unfinished()) for each, _ in self._shelf.unfinished()])
        for collection, entries in left:
            for entry in entries:
                self.begin(collection, entry)

    def begin(self, collection: Collection, entry: FileEntry) -> asyncio.Task[None]:
        """Have a file read; the task that does is the same for everybody who asks."""
        key = (collection.folder, entry.id)
        if key not in self._tasks:
            task = self._tasks[key] = asyncio.create_task(self._read(collection, entry))
            task.add_done_callback(lambda _: self._tasks.pop(key, None))
        return self._tasks[key]

    async def stop(self, collection: Collection) -> None:
        """Leave off for now; what was read stays."""
        await _cancelled([task for (folder, _), task in self._tasks.items() if folder == collection.folder])

    async def stop_file(self, collection: Collection, entry: FileEntry) -> None:
        task = self._tasks.get((collection.folder, entry.id))
        await _cancelled([task] if task else [])

    async def close(self) -> None:
        await _cancelled(list(self._tasks.values()))

    async def _read(self, collection: Collection, entry: FileEntry) -> None:
        try:
            async with self._place(collection), self._alone(collection, entry) as still:
                if still:
                    await self._read_alone(collection, entry)
        except asyncio.CancelledError:
            raise
        except Overloaded:
            raise  # it stays as it is, and goes on at the next start
        except DiskFull as error:
            await _told(collection, entry, "waiting", str(error))
        except QwenDemoError as error:
            await _told(collection, entry, "failed", str(error))
        except Exception as error:  # one file must not end the reading of others, and its owner must see why
            log.exception("a file of a collection could not be read")
            await _told(collection, entry, "failed", f"The program failed at this file: {type(error).__name__}.")

    @contextlib.asynccontextmanager
    async def _place(self, collection: Collection) -> AsyncIterator[None]:
        owner = (collection.folder.parent.name,)
        await self._places.take(owner)
        try:
            yield
        finally:
            self._places.give_back(owner)

    @contextlib.asynccontextmanager
    async def _alone(self, collection: Collection, entry: FileEntry) -> AsyncIterator[bool]:
        """While no other process reads it; False where another one has finished it."""
        with _lock_file(collection, entry) as lock:
            while not _locked(lock):  # noqa: ASYNC110 another process tells nobody
                await asyncio.sleep(OTHERS_PAUSE_S)
            now = await asyncio.to_thread(collection.file, entry.name)
            yield now is not None and now.id == entry.id and now.state in UNFINISHED

    async def _read_alone(self, collection: Collection, entry: FileEntry) -> None:
        if not await asyncio.to_thread(collection.begin_reading, entry.id):
            return
        done = await asyncio.to_thread(collection.numbers_done, entry.id)
        if not entry.pages or len(done) < entry.pages:
            async for count, pages in self._pages(collection, entry, done):
                await asyncio.to_thread(collection.add_pages, entry.id, entry.name, pages)
                if not await asyncio.to_thread(collection.still_reading, entry.id, count):
                    return  # another process was told to leave off
        if not await self._look_at_figures(collection, entry):
            return
        problem = await asyncio.to_thread(page_problems.unread, collection, entry.id)
        await asyncio.to_thread(collection.set_state, entry.id, "ready", problem=problem)
        self._on_read(collection)

    async def _look_at_figures(self, collection: Collection, entry: FileEntry) -> bool:
        """Once the words of all pages are there. False where it was told to leave off."""
        table, failed = FigureTable(collection), 0
        waiting = await asyncio.to_thread(table.pages, entry.id)
        try:
            waiting = waiting if waiting and await self._figures.wanted() else []
        except QwenDemoError:  # there will be no model: the words are found all the same
            return True
        for page in waiting:
            if not await asyncio.to_thread(collection.begin_reading, entry.id):
                return False
            try:
                await self._look_at_page(collection, entry, table, page)
                failed = 0
            except DiskFull:
                raise
            except (NotReady, Overloaded, FileNotFoundError):
                break  # no page is to blame: they wait until reading is told to go on
            except QwenDemoError as error:
                await asyncio.to_thread(table.unmade.note, page, str(error))
                failed += 1
            if failed == IN_A_ROW:
                break
        return True

    async def _look_at_page(self, collection: Collection, entry: FileEntry, table: FigureTable, page: int) -> None:
        stored = await asyncio.to_thread(collection.page, page)
        if stored:
            path = collection.path_of(entry.digest)
            drawn = await self._loader.load_page(
                path, allowed_roots=[path.parent], number=stored.number, name=entry.name
            )
            figures = await asyncio.to_thread(table.of, page)
            lines = await self._figures.lines(drawn.image, stored.passages, figures)
            await asyncio.to_thread(table.told, page, lines)

    async def _pages(
        self, collection: Collection, entry: FileEntry, done: set[int]
    ) -> AsyncIterator[tuple[int, list[PageText]]]:
        """How many pages there are, and those that are not `done`, some at a time."""
        path = collection.path_of(entry.digest)
        kind = await asyncio.to_thread(kind_of, path, entry.name)
        if kind == "text":
            limits = self._loader.settings
            texts = await asyncio.to_thread(lambda: pages_of_text(path.read_bytes(), limits, entry.name))
            for at in range(0, texts.count, 32):
                yield texts.count, [page for page in texts.pages[at : at + 32] if page.number not in done]
        elif kind == "image":
            if 1 not in done:
                yield 1, [await self._read_off(path, entry.name, 1)]
        else:
            first, count = 1, entry.pages  # 0: nobody knows yet
            while not count or first <= count:
                if count and first in done:
                    first += 1
                    continue
                read = await self._loader.read_texts(
                    path, kind, allowed_roots=[collection.folder], name=entry.name, first=first
                )
                count, first = read.count, first + len(read.pages)
                bare = [page for page in read.pages if _is_bare(page) and page.number not in done]
                yield count, [page for page in read.pages if page.number not in done and page not in bare]
                for page in bare:
                    yield count, [await self._read_off(path, entry.name, page.number) if kind == "pdf" else page]

    async def _read_off(self, path: Path, name: str, number: int) -> PageText:
        """What the model reads off the drawn page."""
        try:
            page = await self._loader.load_page(path, allowed_roots=[path.parent], number=number, name=name)
        except MediaRefused as error:
            if number == 1 and not is_pdf(_head(path)):
                raise
            return PageText(number, (), str(error))
        return await self._reader.read(page.image, number)


def kind_of(path: Path, name: str) -> Literal["pdf", "office", "image", "text"]:
    """`pdf`, `office`, `image` or `text`, by its bytes. What is none of them, the decoder of images refuses in words."""
    head = _head(path)
    if is_pdf(head):
        return "pdf"
    if head.startswith(b"PK\x03\x04"):
        return "office"
    if not head.strip() or name.lower().endswith(TEXT_ENDINGS) or _is_plain(head):
        return "text"
    return "image"


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _is_plain(head: bytes) -> bool:
    return not any(byte < 9 or 13 < byte < 27 for byte in head) and not head.startswith((b"BM", b"\xff\xd8", b"GIF8"))


def _is_bare(page: PageText) -> bool:
    return not page.problem and sum(len(passage.text.strip()) for passage in page.passages) < LITTLE_TEXT


@contextlib.contextmanager
def _lock_file(collection: Collection, entry: FileEntry) -> Iterator[int]:
    lock = os.open(collection.folder / f"reading-{entry.id}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield lock
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _told(collection: Collection, entry: FileEntry, state: str, problem: str) -> None:
    with contextlib.suppress(DiskFull):  # then there is no room to say so either
        await asyncio.to_thread(collection.set_state, entry.id, state, problem=problem)


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

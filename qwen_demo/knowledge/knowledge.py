"""All that a front asks of collections, for the event loop: nothing here blocks it.

Methods take the owner first: a key, a user of the page, or `LOCAL`. What is somebody else's is as if it were not there.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from qwen_demo.errors import InvalidRequest, MediaRefused, Overloaded
from qwen_demo.knowledge import answering
from qwen_demo.knowledge.adding import Adding, kind_of
from qwen_demo.knowledge.answering import CitedAnswer, Evidence
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.entries import FileEntry, StoredPage
from qwen_demo.knowledge.figure_reader import FigureReader
from qwen_demo.knowledge.finding import Hit
from qwen_demo.knowledge.hybrid import Finder
from qwen_demo.knowledge.kept_files import file_name
from qwen_demo.knowledge.moving import Moving
from qwen_demo.knowledge.page_reader import PageReader
from qwen_demo.knowledge.second_look import looked_at
from qwen_demo.knowledge.shelf import NoFile, Shelf
from qwen_demo.media import MediaLoader, Page
from qwen_demo.sentences import told_bytes
from qwen_demo.service.queue import Ticket
from qwen_demo.service.service import Service
from qwen_demo.settings import MIB, Settings
from qwen_demo.types import ChatRequest, Event, Image, ModelInfo, collect

LOCAL = "local"
FRONT = "knowledge"
MOST_TOP_K = 50
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CollectionState:
    """A collection and how far the reading of its files is."""

    name: str
    files: list[FileEntry]

    @property
    def pages(self) -> int:
        return sum(entry.pages for entry in self.files)

    @property
    def pages_done(self) -> int:
        return sum(entry.pages_done for entry in self.files)

    @property
    def state(self) -> str:
        states = {entry.state for entry in self.files}
        return "reading" if states & {"waiting", "reading"} else "stopped" if "stopped" in states else "ready"


class Knowledge:
    """Collections of all owners, with the model that reads and answers. Belongs to one event loop."""

    def __init__(
        self,
        settings: Settings,
        loader: MediaLoader,
        service: Service,
        model_there: Callable[[], Awaitable[None]] | None = None,
    ):
        """`model_there`: waits until the model may be asked; by default, until the service has loaded it."""
        self._settings, self._service = settings, service
        self._shelf = Shelf(settings.knowledge_dir)
        self._loader = MediaLoader(_limits(settings), loader.budget, loader.decoders)
        self._finder = Finder.of(settings, self._draw)
        reader = PageReader(self._answer, lambda: self.model, model_there or service.loaded)
        figures = FigureReader.of(settings, reader)
        self._adding = Adding(self._shelf, self._loader, reader, figures, self._finder.embed)
        self.moving = Moving(settings, self._shelf, self._adding, self._finder)

    @property
    def model(self) -> ModelInfo:
        return self._service.status().model

    async def start(self) -> None:
        """Go on with what an earlier run left unread."""
        await self._adding.resume()

    async def close(self) -> None:
        await self._adding.close()
        await self._finder.close()
        await self._loader.close()
        await asyncio.to_thread(self._shelf.close)

    async def _answer(self, request: ChatRequest) -> str:
        return (await collect(self._service.answer(request, front=FRONT))).text

    # Collections.

    async def collections(self, owner: str) -> list[CollectionState]:
        names = await asyncio.to_thread(self._shelf.names, owner)
        return [await self.collection(owner, name) for name in names]

    async def collection(self, owner: str, name: str) -> CollectionState:
        """Raises `NoCollection`."""
        return CollectionState(name, await self._with(owner, name, Collection.files))

    async def remove(self, owner: str, name: str) -> None:
        """Raises `NoCollection`, or `VectorsAway`, where their store cannot be told to remove them, too."""
        collection = await asyncio.to_thread(self._shelf.open, owner, name)
        await self._adding.stop(collection)
        await self._finder.forget(collection)
        await asyncio.to_thread(self._shelf.remove, owner, name)

    async def stop(self, owner: str, name: str) -> None:
        """Leave off reading its files until `go_on`, also over a restart. Raises `NoCollection`."""
        collection = await asyncio.to_thread(self._shelf.open, owner, name)
        await asyncio.to_thread(collection.stop)
        await self._adding.stop(collection)

    async def go_on(self, owner: str, name: str, *, to_the_end: bool = False) -> None:
        """Read on in files that were stopped, from where they were left. Raises `NoCollection`.

        Args:
            to_the_end: wait until all is read.
        """
        collection = await asyncio.to_thread(self._shelf.open, owner, name)
        begun = [self._adding.begin(collection, entry) for entry in await asyncio.to_thread(collection.go_on)]
        if to_the_end and begun:
            await asyncio.wait(begun)

    async def vectors_made(self, owner: str, name: str) -> None:
        """Wait until every page has its vector, where there is a model of embeddings.

        Raises:
            NoCollection:
            EmbeddingsAway, VectorsAway: a search will try again.
        """
        making = self._finder.embed(await asyncio.to_thread(self._shelf.open, owner, name))
        await asyncio.shield(making)  # others wait for it, too

    async def rename(self, owner: str, name: str, new: str) -> None:
        """Raises `NoCollection`, or `InvalidRequest` for a name that is none or taken."""
        await asyncio.to_thread(self._shelf.rename, owner, name, new)

    # Files.

    async def add(self, owner: str, name: str, file: str, data: bytes, wait_s: float | None = None) -> FileEntry:
        """Put a file into a collection, which is made if need be, and wait until it is read, at most `wait_s`.

        Raises:
            InvalidRequest: a name that is none.
            MediaRefused: over a limit.
            DiskFull: and nothing has changed.
        """
        file = file_name(file)
        await self._check_room(owner, file, len(data))
        collection = await asyncio.to_thread(self._shelf.make, owner, name)
        entry = await asyncio.to_thread(collection.keep, file, data)
        if entry.state != "ready":
            reading = self._adding.begin(collection, entry)
            done, _ = await asyncio.wait([reading], timeout=wait_s)
            if done and not reading.cancelled() and isinstance(error := reading.exception(), Overloaded):
                raise error
        return await asyncio.to_thread(collection.file, file) or entry

    def check_size(self, file: str, size: int) -> None:
        """Raises `MediaRefused`: so many bytes are no file of a collection. To be asked before they are read."""
        limit = self._settings.max_knowledge_file_bytes
        if size > limit:
            raise MediaRefused(
                f"{file} has {told_bytes(size)}; the limit is {told_bytes(limit)} (--max-knowledge-file-bytes)."
            )

    async def _check_room(self, owner: str, file: str, size: int) -> None:
        self.check_size(file, size)
        await asyncio.to_thread(self._shelf.check_room, size)
        limits = self._settings
        if size + await asyncio.to_thread(self._shelf.owned_bytes, owner) > limits.max_knowledge_bytes:
            raise MediaRefused(
                f"Your collections hold {limits.max_knowledge_bytes / MIB:.0f} MiB at most (--max-knowledge-bytes). "
                "Remove some files first."
            )

    async def known_digests(self, owner: str, name: str) -> dict[str, str]:
        """Of the files of a collection that were read, by name; empty where there is no collection yet."""
        if name not in await asyncio.to_thread(self._shelf.names, owner):
            return {}
        files = (await self.collection(owner, name)).files
        return {entry.name: entry.digest for entry in files if entry.state == "ready"}

    async def file(self, owner: str, name: str, file: str) -> FileEntry:
        """Raises `NoCollection` or `NoFile`."""
        entry = await self._with(owner, name, lambda collection: collection.file(file))
        if entry is None:
            raise NoFile(f"file {file!r}")
        return entry

    async def remove_file(self, owner: str, name: str, file: str) -> None:
        """Raises `NoCollection` or `NoFile`."""
        entry = await self.file(owner, name, file)
        collection = await asyncio.to_thread(self._shelf.open, owner, name)
        await self._adding.stop_file(collection, entry)
        await asyncio.to_thread(collection.remove, file)
        await self._finder.tidy(collection)

    async def page(self, owner: str, name: str, file: str, number: int) -> StoredPage:
        """The words of a page. Raises `NoCollection` or `NoFile`."""
        page = await self._with(owner, name, lambda collection: collection.page_of(file, number))
        if page is None:
            raise NoFile(f"page {number} of {file!r}")
        return page

    async def page_image(self, owner: str, name: str, file: str, number: int) -> Page | None:
        """How a page looks; None where the file has no pages that can be drawn, or is gone from the disk."""
        entry = await self.file(owner, name, file)
        collection = await asyncio.to_thread(self._shelf.open, owner, name)
        return await self._drawn(collection, entry.digest, file, number)

    async def _draw(self, collection: Collection, page: StoredPage) -> Image | None:
        entry = await asyncio.to_thread(collection.file, page.file)
        drawn = await self._drawn(collection, entry.digest, page.file, page.number) if entry else None
        return drawn.image if drawn else None

    async def _drawn(self, collection: Collection, digest: str, name: str, number: int) -> Page | None:
        path = collection.path_of(digest)
        try:
            if await asyncio.to_thread(kind_of, path, name) in ("pdf", "image"):
                return await self._loader.load_page(path, allowed_roots=[collection.folder], number=number, name=name)
        except (MediaRefused, FileNotFoundError):
            return None
        return None

    # Questions.

    async def search(self, owner: str, name: str, query: str, top_k: int) -> list[Hit]:
        """The best pages, best first. Raises `NoCollection`, or `InvalidRequest` for an empty query."""
        if not query.strip():
            raise InvalidRequest("There is nothing to search for.", field="query")
        collection = await asyncio.to_thread(self._shelf.open, owner, name)
        return await self._finder.find(collection, query[:4000], min(top_k, MOST_TOP_K))

    def answer(
        self,
        owner: str,
        name: str,
        top_k: int,
        making: Awaitable[ChatRequest],
        front: str,
        ticket: Ticket | None = None,
    ) -> tuple[AsyncGenerator[Event, None], CitedAnswer]:
        """The events of an answer from the documents, and where its citations will be.

        Args:
            making: the request without documents, awaited once there is room for it.

        Raises:
            NoCollection: from the events, before the first one.
        """
        cited = CitedAnswer()
        grounding = self._grounded(owner, name, top_k, making, cited)
        return cited.of(self._service.answer(grounding, front=front, ticket=ticket)), cited

    async def _grounded(
        self, owner: str, name: str, top_k: int, making: Awaitable[ChatRequest], cited: CitedAnswer
    ) -> ChatRequest:
        request = await making
        await asyncio.to_thread(self._shelf.open, owner, name)
        query = question = answering.question_of(request)
        if answering.is_follow_up(request):
            query = answering.searched(request, await self._answer(answering.rewriting(request)))
        hits = await self.search(owner, name, query, top_k) if query else []
        if not answering.enough(hits):
            raise answering.NothingFound(question)
        evidence = await self._evidence(owner, name, hits, request)
        if self._settings.second_look:
            evidence = (await looked_at(self._answer, query, evidence)).kept
            if not evidence:
                raise answering.NothingFound(question)
        cited.hits = [one.hit for one in evidence]
        return answering.grounded(request, evidence, self.model)

    async def _evidence(self, owner: str, name: str, hits: list[Hit], request: ChatRequest) -> list[Evidence]:
        most = answering.images_that_fit(request, self.model, self._settings.max_images)
        made = []
        for hit in hits:
            drawn = await self.page_image(owner, name, hit.page.file, hit.page.number) if most > 0 else None
            most -= drawn is not None
            made.append(Evidence(hit, drawn.image if drawn else None))
        return made

    async def _with(self, owner: str, name: str, what: Callable[[Collection], T]) -> T:
        def work() -> T:
            return what(self._shelf.open(owner, name))

        return await asyncio.to_thread(work)


def _limits(settings: Settings) -> Settings:
    """Of files in collections, which may be longer than those that are sent with a question."""
    most = settings.max_knowledge_file_bytes
    return settings.model_copy(update={"max_pdf_pages": settings.max_knowledge_pages, "max_pdf_bytes": most})

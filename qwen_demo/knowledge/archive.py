"""A collection as one file that can lie in object storage: a tar with a few lines of JSON and the documents. Blocking.

What is read is taken for a stranger's: no database travels in it, each field is checked, sizes are bounded before
anything is read, nothing is written under a name of the archive's, and one that was cut short is refused. Written twice,
a collection gives the same bytes.
"""

import contextlib
import hashlib
import io
import itertools
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from typing import IO, Annotated, BinaryIO, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qwen_demo.errors import InvalidRequest
from qwen_demo.knowledge.collection import DATABASE, Collection
from qwen_demo.knowledge.kept_files import MOST_NAME_CHARACTERS, file_name
from qwen_demo.media import Figure, PageText, Passage
from qwen_demo.media.texts import MOST_FIGURES
from qwen_demo.settings import Settings

MOST_JSON_BYTES = 1 << 16
MOST_PAGE_BYTES = 16 << 20
_WRITTEN_AT_ONCE = 64  # pages of a transaction
_IN_MEMORY, _CHUNK = 8 << 20, 1 << 20

State = Literal["ready", "failed", "stopped"]
Number = Annotated[float, Field(allow_inf_nan=False)]
Part = Annotated[float, Field(ge=0, le=1)]
Place = tuple[Number, Number, Number, Number]
_Read = TypeVar("_Read", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Head(_Strict):
    format: Literal[1]


class _End(_Strict):
    files: int


class _Document(_Strict):
    name: str = Field(min_length=1, max_length=MOST_NAME_CHARACTERS)
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    state: State
    pages: int = Field(ge=0, le=2**31)
    problem: str


class _PageLine(_Strict):
    number: int = Field(ge=1)
    problem: str
    passages: list[tuple[str, Place | None, Literal["", "figure"]]]
    figures: list[tuple[tuple[Part, Part, Part, Part], bool]] = Field(max_length=MOST_FIGURES)


class NoArchive(InvalidRequest):
    """What was given is no whole archive of a collection."""

    code = "not_an_archive"

    def __init__(self, why: str):
        super().__init__(f"This is no archive of a collection, or not all of one: {why}.")


def write(collection: Collection, out: BinaryIO) -> list[str]:
    """Put all of it into `out` as it is at this moment, also while pages are being added.

    Returns:
        Names of files that are left out, as they are gone from the disk.
    """
    left_out, written = [], 0
    with (
        contextlib.closing(sqlite3.connect(collection.folder / DATABASE, isolation_level=None)) as database,
        tarfile.open(fileobj=out, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        database.execute("BEGIN")  # one view of all that follows
        _add_json(archive, "collection.json", _Head(format=1))
        files = database.execute("SELECT id, name, digest, state, pages, problem FROM files ORDER BY name").fetchall()
        for file, name, digest, state, pages, problem in files:
            try:
                document = collection.path_of(digest).open("rb")
            except FileNotFoundError:
                left_out.append(name)
                continue
            with document:
                told: State = state if state in ("ready", "failed") else "stopped"
                entry = _Document(name=name, digest=digest, state=told, pages=pages, problem=problem)
                _add_json(archive, f"{written}.json", entry)
                _add_pages(archive, f"{written}.pages", database, file)
                _add(archive, f"{written}.file", document, os.fstat(document.fileno()).st_size)
            written += 1
        _add_json(archive, "end.json", _End(files=written))
    return left_out


def _add_pages(archive: tarfile.TarFile, name: str, database: sqlite3.Connection, file: int) -> None:
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as lines:
        pages = database.execute("SELECT id, number, problem FROM pages WHERE file = ? ORDER BY number", (file,))
        for page, number, problem in pages.fetchall():
            found = database.execute("SELECT text, box, kind FROM passages WHERE page = ? ORDER BY id", (page,))
            passages = [(text, json.loads(box) if box else None, kind) for text, box, kind in found]
            found = database.execute("SELECT box, is_table FROM figures WHERE page = ? ORDER BY id", (page,))
            figures = [(json.loads(box), bool(table)) for box, table in found]
            line = {"number": number, "problem": problem, "passages": passages, "figures": figures}
            lines.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        size = lines.tell()
        lines.seek(0)
        _add(archive, name, lines, size)


def _add_json(archive: tarfile.TarFile, name: str, value: BaseModel) -> None:
    data = value.model_dump_json().encode()
    _add(archive, name, io.BytesIO(data), len(data))


def _add(archive: tarfile.TarFile, name: str, data: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    archive.addfile(member, data)


def read(source: BinaryIO, collection: Collection, settings: Settings) -> None:
    """Fill a new collection from an archive.

    Raises:
        NoArchive: and the collection should be thrown away.
        DiskFull:
    """
    members = _Members(source, settings.max_knowledge_bytes)
    members.json("collection.json", _Head)
    for number in itertools.count():
        if members.name == "end.json":
            break
        entry = members.json(f"{number}.json", _Document)
        if entry.name != _checked_name(entry.name) or collection.file(entry.name):
            raise NoArchive(f"the name of file {number} is none, or is there twice")
        with members.open(f"{number}.pages", settings.max_knowledge_bytes) as lines:
            data = members.whole(f"{number}.file", settings.max_knowledge_file_bytes)
            if hashlib.sha256(data).hexdigest() != entry.digest:
                raise NoArchive(f"the content of {entry.name} is not what it was")
            _fill(collection, entry, data, _pages(lines, settings.max_knowledge_pages))
    if members.json("end.json", _End).files != number:
        raise NoArchive("its end counts other files")


def _fill(collection: Collection, entry: _Document, data: bytes, pages: Iterator[PageText]) -> None:
    file = collection.keep(entry.name, data).id
    while some := list(itertools.islice(pages, _WRITTEN_AT_ONCE)):
        collection.add_pages(file, entry.name, some)
    collection.set_state(file, entry.state, pages=entry.pages, problem=entry.problem)


def _pages(lines: IO[bytes], most: int) -> Iterator[PageText]:
    while line := lines.readline(MOST_PAGE_BYTES):
        page = _parsed(_PageLine, line)
        if page.number > most:
            raise NoArchive(f"a file has more than {most} pages (--max-knowledge-pages)")
        passages = tuple(Passage(text, box, kind) for text, box, kind in page.passages)
        figures = tuple(Figure(box, table) for box, table in page.figures if box[0] < box[2] and box[1] < box[3])
        yield PageText(page.number, passages, page.problem, figures)


def _checked_name(name: str) -> str:
    try:
        return file_name(name)
    except InvalidRequest:
        return ""


def _parsed(kind: type[_Read], data: bytes) -> _Read:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise NoArchive(f"{'.'.join(map(str, first['loc'])) or 'a line'}: {first['msg']}") from error


class _Members:
    """The members of a tar, one after the other, each of which is a plain file of the name that is expected.

    Args:
        most_bytes: of all of them together.

    Attributes:
        name: of the next one.
    """

    def __init__(self, source: BinaryIO, most_bytes: int):
        self._source, self._left = source, most_bytes
        self.name, self._size = self._header()

    def json(self, name: str, kind: type[_Read]) -> _Read:
        return _parsed(kind, self.whole(name, MOST_JSON_BYTES))

    def whole(self, name: str, most: int) -> bytes:
        with self.open(name, most) as content:
            return content.read()

    @contextlib.contextmanager
    def open(self, name: str, most: int) -> Iterator[IO[bytes]]:
        """All of the next member. Raises `NoArchive`, before anything is read where it is another or too large."""
        if self.name != name:
            raise NoArchive(f"{name} is expected, and {self.name[:40]!r} is there")
        self._left -= self._size
        if self._size > most or self._left < 0:
            raise NoArchive(f"{name} has {self._size} bytes, which are too many (--max-knowledge-bytes and the like)")
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as content:
            for start in range(0, self._size, _CHUNK):
                content.write(self._exactly(min(_CHUNK, self._size - start)))
            content.seek(0)
            self._exactly(-self._size % tarfile.BLOCKSIZE)
            self.name, self._size = ("", 0) if name == "end.json" else self._header()
            yield content

    def _header(self) -> tuple[str, int]:
        try:
            member = tarfile.TarInfo.frombuf(self._exactly(tarfile.BLOCKSIZE), "ascii", "strict")
        except (tarfile.HeaderError, ValueError) as error:
            raise NoArchive("it is no tar, or is damaged") from error
        if member.type != tarfile.REGTYPE or member.size < 0:
            raise NoArchive(f"{member.name[:40]!r} is no plain file")
        return member.name, member.size

    def _exactly(self, size: int) -> bytes:
        data = self._source.read(size)
        if len(data) != size:
            raise NoArchive("it ends too early")
        return data

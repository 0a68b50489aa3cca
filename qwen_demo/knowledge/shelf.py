"""Whose collections there are, and where on the disk: one folder for each owner, with a list of names. Blocking.

An owner's folder is named after the digest of who it is, so that no name leads out of it; who else there is, nobody is
told. Removing takes the name first and the folder after; a folder without a name, left by a kill between, goes with the
next change.
"""

import contextlib
import hashlib
import re
import secrets
import shutil
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from qwen_demo.errors import DiskFull, InvalidRequest, NotFound
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.kept_files import check_room
from qwen_demo.knowledge.schema import changing, disk_full_in_words

_NAME = re.compile(r"[^\W_](?:[\w .()+-]{0,62}[\w)+-])?")
_LIST = "collections.sqlite"
MOST_COLLECTIONS = 1_000  # of an owner; an empty one takes 300 kB that no file accounts for
_OPEN = 64  # collections whose database stays open while nobody works with it
_SWEPT_AFTER_S, _LEFT_AFTER_S = 60.0, 86_400.0
_INCOMING = "incoming"


class NoCollection(NotFound):
    """There is no such collection, or it is somebody else's: both are told the same."""

    code = "collection_not_found"

    def __init__(self, name: str):
        super().__init__(f"There is no collection {name[:80]!r}.", field="collection")


class NoFile(NotFound):
    """There is no such file or page in this collection."""

    code = "file_not_found"

    def __init__(self, name: str):
        super().__init__(f"There is no {name[:200]} in this collection.", field="file")


class Shelf:
    """All collections of all owners.

    Args:
        folder: made with the first collection, for this user alone.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._open: dict[Path, Collection] = {}  # those used last
        self._alive: weakref.WeakValueDictionary[Path, Collection] = weakref.WeakValueDictionary()
        self._lock = threading.RLock()

    def close(self) -> None:
        with self._lock:
            for collection in list(self._alive.values()):
                collection.close()
            self._open.clear()
            self._alive.clear()

    def names(self, owner: str) -> list[str]:
        """Of this owner's collections, in order."""
        with self._list(owner) as names:
            return (
                []
                if names is None
                else [name for (name,) in names.execute("SELECT name FROM collections ORDER BY name")]
            )

    def open(self, owner: str, name: str) -> Collection:
        """Raises `NoCollection`."""
        with self._list(owner) as names:
            row = names and names.execute("SELECT folder FROM collections WHERE name = ?", (name,)).fetchone()
        if not row:
            raise NoCollection(name)
        return self._opened(self._home(owner) / row[0])

    def make(self, owner: str, name: str) -> Collection:
        """The collection of this name, a new one where there is none. Raises `InvalidRequest` for what is no name."""
        check_name(name)
        with disk_full_in_words():
            self._home(owner).mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._listed(owner) as names, changing(names):
                self._sweep(owner, names)
                _check_count(names, name)
                names.execute(
                    "INSERT OR IGNORE INTO collections VALUES (?, ?)",
                    (name, f"{int(time.time()):x}-{secrets.token_hex(8)}"),
                )
        return self.open(owner, name)

    def remove(self, owner: str, name: str) -> None:
        """Raises `NoCollection`."""
        with self._list(owner) as names:
            row = names and names.execute("SELECT folder FROM collections WHERE name = ?", (name,)).fetchone()
            if not names or not row:
                raise NoCollection(name)
            folder = self._home(owner) / row[0]
            try:
                _taken_off(names, name)
            except DiskFull:
                self._discard(folder)  # what is to go makes the room to write down that it went
                _taken_off(names, name)
        self._discard(folder)

    def aside(self) -> Collection:
        """A new collection in a place that nobody sees, for `put` or `throw_away`."""
        incoming = self.folder / _INCOMING
        with disk_full_in_words():
            incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in incoming.iterdir():  # what a kill has left
                if time.time() - path.stat().st_mtime > _LEFT_AFTER_S:
                    shutil.rmtree(path, ignore_errors=True)
            return Collection(incoming / secrets.token_hex(8))

    @staticmethod
    def throw_away(collection: Collection) -> None:
        """What was made aside; nothing where it was put."""
        collection.close()
        shutil.rmtree(collection.folder, ignore_errors=True)

    def put(self, owner: str, name: str, collection: Collection) -> None:
        """What was made aside is the collection of this name at once; one that had the name is gone.

        Raises:
            InvalidRequest: what is no name.
        """
        check_name(name)
        collection.close()
        place = f"{int(time.time()):x}-{secrets.token_hex(8)}"
        with disk_full_in_words():
            self._home(owner).mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._listed(owner) as names, changing(names):
                old = names.execute("SELECT folder FROM collections WHERE name = ?", (name,)).fetchone()
                _check_count(names, name)
                names.execute("INSERT OR REPLACE INTO collections VALUES (?, ?)", (name, place))
                collection.folder.rename(self._home(owner) / place)
        if old:
            self._discard(self._home(owner) / old[0])

    def _discard(self, folder: Path) -> None:
        with self._lock:
            self._open.pop(folder, None)
            if collection := self._alive.pop(folder, None):
                collection.close()
        shutil.rmtree(folder, ignore_errors=True)

    def rename(self, owner: str, name: str, new: str) -> None:
        """Raises `NoCollection`, or `InvalidRequest` where `new` is no name or is taken."""
        with self._list(owner) as names:
            if not names or not names.execute("SELECT 1 FROM collections WHERE name = ?", (name,)).fetchone():
                raise NoCollection(name)
            check_name(new)
            try:
                with changing(names):
                    names.execute("UPDATE collections SET name = ? WHERE name = ?", (new, name))
            except sqlite3.IntegrityError as error:
                raise InvalidRequest(f"There is a collection {new!r} already.", field="name") from error

    def check_room(self, size: int) -> None:
        """As `kept_files.check_room`."""
        check_room(self.folder, size)

    def owned_bytes(self, owner: str) -> int:
        """Of all files of this owner's collections."""
        home = self._home(owner)
        return sum(path.stat().st_size for path in home.glob("*/files/*") if path.is_file())

    def unfinished(self) -> Iterator[tuple[Collection, int]]:
        """Every collection with files that are not read to their end, and how many."""
        for path in sorted(self.folder.glob(f"*/{_LIST}")):
            with contextlib.suppress(sqlite3.Error, OSError), contextlib.closing(sqlite3.connect(path)) as names:
                for (folder,) in names.execute("SELECT folder FROM collections").fetchall():
                    collection = self._opened(path.parent / folder)
                    if count := len(collection.unfinished()):
                        yield collection, count

    def _home(self, owner: str) -> Path:
        return self.folder / hashlib.sha256(owner.encode()).hexdigest()[:32]

    @contextlib.contextmanager
    def _list(self, owner: str) -> Iterator[sqlite3.Connection | None]:
        """The list of names, or None where there is none yet."""
        if (self._home(owner) / _LIST).exists():
            with self._listed(owner) as names:
                yield names
        else:
            yield None

    @contextlib.contextmanager
    def _listed(self, owner: str) -> Iterator[sqlite3.Connection]:
        """The same, made if need be."""
        path = self._home(owner) / _LIST
        with contextlib.closing(sqlite3.connect(path, timeout=15, isolation_level=None)) as names:
            names.execute("CREATE TABLE IF NOT EXISTS collections (name TEXT PRIMARY KEY, folder TEXT NOT NULL)")
            yield names

    def _opened(self, folder: Path) -> Collection:
        with self._lock:
            found = self._open.pop(folder, None) or self._alive.get(folder) or Collection(folder)
            self._open[folder] = self._alive[folder] = found  # the last one used is the last one let go
            while len(self._open) > _OPEN:
                del self._open[next(iter(self._open))]  # it closes when nobody works with it any more
            return found

    def _sweep(self, owner: str, names: sqlite3.Connection) -> None:
        known = {folder for (folder,) in names.execute("SELECT folder FROM collections")}
        for path in self._home(owner).iterdir():
            if path.is_dir() and path.name not in known and time.time() - path.stat().st_mtime > _SWEPT_AFTER_S:
                shutil.rmtree(path, ignore_errors=True)


def _check_count(names: sqlite3.Connection, name: str) -> None:
    """Raises `InvalidRequest` where `name` would be one too many."""
    others = names.execute("SELECT count(*) FROM collections WHERE name != ?", (name,)).fetchone()[0]
    if others >= MOST_COLLECTIONS:
        raise InvalidRequest(f"There are {others:,} collections, the most there may be. Remove some first.")


def _taken_off(names: sqlite3.Connection, name: str) -> None:
    with changing(names):
        names.execute("DELETE FROM collections WHERE name = ?", (name,))


def check_name(name: str) -> None:
    """Raises `InvalidRequest`."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            "A collection's name has 1 to 64 letters, digits, blanks and . _ - + ( ), and begins with a letter or digit.",
            field="collection",
        )

"""One collection on disk: its files by content, and in SQLite what was read off their pages. Blocking.

What is in the database is whole at any moment. Files lie beside it under the SHA-256 of their content, each with a note
of its name, so that a damaged database can be made anew from them.
"""

import contextlib
import hashlib
import json
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from qwen_demo.knowledge import page_problems
from qwen_demo.knowledge.entries import FileEntry, StoredPage
from qwen_demo.knowledge.kept_files import write_whole
from qwen_demo.knowledge.schema import changing, disk_full_in_words, open_database
from qwen_demo.knowledge.words import indexed
from qwen_demo.media import PageText, Passage

DATABASE = "words.sqlite"
UNFINISHED = ("waiting", "reading")
_MISSING = "The file itself is gone from the disk; what was read off it is still found. Add it again."


class Collection:
    """Open until `close`. Methods may be called from any thread and wait for each other.

    Args:
        folder: holds the database and `files/`.
    """

    def __init__(self, folder: Path):
        self.folder, self.files_folder = folder, folder / "files"
        self.lock = threading.RLock()
        with disk_full_in_words():
            self.files_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self.database = open_database(folder / DATABASE)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            self._put_aside()
            self.database = open_database(folder / DATABASE)
            self._add_what_lies_here()
        weakref.finalize(self, self.database.close)

    def close(self) -> None:
        with self.lock:
            self.database.close()

    def _put_aside(self) -> None:
        """A damaged database stays for whoever can mend it."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        for ending in ("", "-wal", "-shm"):
            path = self.folder / f"{DATABASE}{ending}"
            if path.exists():
                path.rename(self.folder / f"damaged-{stamp}-{path.name}")

    def _add_what_lies_here(self) -> None:
        for note in sorted(self.files_folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
            path = note.with_suffix("")
            try:
                names = json.loads(note.read_text(encoding="utf-8"))["names"]
            except (OSError, ValueError, LookupError, TypeError):
                continue
            if path.exists():
                for name in names:
                    self.enter(name, path.name, path.stat().st_size)

    def path_of(self, digest: str) -> Path:
        return self.files_folder / digest

    def keep(self, name: str, data: bytes) -> FileEntry:
        """Put a file on the disk and into the list. The same content again changes nothing but its name's place.

        Raises:
            DiskFull: and nothing has changed.
        """
        digest = hashlib.sha256(data).hexdigest()
        path = self.path_of(digest)
        with self.lock, disk_full_in_words():  # until it is in the list: who removes the other name takes its content
            if not path.exists() or path.stat().st_size != len(data):
                write_whole(path, data)
            self._note(digest, {*self._names_noted(digest), name})
            return self.enter(name, digest, len(data))

    def _note(self, digest: str, names: set[str]) -> None:
        write_whole(self.path_of(f"{digest}.json"), json.dumps({"names": sorted(names)}).encode())

    def _names_noted(self, digest: str) -> list[str]:
        with self.lock:
            return [name for (name,) in self.database.execute("SELECT name FROM files WHERE digest = ?", (digest,))]

    # Files.

    def enter(self, name: str, digest: str, size: int) -> FileEntry:
        """A file that is on the disk, to be read; of one whose content is known under this name nothing changes."""
        with self.lock:
            replaced = self._entered(name, digest, size)
            if replaced:
                with contextlib.suppress(OSError):  # it is in the list all the same
                    self._let_go(replaced)
        entry = self.file(name)
        assert entry is not None
        return entry

    def _entered(self, name: str, digest: str, size: int) -> str:
        """The digest of other content that had this name; empty where none had."""
        with changing(self.database) as database:
            known = database.execute("SELECT id, digest, state FROM files WHERE name = ?", (name,)).fetchone()
            replaced = known[1] if known is not None and known[1] != digest else ""
            if known is None or known[1:] != (digest, "ready"):
                if known is not None and (known[1] != digest or known[2] == "failed"):
                    self._forget(known[0])
                    known = None
                elif known is not None and known[2] == "stopped":
                    database.execute("UPDATE files SET state = 'waiting' WHERE id = ?", (known[0],))
                if known is None:
                    database.execute(
                        "INSERT INTO files (name, digest, size, state, added) VALUES (?, ?, ?, 'waiting', ?)",
                        (name, digest, size, time.time()),
                    )
        return replaced

    def _let_go(self, digest: str) -> None:
        """A name of this content is gone; with its last one the content goes."""
        names = self._names_noted(digest)
        if names:
            self._note(digest, set(names))
        else:
            for path in (self.path_of(digest), self.path_of(f"{digest}.json")):
                path.unlink(missing_ok=True)

    def file(self, name: str) -> FileEntry | None:
        return next(self._entries("WHERE f.name = ?", (name,)), None)

    def files(self) -> list[FileEntry]:
        """All, by name."""
        return list(self._entries("", ()))

    def unfinished(self) -> list[FileEntry]:
        return list(self._entries("WHERE f.state IN (?, ?)", UNFINISHED))

    def _entries(self, where: str, values: Sequence[object]) -> Iterator[FileEntry]:
        query = (
            "SELECT f.id, f.name, f.digest, f.size, f.state, f.pages, "
            "(SELECT count(*) FROM pages p WHERE p.file = f.id), f.problem, f.added "
            f"FROM files f {where} ORDER BY f.name"
        )
        with self.lock:
            found = [FileEntry(*row) for row in self.database.execute(query, values)]
            lacking = page_problems.unmade(self.database) if found else {}
        for entry in found:
            missing = not self.path_of(entry.digest).exists()
            problem = " ".join(filter(None, (entry.problem, lacking.get(entry.id), _MISSING if missing else "")))
            yield replace(entry, problem=problem)

    def set_state(self, file: int, state: str, *, pages: int | None = None, problem: str | None = None) -> None:
        change = "UPDATE files SET state = ?, pages = coalesce(?, pages), problem = coalesce(?, problem) WHERE id = ?"
        self._changes(change, state, pages, problem, file)

    def begin_reading(self, file: int) -> bool:
        """Whether it is to be read: nobody has stopped or removed it."""
        change = "UPDATE files SET state = 'reading', problem = '' WHERE id = ? AND state IN (?, ?)"
        return self._changes(change, file, *UNFINISHED)

    def still_reading(self, file: int, pages: int) -> bool:
        """Tell how many pages it has; whether nobody has stopped or removed it meanwhile."""
        return self._changes("UPDATE files SET pages = ? WHERE id = ? AND state = 'reading'", pages, file)

    def stop(self) -> None:
        """Files that are not read to their end are left as they are, until `go_on`."""
        self._changes("UPDATE files SET state = 'stopped' WHERE state IN (?, ?)", *UNFINISHED)

    def go_on(self) -> list[FileEntry]:
        """Those that were stopped, to be read from where they were left; and those with figures that wait for a model."""
        self._changes(
            "UPDATE files SET state = 'waiting' WHERE state = 'stopped' OR (state = 'ready' AND id IN "
            "(SELECT p.file FROM pages p JOIN figures f ON f.page = p.id))"
        )
        return self.unfinished()

    def _changes(self, change: str, *values: str | int | None) -> bool:
        """Whether it changed anything."""
        with self.lock, changing(self.database) as database:
            return database.execute(change, values).rowcount > 0

    def remove(self, name: str) -> bool:
        """Whether there was such a file."""
        with self.lock:
            entry = self.file(name)
            if entry is None:
                return False
            with changing(self.database):
                self._forget(entry.id)
            self._let_go(entry.digest)
            return True

    def _forget(self, file: int) -> None:
        """Inside a transaction."""
        self.database.execute("DELETE FROM words WHERE rowid IN (SELECT id FROM pages WHERE file = ?)", (file,))
        pages, words = self.database.execute(
            "SELECT count(*), coalesce(sum(words), 0) FROM pages WHERE file = ?", (file,)
        ).fetchone()
        self.count_more(-pages, -words)
        self.database.execute("DELETE FROM files WHERE id = ?", (file,))

    # Pages.

    def numbers_done(self, file: int) -> set[int]:
        with self.lock:
            return {number for (number,) in self.database.execute("SELECT number FROM pages WHERE file = ?", (file,))}

    def add_pages(self, file: int, name: str, pages: Sequence[PageText]) -> list[int]:
        """In one transaction; ids of those that are new."""
        prepared = [(page, indexed(name, page)) for page in pages]
        with self.lock, changing(self.database) as database:
            if not database.execute("SELECT 1 FROM files WHERE id = ?", (file,)).fetchone():
                return []
            made = [self.insert_page(file, page, words) for page, words in prepared]
        return [page for page in made if page]

    def insert_page(self, file: int, page: PageText, words: list[str]) -> int:
        """Inside a transaction; its id, or 0 where it is there."""
        cursor = self.database.execute(
            "INSERT OR IGNORE INTO pages (file, number, problem, words) VALUES (?, ?, ?, ?)",
            (file, page.number, page.problem, len(words)),
        )
        if not cursor.rowcount:
            return 0
        made = cursor.lastrowid
        assert made
        self.database.executemany(
            "INSERT INTO passages (page, text, box, kind) VALUES (?, ?, ?, ?)",
            [(made, each.text, json.dumps(each.box) if each.box else None, each.kind) for each in page.passages],
        )
        self.database.executemany(
            "INSERT INTO figures (page, box, is_table) VALUES (?, ?, ?)",
            [(made, json.dumps(each.box), each.table) for each in page.figures],
        )
        self.database.execute("INSERT INTO words (rowid, body) VALUES (?, ?)", (made, " ".join(words)))
        self.count_more(1, len(words))
        return made

    def count_more(self, pages: int, words: int) -> None:
        """Inside a transaction."""
        for key, value in (("pages", pages), ("words", words)):
            self.database.execute(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = value + excluded.value",
                (key, value),
            )

    def counts(self) -> tuple[int, int]:
        """Pages, and words of all of them."""
        with self.lock:
            found = dict(self.database.execute("SELECT key, value FROM meta"))
        return found.get("pages", 0), found.get("words", 0)

    def page(self, page: int) -> StoredPage | None:
        """Its words and places, by its id."""
        with self.lock:
            head = self.database.execute(
                "SELECT p.id, f.name, f.id, p.number FROM pages p JOIN files f ON f.id = p.file WHERE p.id = ?", (page,)
            ).fetchone()
            rows = list(
                self.database.execute("SELECT text, box, kind FROM passages WHERE page = ? ORDER BY id", (page,))
            )
        if head is None:
            return None
        passages = tuple(Passage(text, tuple(json.loads(box)) if box else None, kind) for text, box, kind in rows)
        return StoredPage(head[0], head[1], head[2], head[3], passages)

    def page_of(self, name: str, number: int) -> StoredPage | None:
        query = "SELECT p.id FROM pages p JOIN files f ON f.id = p.file WHERE f.name = ? AND p.number = ?"
        with self.lock:
            row = self.database.execute(query, (name, number)).fetchone()
        return self.page(row[0]) if row else None

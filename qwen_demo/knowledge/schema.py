"""The SQLite file of a collection: its tables, and opening it so that neither a kill nor a second process hurts it.

Every change is one transaction of write-ahead logging: what was not committed is not there, and readers wait for nobody.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from qwen_demo.errors import DiskFull, EngineFailed

VERSION = 2
_BUSY_S = 15.0
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, digest TEXT NOT NULL, size INTEGER NOT NULL,
    state TEXT NOT NULL, pages INTEGER NOT NULL DEFAULT 0, problem TEXT NOT NULL DEFAULT '', added REAL NOT NULL);
CREATE TABLE IF NOT EXISTS pages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    number INTEGER NOT NULL, problem TEXT NOT NULL DEFAULT '', words INTEGER NOT NULL, UNIQUE (file, number));
CREATE TABLE IF NOT EXISTS passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, page INTEGER NOT NULL REFERENCES pages ON DELETE CASCADE,
    text TEXT NOT NULL, box TEXT, kind TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS passages_of_page ON passages (page);
CREATE TABLE IF NOT EXISTS figures (
    id INTEGER PRIMARY KEY AUTOINCREMENT, page INTEGER NOT NULL REFERENCES pages ON DELETE CASCADE,
    box TEXT NOT NULL, is_table INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS figures_of_page ON figures (page);
CREATE TABLE IF NOT EXISTS unmade (
    what TEXT NOT NULL, page INTEGER NOT NULL REFERENCES pages ON DELETE CASCADE, tries INTEGER NOT NULL,
    reason TEXT NOT NULL, PRIMARY KEY (what, page)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS unmade_of_page ON unmade (page);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (body, tokenize = "unicode61 remove_diacritics 0", detail = column);
"""
# Version 1 called files ready of which it had read the first page alone.
_FROM_1 = """
ALTER TABLE passages ADD COLUMN kind TEXT NOT NULL DEFAULT '';
UPDATE files SET state = 'waiting'
    WHERE state = 'ready' AND pages > (SELECT count(*) FROM pages p WHERE p.file = files.id);
"""


def open_database(path: Path) -> sqlite3.Connection:
    """For any thread, one at a time.

    Raises:
        sqlite3.DatabaseError: damaged.
        EngineFailed: of a newer version of the program.
    """
    database = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA page_size = 16384")  # of a new file: vectors are read whole
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("PRAGMA cache_size = -16384")
        found = _version(database)
        if found > VERSION:
            raise EngineFailed("This collection was made by a newer version of this program.")
        if found < VERSION:
            _bring_up(database)
    except BaseException:
        database.close()
        raise
    return database


def _version(database: sqlite3.Connection) -> int:
    found: int = database.execute("PRAGMA user_version").fetchone()[0]
    return found


def _bring_up(database: sqlite3.Connection) -> None:
    """Make its tables, or from an older version what it lacks; another process may do so at the same time."""
    with changing(database):
        found = _version(database)
        for statement in (_FROM_1 if found == 1 else "").split(";") + (_TABLES if found < VERSION else "").split(";"):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {VERSION}")


@contextlib.contextmanager
def changing(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One transaction: all of it or nothing. Raises `DiskFull`."""
    with disk_full_in_words():
        _begin(database)
        try:
            yield database
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise


def _begin(database: sqlite3.Connection) -> None:
    """Another process may have it longer than SQLite itself waits."""
    until = time.monotonic() + 4 * _BUSY_S
    while True:
        try:
            database.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise


@contextlib.contextmanager
def disk_full_in_words() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
            raise DiskFull from error
        if error.sqlite_errorcode in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise _no_place(str(error)) from error
        raise
    except OSError as error:
        if error.errno in DiskFull.numbers:
            raise DiskFull from error
        raise _no_place(str(error.strerror)) from error


def _no_place(why: str) -> EngineFailed:
    return EngineFailed(f"Collections cannot be kept on this server: {why} (--knowledge-dir).")

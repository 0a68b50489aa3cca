"""Nothing is lost: killed while adding, a full disk, a damaged database, a file that is gone, two processes at once."""

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

from qwen_demo.engines.scripted import Script
from qwen_demo.errors import DiskFull, EngineFailed, InvalidRequest
from qwen_demo.knowledge import kept_files, shelf
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.finding import find
from qwen_demo.knowledge.page_reader import PageReader
from qwen_demo.media import PageText, Passage
from tests.conftest import ROOT, until
from tests.knowledge import files

pytestmark = pytest.mark.asyncio(loop_scope="session")
ME = "key:me"
WORDS = Script(["Words that the model read off this page, all of them"])

# Adds pages one by one, saying so; killed in the middle.
ADDS = """
import sys
from pathlib import Path
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.finding import find
from qwen_demo.knowledge.page_reader import PageReader
from qwen_demo.media import PageText, Passage
collection = Collection(Path(sys.argv[1]))
entry = collection.keep("long.txt", b"long")
for number in range(1, 100000):
    collection.add_pages(entry.id, "long.txt", [PageText(number, (Passage(f"word{number} of page"),))])
    print(number, flush=True)
"""


def of(number: int) -> PageText:
    return PageText(number, (Passage(f"word{number} of page"),))


@pytest.mark.parametrize("after", [1, 7, 40])
async def test_a_kill_at_any_moment_costs_no_page_that_was_told(tmp_path, after):
    process = subprocess.Popen(  # noqa: ASYNC220 nothing else runs on this loop
        [sys.executable, "-c", ADDS, str(tmp_path / "c")], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    told = [int(process.stdout.readline()) for _ in range(after)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    collection = Collection(tmp_path / "c")
    (entry,) = collection.unfinished()
    done = collection.numbers_done(entry.id)
    assert set(told) <= done
    assert (
        collection.counts()[0] == len(done) == collection.database.execute("SELECT count(*) FROM words").fetchone()[0]
    )
    assert collection.database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert collection.add_pages(entry.id, "long.txt", [of(number) for number in range(1, max(done) + 2)])
    assert collection.numbers_done(entry.id) == set(range(1, max(done) + 2))
    collection.close()


@pytest.mark.parametrize("read", [0, 1, 2])
async def test_reading_goes_on_where_it_was_left_after_a_restart(make, monkeypatch, read):
    first = await make(WORDS)
    whole, stuck = PageReader.read, asyncio.Event()

    async def reads(reader, image, number):
        if number > read:
            stuck.set()
            await asyncio.Event().wait()
        return await whole(reader, image, number)

    monkeypatch.setattr(PageReader, "read", reads)
    adding = asyncio.create_task(first.add(ME, "c", "s.pdf", files.scanned_pdf("one", "two", "three")))
    await stuck.wait()
    await first.close()
    adding.cancel()
    monkeypatch.undo()
    second = await make(WORDS)
    await until(lambda: not second._adding._tasks)
    (state,) = await second.collections(ME)
    assert [(entry.state, entry.pages, entry.pages_done) for entry in state.files] == [("ready", 3, 3)]
    assert len(second.engine.requests) == 3 - read


async def test_what_its_owner_stopped_waits_over_a_restart_and_goes_on_where_it_was(make):
    first = await make(WORDS)
    first.engine.script = Script(["late"], first_s=600)
    adding = asyncio.create_task(first.add(ME, "c", "s.pdf", files.scanned_pdf("one", "two")))
    await until(lambda: first.engine.requests)
    await first.stop(ME, "c")
    assert (await adding).state == "stopped"
    assert (await first.collection(ME, "c")).state == "stopped"
    await first.close()
    second = await make(WORDS)
    assert not second._adding._tasks
    await second.go_on(ME, "c", to_the_end=True)
    (entry,) = (await second.collection(ME, "c")).files
    assert (entry.state, entry.pages_done) == ("ready", 2)


async def test_a_stopped_file_that_is_added_again_is_read(make):
    knowledge = await make(Script(["late"], first_s=600))
    adding = asyncio.create_task(knowledge.add(ME, "c", "s.png", files.scan("one")))
    await until(lambda: knowledge.engine.requests)
    await knowledge.stop(ME, "c")
    await adding
    knowledge.engine.script = Script(["Words that the model read off this page, all of them"])
    assert (await knowledge.add(ME, "c", "s.png", files.scan("one"))).state == "ready"


async def test_a_process_that_reads_is_stopped_by_another_one(make):
    reads, stops = await make(Script(["A line of words that is long enough to be the page's"])), await make()
    data = files.scanned_pdf(*(f"page {number}" for number in range(6)))
    adding = asyncio.create_task(reads.add(ME, "c", "s.pdf", data))
    await until(lambda: reads.engine.requests)
    await stops.stop(ME, "c")
    entry = await adding
    assert entry.state == "stopped" and entry.pages_done < 6


async def test_two_processes_read_a_file_once(make):
    slow = Script(["A line of words that is long enough to be the page's"], first_s=0.2)
    one, two = await make(slow), await make(slow)
    data = files.scanned_pdf("a", "b", "c")
    done = await asyncio.gather(one.add(ME, "c", "s.pdf", data), two.add(ME, "c", "s.pdf", data))
    assert [(entry.state, entry.pages_done) for entry in done] == [("ready", 3)] * 2
    assert len(one.engine.requests) + len(two.engine.requests) == 3


async def test_a_damaged_database_is_put_aside_and_the_files_are_read_anew(make, tmp_path):
    first = await make()
    await first.add(ME, "c", "a.txt", b"alpha words")
    await first.close()
    (path,) = tmp_path.rglob("words.sqlite")
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    path.write_bytes(os.urandom(8192))
    second = await make()
    await until(lambda: not second._adding._tasks)
    assert [hit.page.file for hit in await second.search(ME, "c", "alpha", 1)] == ["a.txt"]
    assert len(list(tmp_path.rglob("damaged-*words.sqlite"))) == 1


async def test_a_file_that_is_gone_from_the_disk_is_named_and_still_found(make, tmp_path):
    knowledge = await make()
    entry = await knowledge.add(ME, "c", "a.pdf", files.pdf(["alpha words"]))
    (path,) = tmp_path.rglob(entry.digest)
    path.unlink()
    assert "gone from the disk" in (await knowledge.file(ME, "c", "a.pdf")).problem
    assert [hit.page.file for hit in await knowledge.search(ME, "c", "alpha", 1)] == ["a.pdf"]
    assert await knowledge.page_image(ME, "c", "a.pdf", 1) is None
    await knowledge.add(ME, "c", "a.pdf", files.pdf(["alpha words"]))
    assert (await knowledge.file(ME, "c", "a.pdf")).problem == ""


async def test_a_full_disk_is_told_and_changes_nothing(make, monkeypatch):
    knowledge = await make()
    await knowledge.add(ME, "c", "a.txt", b"alpha words")

    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_files.os, "fsync", full)
    with pytest.raises(DiskFull):
        await knowledge.add(ME, "c", "b.txt", b"beta words")
    monkeypatch.undo()
    assert [entry.name for entry in (await knowledge.collection(ME, "c")).files] == ["a.txt"]
    assert (await knowledge.add(ME, "c", "b.txt", b"beta words")).state == "ready"


async def test_a_file_that_would_leave_no_reserve_on_the_disk_is_refused(make, monkeypatch, tmp_path):
    knowledge = await make()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        kept_files.shutil, "disk_usage", lambda folder: usage._replace(free=kept_files.RESERVE_BYTES + 20)
    )
    await knowledge.add(ME, "c", "a.txt", b"twenty letters of it")
    with pytest.raises(DiskFull):
        await knowledge.add(ME, "c", "b.txt", b"one more than twenty.")
    assert [entry.name for entry in (await knowledge.collection(ME, "c")).files] == ["a.txt"]


async def test_a_collection_can_be_removed_from_a_disk_without_room_for_a_word(make, monkeypatch, tmp_path):
    knowledge = await make()
    entry = await knowledge.add(ME, "c", "a.txt", b"alpha words")
    (kept,) = tmp_path.rglob(entry.digest)
    changing = shelf.changing

    @contextlib.contextmanager
    def full(database):
        if kept.exists():
            raise DiskFull
        with changing(database):
            yield database

    monkeypatch.setattr(shelf, "changing", full)
    await knowledge.remove(ME, "c")
    assert await knowledge.collections(ME) == [] and not kept.exists()


async def test_an_owner_has_a_bounded_number_of_collections(make, monkeypatch):
    monkeypatch.setattr(shelf, "MOST_COLLECTIONS", 2)
    knowledge = await make()
    for name in ("a", "b", "b"):
        await knowledge.add(ME, name, "a.txt", b"words")
    with pytest.raises(InvalidRequest, match="There are 2 collections"):
        await knowledge.add(ME, "c", "a.txt", b"words")
    assert (await knowledge.add("key:somebody else", "c", "a.txt", b"words")).state == "ready"


async def test_a_database_that_finds_no_room_keeps_what_it_has(tmp_path):
    collection = Collection(tmp_path / "c")
    entry = collection.keep("a.txt", b"a")
    collection.add_pages(entry.id, "a.txt", [of(1)])
    pages = collection.database.execute("PRAGMA page_count").fetchone()[0]
    collection.database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DiskFull):
        collection.add_pages(entry.id, "a.txt", [of(number) for number in range(2, 2000)])
    assert collection.numbers_done(entry.id) == {1}
    assert collection.counts()[0] == 1
    collection.close()
    with sqlite3.connect(tmp_path / "c" / "words.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    database.close()


# A collection as version 1 of its file had it: one page of three was read, and the file called ready.
VERSION_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, digest TEXT NOT NULL, size INTEGER NOT NULL,
    state TEXT NOT NULL, pages INTEGER NOT NULL DEFAULT 0, problem TEXT NOT NULL DEFAULT '', added REAL NOT NULL);
CREATE TABLE pages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, file INTEGER NOT NULL REFERENCES files ON DELETE CASCADE,
    number INTEGER NOT NULL, problem TEXT NOT NULL DEFAULT '', words INTEGER NOT NULL, UNIQUE (file, number));
CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, page INTEGER NOT NULL REFERENCES pages ON DELETE CASCADE,
    text TEXT NOT NULL, box TEXT);
CREATE INDEX passages_of_page ON passages (page);
CREATE VIRTUAL TABLE words USING fts5 (body, tokenize = "unicode61 remove_diacritics 0", detail = column);
INSERT INTO files VALUES (1, 'cut.txt', '0', 9, 'ready', 3, '', 1), (2, 'whole.txt', '1', 9, 'ready', 1, '', 1);
INSERT INTO pages VALUES (1, 1, 1, '', 2), (2, 2, 1, '', 2);
INSERT INTO passages VALUES (1, 1, 'alpha words', '[0, 0, 1, 0.5]'), (2, 2, 'beta words', NULL);
INSERT INTO words (rowid, body) VALUES (1, 'alpha word'), (2, 'beta word');
INSERT INTO meta VALUES ('pages', 2), ('words', 4);
PRAGMA user_version = 1;
"""


async def test_a_collection_of_an_older_version_is_brought_up_and_what_it_left_unread_is_read(tmp_path):
    (tmp_path / "c").mkdir()
    database = sqlite3.connect(tmp_path / "c" / "words.sqlite")
    database.executescript(VERSION_1)
    database.close()
    for _ in range(2):
        collection = Collection(tmp_path / "c")
        assert [entry.name for entry in collection.unfinished()] == ["cut.txt"]
        assert collection.page(1).passages == (Passage("alpha words", (0, 0, 1, 0.5)),)
        assert [hit.page.file for hit in find(collection, "beta", 3)] == ["whole.txt"]
        collection.close()


async def test_a_folder_where_nothing_can_be_kept_is_told_with_its_setting(make, tmp_path):
    (tmp_path / "knowledge").touch()
    knowledge = await make()
    assert await knowledge.collections(ME) == []
    with pytest.raises(EngineFailed, match=r"Not a directory \(--knowledge-dir\)"):
        await knowledge.add(ME, "c", "a.txt", b"words")


async def test_a_file_that_takes_the_place_of_another_leaves_none_of_it_on_the_disk(tmp_path):
    collection = Collection(tmp_path / "c")
    collection.keep("a.txt", b"old words")
    collection.keep("b.txt", b"old words")
    old = collection.file("b.txt").digest
    collection.keep("a.txt", b"new words")
    assert collection.path_of(old).exists()  # it has another name
    collection.keep("b.txt", b"new words")
    new = collection.file("b.txt").digest
    assert {path.name for path in collection.files_folder.iterdir()} == {new, f"{new}.json"}
    collection.close()


async def test_a_collection_that_somebody_works_with_stays_open_while_many_others_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(shelf, "_OPEN", 2)
    mine = shelf.Shelf(tmp_path / "k")
    one = mine.make(ME, "one")
    for name in ("a", "b", "c"):
        mine.make(ME, name)
    assert one.files() == []
    assert mine.open(ME, "one") is one
    mine.close()

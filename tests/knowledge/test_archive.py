"""A collection as one file: it comes out of it as it went in, and what is no such file changes nothing."""

import hashlib
import io
import json
import tarfile
import threading

import pytest

from qwen_demo.errors import DiskFull, InvalidRequest, MediaRefused
from qwen_demo.knowledge import archive, kept_files, shelf
from qwen_demo.knowledge.archive import NoArchive
from qwen_demo.knowledge.collection import Collection
from qwen_demo.media import Figure, PageText, Passage
from qwen_demo.settings import MIB, Settings
from tests.knowledge import files

ME = "key:me"
LIMITS = Settings(max_knowledge_bytes=4 * MIB, max_knowledge_file_bytes=MIB, max_knowledge_pages=50)


def of(number: int, words: str = "") -> PageText:
    passages = (
        Passage(words or f"word{number} of page", (0.1, 0.2, 0.3, 0.4)),
        Passage("and no place"),
        Passage("a chart", (0.0, 0.0, 0.5, 0.5), "figure"),
    )
    return PageText(number, passages, figures=(Figure((0.0, 0.5, 1.0, 1.0), table=True),))


def taken_out(collection: Collection) -> bytes:
    out = io.BytesIO()
    assert archive.write(collection, out) == []
    return out.getvalue()


def brought_in(data: bytes, folder, limits=LIMITS) -> Collection:
    made = Collection(folder)
    archive.read(io.BytesIO(data), made, limits)
    return made


@pytest.fixture
def whole(tmp_path):
    """A collection with a file that is read, one that failed, and one that is being read."""
    collection = Collection(tmp_path / "whole")
    for name, state, pages in (("a/lease.txt", "ready", 3), ("cut.pdf", "failed", 0), ("long.txt", "reading", 9)):
        entry = collection.keep(name, name.encode() * 100)
        collection.add_pages(entry.id, name, [of(number + 1) for number in range(min(pages, 3))])
        collection.set_state(entry.id, state, pages=pages, problem="Cut." if state == "failed" else None)
    yield collection
    collection.close()


def told(collection: Collection) -> list[tuple]:
    return [
        (
            each.name,
            each.digest,
            each.size,
            each.state if each.state in ("ready", "failed") else "stopped",
            each.pages,
            each.problem,
            [
                (page.number, page.passages)
                for number in range(1, each.pages_done + 1)
                if (page := collection.page_of(each.name, number))
            ],
        )
        for each in collection.files()
    ]


def test_it_comes_out_as_it_went_in_and_is_found_by_its_words(whole, tmp_path):
    made = brought_in(taken_out(whole), tmp_path / "made")
    assert told(made) == told(whole) and made.counts() == whole.counts()
    figures = "SELECT box, is_table FROM figures ORDER BY id"
    assert list(made.database.execute(figures)) == list(whole.database.execute(figures)) != []
    query = "SELECT rowid FROM words WHERE words MATCH 'word2'"
    assert len(list(made.database.execute(query))) == len(list(whole.database.execute(query))) == 2
    assert made.path_of(made.file("a/lease.txt").digest).read_bytes() == b"a/lease.txt" * 100
    assert taken_out(made) == taken_out(whole)
    made.close()


def test_it_is_of_one_moment_while_pages_are_being_added(tmp_path):
    """Both files get their pages in one transaction each, so a copy of one moment has as many of both, or one more."""
    busy, stop = Collection(tmp_path / "busy"), threading.Event()
    first, second = busy.keep("one.txt", b"1").id, busy.keep("two.txt", b"2").id
    busy.add_pages(first, "one.txt", [of(1)])

    def adds() -> None:
        for number in range(1, 5000):
            if stop.is_set():
                return
            busy.add_pages(second, "two.txt", [of(number)])
            busy.add_pages(first, "one.txt", [of(number + 1)])

    thread = threading.Thread(target=adds)
    thread.start()
    copies = [taken_out(busy) for _ in range(4)]
    stop.set()
    thread.join()
    busy.close()
    limits = LIMITS.model_copy(update={"max_knowledge_pages": 5000})
    for number, data in enumerate(copies):
        made = brought_in(data, tmp_path / f"made-{number}", limits)
        one, two = (made.file(name).pages_done for name in ("one.txt", "two.txt"))
        assert one - two in (0, 1)
        made.close()


def test_a_file_that_is_gone_from_the_disk_is_left_out_by_name(whole, tmp_path):
    whole.path_of(whole.file("a/lease.txt").digest).unlink()
    out = io.BytesIO()
    assert archive.write(whole, out) == ["a/lease.txt"]
    made = brought_in(out.getvalue(), tmp_path / "made")
    assert [each.name for each in made.files()] == ["cut.pdf", "long.txt"]
    made.close()


ENTRY = {"name": "a.txt", "digest": hashlib.sha256(b"a").hexdigest(), "state": "ready", "pages": 1, "problem": ""}
PAGE = {"number": 1, "problem": "", "passages": [["words", None, ""]], "figures": []}


def packed(entry=ENTRY, pages=(PAGE,), data: bytes = b"a", head=None, end=None, more=()) -> bytes:
    """An archive by hand; `more` are members before its end, `TarInfo` and bytes."""
    out = io.BytesIO()
    lines = "".join((page if isinstance(page, str) else json.dumps(page)) + "\n" for page in pages)
    members = [
        ("collection.json", json.dumps(head or {"format": 1}).encode()),
        ("0.json", json.dumps(entry).encode()),
        ("0.pages", lines.encode()),
        ("0.file", data),
        *more,
        ("end.json", json.dumps(end or {"files": 1}).encode()),
    ]
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for name, content in members:
            member = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def with_size(data: bytes, size: int) -> bytes:
    """The first member says that it has so many bytes."""
    member = tarfile.TarInfo.frombuf(data[:512], "ascii", "strict")
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT) + data[512:]


HOSTILE = {
    "nothing": b"",
    "zeros": bytes(2048),
    "another file": b"%PDF-1.4 and so on" * 100,
    "a zip": b"PK\x03\x04" + bytes(600),
    "a newer format": packed(head={"format": 2}),
    "a name that leads outside": packed({**ENTRY, "name": "../../../etc/passwd"}),
    "an absolute name": packed({**ENTRY, "name": "/etc/passwd"}),
    "a name with a bell": packed({**ENTRY, "name": "a\a.txt"}),
    "an empty name": packed({**ENTRY, "name": ""}),
    "a long name": packed({**ENTRY, "name": "a" * 300}),
    "a digest that is a path": packed({**ENTRY, "digest": "../words.sqlite"}),
    "a digest of something else": packed(data=b"b"),
    "a state of its own": packed({**ENTRY, "state": "waiting"}),
    "a field more": packed({**ENTRY, "size": 1}),
    "a field less": packed({"name": "a.txt"}),
    "pages in words": packed({**ENTRY, "pages": "1"}),
    "pages below none": packed({**ENTRY, "pages": -1}),
    "pages that no database counts": packed({**ENTRY, "pages": 1 << 63}),
    "half a character": packed(
        json.loads('{"x": 0}') | ENTRY, pages=['{"number":1,"problem":"\\ud800","passages":[],"figures":[]}']
    ),
    "a page of no number": packed(pages=[{**PAGE, "number": 0}]),
    "a page beyond all": packed(pages=[{**PAGE, "number": 51}]),
    "a page that is no JSON": packed(pages=["{"]),
    "a page that is a list": packed(pages=["[]"]),
    "a place that is no number": packed(pages=[{**PAGE, "passages": [["w", [0, 0, 1, float("nan")], ""]]}]),
    "a place with three sides": packed(pages=[{**PAGE, "passages": [["w", [0, 0, 1], ""]]}]),
    "words of a kind of its own": packed(pages=[{**PAGE, "passages": [["w", None, "system"]]}]),
    "figures beyond all": packed(pages=[{**PAGE, "figures": [[[0, 0, 1, 1], True]] * 7}]),
    "a deep page": packed(pages=["[" * 100_000]),
    "another count": packed(end={"files": 2}),
    "the same name twice": packed(
        more=[("1.json", json.dumps(ENTRY).encode()), ("1.pages", b""), ("1.file", b"a")], end={"files": 2}
    ),
    "a member of another name": packed(more=[("../words.sqlite", b"x")]),
    "a link": packed(more=[(special("1.json", tarfile.SYMTYPE, "/etc/passwd"), b"")]),
    "a hard link": packed(more=[(special("1.json", tarfile.LNKTYPE, "0.file"), b"")]),
    "a device": packed(more=[(special("1.json", tarfile.CHRTYPE), b"")]),
    "a header of extensions": packed(more=[(special("1.json", tarfile.XHDTYPE), b"12 path=/etc\n")]),
    "a file that is too large": packed(data=b"a" * (MIB + 1)),
    "a size that nobody has": with_size(packed(), 1 << 60),
    "a size below none": with_size(packed(), -512),
    "a line that is too long": with_size(packed(), 1 << 17),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_archive_is_refused(tmp_path, data):
    made = Collection(tmp_path / "made")
    with pytest.raises(NoArchive, match="This is no archive of a collection"):
        archive.read(io.BytesIO(data), made, LIMITS)
    made.close()
    assert {path.name for path in tmp_path.iterdir()} == {"made"}


def test_what_all_members_take_together_is_bounded(tmp_path):
    data = packed(data=b"a" * 2000, entry={**ENTRY, "digest": hashlib.sha256(b"a" * 2000).hexdigest()})
    brought_in(data, tmp_path / "fits", LIMITS.model_copy(update={"max_knowledge_bytes": 3000})).close()
    with pytest.raises(NoArchive, match="too many"):
        brought_in(data, tmp_path / "not", LIMITS.model_copy(update={"max_knowledge_bytes": 2100}))


def test_an_archive_that_was_cut_anywhere_is_refused(whole, tmp_path):
    data = taken_out(whole)
    end = data.index(b"end.json") + 512
    for number, at in enumerate(range(0, end, 1536)):
        made = Collection(tmp_path / f"made-{number}")
        with pytest.raises(NoArchive):
            archive.read(io.BytesIO(data[:at]), made, LIMITS)
        made.close()


@pytest.mark.asyncio(loop_scope="session")
async def test_another_region_has_it_at_once_in_the_place_of_the_one_before(make, tmp_path):
    knowledge = await make()
    await knowledge.add(ME, "papers", "lease.docx", files.word("The lease ends in October"))
    await knowledge.add(ME, "papers", "oven.txt", b"The oven is by Miele.")
    await knowledge.add("key:her", "home", "old.txt", b"The oven is by Bosch.")
    out = io.BytesIO()
    assert await knowledge.moving.out(ME, "papers", out) == []
    await knowledge.moving.bring("key:her", "home", io.BytesIO(out.getvalue()))
    (hit, *_) = await knowledge.search("key:her", "home", "Who made the oven?", 3)
    assert hit.page.file == "oven.txt" and "Miele" in hit.text
    assert [each.name for each in (await knowledge.collection("key:her", "home")).files] == ["lease.docx", "oven.txt"]
    assert len(list((tmp_path / "knowledge").glob("*/*/words.sqlite"))) == 2  # that of before is gone


@pytest.mark.asyncio(loop_scope="session")
async def test_before_its_end_nothing_is_changed(make, tmp_path, monkeypatch):
    there = await make(max_knowledge_bytes=2000)
    await there.add(ME, "home", "old.txt", b"The oven is by Bosch.")
    large = packed(data=b"a" * 1990, entry={**ENTRY, "digest": hashlib.sha256(b"a" * 1990).hexdigest()}, pages=())
    full = kept_files.write_whole

    def no_room(path, data):
        if shelf._INCOMING in path.parts:
            raise OSError(28, "No space left on device")
        full(path, data)

    for data, name, error in (
        (packed()[:2048], "home", NoArchive),
        (large, "other", NoArchive),
        (packed(), "no/name", InvalidRequest),
    ):
        with pytest.raises(error):
            await there.moving.bring(ME, name, io.BytesIO(data))
    await there.add(ME, "more", "more.txt", b"m" * 1930)
    with pytest.raises(MediaRefused, match="--max-knowledge-bytes"):
        await there.moving.bring(ME, "other", io.BytesIO(packed()))
    monkeypatch.setattr("qwen_demo.knowledge.collection.write_whole", no_room)
    with pytest.raises(DiskFull):
        await there.moving.bring(ME, "home", io.BytesIO(packed()))
    assert [each.name for each in (await there.collection(ME, "home")).files] == ["old.txt"]
    assert [each.name for each in await there.collections(ME)] == ["home", "more"]
    assert list((tmp_path / "knowledge" / shelf._INCOMING).iterdir()) == []


@pytest.mark.parametrize("figures", [[[[0, 0, 2, 1], False]], [[[0, 0, 1, 1], False]] * 7, [[[0, 0, 1], False]], ["x"]])
def test_figures_that_are_none_are_refused(figures):
    line = json.dumps({"number": 1, "problem": "", "passages": [], "figures": figures}).encode()
    with pytest.raises(NoArchive):
        list(archive._pages(io.BytesIO(line + b"\n"), 9))

"""Files of every kind are read into pages; what cannot be read is named; nothing is done twice."""

import asyncio

import pytest

from qwen_demo.engines.scripted import Script
from qwen_demo.errors import InvalidRequest, MediaRefused
from qwen_demo.knowledge.adding import Adding
from qwen_demo.knowledge.shelf import NoCollection
from tests.knowledge import files

pytestmark = pytest.mark.asyncio(loop_scope="session")
ME = "key:me"


async def found(knowledge, query: str, top_k: int = 3) -> list[tuple[str, int]]:
    return [(hit.page.file, hit.page.number) for hit in await knowledge.search(ME, "c", query, top_k)]


async def test_pages_of_a_pdf_are_found_with_the_place_of_the_words(make):
    knowledge = await make()
    lines = (["Letter to Anna Weber"], ["The boiler was serviced in March", "Its pressure is 3.5 bar"])
    entry = await knowledge.add(ME, "c", "house.pdf", files.pdf(*lines))
    assert (entry.state, entry.pages, entry.pages_done, entry.problem) == ("ready", 2, 2, "")
    (hit,) = await knowledge.search(ME, "c", "What is the boiler's pressure?", 1)
    assert (hit.page.file, hit.page.number) == ("house.pdf", 2)
    best = next(each for each in hit.marked if "3.5 bar" in each.text)
    x1, y1, x2, y2 = best.box
    assert (x1, y1) == (pytest.approx(72 / 595, abs=0.01), pytest.approx((842 - 731) / 842, abs=0.02))
    assert x2 > x1 and y2 - y1 < 0.03
    assert hit.score > 0 and hit.coverage > 0.9


OFFICE = {
    "a.docx": (
        files.word("First words", "The lease ends in October", table=[["Rent", "1234 EUR"]]),
        "lease October",
        1,
    ),
    "b.pptx": (files.slides("Welcome", "Revenue grew by seven percent"), "revenue growing", 2),
    "c.xlsx": (files.sheet([["part", "left"], *[[f"part {n}", n] for n in range(90)], ["ZX-19", 7]]), "ZX-19", 3),
    "d.md": (b"# Garden\n\nTomatoes need sun.\n\n# Kitchen\n\nThe oven is by Miele.", "who made the oven", 1),
    "e.txt": ("会议在上海举行，预算为三百万元。".encode("gb18030"), "上海的预算是多少？", 1),
}


@pytest.mark.parametrize("name", OFFICE)
async def test_texts_and_office_files_are_found(make, name):
    knowledge = await make()
    data, query, page = OFFICE[name]
    entry = await knowledge.add(ME, "c", name, data)
    assert (entry.state, entry.problem) == ("ready", "")
    assert (await found(knowledge, query))[0] == (name, page)


async def test_pages_without_words_are_read_by_the_model_with_the_boxes_of_its_elements(make):
    html = '<p data-bbox="0 0 224 56">Invoice 4711 of the Blue Mill, to be paid by the first of May</p>'
    knowledge = await make(Script([html]))
    entry = await knowledge.add(ME, "c", "scan.pdf", files.scanned_pdf("Invoice 4711"))
    assert (entry.state, entry.problem) == ("ready", "")
    (hit,) = await knowledge.search(ME, "c", "invoice 4711", 1)
    assert hit.marked[0].text.startswith("Invoice 4711")
    x1, y1, x2, y2 = hit.marked[0].box
    assert (x1, y1) == (0, 0) and 0 < x2 < 1 and 0 < y2 < 1


async def test_a_page_that_cannot_be_read_is_named_and_the_rest_goes_on(make):
    knowledge = await make(Script(None))  # gives the question back, which is no reading
    mixed = files.pdf(["Words of page one"], [], ["Words of page three"])
    entry = await knowledge.add(ME, "c", "mixed.pdf", mixed)
    assert (entry.state, entry.pages_done) == ("ready", 3)
    assert entry.problem.startswith("page 2: ")
    assert (await found(knowledge, "page three"))[0] == ("mixed.pdf", 3)


BROKEN = {
    "cut.pdf": files.pdf(["x"])[:200],
    "cut.docx": files.word("x")[:900],
    "other.xlsx": files.scan("x")[:30],
    "none.bin": bytes(range(256)),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_damaged_file_is_told_and_others_are_found(make, name):
    knowledge = await make()
    await knowledge.add(ME, "c", "good.txt", b"The ferry leaves at nine")
    entry = await knowledge.add(ME, "c", name, BROKEN[name])
    assert entry.state == "failed" and name in entry.problem
    assert await found(knowledge, "when does the ferry leave") == [("good.txt", 1)]


async def test_the_same_file_again_is_not_read_again_and_a_changed_one_is(make):
    knowledge = await make(Script(["Seen once, and quite long enough to be words of a page"]))
    await knowledge.add(ME, "c", "s.png", files.scan("one"))
    count = len(knowledge.engine.requests)
    await knowledge.add(ME, "c", "s.png", files.scan("one"))
    assert len(knowledge.engine.requests) == count
    knowledge.engine.script = Script(["Now something else: a receipt of the bakery, and more"])
    await knowledge.add(ME, "c", "s.png", files.scan("two"))
    assert await found(knowledge, "bakery receipt") == [("s.png", 1)]
    assert await found(knowledge, "seen once") == []


async def test_what_was_removed_is_not_found_and_leaves_the_disk(make, tmp_path):
    knowledge = await make()
    await knowledge.add(ME, "c", "a.txt", b"alpha beta")
    await knowledge.add(ME, "c", "twin.txt", b"alpha beta")
    await knowledge.remove_file(ME, "c", "a.txt")
    assert await found(knowledge, "alpha") == [("twin.txt", 1)]
    await knowledge.remove_file(ME, "c", "twin.txt")
    assert await found(knowledge, "alpha") == []
    assert not [path for path in tmp_path.rglob("files/*") if path.is_file()]


async def test_a_collection_is_renamed_listed_and_removed(make, tmp_path):
    knowledge = await make()
    await knowledge.add(ME, "c", "a.txt", b"alpha")
    await knowledge.add(ME, "other", "a.txt", b"alpha")
    with pytest.raises(InvalidRequest, match="already"):
        await knowledge.rename(ME, "c", "other")
    await knowledge.rename(ME, "c", "合同 2026")
    assert [each.name for each in await knowledge.collections(ME)] == ["other", "合同 2026"]
    await knowledge.remove(ME, "other")
    with pytest.raises(NoCollection):
        await knowledge.collection(ME, "other")
    assert len(list(tmp_path.rglob("words.sqlite"))) == 1


async def test_owners_neither_see_nor_name_nor_count_each_other(make):
    knowledge = await make()
    await knowledge.add(ME, "c", "a.txt", b"alpha")
    you = "key:you"
    assert await knowledge.collections(you) == []
    for asked in (
        knowledge.collection(you, "c"),
        knowledge.search(you, "c", "alpha", 1),
        knowledge.file(you, "c", "a.txt"),
        knowledge.remove(you, "c"),
        knowledge.rename(you, "c", "d"),
        knowledge.page_image(you, "c", "a.txt", 1),
    ):
        with pytest.raises(NoCollection) as refused:
            await asked
        assert str(refused.value) == "There is no collection 'c'."
    await knowledge.add(you, "c", "b.txt", b"beta")
    assert await found(knowledge, "beta") == []


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 65, "a\nb", " a"])
async def test_what_is_no_name_is_refused(make, name):
    with pytest.raises(InvalidRequest, match="1 to 64"):
        await (await make()).add(ME, name, "a.txt", b"a")


async def test_limits_come_before_the_disk(make, tmp_path):
    knowledge = await make(max_knowledge_file_bytes=100, max_knowledge_bytes=1024**2, max_knowledge_pages=2)
    with pytest.raises(MediaRefused, match="--max-knowledge-file-bytes"):
        await knowledge.add(ME, "c", "a.txt", b"a" * 101)
    assert not list(tmp_path.rglob("*.sqlite"))
    knowledge = await make(max_knowledge_pages=2)
    entry = await knowledge.add(ME, "c", "long.pdf", files.pdf(["1"], ["2"], ["3"]))
    assert entry.state == "failed" and "--max-knowledge-pages" in entry.problem


async def test_files_of_one_owner_do_not_hold_up_another_owners(make, monkeypatch):
    knowledge = await make()
    read = Adding._read_alone

    async def slow(self, collection, entry):
        if entry.name.startswith("slow"):
            await asyncio.Event().wait()
        await read(self, collection, entry)

    monkeypatch.setattr(Adding, "_read_alone", slow)
    for number in range(4):
        await knowledge.add(ME, "c", f"slow-{number}.txt", b"words %d" % number, wait_s=0)
    async with asyncio.timeout(60):
        assert (await knowledge.add("key:another", "c", "a.txt", b"words")).state == "ready"

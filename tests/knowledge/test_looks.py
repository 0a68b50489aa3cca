"""Pages by how they look: late interaction is exact, and a model of the true kind (with random weights) serves it."""

import io

import numpy as np
import PIL.Image
import pytest

from benchmarks import page_looks
from qwen_demo.engines.embedding.process import EmbeddingProcess, EmbeddingSetup
from qwen_demo.errors import EngineFailed, ModelLoadError
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.embedding.embedder import EmbeddingsAway
from qwen_demo.knowledge.hybrid import Finder
from qwen_demo.knowledge.looks import LookTable, PageLooks
from qwen_demo.knowledge.unmade import Unmade
from qwen_demo.media import PageText, Passage
from qwen_demo.models.choose import EMBEDDED_DIR
from tests.conftest import image as image_of
from tests.knowledge import files

ME = "key:me"


@pytest.fixture
def collection(tmp_path):
    collection = Collection(tmp_path / "c")
    entry = collection.enter("a.pdf", "0", 0)
    collection.add_pages(entry.id, "a.pdf", [PageText(n, (Passage(f"page {n}"),)) for n in range(1, 71)])
    yield collection
    collection.close()


def rows(made: np.random.Generator, count: int) -> np.ndarray:
    found = made.normal(size=(count, 16)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def late(question: np.ndarray, page: np.ndarray) -> float:
    return float((question @ page.T).max(1).mean())


def test_late_interaction_is_that_of_the_paper_for_pages_of_any_length(collection):
    made = np.random.default_rng(1)
    looks = {page: rows(made, 3 + page % 9) for page in range(1, 71)}
    table = LookTable(collection, "m")
    for page in table.lacking(100):
        table.put(page, looks[page] if page % 10 else None)
    assert table.lacking(100) == []
    question = rows(made, 5)
    right = sorted(((page, late(question, look)) for page, look in looks.items() if page % 10), key=lambda e: -e[1])
    found = table.nearest(question, 10)
    assert [score for _, score in found] == pytest.approx([score for _, score in right[:10]], abs=0.01)
    assert found[0][0] == right[0][0]
    collection.remove("a.pdf")
    assert table.nearest(question, 10) == []


def test_looks_of_another_model_are_gone(collection):
    LookTable(collection, "m").put(1, rows(np.random.default_rng(2), 4))
    assert LookTable(collection, "m").lacking(1) == [2]
    assert LookTable(collection, "other").lacking(1) == [1]
    assert LookTable(collection, "other").nearest(rows(np.random.default_rng(3), 2), 5) == []


async def test_a_page_is_found_by_its_look_alone_and_a_model_that_is_away_costs_only_that(collection, monkeypatch):
    async def draw(collection, page):
        return None

    looks, made = PageLooks(EmbeddingSetup("m", pages=True), draw), np.random.default_rng(4)
    question = rows(made, 3)
    table = LookTable(collection, looks._name)
    for page in table.lacking(100):
        table.put(page, question if page == 33 else rows(made, 3))

    async def embed(texts, kind):
        if away:
            raise ModelLoadError("away")
        return question

    monkeypatch.setattr(looks._process, "embed", embed)
    finder, away = Finder(None, looks=looks), False
    assert (await finder.find(collection, "a diagram of a pump", 3))[0].page.number == 33
    away = True
    assert await finder.find(collection, "a diagram of a pump", 3) == []
    assert (await finder.find(collection, "7", 3))[0].page.number == 7
    await finder.close()


async def test_a_page_whose_look_fails_is_noted_and_the_rest_goes_on_and_nothing_tries_it_at_each_search(
    collection, monkeypatch
):
    bad, away = {7, 20, 21}, set()
    asked = []

    async def draw(collection, page):
        return image_of("red", (28, 28))

    def looks_of() -> PageLooks:
        looks = PageLooks(EmbeddingSetup("m", pages=True), draw)

        async def embed_page(image):
            number = len(asked) + 1 if len(asked) < 70 else 0
            asked.append(number)
            if number in bad | away:
                raise EngineFailed("it ended")
            return rows(np.random.default_rng(number), 3)

        monkeypatch.setattr(looks._process, "embed_page", embed_page)
        return looks

    looks = looks_of()
    await looks.making.begin(collection)
    table = LookTable(collection, looks._name)
    assert table.lacking(99) == [] and len(table.nearest(rows(np.random.default_rng(0), 2), 99)) == 67
    assert "Page 7 (and 2 more pages) have no look: it ended" in collection.file("a.pdf").problem
    await looks.making.begin(collection)
    assert len(asked) == 70
    again = looks_of()  # the program has started anew
    await again.making.begin(collection)
    assert len(asked) == 73 and "look" not in collection.file("a.pdf").problem


async def test_a_page_is_tried_three_times_and_a_model_that_fails_at_every_page_is_left_alone(collection, monkeypatch):
    async def draw(collection, page):
        return image_of("red", (28, 28))

    tries = []

    async def fails(image):
        tries.append(image)
        raise EngineFailed("it ended")

    for start in range(1, 6):
        looks = PageLooks(EmbeddingSetup("m", pages=True), draw)
        monkeypatch.setattr(looks._process, "embed_page", fails)
        with pytest.raises(EmbeddingsAway, match="every page"):
            await looks.making.begin(collection)
        assert len(tries) == 3 * start
    assert Unmade(collection, "look").to_try() == [4, 5, 6]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A ColQwen2.5 in the embedded model's shapes, with random weights."""
    folder = tmp_path_factory.mktemp("page model")
    page_looks.made(folder, "embedded")
    return folder


@pytest.mark.slow
async def test_a_process_gives_the_vectors_of_the_model(checkpoint):
    from qwen_demo.models.page_embedding import PageModel

    file = io.BytesIO()
    PIL.Image.linear_gradient("L").convert("RGB").save(file, "JPEG")
    here = PageModel(checkpoint, "m", threads=1)
    process = EmbeddingProcess(EmbeddingSetup(str(checkpoint), threads=1, pages=True))
    page, question = await process.embed_page(file.getvalue()), await process.embed(["a pump"], "question")
    assert page.shape[1] == question.shape[1] == 128 and len(page) > 64
    assert np.linalg.norm(page, axis=1) == pytest.approx(1, abs=1e-3)
    assert page == pytest.approx(here.page(file.getvalue()), abs=1e-3)
    assert question == pytest.approx(here.question("a pump"), abs=1e-3)
    await process.close()


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="session")
async def test_pages_that_can_be_drawn_are_looked_at_once_and_others_are_passed_over(make, checkpoint):
    knowledge = await make(page_model=str(checkpoint), embedding_threads=1)
    await knowledge.add(ME, "c", "house.pdf", files.pdf(["one"], ["two"]))
    await knowledge.add(ME, "c", "notes.txt", b"three")
    collection = knowledge._shelf.open(ME, "c")
    await knowledge._finder._looks.making.begin(collection)
    table = LookTable(collection, knowledge._finder._looks._name)
    assert table.lacking(9) == []
    assert len(table.nearest(np.ones((1, 128), np.float32), 9)) == 2
    found = await knowledge.search(ME, "c", "something that is written nowhere", 5)
    assert {(hit.page.file, hit.page.number) for hit in found} == {("house.pdf", 1), ("house.pdf", 2)}


async def test_another_kind_of_model_is_refused_by_its_name():
    process = EmbeddingProcess(EmbeddingSetup(str(EMBEDDED_DIR), pages=True))
    with pytest.raises(ModelLoadError, match="qwen2_5_vl"):
        await process.embed(["a pump"], "question")
    await process.close()

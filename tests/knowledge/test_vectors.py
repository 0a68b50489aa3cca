"""Every store of vectors keeps the same promises: SQLite, LanceDB's library, Qdrant's client over its HTTP protocol."""

from pathlib import Path

import numpy as np
import pytest

from qwen_demo.errors import SettingsError
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.vectors.choosing import store_of
from qwen_demo.knowledge.vectors.lance import LanceStore
from qwen_demo.knowledge.vectors.qdrant import QdrantStore
from qwen_demo.knowledge.vectors.sqlite import SqliteStore
from qwen_demo.knowledge.vectors.store import Vectors, VectorsAway, drop
from qwen_demo.knowledge.vectors.windows import MOST, WINDOW, length, windows
from qwen_demo.media import PageText, Passage
from qwen_demo.settings import Settings
from tests.knowledge.qdrant_server import QdrantServer

STORES = ["sqlite", "lancedb", "lancedb in one place", "qdrant"]


@pytest.fixture
def server():
    return QdrantServer(key="k")


@pytest.fixture(params=STORES)
def store(request, tmp_path, server):
    made = {
        "sqlite": SqliteStore,
        "lancedb": LanceStore,
        "lancedb in one place": lambda: LanceStore(str(tmp_path / "elsewhere")),
        "qdrant": lambda: QdrantStore.at("https://qdrant:6333", "k", transport=server.transport),
    }[request.param]()
    yield made
    made.close()


@pytest.fixture
def collection(tmp_path):
    collection = Collection(tmp_path / "c")
    yield collection
    collection.close()


def add(collection: Collection, name: str, count: int) -> list[int]:
    entry = collection.enter(name, name, 0)
    return collection.add_pages(entry.id, name, [PageText(n, (Passage(f"{name} {n}"),)) for n in range(1, count + 1)])


def rows(seed: int, count: int, width: int = 24) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_the_nearest_are_found_and_a_removed_page_is_not(store, collection):
    vectors = Vectors(collection, store, "m")
    assert vectors.nearest(rows(0, 1)[0], 5) == []
    pages = add(collection, "a.txt", 20) + add(collection, "b.txt", 20)
    assert vectors.lacking(30) == pages[:30]
    made = rows(1, 40)
    vectors.put(pages[:30], pages[:30], made[:30])
    assert vectors.lacking(30) == pages[30:]
    vectors.put(pages[30:], pages[30:], made[30:])
    asked = rows(2, 1)[0]
    right = sorted(zip(pages, (made @ asked).tolist(), strict=True), key=lambda each: -each[1])
    found = vectors.nearest(asked, 7)
    assert [page for page, _ in found] == [page for page, _ in right[:7]]
    assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in right[:7]], abs=0.01)
    assert len(vectors.nearest(asked, 100)) == 40

    collection.remove("a.txt")
    again = Vectors(collection, store, "m")  # as another process has it
    assert sorted(page for page, _ in again.nearest(asked, 100)) == pages[20:]
    assert again.lacking(5) == []


def test_a_batch_that_is_made_again_is_there_once(store, collection):
    vectors = Vectors(collection, store, "m")
    pages, made = add(collection, "a.txt", 3), rows(3, 3)
    vectors.put(pages, pages, made[::-1])
    vectors.put(pages, pages, made)
    assert vectors.nearest(made[0], 9)[0] == (pages[0], pytest.approx(1, abs=0.01))
    assert len(vectors.nearest(made[0], 9)) == 3


def test_a_page_is_as_near_as_its_nearest_window_and_goes_with_all_of_them(store, collection):
    vectors, pages = Vectors(collection, store, "m"), add(collection, "a.txt", 3) + add(collection, "b.txt", 1)
    made, asked = rows(13, 36), rows(14, 1)[0]
    whose = [pages[0]] * 32 + [pages[1]] * 2 + pages[2:]
    vectors.put(pages, whose, made)
    nearest = {
        page: max(float(row @ asked) for row, own in zip(made, whose, strict=True) if own == page) for page in pages
    }
    right = sorted(nearest.items(), key=lambda each: -each[1])
    for most in (1, 3, 9):
        found = vectors.nearest(asked, most)
        assert [page for page, _ in found] == [page for page, _ in right[:most]]
        assert [cosine for _, cosine in found] == pytest.approx([cosine for _, cosine in right[:most]], abs=0.01)
    collection.remove("a.txt")
    assert [page for page, _ in vectors.nearest(asked, 9)] == pages[3:]


def test_vectors_of_before_there_were_windows_are_made_anew(store, collection):
    pages = add(collection, "a.txt", 2)
    Vectors(collection, store, "m").put(pages, pages, rows(15, 2))
    collection.database.execute("UPDATE meta SET value = ? WHERE key = 'vectors of'", (f"{store.place} m",))
    assert Vectors(collection, store, "m").lacking(5) == pages
    assert Vectors(collection, store, "m").nearest(rows(15, 1)[0], 5) == []


def test_windows_hold_all_words_of_a_page_each_with_its_beginning():
    words = [f"word{number}" for number in range(900)]
    pages = {
        "passages": [Passage(" ".join(words[at : at + 10])) for at in range(0, 900, 10)],
        "one passage": [Passage(" ".join(words))],
        "no space": [Passage("x" * 5000)],
        "chinese": [Passage("合同在上海签订。" * 200)],
        "short": [Passage("alpha"), Passage("beta")],
        "empty": [],
    }
    made = {name: windows(page) for name, page in pages.items()}
    assert all(length(text) <= 2 * WINDOW for texts in made.values() for text in texts)
    for name in ("passages", "one passage"):
        assert set(" ".join(made[name]).split()) == set(words) and 8 < len(made[name]) < 12
        assert all(text.startswith("word0 word1 ") for text in made[name])
    assert len(made["no space"]) == 7 and 12 <= len(made["chinese"]) <= 13
    assert (made["short"], made["empty"]) == (["alpha beta"], [""])
    assert len(windows([Passage("x" * 60_000)])) == MOST


def test_vectors_of_another_model_are_no_neighbours(store, collection):
    pages = add(collection, "a.txt", 2)
    Vectors(collection, store, "m").put(pages, pages, rows(4, 2, 24))
    other = Vectors(collection, store, "another")
    assert other.lacking(5) == pages
    other.put(pages, pages, rows(5, 2, 8))
    assert len(other.nearest(rows(6, 1, 8)[0], 9)) == 2


def test_what_was_dropped_is_gone_and_other_collections_are_not(store, collection, tmp_path):
    other = Collection(tmp_path / "other")
    for each in (collection, other):
        pages = add(each, "a.txt", 2)
        Vectors(each, store, "m").put(pages, pages, rows(7, 2))
    drop(collection, store)
    assert Vectors(collection, store, "m").nearest(rows(7, 1)[0], 9) == []
    assert len(Vectors(other, store, "m").nearest(rows(7, 1)[0], 9)) == 2
    other.close()


def test_a_store_that_was_emptied_by_others_gets_its_vectors_again(store, collection):
    vectors, pages = Vectors(collection, store, "m"), add(collection, "a.txt", 2)
    vectors.put(pages, pages, rows(12, 2))
    drop(collection, store)
    assert vectors.nearest(rows(12, 1)[0], 5) == []
    assert vectors.lacking(5) == pages
    vectors.put(pages, pages, rows(12, 2))
    assert len(vectors.nearest(rows(12, 1)[0], 5)) == 2


def test_what_was_removed_is_on_the_disk_no_more(collection):
    vectors = Vectors(collection, LanceStore(), "m")
    (page,), made = add(collection, "a.txt", 1), rows(10, 1)
    add(collection, "b.txt", 1)
    vectors.put([page, page + 1], [page, page + 1], np.concatenate([made, rows(11, 1)]))

    def files_with_it() -> list[Path]:
        found = [path for path in collection.folder.rglob("*.lance") if path.is_file()]
        return [path for path in found if made[0, :4].tobytes() in path.read_bytes()]

    assert files_with_it()
    collection.remove("a.txt")
    vectors.tidy()
    assert files_with_it() == []
    assert [found for found, _ in vectors.nearest(made[0], 5)] == [page + 1]


def test_qdrant_holds_numbers_and_vectors_alone_and_is_sent_its_key(collection, server):
    store = QdrantStore.at("https://qdrant:6333", "k", transport=server.transport)
    pages = add(collection, "secret.txt", 2)
    Vectors(collection, store, "m").put(pages, pages, rows(8, 2))
    assert server.bodies and not any(b"secret" in body for body in server.bodies)
    wrong = QdrantStore.at("https://qdrant:6333", "wrong", transport=server.transport)
    with pytest.raises(VectorsAway):
        Vectors(collection, wrong, "m").nearest(rows(8, 1)[0], 1)
    store.close()
    wrong.close()


def test_a_qdrant_that_is_away_is_told_so(collection):
    store = QdrantStore.at("http://127.0.0.1:9", "")
    with pytest.raises(VectorsAway, match="Qdrant does not answer"):
        Vectors(collection, store, "m").nearest(rows(9, 1)[0], 1)
    store.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"vector_store": "qdrant"}, "--vector-store-url"),
        ({"vector_store_url": "http://127.0.0.1:6333"}, "--vector-store"),
    ],
)
def test_a_store_that_cannot_be_meant_is_refused_at_start(settings, words):
    with pytest.raises(SettingsError, match=words):
        store_of(Settings(**settings))


def test_the_usual_store_needs_no_package():
    assert store_of(Settings()).place == "sqlite"

"""Words and vectors together: a page in other words is found, and a server that is away costs only that."""

import asyncio
import json

import httpx
import pytest

from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.embedding.embedder import EmbeddingsAway
from qwen_demo.knowledge.embedding.remote import RemoteEmbedder
from qwen_demo.knowledge.hybrid import Finder
from qwen_demo.knowledge.vectors.store import VectorsAway
from qwen_demo.media import PageText, Passage

# What the made-up model knows: words of one topic lie in one direction.
TOPICS = ("dog hound puppy leash", "rent lease landlord", "soup stew broth")


def vector(text: str) -> list[float]:
    return [float(sum(word in text.lower() for word in topic.split())) + 0.01 for topic in TOPICS]


class Server:
    """OpenAI's `/v1/embeddings`, out of order as it may be."""

    def __init__(self):
        self.asked: list[list[str]] = []
        self.kinds: list[str | None] = []
        self.takes_kinds = True
        self.status = lambda texts: 200
        self.answer = lambda texts: [{"index": n, "embedding": vector(text)} for n, text in enumerate(texts)][::-1]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/embeddings" and request.headers["authorization"] == "Bearer k"
        body = json.loads(request.content)
        self.kinds.append(body.get("input_type"))
        if "input_type" in body and not self.takes_kinds:
            return httpx.Response(400, json={"error": {"message": "Unrecognized request argument: input_type"}})
        self.asked.append(body["input"])
        return httpx.Response(self.status(body["input"]), json={"data": self.answer(self.asked[-1])})


@pytest.fixture
def server():
    return Server()


@pytest.fixture
async def finder(server):
    finder = Finder(RemoteEmbedder("http://embeddings/v1", "m", "k", transport=httpx.MockTransport(server)))
    yield finder
    await finder.close()


@pytest.fixture
def collection(tmp_path):
    collection = Collection(tmp_path / "c")
    entry = collection.enter("a.txt", "0", 0)
    texts = ("The puppy needs a leash", "The landlord raised it in May", "Broth with noodles")
    collection.add_pages(entry.id, "a.txt", [PageText(n, (Passage(text),)) for n, text in enumerate(texts, 1)])
    yield collection
    collection.close()


async def test_a_page_in_other_words_is_found(finder, collection):
    hits = await finder.find(collection, "Which hound do we have?", 3)
    assert (hits[0].page.number, hits[0].coverage) == (1, 1.0)


async def test_words_and_vectors_that_agree_come_first(finder, collection):
    hits = await finder.find(collection, "rent that the landlord raised", 3)
    assert hits[0].page.number == 2 and hits[0].score == 1.0


async def test_vectors_are_made_once_and_for_new_pages_only(finder, collection, server):
    await finder.find(collection, "hound", 1)
    await finder.find(collection, "stew", 1)
    assert [len(texts) for texts in server.asked] == [3, 1, 1]
    entry = collection.enter("b.txt", "1", 0)
    collection.add_pages(entry.id, "b.txt", [PageText(1, (Passage("Stew again"),))])
    await finder.find(collection, "stew", 1)
    assert server.asked[3:] == [["Stew again"], ["stew"]]


async def test_questions_are_told_from_passages_where_the_server_takes_it(finder, collection, server):
    await finder.find(collection, "hound", 1)
    assert server.kinds == ["passage", "query"]
    server.takes_kinds = False
    await finder.find(collection, "stew", 1)
    await finder.find(collection, "dog", 1)
    assert server.kinds[2:] == ["query", None, None]


async def test_prefixes_of_the_settings_stand_before_texts(server):
    prefixes = {"question": "query: ", "passage": "passage: "}
    embedder = RemoteEmbedder(
        "http://embeddings/v1", "m", "k", prefixes=prefixes, transport=httpx.MockTransport(server)
    )
    await embedder.embed(["dog"], "question")
    await embedder.embed(["soup"], "passage")
    assert (server.asked, server.kinds) == ([["query: dog"], ["passage: soup"]], [None, None])
    await embedder.close()


def held_up(embedder, until) -> asyncio.Event:
    """Embeds passages after `until` alone; set once somebody wants that."""
    begun, passages = asyncio.Event(), embedder.embed

    async def slow(texts, kind):
        if kind == "passage":
            begun.set()
            await until.wait()
        return await passages(texts, kind)

    embedder.embed = slow
    return begun


async def test_a_search_does_not_wait_for_all_vectors(collection, server):
    embedder = RemoteEmbedder("http://embeddings/v1", "m", "k", transport=httpx.MockTransport(server))
    go = asyncio.Event()
    held_up(embedder, go)
    finder = Finder(embedder, patience_s=0.01)
    assert [hit.page.number for hit in await finder.find(collection, "puppy", 3)] == [1]
    go.set()
    await finder.embed(collection)
    assert (await finder.find(collection, "Which hound do we have?", 3))[0].page.number == 1
    await finder.close()


async def test_a_model_that_is_loading_costs_the_vectors_and_is_not_broken_off(collection, server):
    embedder = RemoteEmbedder("http://embeddings/v1", "m", "k", transport=httpx.MockTransport(server))
    loaded, embed = asyncio.Event(), embedder.embed

    async def loading(texts, kind):
        await loaded.wait()
        return await embed(texts, kind)

    embedder.embed = loading
    finder = Finder(embedder, patience_s=0.01, answers_within_s=0.01)
    assert [hit.page.number for hit in await finder.find(collection, "puppy", 3)] == [1]
    loaded.set()
    await finder.embed(collection)
    assert ["puppy"] in server.asked
    await finder.close()


class Away:
    """A store that does not answer."""

    place = "away"

    def table(self, collection, name):
        raise VectorsAway("away")

    def close(self) -> None: ...


async def test_a_store_that_is_away_costs_the_vectors_and_keeps_the_collection(collection, server):
    embedder = RemoteEmbedder("http://embeddings/v1", "m", "k", transport=httpx.MockTransport(server))
    finder = Finder(embedder, Away())
    assert [hit.page.number for hit in await finder.find(collection, "puppy", 3)] == [1]
    await finder.tidy(collection)
    with pytest.raises(VectorsAway):
        await finder.forget(collection)
    await finder.close()


async def test_what_lies_in_a_store_is_dropped_with_its_collection_whatever_model_is_asked_now(collection, server):
    finder = Finder(RemoteEmbedder("http://embeddings/v1", "m", "k", transport=httpx.MockTransport(server)))
    await finder.embed(collection)
    await finder.close()
    (name,) = collection.database.execute("SELECT 'vectors_' || value FROM meta WHERE key = 'vectors in'").fetchone()
    assert collection.database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    without = Finder(None)
    await without.forget(collection)
    assert collection.database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone() is None
    await without.close()


async def test_a_search_ends_whole_when_its_collection_is_removed_meanwhile(collection, server):
    embedder = RemoteEmbedder("http://embeddings/v1", "m", "k", transport=httpx.MockTransport(server))
    begun = held_up(embedder, asyncio.Event())
    finder = Finder(embedder, patience_s=60)
    search = asyncio.create_task(finder.find(collection, "puppy", 3))
    await begun.wait()
    await finder.forget(collection)
    assert [hit.page.number for hit in await search] == [1]
    await finder.close()


@pytest.mark.parametrize("answer", [[], [{"index": 0}], [{"index": 0, "embedding": "x"}], None])
async def test_a_server_that_answers_nonsense_costs_the_vectors_and_not_the_answer(finder, collection, server, answer):
    server.answer = lambda texts: answer
    hits = await finder.find(collection, "puppy", 3)
    assert [hit.page.number for hit in hits] == [1]
    with pytest.raises(EmbeddingsAway):
        await finder._embedder.embed(["x"], "question")


async def test_a_page_that_is_refused_costs_its_own_vector_and_is_noted_and_not_tried_again(finder, collection, server):
    entry = collection.enter("b.txt", "1", 0)
    texts = ("cursed dog", "rent again", "stew again")
    collection.add_pages(entry.id, "b.txt", [PageText(n, (Passage(text),)) for n, text in enumerate(texts, 1)])
    answer = server.answer
    server.answer = lambda texts: "?" if any("cursed" in text for text in texts) else answer(texts)
    server.status = lambda texts: 413 if any("cursed" in text for text in texts) else 200
    hits = await finder.find(collection, "stock of broth", 3)
    assert "b.txt" in [hit.page.file for hit in hits]
    asked = len(server.asked)
    await finder.find(collection, "hound", 1)
    assert len(server.asked) == asked + 1  # the question alone
    assert "Page 1 has no vectors: " in collection.file("b.txt").problem and "413" in collection.file("b.txt").problem
    assert "vectors" not in collection.file("a.txt").problem
    # A new start tries it once more; then it is there.
    server.status = lambda texts: 200
    server.answer = answer
    again = Finder(RemoteEmbedder("http://embeddings/v1", "m", "k", transport=httpx.MockTransport(server)))
    await again.embed(collection)
    assert "vectors" not in collection.file("b.txt").problem
    assert {hit.page.number for hit in await again.find(collection, "hound", 9) if hit.page.file == "b.txt"} >= {1}
    await again.close()


async def test_a_model_that_fails_at_everything_is_left_alone_and_goes_on_with_later_pages(finder, collection, server):
    entry = collection.enter("b.txt", "1", 0)
    collection.add_pages(entry.id, "b.txt", [PageText(n, (Passage("stew"),)) for n in range(1, 9)])
    server.status = lambda texts: 500
    with pytest.raises(EmbeddingsAway, match="fails at every page"):
        await finder.embed(collection)
    assert len(server.asked) <= 8
    server.status = lambda texts: 200
    await finder.embed(collection)
    assert "Page 1 (and 2 more pages) have no vectors" in collection.file("a.txt").problem
    assert len(await finder.find(collection, "soup", 20)) == 8

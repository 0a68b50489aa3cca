"""Words and vectors together: a page in other words is found, and a server that is away costs only that."""

import json

import httpx
import numpy as np
import pytest

from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.embedding import Embedder, EmbeddingsAway
from qwen_demo.knowledge.hybrid import Finder
from qwen_demo.knowledge.vectors import SqliteVectors
from qwen_demo.media import PageText, Passage

# What the made-up model knows: words of one topic lie in one direction.
TOPICS = ("dog hound puppy leash", "rent lease landlord", "soup stew broth")


def vector(text: str) -> list[float]:
    return [float(sum(word in text.lower() for word in topic.split())) + 0.01 for topic in TOPICS]


class Server:
    """OpenAI's `/v1/embeddings`, out of order as it may be."""

    def __init__(self):
        self.asked: list[list[str]] = []
        self.answer = lambda texts: [{"index": n, "embedding": vector(text)} for n, text in enumerate(texts)][::-1]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/embeddings" and request.headers["authorization"] == "Bearer k"
        self.asked.append(json.loads(request.content)["input"])
        return httpx.Response(200, json={"data": self.answer(self.asked[-1])})


@pytest.fixture
def server():
    return Server()


@pytest.fixture
async def finder(server):
    finder = Finder(Embedder("http://embeddings/v1", "m", "k", httpx.MockTransport(server)))
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


async def test_vectors_of_another_model_or_of_removed_pages_are_gone(finder, collection):
    await finder.find(collection, "hound", 1)
    collection.remove("a.txt")
    store = SqliteVectors(collection, "http://embeddings/v1 m")
    assert store.nearest(np.ones(3, np.float32), 5) == []
    entry = collection.enter("a.txt", "2", 0)
    (page,) = collection.add_pages(entry.id, "a.txt", [PageText(1, (Passage("dog"),))])
    store.put([page, 999], np.ones((2, 3), np.float32))
    assert [found for found, _ in store.nearest(np.ones(3, np.float32), 5)] == [page]
    assert SqliteVectors(collection, "another").lacking(5) == [page]


@pytest.mark.parametrize("answer", [[], [{"index": 0}], [{"index": 0, "embedding": "x"}], None])
async def test_a_server_that_answers_nonsense_costs_the_vectors_and_not_the_answer(finder, collection, server, answer):
    server.answer = lambda texts: answer
    hits = await finder.find(collection, "puppy", 3)
    assert [hit.page.number for hit in hits] == [1]
    with pytest.raises(EmbeddingsAway):
        await finder._embedder.embed(["x"])

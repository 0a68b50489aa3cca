"""Finding in a collection that is large for its words: common words count for what they are."""

import math

import pytest

from qwen_demo.knowledge import finding
from qwen_demo.knowledge.answering import enough
from qwen_demo.knowledge.collection import Collection
from qwen_demo.knowledge.finding import Weights, find
from qwen_demo.media import PageText, Passage


@pytest.fixture
def collection(tmp_path, monkeypatch):
    """400 pages; of the words of a name each is on many, together on one. A word on more than 30 is common."""
    monkeypatch.setattr(finding, "MANY", 30)
    collection = Collection(tmp_path / "c")
    entry = collection.enter("a.txt", "0", 0)
    names = (f"red{n % 4} otter{n // 4 % 10} harbor{n // 40} of the house" for n in range(400))
    collection.add_pages(entry.id, "a.txt", [PageText(n, (Passage(name),)) for n, name in enumerate(names, 1)])
    yield collection
    collection.close()


def test_how_often_a_common_word_is_there_is_told_by_how_far_its_first_pages_reach(collection):
    weights = Weights(collection, ["red1", "otter3", "hous"])
    for word, pages in (("red1", 100), ("otter3", 40), ("hous", 400)):
        exact = math.log(1 + (400 - pages + 0.5) / (pages + 0.5))
        assert weights.idf(word) == pytest.approx(exact, abs=0.15)


@pytest.mark.parametrize("number", [0, 37, 222, 399])
def test_words_that_are_common_alone_find_the_page_that_has_them_all(collection, number):
    question = f"Which house is red{number % 4} otter{number // 4 % 10} harbor{number // 40}?"
    assert find(collection, question, 3)[0].page.number == number + 1


def test_what_is_on_no_page_is_not_enough(collection):
    assert not enough(find(collection, "Who won the chess tournament in 1987?", 3))
    assert not enough(find(collection, "The total of invoice 47110815", 3))
    assert enough(find(collection, "red1 otter3 harbor2", 3))

"""Differences are right, small, and take their time from what is compared and not from how it repeats."""

import random

import pytest

from qwen_demo.ui.difference import MAX_COMPARED_CHARACTERS, MAX_COMPARED_WORDS, MAX_PIECES, difference


def longest(old: list[str], new: list[str]) -> int:
    """Length of the longest common subsequence, by the book."""
    row = [0] * (len(new) + 1)
    for word in old:
        before = 0
        for place, other in enumerate(new, 1):
            before, row[place] = row[place], before + 1 if word == other else max(row[place], row[place - 1])
    return row[-1]


def test_as_much_as_can_be_is_the_same_and_no_word_is_lost():
    choose = random.Random(3)
    for _ in range(500):
        old, new = ([choose.choice("abcd") + " " for _ in range(choose.randrange(12))] for _ in range(2))
        pieces = difference("".join(old), "".join(new))
        assert "".join(text for kind, text in pieces if kind != "new") == "".join(old)
        assert "".join(text for kind, text in pieces if kind != "gone") == "".join(new)
        assert sum(len(text) // 2 for kind, text in pieces if kind == "same") == longest(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a " * 4000, "a b " * 2000),
        ("a b " * 2000, "b a a b " * 1000),
        ("".join("ab"[n // 2 % 2] + " " for n in range(4000)), "".join("ab"[n // 3 % 2] + " " for n in range(4000))),
        ("的一" * 10_000, "一是" * 10_000),
    ],
    ids=["one word", "two words", "periods", "characters"],
)
def test_words_that_come_again_and_again_are_compared_at_once(old, new):
    """Matching them one by one took a minute for each of these."""
    pieces = difference(old, new)
    assert len(pieces) <= MAX_PIECES
    assert "".join(text for kind, text in pieces if kind != "new") == old[:MAX_COMPARED_CHARACTERS]
    assert "".join(text for kind, text in pieces if kind != "gone") == new[:MAX_COMPARED_CHARACTERS]


def test_beyond_so_many_words_the_rest_is_one():
    old = "".join(f"{number} " for number in range(MAX_COMPARED_WORDS))
    assert difference(old[:9000] + "x", old[:9000] + "y")[-2:] == [["gone", "x"], ["new", "y"]]
    assert difference("a " * 8000, "a " * 8001) == [["same", "a " * 4000], ["gone", "a " * 4000], ["new", "a " * 4001]]

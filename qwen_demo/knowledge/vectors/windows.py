"""A page's words in the pieces that get a vector each: a model reads some 512 tokens, and a page may have more.

A page is as near to a question as the nearest of its windows.
"""

import unicodedata
from collections.abc import Iterator, Sequence

from qwen_demo.media import Passage

WINDOW = 800  # letters, see `length`
MOST = 32  # windows of a page
WIDE = 6  # letters that a wide character counts for: so much it says
HEAD = 100  # letters of the page's beginning that each window repeats: what it is about


def windows(passages: Sequence[Passage]) -> list[str]:
    """One at least, which is empty where the page is."""
    found: list[str] = []
    taken = 0
    for piece in _pieces(passages):
        size = length(piece)
        if found and taken + size <= WINDOW:
            found[-1] += f" {piece}"
            taken += size
        elif len(found) == MOST:
            break
        else:
            found.append(piece)
            taken = size
    if len(found) > 1:
        head = _cut(found[0], HEAD)
        found[1:] = [f"{head} {each}" for each in found[1:]]
    return found or [""]


def length(text: str) -> int:
    """In letters, a wide character as `WIDE` of them."""
    wide = 0 if text.isascii() else sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + (WIDE - 1) * wide


def _pieces(passages: Sequence[Passage]) -> Iterator[str]:
    for passage in passages:
        text = passage.text.strip()
        while text:
            piece = _cut(text, WINDOW)
            yield piece
            text = text[len(piece) :].strip()


def _cut(text: str, most: int) -> str:
    """Its beginning of at most so many letters, up to the end of a sentence or a word where there is one."""
    if length(text) <= most:
        return text
    end, taken = 0, 0
    while taken <= most:
        taken += length(text[end])
        end += 1
    end -= 1
    at = max(text.rfind(mark, end // 2, end) for mark in ("\n", "。", ". ")) + 1 or text.rfind(" ", end // 2, end) + 1
    return text[: at or end]

"""Formulas in answers: what stands between dollars is told from prices, and marked for the page's renderer.

Gradio renders what is between its delimiters, wherever they stand: of plain dollars "from $5 to $6" would become a
formula. So a formula's dollars get a word joiner (U+2060) at their inner sides, and those pairs are the delimiters.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator

_JOINER = "\u2060"
# The rule of Pandoc: no space inside of either dollar, and no digit after the second.
_FORMULA = re.compile(r"(?<![\\$\w])\$(?![\s$])((?:\\.|[^$\\\n]){1,500}?)(?<!\s)\$(?![\d$])")
# What may begin fenced code, inline code, and what has delimiters of its own.
_OPENING = re.compile(r"^ {0,3}(`{3,}|~{3,})|`+|\$\$", re.M)
DELIMITERS: list[dict[str, str | bool]] = [
    {"left": "$$", "right": "$$", "display": True},
    {"left": r"\[", "right": r"\]", "display": True},
    {"left": r"\(", "right": r"\)", "display": False},
    {"left": f"${_JOINER}", "right": f"{_JOINER}$", "display": False},
]


def marked(text: str) -> str:
    """Markdown as the page shows it."""
    if "$" not in text:
        return text
    pieces, end = [], 0
    for start, stop in _asides(text):
        pieces += [_mark(text[end:start]), text[start:stop]]
        end = stop
    return "".join([*pieces, _mark(text[end:])])


def unmarked(text: str) -> str:
    """As the model wrote it."""
    return text.replace(f"${_JOINER}", "$").replace(f"{_JOINER}$", "$")


def _asides(text: str) -> Iterator[tuple[int, int]]:
    """Where code, and what has delimiters of its own, begins and ends.

    Takes time in proportion to the text, which may be a stranger's: one expression for all of it looks for the end of
    each backtick anew.
    """
    runs: dict[int, list[int]] = {}
    for run in re.finditer("`+", text):
        runs.setdefault(len(run[0]), []).append(run.start())
    at = 0
    while opening := _OPENING.search(text, at):
        at, fence, length = opening.end(), opening[1], len(opening[0])
        end = 0  # where there is none
        if fence:
            closing = re.compile(rf"^ {{0,3}}{fence[0]}{{{len(fence)}}}", re.M).search(text, at)
            end = closing.end() if closing else len(text)
        elif opening[0] == "$$":
            closes = text.find("$$", at + 1)
            end = closes + 2 if closes >= 0 else 0
        elif (place := bisect_left(same := runs.get(length, []), at)) < len(same):
            end = same[place] + length
        if end:
            yield opening.start(), end
            at = end


def _mark(text: str) -> str:
    return _FORMULA.sub(lambda found: f"${_JOINER}{found[1]}{_JOINER}$", text)

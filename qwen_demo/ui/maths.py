"""Formulas in answers: what stands between dollars is told from prices, and marked for the page's renderer.

Gradio renders what is between its delimiters, wherever they stand: of plain dollars "from $5 to $6" would become a
formula. So a formula's dollars get a word joiner (U+2060) at their inner sides, and those pairs are the delimiters.
"""

import re

_JOINER = "\u2060"
# The rule of Pandoc: no space inside of either dollar, and no digit after the second.
_FORMULA = re.compile(r"(?<![\\$\w])\$(?![\s$])((?:\\.|[^$\\\n]){1,500}?)(?<!\s)\$(?![\d$])")
# Fenced code, inline code, and what has delimiters of its own.
_ASIDE = re.compile(r"(^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\2|\Z)|(`+)(?!`).+?(?<!`)\3(?!`)|\$\$.+?\$\$)", re.S | re.M)
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
    for aside in _ASIDE.finditer(text):
        pieces += [_mark(text[end : aside.start()]), aside[0]]
        end = aside.end()
    return "".join([*pieces, _mark(text[end:])])


def unmarked(text: str) -> str:
    """As the model wrote it."""
    return text.replace(f"${_JOINER}", "$").replace(f"{_JOINER}$", "$")


def _mark(text: str) -> str:
    return _FORMULA.sub(lambda found: f"${_JOINER}{found[1]}{_JOINER}$", text)

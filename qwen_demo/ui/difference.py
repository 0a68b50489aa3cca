"""What differs between two answers: by words, in scripts without spaces by characters. Pure."""

import difflib
import re

MOST_PIECES = 200
# Of longer answers the rest is not compared.
LONGEST = 20_000
# Above so many words, those that come again and again are not matched one by one: time would grow with the square.
_MANY = 2000


def difference(before: str, after: str) -> list[list[str]]:
    """Pieces as [kind, text]; kind is same, gone or new. What is left after `MOST_PIECES` is one change."""
    old, new = _words(before[:LONGEST]), _words(after[:LONGEST])
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=max(len(old), len(new)) > _MANY)
    pieces: list[list[str]] = []
    for kind, a1, a2, b1, b2 in matcher.get_opcodes():
        if kind == "equal":
            pieces.append(["same", "".join(old[a1:a2])])
            continue
        if last := len(pieces) >= MOST_PIECES - 3:
            a2, b2 = len(old), len(new)
        pieces += [["gone", "".join(old[a1:a2])]] if a2 > a1 else []
        pieces += [["new", "".join(new[b1:b2])]] if b2 > b1 else []
        if last:
            break
    return pieces


def _words(text: str) -> list[str]:
    """Words with the space after them; characters of scripts without spaces alone."""
    return re.findall(r"[\u3040-\u9fff]|[^\s\u3040-\u9fff]+\s*|\s+", text)

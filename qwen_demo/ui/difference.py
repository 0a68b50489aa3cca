"""What differs between two answers, as pieces to show. Takes time in proportion to what it compares, whatever that is.

The longest common subsequence by rows of bits (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004): a row is
one whole number of Python, so a word of one text is compared with all words of the other at once.
"""

import re
from collections import defaultdict

# Pieces of a difference; of longer answers the rest is not compared.
MAX_PIECES, MAX_COMPARED_CHARACTERS = 200, 20_000
# Rows take memory with the square of it: some two MiB.
MAX_COMPARED_WORDS = 4000


def difference(before: str, after: str) -> list[list[str]]:
    """What differs between two answers: by words, in scripts without spaces by characters.

    Pieces are [kind, text]; kind is same, gone or new. What is left after `MAX_PIECES` is one change.
    """
    old, new = _words(before[:MAX_COMPARED_CHARACTERS]), _words(after[:MAX_COMPARED_CHARACTERS])
    pieces: list[list[str]] = []
    at_old = at_new = 0
    for from_old, from_new, count in [*_common(old, new), (len(old), len(new), 0)]:
        if len(pieces) >= MAX_PIECES - 3:
            from_old, from_new, count = len(old), len(new), 0
        pieces += [["gone", "".join(old[at_old:from_old])]] if from_old > at_old else []
        pieces += [["new", "".join(new[at_new:from_new])]] if from_new > at_new else []
        at_old, at_new = from_old + count, from_new + count
        pieces += [["same", "".join(old[from_old:at_old])]] if count else []
    return pieces


def _words(text: str) -> list[str]:
    """Words with the space after them; characters of scripts without spaces alone."""
    words = re.findall(r"[\u3040-\u9fff]|[^\s\u3040-\u9fff]+\s*|\s+", text)
    return [*words[:MAX_COMPARED_WORDS], *filter(None, ["".join(words[MAX_COMPARED_WORDS:])])]


def _common(old: list[str], new: list[str]) -> list[tuple[int, int, int]]:
    """Runs that both have, in their order: (where in the old, where in the new, how long)."""
    shorter = min(len(old), len(new))
    begin = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    end = next((n for n in range(shorter - begin) if old[-1 - n] != new[-1 - n]), shorter - begin)
    between = _matches(old[begin : len(old) - end], new[begin : len(new) - end])
    runs: list[list[int]] = []
    for at_old, at_new in [
        *((n, n) for n in range(begin)),
        *((begin + a, begin + b) for a, b in between),
        *((len(old) - n, len(new) - n) for n in range(end, 0, -1)),
    ]:
        if runs and (at_old, at_new) == (runs[-1][0] + runs[-1][2], runs[-1][1] + runs[-1][2]):
            runs[-1][2] += 1
        else:
            runs.append([at_old, at_new, 1])
    return [(a, b, count) for a, b, count in runs]


def _matches(old: list[str], new: list[str]) -> list[tuple[int, int]]:
    """Places of a longest common subsequence, in the old and in the new."""
    places: defaultdict[str, int] = defaultdict(int)
    for place, word in enumerate(old):
        places[word] |= 1 << place
    all_bits = row = (1 << len(old)) - 1
    rows = []
    for word in new:
        # Bit n of a row is 0 where the subsequence of old[:n + 1] is one longer than that of old[:n].
        found = row & places.get(word, 0)
        row = ((row + found) | (row - found)) & all_bits
        rows.append(row)
    matches = []
    a, b = len(old), len(new)
    while a and b:
        if rows[b - 1] >> (a - 1) & 1:
            a -= 1
            continue
        b -= 1
        if not b or rows[b - 1] >> (a - 1) & 1:
            a -= 1
            matches.append((a, b))
    return matches[::-1]

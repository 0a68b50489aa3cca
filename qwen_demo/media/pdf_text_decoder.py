"""Reads the text of a PDF's pages, line by line with places, in a process of its own that `zygote.py` forks.

`texts.py` has the words and the checks. PDFium is built without JavaScript and XFA here, so a document runs nothing.
"""

import encodings.utf_16_le  # noqa: F401 Python would look for it at first use, when no file can be opened any more
import math
from collections.abc import Iterator
from typing import Any

import pypdfium2

from qwen_demo.media.exchange import Exchange, Refused, read_whole
from qwen_demo.media.pdf_decoder import DAMAGE, opened
from qwen_demo.media.pdf_figures import Box, Places, figures
from qwen_demo.media.text_answer import Answering

__all__ = ["DAMAGE", "decode"]

MOST_LINES = 3_000  # of a page, that have a place
MOST_RECTANGLES = 200  # of a line: its pieces


def decode(job: dict[str, Any], file: int, exchange: Exchange) -> dict[str, Any]:
    """Pages from `job["first"]`, counted from 0, as many as one answer holds.

    Returns:
        `count` of all pages, and `pages`: of each its `passages`, texts with their box in parts of the page's width
        and height, its `figures`, and a `problem` where it cannot be read.

    Raises:
        Refused: over a limit, or locked.
        PdfiumError: damaged.
    """
    document = opened(read_whole(file))
    count = len(document)
    if count < 1:
        raise Refused("nothing")
    if count > job["max_pages"]:
        raise Refused("pages", count)
    answer = Answering(count)
    for number in range(job["first"], count):
        try:
            page = _read(document[number])
        except DAMAGE:
            page = {"passages": [], "problem": "damaged"}
        if not answer.takes(page):
            break
    return answer.whole()


def _read(page: pypdfium2.PdfPage) -> dict[str, Any]:
    """Its lines, joined where one follows the other closely, and its figures."""
    width, height = page.get_size()
    if not (0 < width < math.inf and 0 < height < math.inf):
        return {"passages": []}
    places = Places(page)
    lines = []
    for words, corners in _lines(page.get_textpage()):
        x1, y1, x2, y2 = places.part(*corners) if corners else (0.0, 0.0, 0.0, 0.0)
        lines.append((words, (x1 * width, y1 * height, x2 * width, y2 * height)))
    passages = [
        {"text": words, "box": [round(box[0] / width, 4), round(box[1] / height, 4), round(box[2] / width, 4),
                                round(box[3] / height, 4)]}
        for words, box in _joined(_rows(lines))
    ]  # fmt: skip
    # Of a page without words the whole is looked at.
    return {"passages": passages, "figures": figures(page, (width, height), places) if passages else []}


_Line = tuple[str, Box]


def _lines(text: pypdfium2.PdfTextPage) -> Iterator[tuple[str, Box | None]]:
    """As PDFium breaks them, with the box around each in the page's own coordinates."""
    at, whole = 0, text.get_text_range()
    for count, line in enumerate(whole.splitlines(keepends=True)):
        words = " ".join(line.split())
        rectangles = text.count_rects(at, len(line)) if words and count < MOST_LINES else 0
        if rectangles > 0:
            boxes = [text.get_rect(index) for index in range(min(rectangles, MOST_RECTANGLES))]
            x1, y1, x2, y2 = zip(*boxes, strict=True)
            yield words, (min(x1), min(y1), max(x2), max(y2))
        elif words:
            yield words, None
        at += len(line)


def _rows(lines: list[_Line]) -> list[_Line]:
    """Pieces of one line, which PDF files break at each change of font or place, as one."""
    rows: list[_Line] = []
    for words, box in lines:
        if rows and _overlap(rows[-1][1], box) > 0.5 and box[0] >= rows[-1][1][0]:
            rows[-1] = (f"{rows[-1][0]} {words}", _around(rows[-1][1], box))
        else:
            rows.append((words, box))
    return rows


def _joined(rows: list[_Line]) -> list[_Line]:
    """Rows as paragraphs: below one another, closer than a line and a half, of one height."""
    found: list[_Line] = []
    last = (0.0, 0.0, 0.0, 0.0)
    for words, box in rows:
        height, gap = box[3] - box[1], box[1] - last[3]
        same = abs(height - (last[3] - last[1])) < 0.35 * max(height, 0.1) and abs(box[0] - last[0]) < 2 * height
        if found and same and -0.5 * height < gap < 0.75 * height and len(found[-1][0]) < 600:
            found[-1] = (f"{found[-1][0]} {words}", _around(found[-1][1], box))
        else:
            found.append((words, box))
        last = box
    return found


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """How much of the lower one's height both share."""
    shared = min(one[3], other[3]) - max(one[1], other[1])
    return shared / max(0.01, min(one[3] - one[1], other[3] - other[1]))


def _around(one: tuple[float, ...], other: tuple[float, ...]) -> tuple[float, float, float, float]:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])

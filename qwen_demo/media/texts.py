"""Untrusted files -> the texts of their pages, with the places that a file tells: limits, refusals in words.

PDF and Office files are read in decoders (`pdf_text_decoder.py`, `office_decoder.py`), some pages at a time, so that
a long file shows how far it is and can be left. Plain text and Markdown are cut into pages here.
"""

import codecs
import math
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from qwen_demo.errors import MediaRefused
from qwen_demo.media.content import Content
from qwen_demo.media.decoding import Context, RefusedByDecoder, refused_in_words, unrefused
from qwen_demo.media.jobs import Task
from qwen_demo.sentences import Sentence
from qwen_demo.settings import MIB, Settings

DECODER_MEMORY = 768 * MIB
PAGE_CHARACTERS = 3_000
MOST_FIGURES = 6  # of a page
MOST_PASSAGES = 200  # of a page of plain text; what is left of it belongs to the last one
_STEP = 1 << 18
_ASCII = bytes(range(128))
_GB2312 = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")  # nearly all that Chinese texts are made of
_HEADING = re.compile("#{1,6} ")
TextKind = Literal["pdf", "office"]
_DECODERS = {"pdf": "pdf text", "office": "office"}
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Passage:
    """Some words of a page, and their place.

    Attributes:
        box: x1, y1, x2, y2 in parts of its width and height, where that is known.
        kind: `figure` where the words are a model's about what is there; else they stand there themselves.
    """

    text: str
    box: Box | None = None
    kind: str = ""

    @property
    def told(self) -> str:
        """For people and models, who should know whose words they are."""
        return f"(Figure: {self.text})" if self.kind else self.text


@dataclass(frozen=True, slots=True)
class Figure:
    """Where a page has something that is no words, or a table."""

    box: Box
    table: bool = False


@dataclass(frozen=True, slots=True)
class PageText:
    """The words of one page, counted from 1.

    Attributes:
        problem: why it cannot be read.
        figures: what nobody has looked at so far.
    """

    number: int
    passages: tuple[Passage, ...]
    problem: str = ""
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class PageTexts:
    """Some pages of a file that has `count`."""

    count: int
    pages: tuple[PageText, ...]


async def read_texts(content: Content, context: Context, kind: TextKind, name: str, first: int) -> PageTexts:
    """The texts of the pages from `first`, counted from 1, as many as one answer holds: one at least.

    Raises:
        MediaRefused: over a limit, locked by a password, damaged, too slow, or no such page.
        Overloaded: no decoder is free.
    """
    limits = context.settings
    memory_bytes = DECODER_MEMORY + 4 * content.size
    job = {"first": first - 1, "max_pages": limits.max_knowledge_pages}
    task = Task(_DECODERS[kind], job, limits.knowledge_timeout_s, memory_bytes)
    with refused_in_words(lambda code, values: _refusal(code, values, limits, name)):
        async with context.decoders.job(task, content.fd) as running:
            answer = unrefused(await running.answer())
        pages = tuple(_page(page, first + index) for index, page in enumerate(answer["pages"]))
        count = answer["count"]
        if type(count) is not int or not first <= count <= limits.max_knowledge_pages:
            raise RefusedByDecoder("page", [first])
        if not pages or len(pages) > count - first + 1:
            raise ValueError("the decoder's answer is out of bounds")
    return PageTexts(count, pages)


def _page(page: dict[str, Any], number: int) -> PageText:
    """Of an answer that nobody believes. Raises `ValueError`, `TypeError` or `LookupError`."""
    passages = tuple(Passage(_words(passage["text"]), _box(passage.get("box"))) for passage in page["passages"])
    problem = "This page of the file is damaged." if page.get("problem") else ""
    figures = tuple(Figure(box, bool(each["table"])) for each in page.get("figures", []) if (box := _box(each["box"])))
    return PageText(number, passages, problem, figures[:MOST_FIGURES])


def _words(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError("a text was expected")
    return text


def _box(values: Any) -> Box | None:
    if values is None:
        return None
    x1, y1, x2, y2 = (min(1.0, max(0.0, float(value))) for value in values)
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 and all(map(math.isfinite, (x1, y1, x2, y2))) else None


def pages_of_text(data: bytes, limits: Settings, name: str) -> PageTexts:
    """Plain text or Markdown in pages of some `PAGE_CHARACTERS`: paragraphs stay whole, headings begin passages.

    Linear in the length, and in small steps, as a thread of the server does it.

    Raises:
        MediaRefused: it has too many pages, or cutting it takes too long.
    """
    ends_at = time.monotonic() + limits.knowledge_timeout_s
    pages: list[list[str]] = [[]]
    filled = 0
    for block in chain.from_iterable(map(_cut, _blocks(_lines(data)))):
        if pages[-1] and filled + len(block) > PAGE_CHARACTERS:
            if len(pages) == limits.max_knowledge_pages:
                raise _refusal("longer", [], limits, name)
            if time.monotonic() > ends_at:
                raise _refusal("late", [], limits, name)
            pages.append([])
            filled = 0
        filled += len(block)
        if len(pages[-1]) < MOST_PASSAGES:
            pages[-1].append(block)
        else:
            pages[-1][-1] += f"\n\n{block}"
    found = tuple(PageText(number, tuple(map(Passage, page))) for number, page in enumerate(pages, 1))
    return PageTexts(len(found), found)


def _blocks(lines: Iterable[str]) -> Iterator[str]:
    """Paragraphs: what stands between empty lines; a heading begins one."""
    block: list[str] = []
    for line in lines:
        if block and (not line.strip() or _HEADING.match(line)):
            yield "\n".join(block).strip()
            block = []
        if line.strip():
            block.append(line)
    if block:
        yield "\n".join(block).strip()


def _lines(data: bytes) -> Iterator[str]:
    begun: list[str] = []
    for text in _decoded(data):
        first, *others = text.split("\n")
        begun.append(first)
        for line in others:
            yield "".join(begun)
            begun = [line]
    yield "".join(begun)


def _cut(block: str) -> Iterator[str]:
    start = 0
    while len(block) - start > PAGE_CHARACTERS:
        middle, end = start + PAGE_CHARACTERS // 2, start + PAGE_CHARACTERS
        at = max(block.rfind(mark, middle, end) for mark in ("\n", "。", ". ", " ")) + 1
        if piece := block[start : at or end].strip():
            yield piece
        start = at or end
    if piece := block[start:].strip():
        yield piece


def _decoded(data: bytes) -> Iterator[str]:
    """In the encoding that its mark names, UTF-8, or what Chinese and western files had before it."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _in_steps(data, "utf-16", "replace")
    for encoding in ("utf-8-sig", *(("gb18030",) if _looks_chinese(data) else ()), "cp1252"):
        try:
            for _ in _in_steps(data, encoding):
                pass
        except UnicodeDecodeError:
            continue
        return _in_steps(data, encoding)
    return _in_steps(data, "latin-1")


def _looks_chinese(data: bytes) -> bool:
    """Whether bytes beyond ASCII stand in pairs: GB 18030 also reads most single ones of western texts as something."""
    high = pairs = 0
    for start in range(0, len(data), _STEP):
        piece = data[start : start + _STEP]
        high += len(piece.translate(None, _ASCII))
        pairs += sum(1 for _ in _GB2312.finditer(piece))
    return high < 4 * pairs


def _in_steps(data: bytes, encoding: str, errors: str = "strict") -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    for start in range(0, len(data), _STEP):
        yield decoder.decode(data[start : start + _STEP])
    yield decoder.decode(b"", final=True)


_REFUSALS = {
    "nothing": "{name} has no pages.",
    "locked": "{name} is locked by a password. Save it without one and send it again.",
    "memory": "{name} needs more memory to read than is allowed.",
    "kind": "{name} is no docx, pptx or xlsx file.",
    "page": "There is no page {one:.0f} in {name}.",
    "pages": "{name} has {one:,.0f} pages; the limit is {limit} (--max-knowledge-pages).",
    "longer": "{name} has more than {limit:,.0f} pages (--max-knowledge-pages).",
    "late": "Reading {name} took longer than {limit_s:g} s (--knowledge-timeout-s).",
    "failed": "{name} made its reader fail: it is damaged or needs too much memory.",
}


def _refusal(code: str, values: list[float], limits: Settings, name: str) -> MediaRefused:
    template = _REFUSALS.get(code, "{name} cannot be read: the file is damaged or cut short.")
    one = values[0] if values else 0.0
    limit, limit_s = limits.max_knowledge_pages, limits.knowledge_timeout_s
    return MediaRefused(Sentence(template, name=name, one=one, limit=limit, limit_s=limit_s))

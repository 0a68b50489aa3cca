"""Reads the text of docx, pptx and xlsx files, in a process of its own that `zygote.py` forks.

`texts.py` has the words and the checks. A slide is a page; a document breaks where it says so and where a page would be
full; a sheet is cut into runs of rows, each below the sheet's first row.
"""

import encodings.ascii
import encodings.cp437
import encodings.latin_1
import encodings.utf_16_le  # noqa: F401 Python would look for these at first use, when no file can be opened any more
import io
import itertools
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

import docx
import docx.oxml.ns
import lxml.etree
import openpyxl
import openpyxl.reader.excel
import pptx
import pptx.exc

from qwen_demo.media.exchange import Exchange, Refused, read_whole
from qwen_demo.media.text_answer import Answering

DAMAGE = (
    zipfile.BadZipFile, lxml.etree.LxmlError, pptx.exc.PackageNotFoundError, KeyError, ValueError, TypeError,
    AttributeError, IndexError, EOFError, OSError, NotImplementedError, ArithmeticError, RecursionError, SyntaxError,
)  # fmt: skip
PAGE_CHARACTERS = 3_000
ROWS = 40
MOST_CELLS = 64  # of a row
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # the same in older words
UNPACKED_BYTES = 512 << 20  # of all parts together, as the archive names them

warnings.simplefilter("ignore")  # what openpyxl leaves out is no fault of a file


def decode(job: dict[str, Any], file: int, exchange: Exchange) -> dict[str, Any]:
    """Pages from `job["first"]`, counted from 0, as many as one answer holds; as `pdf_text_decoder`, without boxes.

    Raises:
        Refused: over a limit, or neither of the three kinds.
    """
    data = io.BytesIO(read_whole(file))
    with zipfile.ZipFile(data) as archive:
        names = set(archive.namelist())
        if sum(part.file_size for part in archive.infolist()) > UNPACKED_BYTES:
            raise Refused("memory")
    data.seek(0)
    read = next((read for part, read in _KINDS.items() if part in names), None)
    if read is None:
        raise Refused("kind")
    pages = [page for page in read(data) if page]
    if not pages:
        raise Refused("nothing")
    if len(pages) > job["max_pages"]:
        raise Refused("pages", len(pages))
    answer = Answering(len(pages))
    for page in pages[job["first"] :]:
        if not answer.takes({"passages": [{"text": text} for text in page]}):
            break
    return answer.whole()


def _document(data: io.BytesIO) -> Iterator[list[str]]:
    return filled(_blocks(data))


def filled(blocks: Iterable[str | None]) -> Iterator[list[str]]:
    """Pages of `PAGE_CHARACTERS`; None is a break."""
    page: list[str] = []
    for block in blocks:
        if page and (block is None or sum(map(len, page)) + len(block) > PAGE_CHARACTERS):
            yield page
            page = []
        if block and block.strip():
            page.append(block)
    if page:
        yield page


def _blocks(data: io.BytesIO) -> Iterator[str | None]:
    yield from _parts(docx.Document(data).element.body)


# The library's own texts lack what stands in fields of forms, in insertions that are tracked, and in tables of tables.
_W = docx.oxml.ns.qn
_TEXTS = {_W("w:tab"): "\t", _W("w:cr"): "\n", _W("w:noBreakHyphen"): "-"}
_AROUND = frozenset(map(_W, ("w:sdt", "w:sdtContent", "w:customXml", "w:ins", "w:moveTo", "w:smartTag")))
_ELSEWHERE = frozenset((*map(_W, ("w:pPr", "w:rPr", "w:del", "w:moveFrom", "w:sdtPr")), _FALLBACK))


def _parts(element: Any) -> Iterator[str | None]:
    """Paragraphs, and rows of tables; None is a break, which may stand within a paragraph."""
    for each in element:
        if each.tag == _W("w:p"):
            yield from _paragraph(each)
        elif each.tag == _W("w:tbl"):
            for row in _all(each, _W("w:tr")):
                cells = (" ".join(filter(None, _parts(cell))) for cell in _all(row, _W("w:tc")))
                yield " | ".join(" ".join(cell.split()) for cell in itertools.islice(cells, MOST_CELLS))
        elif each.tag in _AROUND:
            yield from _parts(each)


def _all(element: Any, tag: str) -> Iterator[Any]:
    """Of one table, whose rows and cells may stand in fields of a form."""
    for each in element:
        if each.tag == tag:
            yield each
        elif each.tag in _AROUND:
            yield from _all(each, tag)


def _paragraph(element: Any) -> Iterator[str | None]:
    if element.find(f"{_W('w:pPr')}/{_W('w:pageBreakBefore')}") is not None:
        yield None
    words: list[str] = []
    for piece in _pieces(element):
        if piece is None:
            yield "".join(words)
            yield None
            words = []
        else:
            words.append(piece)
    yield "".join(words)


def _pieces(element: Any) -> Iterator[str | None]:
    for each in element:
        if each.tag == _W("w:t"):
            yield each.text or ""
        elif each.tag == _W("w:br"):
            yield None if each.get(_W("w:type")) == "page" else "\n"
        elif each.tag == _W("w:lastRenderedPageBreak"):
            yield None
        elif each.tag in _TEXTS:
            yield _TEXTS[each.tag]
        elif each.tag == _W("w:p"):  # of a text box
            yield "\n"
            yield from (piece for piece in _pieces(each) if piece is not None)
        elif isinstance(each.tag, str) and each.tag not in _ELSEWHERE:
            yield from _pieces(each)


def _slides(data: io.BytesIO) -> Iterator[list[str]]:
    for slide in pptx.Presentation(data).slides:
        texts = [text for shape in slide.shapes for text in _shape(shape)]
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            texts.append(slide.notes_slide.notes_text_frame.text)
        # A slide without words keeps its number.
        yield [text for text in texts if text.strip()] or [" "]


def _shape(shape: Any, depth: int = 0) -> Iterator[str]:
    if hasattr(shape, "shapes") and depth < 10:
        for inner in shape.shapes:
            yield from _shape(inner, depth + 1)
    elif shape.has_text_frame:
        yield shape.text_frame.text
    elif getattr(shape, "has_table", False):
        for row in shape.table.rows:
            yield " | ".join(" ".join(cell.text.split()) for cell in row.cells)


def _sheets(data: io.BytesIO) -> Iterator[list[str]]:
    for sheet in openpyxl.load_workbook(data, read_only=True, data_only=True, keep_links=False).worksheets:
        sheet.reset_dimensions()  # what programs state is often the first cell alone
        rows = (row for row in map(_row, sheet.iter_rows(max_col=MOST_CELLS, values_only=True)) if row)
        head, page = "", []
        for row in rows:
            head = head or row
            page.append(row)
            if len(page) == ROWS or sum(map(len, page)) > PAGE_CHARACTERS:
                yield [sheet.title, *([head] if page[0] != head else []), *page]
                page = []
        if page:
            yield [sheet.title, *([head] if page[0] != head else []), *page]


def _row(values: Iterable[Any]) -> str:
    cells = ["" if value is None else " ".join(str(value).split()) for value in values]
    while cells and not cells[-1]:
        cells.pop()
    return " | ".join(cells)


_KINDS = {"word/document.xml": _document, "ppt/presentation.xml": _slides, "xl/workbook.xml": _sheets}


def _warm() -> None:
    """The libraries open parts of themselves when they first read a file, which they could not do here any more."""
    for made, read in ((docx.Document(), _document), (pptx.Presentation(), _slides), (openpyxl.Workbook(), _sheets)):
        file = io.BytesIO()
        made.save(file)
        file.seek(0)
        list(read(file))


_warm()

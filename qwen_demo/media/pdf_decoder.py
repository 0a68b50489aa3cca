"""Draws one page of a PDF, in a process of its own that `zygote.py` forks. `pdf.py` has the words and the checks.

PDFium is built without JavaScript and XFA here, so a document runs nothing.
"""

import math
from typing import Any

import PIL.Image
import pypdfium2
import pypdfium2.raw as pdfium

from qwen_demo.media.enlarge import enlarged, enlarged_size
from qwen_demo.media.exchange import Exchange, Refused, read_whole, write_image

DAMAGE = (pypdfium2.PdfiumError, ArithmeticError, ValueError)
POINTS_PER_INCH = 72.0
# A page without an image on it gains nothing beyond this; a scan brings its pixels with it.
DPI = 200.0
DRAWN_BYTES = 13  # for each pixel: the bitmap, and its copies on the way out
# For what is on the page, which its size does not tell: images, layers, patterns. A scan of A0 at 300 dpi takes a third.
CONTENT_BYTES = 256 << 20


def decode(job: dict[str, Any], file: int, exchange: Exchange) -> dict[str, Any]:
    """Page `job["page"]`, counted from 0, on white, upright as the file says.

    Returns:
        `width` and `height`.

    Raises:
        Refused: over a limit, locked, or no such page.
        PdfiumError: damaged.
    """
    data = read_whole(file)
    document = opened(data)
    pages = len(document)
    if pages < 1:
        raise Refused("nothing")
    if pages > job["max_pages"]:
        raise Refused("pages", pages)
    if not 0 <= job["page"] < pages:
        raise Refused("page", job["page"] + 1, pages)
    width, height = document.get_page_size(job["page"])  # without a look at what is on it
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise Refused("damaged")
    if max(width, height) > job["max_aspect_ratio"] * min(width, height):
        raise Refused("shape", width, height)
    scale = min(DPI / POINTS_PER_INCH, math.sqrt(job["page_pixels"] / (width * height)))
    size = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    kept = enlarged_size(*size)
    peak_bytes = CONTENT_BYTES + 2 * len(data) + DRAWN_BYTES * size[0] * size[1]
    plan = {"width": kept[0], "height": kept[1], "pages": pages, "peak_bytes": peak_bytes}
    memory = exchange.memory_for(plan)
    exchange.keep_within(peak_bytes)
    document.init_forms()  # before any page: what was typed into a form belongs to it
    page = document[job["page"]]
    write_image(memory, enlarged(_pixels(page, size, document.formenv)))
    return {"width": kept[0], "height": kept[1]}


def opened(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as exc:
        if pdfium.FPDF_GetLastError() == pdfium.FPDF_ERR_PASSWORD:
            raise Refused("locked") from exc
        raise


def _pixels(page: pypdfium2.PdfPage, size: tuple[int, int], forms: Any) -> PIL.Image.Image:
    """The size in pixels is given, not a scale that the library would round up beyond the limit."""
    bitmap = pypdfium2.PdfBitmap.new_native(*size, pdfium.FPDFBitmap_BGRx)
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, *size)
    pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, *size, 0, pdfium.FPDF_ANNOT)
    if forms is not None:
        pdfium.FPDF_FFLDraw(forms, bitmap, page, 0, 0, *size, 0, pdfium.FPDF_ANNOT)
    return PIL.Image.frombuffer("RGB", size, bitmap.buffer, "raw", "BGRX", bitmap.stride, 1)

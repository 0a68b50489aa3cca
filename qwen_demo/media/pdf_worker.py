"""Draws one page of a PDF in a process of its own; `pdf.py` starts it. Reads stdin, writes stdout.

Imports nothing of the package, and gives up the right to open files and sockets before it reads
the first byte. PDFium is built without JavaScript and XFA here, so a document runs nothing.

Output: one line of JSON, {"refused": code, "values": [numbers]} or {"width", "height", "pages"};
after the latter, the page as packed RGB.
"""

import json
import math
import runpy
import sys
import traceback
from pathlib import Path

import PIL.Image
import PIL.ImageFile  # Pillow would import it at its first use, when no file can be opened any more
import pypdfium2
import pypdfium2.raw as pdfium

_give_up_rights = runpy.run_path(str(Path(__file__).with_name("confine.py")))["give_up_rights"]
POINTS_PER_INCH = 72.0
# A page without a picture on it gains nothing beyond this; a scan brings its pixels with it.
DPI = 200.0


class Refused(Exception):
    """A limit of the job was passed; `pdf.py` has the words for each code."""

    def __init__(self, code: str, *values: float):
        super().__init__(code)
        self.code, self.values = code, values


def main() -> None:
    job = json.loads(sys.argv[1])
    _give_up_rights(job)
    body = b""
    try:
        header, body = draw(sys.stdin.buffer.read(), job)
    except Refused as exc:
        header = {"refused": exc.code, "values": exc.values}
    except MemoryError:
        header = {"refused": "memory", "values": []}
    except (pypdfium2.PdfiumError, ArithmeticError, ValueError):
        header = {"refused": "damaged", "values": []}
    except Exception:  # our own mistake: told to the server, which logs it
        header = {"refused": "failed", "values": [], "detail": traceback.format_exc()[-4000:]}
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n")
    sys.stdout.buffer.write(body)


def draw(data: bytes, job: dict) -> tuple[dict, bytes]:
    """Header and pixels of page `job["page"]`, counted from 0, on white, upright as the file says.

    Raises:
        Refused: over a limit, locked, or no such page.
        PdfiumError: damaged.
    """
    document = _opened(data)
    document.init_forms()  # before any page: what was typed into a form belongs to it
    pages = len(document)
    if pages < 1:
        raise Refused("nothing")
    if pages > job["max_pages"]:
        raise Refused("pages", pages)
    if not 0 <= job["page"] < pages:
        raise Refused("page", job["page"] + 1, pages)
    page = document[job["page"]]
    width, height = page.get_size()
    if not (0 < width < math.inf and 0 < height < math.inf):
        raise Refused("damaged")
    if max(width, height) > job["max_aspect_ratio"] * min(width, height):
        raise Refused("shape", width, height)
    scale = min(DPI / POINTS_PER_INCH, math.sqrt(job["page_pixels"] / (width * height)))
    size = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    header = {"width": size[0], "height": size[1], "pages": pages}
    return header, _pixels(page, size, document.formenv)


def _opened(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as exc:
        if pdfium.FPDF_GetLastError() == pdfium.FPDF_ERR_PASSWORD:
            raise Refused("locked") from exc
        raise


def _pixels(page: pypdfium2.PdfPage, size: tuple[int, int], forms) -> bytes:
    """The size in pixels is given, not a scale that the library would round up beyond the limit."""
    bitmap = pypdfium2.PdfBitmap.new_native(*size, pdfium.FPDFBitmap_BGRx)
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, *size)
    pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, *size, 0, pdfium.FPDF_ANNOT)
    if forms is not None:
        pdfium.FPDF_FFLDraw(forms, bitmap, page, 0, 0, *size, 0, pdfium.FPDF_ANNOT)
    return PIL.Image.frombuffer("RGB", size, bitmap.buffer, "raw", "BGRX", bitmap.stride, 1).tobytes()


if __name__ == "__main__":
    main()

"""Files as people have them, made by seed: PDF of lines, scans, docx, pptx, xlsx."""

import io
from collections.abc import Sequence

import docx
import openpyxl
import PIL.Image
import PIL.ImageDraw
import pptx


def pdf(*pages: Sequence[str]) -> bytes:
    """Pages of lines in Helvetica, each line at a place of its own."""
    return drawn_pdf(*("".join(words(line, 72, 760 - 40 * n) for n, line in enumerate(lines)) for lines in pages))


def words(line: str, x: float, y: float) -> str:
    """As a page's content has them."""
    return f"BT /F1 12 Tf {x} {y} Td ({line.replace('(', '[').replace(')', ']')}) Tj ET\n"


# Contents of pages of 595 by 842 points, from the lower left.
GRID = "".join(
    f"100 {600 - 20 * i} m 300 {600 - 20 * i} l S\n{100 + 50 * i} 600 m {100 + 50 * i} 520 l S\n" for i in range(5)
)
CHART = "350 400 m 350 550 l S\n" + "".join(f"{352 + 20 * i} 400 12 {20 + 15 * i} re f\n" for i in range(6))
IMAGE = "q 200 0 0 150 100 300 cm BI /W 2 /H 2 /CS /G /BPC 8 ID \x00\x7f\x7f\x00 EI Q\n"
RULES = "".join(f"72 {y} m 500 {y} l S\n" for y in (250, 230, 150))
GROUND = "q 595 0 0 842 0 0 cm BI /W 2 /H 2 /CS /G /BPC 8 ID \x00\x7f\x7f\x00 EI Q\n"
ORNAMENT = "72 757 m 160 757 l S\n60 700 480 60 re S\n" + IMAGE.replace("200 0 0 150", "20 0 0 15")


def drawn_pdf(*contents: str, page: str = "") -> bytes:
    """A page for each content stream. `page`: more entries of each page."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", ""]
    objects.append("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    kids = []
    for content in contents:
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}endstream")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] {page} "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {len(objects)} 0 R >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    body, places = "%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{len(body)}\n"
    )
    return (body + end + "%%EOF\n").encode("latin-1")


def scan(text: str) -> bytes:
    """A PNG with a line on it."""
    image = PIL.Image.new("RGB", (448, 112), "white")
    PIL.ImageDraw.Draw(image).text((20, 40), text, fill="black", font_size=24)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def scanned_pdf(*texts: str) -> bytes:
    images = [PIL.Image.open(io.BytesIO(scan(text))).convert("RGB") for text in texts]
    file = io.BytesIO()
    images[0].save(file, "PDF", save_all=True, append_images=images[1:])
    return file.getvalue()


def word(*paragraphs: str, table: Sequence[Sequence[str]] = ()) -> bytes:
    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    if table:
        made = document.add_table(len(table), len(table[0]))
        for row, values in zip(made.rows, table, strict=True):
            for cell, value in zip(row.cells, values, strict=True):
                cell.text = value
    return _saved(document)


def slides(*texts: str) -> bytes:
    show = pptx.Presentation()
    for text in texts:
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text = text
    return _saved(show)


def sheet(rows: Sequence[Sequence[object]], title: str = "Stock") -> bytes:
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(list(row))
    return _saved(book)


def _saved(document) -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()

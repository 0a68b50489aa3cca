"""Office files as programs write them beyond what the libraries read: the decoder's own arithmetic."""

import io
import zipfile

import docx
import openpyxl
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls

from qwen_demo.media import office_decoder

_W = nsdecls("w")


def pages_of_document(*blocks: str) -> list[list[str]]:
    document, file = docx.Document(), io.BytesIO()
    body = document.element.body
    for block in blocks:
        tag, rest = block[1:].split(">", 1)
        body.insert(len(body) - 1, parse_xml(f"<{tag} {_W}>{rest}"))
    document.save(file)
    file.seek(0)
    return list(office_decoder._document(file))


def run(text: str, before: str = "") -> str:
    return f"<w:r>{before}<w:t xml:space='preserve'>{text}</w:t></w:r>"


def test_what_stands_in_forms_insertions_and_inner_tables_is_read():
    inner = f"<w:tbl><w:tr><w:tc><w:p>{run('inner')}</w:p></w:tc></w:tr></w:tbl>"
    assert pages_of_document(
        f"<w:p>{run('Signed ')}<w:ins w:id='1' w:author='a'>{run('by Ines')}</w:ins></w:p>",
        f"<w:sdt><w:sdtContent><w:p>{run('Title')}</w:p></w:sdtContent></w:sdt>",
        f"<w:p>{run('Name: ')}<w:sdt><w:sdtContent>{run('Miller')}</w:sdtContent></w:sdt></w:p>",
        f"<w:p>{run('kept')}<w:del w:id='2' w:author='a'><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>",
        f"<w:tbl><w:tr><w:tc><w:p>{run('outer')}</w:p>{inner}<w:p/></w:tc><w:tc><w:p>{run('b')}</w:p></w:tc></w:tr></w:tbl>",
    ) == [["Signed by Ines", "Title", "Name: Miller", "kept", "outer inner | b"]]


def test_words_before_a_page_break_stay_on_their_page():
    assert pages_of_document(
        f"<w:p>{run('end of one')}<w:r><w:br w:type='page'/></w:r></w:p>",
        f"<w:p>{run('begin of two', '<w:lastRenderedPageBreak/>')}</w:p>",
        f"<w:p><w:pPr><w:pageBreakBefore/></w:pPr>{run('three')}</w:p>",
    ) == [["end of one"], ["begin of two"], ["three"]]


def test_a_sheet_that_states_a_size_of_one_cell_is_read_to_its_end():
    book, file, small = openpyxl.Workbook(), io.BytesIO(), io.BytesIO()
    for number in range(5):
        book.active.append([f"row {number}", number])
    book.save(file)
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(small, "w") as made:
        for name in whole.namelist():
            made.writestr(name, whole.read(name).replace(b'ref="A1:B5"', b'ref="A1"'))
    small.seek(0)
    assert list(office_decoder._sheets(small)) == [["Sheet", *[f"row {number} | {number}" for number in range(5)]]]

"""A document as Markdown, as a page of HTML, and as rows for JSON."""

from html import escape

from qwen_demo.answers.documents.parse import Document, Element
from qwen_demo.answers.documents.tree import Node, span, write

# Cells of a table in Markdown, each of those that one spans counted; after them every cell is one.
MAX_GRID = 20_000


def rows(document: Document) -> list[dict]:
    """One object an element: number, kind, text, its box in pixels of the page, its HTML."""
    return [
        {
            "number": element.number,
            "kind": element.kind,
            "text": element.text,
            "bbox": [round(value, 1) for value in element.region] if element.region else None,
            "html": write(element.node),
        }
        for element in document.elements
    ]


def html(document: Document, title: str = "Document") -> str:
    """A page without scripts or styles of its own; boxes are in `data-bbox`, as the model writes them."""
    parts = [
        "<!doctype html>",
        f'<html><head><meta charset="utf-8"><title>{escape(title)}</title></head><body>',
    ]
    for element in document.elements:
        box = f' data-bbox="{" ".join(f"{value:.0f}" for value in element.region)}"' if element.region else ""
        parts.append(
            f'<div id="e{element.number}" class="{element.kind.replace(" ", "-")}"{box}>{element_html(element)}</div>'
        )
    return "\n".join([*parts, "</body></html>", ""])


def element_html(element: Element) -> str:
    """An element's HTML as it is shown: clean, formulas and images as words."""
    if element.kind == "formula":
        return f"<pre>{escape(element.text)}</pre>"
    if element.kind == "image":
        return f"<p>▧ {escape(element.text)}</p>"
    if element.node.tag == "li":
        marked = Node("p", {}, [f"{element.marker} ".lstrip(), *element.node.children])
        return write(marked)
    return write(element.node)


def markdown(document: Document) -> str:
    """Headings, tables, lists and formulas in Markdown; images as a word in brackets."""
    blocks = [_block(element) for element in document.elements]
    text = ""
    for index, block in enumerate(blocks):
        tight = index and document.elements[index].kind == document.elements[index - 1].kind == "list item"
        text += ("" if not index else "\n" if tight else "\n\n") + block
    return text + "\n" if text else ""


def _block(element: Element) -> str:
    node = element.node
    if element.kind == "heading":
        return "#" * int(node.tag[1]) + " " + _inline(node)
    if element.kind == "table":
        return _table(node)
    if element.kind == "list":
        items = [child for child in node.walk() if child.tag in ("li", "dt", "dd")]
        return "\n".join(f"{f'{n}.' if node.tag == 'ol' else '-'} {_inline(item)}" for n, item in enumerate(items, 1))
    if element.kind == "list item":
        return f"{element.marker.replace('•', '-') or '-'} {_inline(node)}"
    if element.kind == "formula":
        return f"$$\n{element.text}\n$$"
    if element.kind == "image":
        return f"[image{': ' + _inline(node) if element.text else ''}]"
    if element.kind == "code":
        fence = "`" * 4 if "```" in node.text else "```"
        return f"{fence}\n{node.text}\n{fence}"
    if element.kind == "quote":
        return "> " + _inline(node)
    return "---" if element.kind == "line" else _inline(node)


_MARKS = {"b": "**", "strong": "**", "i": "*", "em": "*", "s": "~~", "code": "`"}


def _inline(node: Node) -> str:
    pieces = []
    for child in node.children:
        if isinstance(child, str):
            pieces.append(child.replace("\n", " ").replace("|", "\\|").replace("<", "&lt;"))
        elif child.tag == "br":
            pieces.append("  \n" if node.tag not in ("td", "th", "li") else " ")
        else:
            mark = _MARKS.get(child.tag, "")
            inner = _inline(child)
            between = "" if mark or child.tag in ("span", "u", "small", "sub", "sup") else " "
            pieces.append(f"{mark}{inner}{mark}" if inner.strip() else between + inner)
    return "".join(pieces).strip()


def _table(table: Node) -> str:
    """Cells that span several stand in the first; Markdown has no other way."""
    grid: list[list[str]] = []
    below: dict[tuple[int, int], bool] = {}
    room = MAX_GRID
    for number, row in enumerate(part for part in table.walk() if part.tag == "tr"):
        line: list[str] = []
        for cell in (child for child in row.children if isinstance(child, Node) and child.tag in ("td", "th")):
            while below.pop((number, len(line)), False):
                line.append("")
            start = len(line)
            across, rows_down = span(cell, "colspan"), span(cell, "rowspan")
            room -= across * rows_down
            if room < 0:
                across = rows_down = 1
            line += [_inline(cell), *[""] * (across - 1)]
            for down in range(1, rows_down):
                below.update({(number + down, column): True for column in range(start, len(line))})
        while below.pop((number, len(line)), False):
            line.append("")
        grid.append(line)
    width = max((len(line) for line in grid), default=0)
    if not width:
        return ""
    lines = ["| " + " | ".join([*line, *[""] * (width - len(line))]) + " |" for line in grid]
    return "\n".join([lines[0], "|" + "---|" * width, *lines[1:]])

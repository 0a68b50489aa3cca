"""Model text -> `Document`: which elements it has, of which kind, and where on the page they stand."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from markdown_it import MarkdownIt

from qwen_demo.answers.documents.tree import BLOCKS, MAX_TEXT_CHARACTERS, Node, read

MAX_ELEMENTS = 500
Region = tuple[float, float, float, float]

_KINDS = {
    **{f"h{level}": "heading" for level in range(1, 7)},
    **{"table": "table", "ol": "list", "ul": "list", "dl": "list", "li": "list item", "pre": "code", "hr": "line"},
    **{"img": "image", "figure": "image", "header": "header", "footer": "footer", "blockquote": "quote"},
}
_CLASSES = {
    "formula": "formula",
    "equation": "formula",
    "math": "formula",
    "chemical_formula": "formula",
    "chemical": "formula",
    "image": "image",
    "picture": "image",
    "figure": "image",
    "chart": "image",
    "music": "image",
    "code": "code",
    "language-formula": "formula",
}
_CONTAINERS = frozenset(["div", "section", "article", "main", "ol", "ul", "dl", "address", "blockquote", "figure"])
_FENCE = re.compile(r"^\s*+```[ \t]*+(?:(html|markdown|md)[ \t]*+)?\n(.*?)(?:\n```\s*)?$", re.DOTALL | re.IGNORECASE)
# Raw HTML in Markdown stays text: what is HTML is parsed as HTML.
_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 30}).enable(
    ["table", "strikethrough"]
)


@dataclass(frozen=True, slots=True)
class Element:
    """One block of a document.

    Attributes:
        number: its place in the document, from 1.
        kind: heading, paragraph, table, list, list item, formula, image, code, quote, header, footer, line.
        node: its tree, cleaned.
        region: (x1, y1, x2, y2) in pixels of the page, or None where the model named none.
    """

    number: int
    kind: str
    node: Node
    region: Region | None = None
    marker: str = ""

    @property
    def text(self) -> str:
        text = self.node.text
        if self.kind != "formula":
            return text
        # Blanks are stripped apart: an expression would look for their end from each of them.
        return re.sub(r"^(?:\$\$?|\\\[)|(?:\$\$?|\\\])$", "", text.strip()).strip()


@dataclass(frozen=True, slots=True)
class Document:
    """What a model read off one page.

    Attributes:
        form: "html" for QwenVL HTML, else "markdown".
        cut: whether something was left out because there was too much of it.
    """

    elements: tuple[Element, ...]
    form: str
    cut: bool = False

    def scaled(self, seen: tuple[int, int], page: tuple[int, int]) -> "Document":
        """Regions scaled from the size that the model saw to the page's, and clipped to it.

        A region that lies outside, or has no area, is dropped; its element stays.
        """
        return replace(self, elements=tuple(replace(e, region=_scaled(e.region, seen, page)) for e in self.elements))


def parse(text: str) -> Document:
    """A document for any text whatsoever; whole or cut off in the middle, in a fence or bare."""
    text = text[: MAX_TEXT_CHARACTERS + 1].replace("\0", "")
    fenced = _FENCE.match(text)
    inner = fenced[2] if fenced else text
    is_html = bool(re.search(r"data-bbox|<(html|body|table|h[1-6]|p|div|ol|ul)[\s>]", inner, re.IGNORECASE))
    root, cut = read(inner if is_html else _from_markdown(inner if fenced else text))
    elements: list[Element] = []
    for node, marker in _blocks(root):
        if len(elements) == MAX_ELEMENTS:
            cut = True
            break
        region = _region(node.attributes.get("data-bbox", ""))
        if region or node.text or node.tag in ("img", "hr", "table"):
            elements.append(Element(len(elements) + 1, _kind(node), node, region, marker))
    return Document(tuple(elements), "html" if is_html else "markdown", cut)


def _from_markdown(text: str) -> str:
    """Formulas become code first: Markdown would read their underscores and backslashes."""
    for opening, closing in (("$$", "$$"), ("\\[", "\\]")):
        text = _between(text, opening, closing, lambda found: f"\n\n~~~formula\n{found.strip()}\n~~~\n\n")
    return _MARKDOWN.render(_between(text, "\\(", "\\)", lambda found: f"`{found}`"))


def _between(text: str, opening: str, closing: str, change: Callable[[str], str]) -> str:
    """`text` with what stands between the marks changed, and the marks gone."""
    pieces, last = [], 0
    while (start := text.find(opening, last)) >= 0 and (end := text.find(closing, start + 2)) >= 0:
        found = text[start + 2 : end]
        pieces += [text[last:start], change(found) if found.strip() and "`" not in found else text[start : end + 2]]
        last = end + 2
    return "".join([*pieces, text[last:]])


def _blocks(parent: Node) -> Iterator[tuple[Node, str]]:
    """Blocks in reading order, with the marker of list items; loose words between them are paragraphs."""
    loose = Node("p")
    count = 0
    for child in parent.children:
        if isinstance(child, str) or (child.tag not in BLOCKS and not _has_region(child)):
            loose.children.append(child)
            continue
        if loose.text:
            yield loose, ""
        loose = Node("p")
        count += 1
        marker = f"{count}." if parent.tag == "ol" else "•" if parent.tag == "ul" else ""
        if _is_container(child):
            yield from _blocks(child)
        else:
            yield child, marker
    if loose.text:
        yield loose, ""


def _is_container(node: Node) -> bool:
    """Whether the blocks inside count rather than the node: it has no region and they do, or it only groups."""
    if _region(node.attributes.get("data-bbox", "")) or _class(node):
        return False
    if any(_has_region(child) for child in node.children if isinstance(child, Node)):
        return node.tag != "table"
    groups = node.tag in ("div", "section", "article", "main")
    return groups and any(isinstance(child, Node) and child.tag in BLOCKS for child in node.children)


def _has_region(node: Node) -> bool:
    return any(_region(part.attributes.get("data-bbox", "")) for part in node.walk())


def _kind(node: Node) -> str:
    if named := _class(node):
        return named
    if node.tag == "pre" and any("language-formula" in part.attributes.get("class", "") for part in node.walk()):
        return "formula"
    if node.tag == "div" and not node.text and any(part.tag == "img" for part in node.walk()):
        return "image"
    return _KINDS.get(node.tag, "paragraph")


def _class(node: Node) -> str:
    words = re.split(r"[\s-]+", node.attributes.get("class", "").lower()[:100])
    return next((_CLASSES[word] for word in words if word in _CLASSES), "") if node.tag in _CONTAINERS | {"p"} else ""


def _region(text: str) -> Region | None:
    if len(text) > 200:
        return None
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]
    if len(numbers) != 4 or not all(math.isfinite(n) and abs(n) < 1e7 for n in numbers):
        return None
    x1, y1, x2, y2 = numbers
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)


def _scaled(region: Region | None, seen: tuple[int, int], page: tuple[int, int]) -> Region | None:
    if region is None:
        return None
    x1, x2 = (min(max(x * page[0] / seen[0], 0.0), float(page[0])) for x in region[0::2])
    y1, y2 = (min(max(y * page[1] / seen[1], 0.0), float(page[1])) for y in region[1::2])
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None

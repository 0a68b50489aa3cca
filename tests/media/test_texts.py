"""Plain text and Markdown, cut into pages by the server itself: bounded, whatever they hold."""

import pytest

from qwen_demo.errors import MediaRefused
from qwen_demo.media.texts import MOST_PASSAGES, pages_of_text
from qwen_demo.settings import Settings


def passages(data: bytes, **limits) -> list[list[str]]:
    pages = pages_of_text(data, Settings(**limits), "notes.txt").pages
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    return [[passage.text for passage in page.passages] for page in pages]


def test_paragraphs_stay_whole_and_headings_begin_passages():
    assert passages(b"one\r\ntwo\n \t\nthree\n# four\nfive\n\n\n## six\n#seven") == [
        ["one\r\ntwo", "three", "# four\nfive", "## six\n#seven"]
    ]
    first, second = passages(b"a" * 2000 + b"\n\n" + b"b" * 2000)
    assert (first, second) == (["a" * 2000], ["b" * 2000])


def test_a_long_paragraph_is_cut_where_a_sentence_ends():
    (first,), (second,) = passages(("x" * 2500 + ". " + "y" * 2000).encode())
    assert (first, second) == ("x" * 2500 + ".", "y" * 2000)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_a_letter_is_read_whole_wherever_the_steps_of_reading_part_it(encoding):
    text = "文" * 200_001  # of two, three or four bytes
    assert "".join(piece for page in passages(text.encode(encoding)) for piece in page) == text


def test_a_megabyte_in_one_line_keeps_its_words():
    words = " ".join(str(number) for number in range(150_000))
    assert " ".join(piece for page in passages(words.encode()) for piece in page) == words


def test_a_page_of_tiny_paragraphs_has_a_bounded_number_of_passages_and_all_words():
    (page,) = passages(b"\n\n".join(b"%d" % number for number in range(700)))
    assert len(page) == MOST_PASSAGES
    assert "\n\n".join(page).split() == [str(number) for number in range(700)]


def test_more_pages_than_a_file_may_have_are_refused():
    data = b"\n\n".join([b"word " * 599] * 3)
    assert len(passages(data, max_knowledge_pages=3)) == 3
    with pytest.raises(MediaRefused, match=r"notes.txt has more than 2 pages \(--max-knowledge-pages\)"):
        passages(data, max_knowledge_pages=2)


def test_cutting_ends_when_its_time_is_over():
    with pytest.raises(MediaRefused, match="--knowledge-timeout-s"):
        passages(b"word " * 2000, knowledge_timeout_s=1e-9)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Kunde;Ort\nMüller;Köln\nBühler;Düren\nSchäfer;Gemünden", "cp1252"),
        ("Preis;12,50 €;“net”\nStraße 5", "cp1252"),
        ("Müller;慕尼黑;地址", "gb18030"),
    ],
)
def test_files_of_spreadsheets_are_read_in_the_encoding_of_their_country(text, encoding):
    assert passages(text.encode(encoding)) == [[text]]

"""Pages of PDF files: drawn true, and every way of asking too much refused in words."""

import asyncio
import contextlib

import numpy as np
import pytest

from qwen_demo import media
from qwen_demo.errors import MediaRefused
from tests import conftest
from tests import hostile_pdfs as files

HANG_GUARD_S = 120
LIMITS = {"max_pdf_bytes": 20 << 20, "max_pdf_pages": 50, "pdf_page_pixels": 400_000, "pdf_timeout_s": 20}


@pytest.fixture
def draw(loader, tmp_path):
    async def draw(data: bytes, number: int = 1, **limits) -> media.Page:
        (tmp_path / "a.pdf").write_bytes(data)
        async with asyncio.timeout(HANG_GUARD_S):
            within = loader(**{**LIMITS, **limits})
            return await within.load_page(tmp_path / "a.pdf", allowed_roots=[tmp_path], number=number)

    return draw


@pytest.fixture
def refusal(draw):
    async def refusal(data: bytes, number: int = 1, **limits) -> str:
        with pytest.raises(MediaRefused) as refused:
            await draw(data, number, **limits)
        assert "a.pdf" in str(refused.value)
        return str(refused.value)

    return refusal


async def test_a_page_is_drawn_upright_in_its_colours_and_sharp(draw):
    page = await draw(files.pdf(files.RED))
    assert (page.number, page.pages) == (1, 1)
    assert page.image.pixels.size == (555, 277)  # 200 x 100 points at 200 dots an inch
    assert page.image.pixels.getpixel((100, 200)) == (255, 0, 0)
    assert page.image.pixels.getpixel((500, 200)) == (255, 255, 255)
    assert page.image.name == "a.pdf, page 1"


async def test_pages_are_drawn_one_by_one(draw):
    data = files.pdf(files.RED, b"0 0 1 rg 0 0 200 100 re f")
    first, second = await draw(data, 1), await draw(data, 2)
    assert second.pages == 2
    assert second.image.pixels.getpixel((5, 5)) == (0, 0, 255)
    assert first.image.digest != second.image.digest


async def test_a_turned_page_is_turned_and_text_without_its_font_is_readable(draw):
    page = await draw(files.pdf(files.words("Hello"), extra="/Rotate 90"))
    width, height = page.image.pixels.size
    assert width < height
    assert np.asarray(page.image.pixels.convert("L")).min() < 60


async def test_what_was_filled_into_a_form_is_seen(draw):
    page = await draw(files.form("Ada"))
    inside = np.asarray(page.image.pixels)[120:180, 60:140].reshape(-1, 3)
    assert {(0, 0, 255), (0, 0, 0)} <= set(map(tuple, inside.tolist()))


async def test_a_giant_page_is_drawn_within_the_area_and_a_thin_one_refused(draw, refusal):
    page = await draw(files.pdf(files.RED, box="0 0 14400 14400"))
    assert page.image.pixels.width * page.image.pixels.height <= LIMITS["pdf_page_pixels"]
    huge = await draw(files.pdf(b"", box="0 0 1e9 1e9"))
    assert huge.image.pixels.width * huge.image.pixels.height <= LIMITS["pdf_page_pixels"]
    assert "max-aspect-ratio" in await refusal(files.pdf(b"", box="0 0 9000 1"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (files.locked(), "password"),
        (files.many_pages(51), "--max-pdf-pages"),
        (files.many_pages(1_000_000), "--max-pdf-pages"),
        (files.claims_pages(1_000_000), "--max-pdf-pages"),
        (files.circle_of_pages(), "damaged"),
        (files.file(b"<< /Type /Catalog >>"), "damaged"),
        (b"%PDF-1.7\n" + b"junk" * 999, "damaged"),
        (files.pdf(files.RED)[:40], "damaged"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"", "unknown kind"),
    ],
    ids=["locked", "pages", "million", "claims", "circle", "no tree", "junk", "cut", "image", "empty"],
)
async def test_what_cannot_be_read_is_refused_in_words(refusal, data, words):
    assert words in await refusal(data)


@pytest.mark.parametrize("number", [0, 2, 10**6])
async def test_a_page_that_is_not_there_is_refused(refusal, number):
    assert f"no page {number}" in await refusal(files.pdf(files.RED), number)


async def test_a_file_over_the_limit_is_refused_before_a_process_starts(refusal, decoders, monkeypatch):
    monkeypatch.setattr(decoders, "job", lambda *_: pytest.fail("a decoder was asked"))
    assert "--max-pdf-bytes" in await refusal(files.pdf(files.RED), max_pdf_bytes=100)


@pytest.mark.parametrize(
    "data",
    [files.nested_forms(40, 30), files.bomb(600, layers=2), files.giant_image(), files.nested_forms(7)],
    ids=["forms without end", "packed twice", "giant image", "ten million rectangles"],
)
async def test_what_takes_too_much_is_ended_or_drawn_within_the_limits(draw, data):
    try:
        page = await draw(data, pdf_timeout_s=1.5)
        assert page.image.pixels.width * page.image.pixels.height <= LIMITS["pdf_page_pixels"]
    except MediaRefused as refused:
        assert "a.pdf" in str(refused)


async def test_a_cut_or_flipped_file_never_breaks_more_than_itself(draw):
    data = bytearray(files.pdf(files.words("Hello"), files.RED))
    rng = np.random.default_rng(7)
    for _ in range(6):
        broken = bytearray(data[: rng.integers(20, len(data))])
        for place in rng.integers(8, len(broken), 6):
            broken[place] = rng.integers(256)
        try:
            await draw(bytes(broken))
        except MediaRefused as refused:
            assert "a.pdf" in str(refused)


async def test_a_page_is_loaded_from_the_uploads_alone_and_an_image_is_one_page(loader, tmp_path):
    inside = tmp_path / "uploads"
    inside.mkdir()
    (inside / "a.pdf").write_bytes(files.pdf(files.RED, files.RED))
    conftest.draw("red", (60, 40)).save(inside / "a.png")
    (tmp_path / "out.pdf").write_bytes(files.pdf(files.RED))

    async def load(name: str, number: int = 1, **limits) -> media.Page:
        within = loader(**{**LIMITS, **limits})
        return await within.load_page(tmp_path / name, allowed_roots=[inside], number=number)

    assert (await load("uploads/a.pdf", 2)).pages == 2
    image = await load("uploads/a.png")
    assert (image.pages, image.image.pixels.size) == (1, (60, 40))
    for wrong, words in (
        (load("out.pdf"), "cannot be opened"),
        (load("uploads/a.png", 2), "no page 2"),
        (load("uploads/a.pdf", max_pdf_bytes=100), "--max-pdf-bytes"),
    ):
        with pytest.raises(MediaRefused, match=words):
            await wrong


@pytest.mark.slow
async def test_what_is_on_a_page_is_counted_before_it_is_looked_at(loader, tmp_path, monkeypatch):
    reader, taken = loader(pdf_timeout_s=0.5), []
    run = reader.budget.passing

    def spy(count, *rest):
        taken.append(count)
        return run(count, *rest)

    monkeypatch.setattr(reader.budget, "passing", spy)
    for name, data in (("plain.pdf", files.pdf(files.RED)), ("bomb.pdf", files.bomb(800))):
        (tmp_path / name).write_bytes(data)
        with contextlib.suppress(MediaRefused):
            await reader.load_page(tmp_path / name, allowed_roots=[tmp_path])
    assert len(taken) == 2 and min(taken) > 256 << 20

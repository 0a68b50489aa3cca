"""Pages of PDF files: drawn true, and every way of asking too much refused in words."""

import asyncio
import json
import subprocess
import sys

import numpy as np
import pytest

from qwen_demo import media
from qwen_demo.errors import MediaRefused
from qwen_demo.media import pdf, workers
from qwen_demo.settings import Settings
from tests import conftest
from tests import hostile_pdfs as files
from tests.conftest import until

HANG_GUARD_S = 30
LIMITS = Settings(_env_file=None, max_pdf_bytes=20 << 20, max_pdf_pages=50, pdf_page_pixels=400_000, pdf_timeout_s=10)


async def draw(data: bytes, number: int = 1, **limits) -> media.Page:
    async with asyncio.timeout(HANG_GUARD_S):
        return await media.draw_page(data, LIMITS.model_copy(update=limits), number=number, name="a.pdf")


async def refusal(data: bytes, number: int = 1, **limits) -> str:
    with pytest.raises(MediaRefused) as refused:
        await draw(data, number, **limits)
    assert "a.pdf" in str(refused.value)
    return str(refused.value)


async def test_a_page_is_drawn_upright_in_its_colours_and_sharp():
    page = await draw(files.pdf(files.RED))
    assert (page.number, page.pages) == (1, 1)
    assert page.image.pixels.size == (555, 277)  # 200 x 100 points at 200 dots an inch
    assert page.image.pixels.getpixel((100, 200)) == (255, 0, 0)
    assert page.image.pixels.getpixel((500, 200)) == (255, 255, 255)
    assert page.image.name == "a.pdf, page 1"


async def test_pages_are_drawn_one_by_one():
    data = files.pdf(files.RED, b"0 0 1 rg 0 0 200 100 re f")
    first, second = await draw(data, 1), await draw(data, 2)
    assert second.pages == 2
    assert second.image.pixels.getpixel((5, 5)) == (0, 0, 255)
    assert first.image.digest != second.image.digest


async def test_a_turned_page_is_turned_and_text_without_its_font_is_readable():
    page = await draw(files.pdf(files.words("Hello"), extra="/Rotate 90"))
    width, height = page.image.pixels.size
    assert width < height
    assert np.asarray(page.image.pixels.convert("L")).min() < 60


async def test_what_was_filled_into_a_form_is_seen():
    page = await draw(files.form("Ada"))
    inside = np.asarray(page.image.pixels)[120:180, 60:140].reshape(-1, 3)
    assert {(0, 0, 255), (0, 0, 0)} <= set(map(tuple, inside.tolist()))


async def test_a_giant_page_is_drawn_within_the_area_and_a_thin_one_refused():
    page = await draw(files.pdf(files.RED, box="0 0 14400 14400"))
    assert page.image.pixels.width * page.image.pixels.height <= LIMITS.pdf_page_pixels
    huge = await draw(files.pdf(b"", box="0 0 1e9 1e9"))
    assert huge.image.pixels.width * huge.image.pixels.height <= LIMITS.pdf_page_pixels
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
        (b"\x89PNG\r\n\x1a\n", "no PDF"),
        (b"", "no PDF"),
    ],
    ids=["locked", "pages", "million", "claims", "circle", "no tree", "junk", "cut", "picture", "empty"],
)
async def test_what_cannot_be_read_is_refused_in_words(data, words):
    assert words in await refusal(data)


@pytest.mark.parametrize("number", [0, 2, 10**6])
async def test_a_page_that_is_not_there_is_refused(number):
    assert f"no page {number}" in await refusal(files.pdf(files.RED), number)


async def test_a_file_over_the_limit_is_refused_before_a_process_starts(monkeypatch):
    monkeypatch.setattr(pdf, "_WORKER", "nowhere")
    assert "--max-pdf-bytes" in await refusal(files.pdf(files.RED), max_pdf_bytes=100)


@pytest.mark.parametrize(
    "data",
    [files.nested_forms(40, 30), files.bomb(600, layers=2), files.giant_image(), files.nested_forms(7)],
    ids=["forms without end", "packed twice", "giant picture", "ten million rectangles"],
)
async def test_what_takes_too_much_is_ended_or_drawn_within_the_limits(data):
    try:
        page = await draw(data, pdf_timeout_s=1.5)
        assert page.image.pixels.width * page.image.pixels.height <= LIMITS.pdf_page_pixels
    except MediaRefused as refused:
        assert "a.pdf" in str(refused)


async def test_a_cut_or_flipped_file_never_breaks_more_than_itself():
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


async def test_a_worker_that_hangs_is_killed_and_one_that_lies_is_not_believed(monkeypatch, tmp_path):
    monkeypatch.setattr(pdf, "_WORKER", tmp_path / "worker.py")
    (tmp_path / "worker.py").write_text("import time; time.sleep(600)")
    assert "--pdf-timeout-s" in await refusal(files.pdf(files.RED), pdf_timeout_s=0.3)
    for header in ('{"width": 9000, "height": 9000, "pages": 1}', '{"width": "1"}', "[]", "{" * 9999, ""):
        (tmp_path / "worker.py").write_text(f"print({header!r})")
        assert "damaged" in await refusal(files.pdf(files.RED))


async def test_the_worker_dies_with_the_task_that_waits_for_it(monkeypatch, tmp_path):
    monkeypatch.setattr(pdf, "_WORKER", tmp_path / "worker.py")
    (tmp_path / "worker.py").write_text("import time; time.sleep(600)")
    started, create = [], asyncio.create_subprocess_exec

    async def spy(*args, **kwargs):
        started.append(await create(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spy)
    task = asyncio.create_task(draw(files.pdf(files.RED)))
    await until(lambda: started)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert started[0].returncode == -9


PROBE = """
import json, runpy, socket, sys
real = runpy.run_path(REAL)
real["_give_up_rights"](json.loads(sys.argv[1]))
def attempt(action):
    try:
        action()
        return "done"
    except Exception as error:
        return type(error).__name__
print(json.dumps([attempt(lambda: open("/etc/passwd")), attempt(socket.socket), attempt(lambda: bytearray(6 << 30))]))
"""


def test_the_worker_has_no_files_no_network_and_bounded_memory(tmp_path):
    (tmp_path / "probe.py").write_text(PROBE.replace("REAL", repr(str(pdf._WORKER))))
    job = {**pdf._job(0, 100, LIMITS), "worker": str(tmp_path / "probe.py")}
    command = [sys.executable, "-I", "-c", workers.BOOT, json.dumps(job)]
    result = subprocess.run(command, capture_output=True, env={}, check=True, stdin=subprocess.DEVNULL)
    assert json.loads(result.stdout) == ["OSError", "OSError", "MemoryError"]


async def test_a_page_is_loaded_from_the_uploads_alone_and_a_picture_is_one_page(tmp_path):
    inside = tmp_path / "uploads"
    inside.mkdir()
    (inside / "a.pdf").write_bytes(files.pdf(files.RED, files.RED))
    conftest.draw("red", (60, 40)).save(inside / "a.png")
    (tmp_path / "out.pdf").write_bytes(files.pdf(files.RED))

    async def load(name: str, number: int = 1, **limits) -> media.Page:
        changed = LIMITS.model_copy(update=limits)
        return await media.load_page(tmp_path / name, changed, allowed_roots=[inside], number=number)

    assert (await load("uploads/a.pdf", 2)).pages == 2
    picture = await load("uploads/a.png")
    assert (picture.pages, picture.image.pixels.size) == (1, (60, 40))
    for wrong, words in (
        (load("out.pdf"), "not in a folder"),
        (load("uploads/a.png", 2), "no page 2"),
        (load("uploads/a.pdf", max_pdf_bytes=100), "--max-pdf-bytes"),
    ):
        with pytest.raises(MediaRefused, match=words):
            await wrong

"""Where images come from: base64, data URLs, bytes, uploaded files."""

import asyncio
import base64
import os

import PIL.Image
import pytest

from qwen_demo import media
from qwen_demo.errors import FetchRefused, MediaRefused
from qwen_demo.settings import Settings
from qwen_demo.types import Image
from tests import hostile

LIMITS = Settings(_env_file=None)

# Base64 and data URLs

PNG = hostile.saved(PIL.Image.new("RGB", (40, 30), "blue"), "PNG")
TEXT = base64.b64encode(PNG).decode()


def test_base64_and_data_urls_give_the_bytes():
    assert media.decode_base64(TEXT, LIMITS) == PNG
    assert media.decode_data_url("data:image/png;base64," + TEXT, LIMITS) == PNG
    assert media.decode_data_url("DATA:image/png;charset=x;BASE64," + TEXT, LIMITS) == PNG


ODD = hostile.saved(PIL.Image.new("RGB", (40, 30), "blue"), "PNG") + b"\xfb\xff\xbe\x00"
PADDED = base64.b64encode(ODD + bytes(-len(ODD) % 3 + 1)).decode()


@pytest.mark.parametrize(
    "loose",
    [
        lambda data: base64.encodebytes(data).decode(),
        lambda data: base64.encodebytes(data).decode().replace("\n", "\r\n"),
        lambda data: f"\t {base64.b64encode(data).decode()} \n",
        lambda data: base64.b64encode(data).decode().rstrip("="),
        lambda data: base64.urlsafe_b64encode(data).decode(),
        lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
        lambda data: "data:image/png;base64," + base64.b64encode(data).decode(),
        lambda data: "DATA:image/png;charset=utf-8; base64, " + base64.b64encode(data).decode(),
    ],
    ids=[
        "wrapped",
        "CRLF",
        "blanks",
        "no padding",
        "URL alphabet",
        "URL alphabet without padding",
        "data: URL",
        "odd data: URL",
    ],
)
def test_base64_as_phones_and_shells_write_it_is_read(loose):
    data = base64.b64decode(PADDED)
    assert media.decode_base64(loose(data), LIMITS) == data


@pytest.mark.parametrize(
    "text", [TEXT[:-1] + "!", PADDED[:-5] + "==", PADDED[:-1] + "A===", "é" * 8, TEXT + "AAAA=" * 4, TEXT[:9]]
)
def test_what_is_no_base64_is_refused(text):
    with pytest.raises(MediaRefused, match="base64"):
        media.decode_base64(text, LIMITS)


def test_a_data_url_may_be_percent_encoded():
    quoted = TEXT.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    assert media.decode_data_url("data:image/png;base64," + quoted, LIMITS) == PNG


@pytest.mark.parametrize(
    "url",
    [
        "data:,hello",
        "data:image/png," + TEXT,
        "data:image/png;base64",
        "data" * 500 + "," + TEXT,
        "image;base64," + TEXT,
    ],
)
def test_other_data_urls_are_refused(url):
    with pytest.raises(MediaRefused, match="data:image/png;base64"):
        media.decode_data_url(url, LIMITS)


def test_base64_is_measured_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(base64, "b64decode", lambda *_, **__: pytest.fail("decoded"))
    exact = Settings(_env_file=None, max_image_bytes=len(PNG) - 1)
    with pytest.raises(MediaRefused, match=r"--max-image-bytes"):
        media.decode_base64(TEXT, exact, kind="image")


def test_base64_at_the_limit_passes():
    assert media.decode_base64(TEXT, Settings(_env_file=None, max_image_bytes=len(PNG)), kind="image") == PNG


# Loading


async def test_data_urls_load(loader):
    image = await loader().load_url("data:image/jpeg;base64," + TEXT)
    assert isinstance(image, Image) and image.pixels.size == (40, 30)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "/etc/passwd", "http://example.com/a.png", "ftp://example.com/a", ""]
)
async def test_no_other_scheme_loads(loader, url):
    with pytest.raises(FetchRefused, match="Only https"):
        await loader().load_url(url)


async def test_the_event_loop_runs_on_while_files_are_decoded(loader):
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    await loader().load_bytes(hostile.saved(hostile.photo(3000, 2000), "JPEG"))
    ticking.cancel()
    assert ticks > 5


async def test_the_wanted_kind_is_checked(loader):
    with pytest.raises(MediaRefused, match="Send a video"):
        await loader().load_bytes(PNG, kind="video")
    with pytest.raises(MediaRefused, match="Send an image"):
        await loader().load_bytes(b"\0\0\0\x18ftypisom" + bytes(50), kind="image")


# Paths


@pytest.fixture
def uploads(tmp_path):
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "a.png").write_bytes(PNG)
    (tmp_path / "secret.png").write_bytes(PNG)
    return folder


async def test_a_file_under_a_root_loads_whatever_its_name(loader, uploads):
    (uploads / "a.mp4").write_bytes(PNG)
    for name in ("a.png", "a.mp4", "../uploads/a.png"):
        image = await loader().load_path(uploads / name, allowed_roots=[uploads])
        assert image.pixels.size == (40, 30)


@pytest.mark.parametrize(
    "name", ["../secret.png", "link.png", "folder-link/secret.png", "/etc/passwd", "../uploads-2/a.png"]
)
async def test_no_path_leads_out_of_the_roots(loader, uploads, name):
    (uploads / "link.png").symlink_to(uploads.parent / "secret.png")
    (uploads / "folder-link").symlink_to(uploads.parent)
    (uploads.parent / "uploads-2").mkdir()
    (uploads.parent / "uploads-2" / "a.png").write_bytes(PNG)
    with pytest.raises(MediaRefused, match="cannot be opened") as caught:
        await loader().load_path(uploads / name, allowed_roots=[uploads])
    assert str(uploads.parent) not in str(caught.value)


async def test_a_root_behind_a_link_works(loader, uploads):
    (uploads.parent / "alias").symlink_to(uploads)
    assert await loader().load_path(uploads / "a.png", allowed_roots=[uploads.parent / "alias"])


async def test_what_is_not_a_file_is_refused(loader, uploads):
    os.mkfifo(uploads / "pipe.png")
    (uploads / "loop.png").symlink_to(uploads / "loop.png")
    async with asyncio.timeout(60):
        for name in ("pipe.png", "loop.png", "missing.png", "", "nul\0.png"):
            with pytest.raises(MediaRefused):
                await loader().load_path(uploads / name, allowed_roots=[uploads])


async def test_a_file_over_the_limit_is_not_read(loader, uploads):
    (uploads / "sparse.png").write_bytes(PNG)
    os.truncate(uploads / "sparse.png", 1 << 40)
    with pytest.raises(MediaRefused, match=r"--max-image-bytes"):
        await loader().load_path(uploads / "sparse.png", allowed_roots=[uploads])

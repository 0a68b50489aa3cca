"""A file is decoded once for gallery, preview and every turn; what is kept is bounded and gives way."""

import asyncio
import contextlib
import os

import PIL.Image
import pytest

from qwen_demo import media
from qwen_demo.errors import MediaRefused, Overloaded
from qwen_demo.settings import MIB
from tests import hostile
from tests import hostile_pdfs as pdfs
from tests.conftest import until
from tests.hostile_clips import clip

PNG = hostile.saved(PIL.Image.new("RGB", (400, 300), "blue"), "PNG")
IMAGE_BYTES = 400 * 300 * 3


@pytest.fixture
def jobs(decoders, monkeypatch) -> list[str]:
    """The kinds of all jobs that decoders are given."""
    given, run = [], decoders.job

    def spy(task, file):
        given.append(task.kind)
        return run(task, file)

    monkeypatch.setattr(decoders, "job", spy)
    return given


class Held:
    """Each job that is given to a decoder waits there for `go_on`.

    Attributes:
        begun: a job is in its decoder.
        ended: how each ended.
    """

    def __init__(self, decoders: media.DecoderPool, monkeypatch):
        self._run, self.ended = decoders.job, []
        self.again()
        monkeypatch.setattr(decoders, "job", self._job)

    def again(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    @contextlib.asynccontextmanager
    async def _job(self, task, file):
        self.ended.append("left")
        async with self._run(task, file) as running:
            self.begun.set()
            await self.go_on.wait()
            yield running
        self.ended[-1] = "with its pixels"


def settled(path, seconds: int = 60) -> None:
    """As if it had been written a while ago."""
    then = os.stat(path).st_mtime - seconds
    os.utime(path, (then, then))


async def test_equal_bytes_are_decoded_once_wherever_they_come_from(loader, jobs, tmp_path):
    files = loader()
    (tmp_path / "a.png").write_bytes(PNG)
    first = await files.load_bytes(PNG, name="first.png")
    second = await files.load_path(tmp_path / "a.png", allowed_roots=[tmp_path])
    page = await files.load_page(tmp_path / "a.png", allowed_roots=[tmp_path])
    assert jobs == ["image"]
    assert first.raster is second.raster is page.image.raster
    assert (first.name, second.name) == ("first.png", "a.png")


async def test_callers_at_the_same_time_share_the_work(loader, jobs):
    files = loader()
    images = await asyncio.gather(*(files.load_bytes(PNG) for _ in range(5)))
    assert jobs == ["image"] and len({id(image.raster) for image in images}) == 1


@pytest.fixture
def held(decoders, monkeypatch) -> Held:
    return Held(decoders, monkeypatch)


async def test_work_goes_on_for_those_who_stay_and_ends_with_the_last(loader, held):
    files = loader()
    waiting = [asyncio.create_task(files.load_bytes(PNG)) for _ in range(3)]
    await held.begun.wait()
    waiting[0].cancel()
    waiting[2].cancel()
    await asyncio.wait([waiting[0], waiting[2]])
    held.go_on.set()
    assert (await waiting[1]).size == (400, 300)
    held.again()
    gone = asyncio.create_task(files.load_bytes(hostile.saved(PIL.Image.new("RGB", (400, 301)), "PNG")))
    await held.begun.wait()
    gone.cancel()
    await asyncio.wait([gone])
    assert held.ended == ["with its pixels", "left"]
    await until(lambda: not files.decoders.running)


async def test_a_refusal_tells_each_caller_the_name_of_his_own_file(loader, jobs):
    files = loader()

    async def refusal(name: str) -> str:
        with pytest.raises(MediaRefused) as refused:
            await files.load_bytes(hostile.cut(PNG), name=name)
        return str(refused.value)

    assert [text.split()[0] for text in await asyncio.gather(refusal("a.png"), refusal("b.png"))] == ["a.png", "b.png"]


async def test_parts_of_a_clip_and_pages_of_a_document_are_told_apart(loader, jobs, tmp_path):
    files = loader()
    video = clip(20)
    parts = [await files.load_bytes(video, clip=part) for part in (None, media.Clip(end_s=0.2), None)]
    assert parts[0].digest == parts[2].digest != parts[1].digest
    (tmp_path / "a.pdf").write_bytes(pdfs.pdf(pdfs.RED, b""))
    pages = [await files.load_page(tmp_path / "a.pdf", allowed_roots=[tmp_path], number=each) for each in (1, 2, 1)]
    assert pages[0].image.digest == pages[2].image.digest != pages[1].image.digest
    assert jobs == ["video", "video", "pdf", "pdf"]
    assert (await files.load_bytes(hostile.animated("GIF"))).digest
    assert (await files.load_bytes(hostile.animated("GIF"), kind="video")).times_s
    assert jobs[4:] == ["image", "video"]


async def test_a_known_file_is_not_even_read_and_a_changed_one_is(loader, jobs, tmp_path, monkeypatch):
    files, path = loader(), tmp_path / "a.png"
    path.write_bytes(PNG)
    settled(path)
    first = await files.load_path(path, allowed_roots=[tmp_path])
    with monkeypatch.context() as watched:
        watched.setattr("qwen_demo.media.opened_file.read_file", lambda *_: pytest.fail("read"))
        assert (await files.load_path(path, allowed_roots=[tmp_path])).raster is first.raster
    path.write_bytes(hostile.saved(PIL.Image.new("RGB", (400, 300), "red"), "PNG"))
    assert (await files.load_path(path, allowed_roots=[tmp_path])).digest != first.digest
    assert jobs == ["image", "image"]


async def test_a_file_that_was_just_written_is_read_again(loader, tmp_path):
    """Two writes within one tick of the clock look the same from outside."""
    files, path = loader(), tmp_path / "a.bmp"
    digests = []
    for colour in ("red", "blue"):
        path.write_bytes(hostile.saved(PIL.Image.new("RGB", (40, 30), colour), "BMP"))
        os.utime(path, ns=(os.stat(tmp_path).st_mtime_ns,) * 2)
        digests.append((await files.load_path(path, allowed_roots=[tmp_path])).digest)
    assert digests[0] != digests[1]


async def test_a_file_out_of_the_roots_is_refused_though_its_content_is_known(loader, tmp_path):
    files, path = loader(), tmp_path / "a.png"
    path.write_bytes(PNG)
    settled(path)
    await files.load_path(path, allowed_roots=[tmp_path])
    with pytest.raises(MediaRefused, match="cannot be opened"):
        await files.load_path(path, allowed_roots=[tmp_path / "other"])


async def test_it_keeps_no_more_than_its_share_of_the_budget_the_latest_of_all(loader, jobs):
    files = loader(memory_budget_mib=8)  # of which two are the cache's: five images
    images = [hostile.saved(PIL.Image.new("RGB", (400, 300), (each, 0, 0)), "PNG") for each in range(8)]
    for image in images:
        await files.load_bytes(image)
    await asyncio.sleep(0)
    assert files.budget.held_bytes == 5 * IMAGE_BYTES
    await files.load_bytes(images[-5])
    assert len(jobs) == 8
    await files.load_bytes(images[0])
    assert len(jobs) == 9


async def test_it_gives_way_before_anybody_is_refused(loader):
    files = loader(memory_budget_mib=8)
    image = await files.load_bytes(PNG)
    await files.load_bytes(hostile.saved(PIL.Image.new("RGB", (400, 300), "red"), "PNG"))
    await until(lambda: files.budget.held_bytes == 2 * IMAGE_BYTES)
    await asyncio.sleep(0)  # the future that was awaited last holds its result until then
    with files.budget.take(8 * MIB - IMAGE_BYTES):
        assert files.budget.held_bytes == 8 * MIB, "what a caller holds stays counted; what nobody holds has gone"
        with pytest.raises(Overloaded):
            files.budget.take(1)
    assert image.pixels.getpixel((0, 0)) == (0, 0, 255)


async def test_what_nobody_asks_for_is_let_go_after_a_while(loader):
    files = loader(cache_seconds=0.2)
    await files.load_bytes(PNG)
    await until(lambda: not files.budget.held_bytes)


async def test_a_closed_loader_holds_nothing(loader):
    files = loader()
    await files.load_bytes(PNG)
    assert files.budget.held_bytes
    await asyncio.sleep(0)
    await files.close()
    assert not files.budget.held_bytes

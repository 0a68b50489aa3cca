"""Changing the model while the program runs."""

import asyncio
import threading
from dataclasses import replace

import pytest

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.errors import InvalidRequest, ModelLoadError, NotReady
from qwen_demo.models.hub.download import DownloadProgress, DownloadStopped
from qwen_demo.service.model_switch import ModelSwitch
from qwen_demo.service.remembered import RememberedModel
from qwen_demo.service.service import Service
from qwen_demo.settings import Settings
from qwen_demo.types import Health, ModelInfo, TextDelta, collect
from tests.conftest import question, until


class NamedEngine(ScriptedEngine):
    """Says its name; loads when it is let."""

    def __init__(self, name: str, *, fails: str = ""):
        super().__init__(Script([f"{name} "] * 5, gap_s=0.0), max_running=4)
        self.name, self.fails = name, fails
        self.info = ModelInfo(name)
        self.may_load, self.may_go_on = asyncio.Event(), asyncio.Event()
        self.may_load.set()
        self.may_go_on.set()
        self.closed = self.loaded = False

    async def start(self):
        await self.may_load.wait()
        if self.fails:
            raise ModelLoadError(self.fails)
        await super().start()
        self.info = replace(self.info, model_id=self.name)
        self.loaded = True

    async def stream(self, request):
        async for event in super().stream(request):
            yield event
            await self.may_go_on.wait()

    def health(self):
        return super().health() if self.loaded else Health(False, detail="reading weights")

    async def close(self):
        self.closed = True
        await super().close()


class SlowDownload:
    """Comes in ten pieces, each of them when it is let."""

    def __init__(self, model: str, on_progress, already: int = 0):
        self.model, self.on_progress, self.done = model, on_progress, already
        self.pieces = threading.Semaphore(0)
        self.stopped, self.is_cancelled = threading.Event(), False

    def run(self):
        while self.done < 10:
            self.pieces.acquire()
            if self.stopped.is_set():
                raise DownloadStopped("stopped")
            self.done += 1
            self.on_progress(DownloadProgress(self.model, self.done, 10, 0, 1))

    def stop(self):
        self.stopped.set()
        self.pieces.release()

    def discard(self):
        self.done = 0

    def cancel(self):
        self.is_cancelled = True
        self.stop()


class Bench:
    """A switch from `old`, with the engines and downloads that it made; the source of its models."""

    def __init__(self, tmp_path, **fails):
        self.engines: dict[str, NamedEngine] = {}
        self.downloads: list[SlowDownload] = []
        self.to_fetch: set[str] = set()
        self.too_large: set[str] = set()
        self.fits_beside = True
        self.fails = fails
        self.prepare = lambda engine: None
        self.remembered = RememberedModel(tmp_path / "state")
        self.begin()

    def begin(self):
        self.switch = ModelSwitch(Settings(grace_s=20), self.build, self, self.remembered)
        self.old = next(iter(self.engines.values()))

    def build(self, settings):
        name = "old" if settings.model == "auto" else settings.model
        engine = self.engines[name] = NamedEngine(name, fails=self.fails.get(name, ""))
        self.prepare(engine)
        return engine

    async def room(self, model, held_bytes):
        if model in self.too_large:
            raise ModelLoadError(f"{model} needs 99 GiB")
        return "beside" if self.fits_beside else "instead"

    def download(self, model, on_progress, held_bytes):
        if model not in self.to_fetch:
            return None
        already = self.downloads[-1].done if self.downloads and not self.downloads[-1].is_cancelled else 0
        self.downloads.append(SlowDownload(model, on_progress, already))
        return self.downloads[-1]

    async def says(self) -> str:
        return (await collect(self.switch.stream(question("Who?")))).text.split()[0]

    async def stage(self, name: str):
        await until(lambda: self.switch.status.stage == name)


@pytest.fixture
async def bench(tmp_path):
    bench = Bench(tmp_path, broken="it does not fit: 9 GiB are needed")
    await bench.switch.start()
    yield bench
    for download in bench.downloads:
        download.stop()
    await bench.switch.close()


async def test_the_present_model_answers_until_the_new_one_is_ready(bench):
    bench.prepare = lambda engine: engine.may_load.clear()
    bench.switch.choose("new")
    await bench.stage("loading")
    await until(lambda: bench.switch.status.detail == "reading weights")
    assert await bench.says() == "old" and bench.switch.info.model_id == "old"
    bench.engines["new"].may_load.set()
    await until(lambda: bench.switch.info.model_id == "new")
    assert await bench.says() == "new"
    await bench.stage("idle")
    assert bench.old.closed and not bench.engines["new"].closed


async def test_an_answer_that_has_begun_ends_on_the_old_model(bench):
    bench.old.may_go_on.clear()
    events = bench.switch.stream(question("Who?"))
    first = await anext(events)
    bench.switch.choose("new")
    await bench.stage("draining")
    assert await bench.says() == "new"
    assert not bench.old.closed
    bench.old.may_go_on.set()
    rest = [event.text async for event in events if isinstance(event, TextDelta)]
    assert {first.text, *rest} == {"old "} and len(rest) == 4
    await bench.stage("idle")
    assert bench.old.closed


async def test_a_model_that_cannot_be_loaded_changes_nothing_and_tells_why(bench):
    bench.switch.choose("broken")
    await bench.stage("failed")
    assert "9 GiB are needed" in bench.switch.status.detail and bench.switch.status.model == "broken"
    assert bench.engines["broken"].closed and not bench.old.closed
    assert await bench.says() == "old"
    bench.switch.choose("new")
    await until(lambda: bench.switch.info.model_id == "new")


async def test_a_download_is_paused_and_goes_on_where_it_was(bench):
    bench.to_fetch.add("new")
    bench.switch.choose("new")
    await until(lambda: bench.downloads)
    bench.downloads[0].pieces.release(4)
    await until(lambda: bench.switch.status.done_bytes == 4)
    assert bench.switch.status.stage == "downloading" and "new" in bench.switch.status.detail
    bench.switch.pause()
    await bench.stage("paused")
    assert bench.switch.status.total_bytes == 10
    bench.switch.choose("new")
    await until(lambda: len(bench.downloads) == 2)
    bench.downloads[1].pieces.release(6)
    await until(lambda: bench.switch.info.model_id == "new")


@pytest.mark.parametrize("paused_first", [False, True])
async def test_a_cancelled_download_is_no_choice_any_more(bench, paused_first):
    bench.to_fetch.add("new")
    bench.switch.choose("new")
    await until(lambda: bench.downloads)
    bench.downloads[0].pieces.release(2)
    await until(lambda: bench.switch.status.done_bytes == 2)
    if paused_first:
        bench.switch.pause()
        await bench.stage("paused")
    bench.switch.cancel()
    await bench.stage("idle")
    assert bench.switch.status.model == "" and "new" not in bench.engines
    assert not paused_first or not bench.downloads[0].done, "nothing of it stays"
    assert await bench.says() == "old"


async def test_what_is_cancelled_at_once_never_begins(bench):
    bench.switch.choose("new")
    bench.switch.cancel()
    await bench.stage("idle")
    assert "new" not in bench.engines


async def test_loading_can_be_given_up(bench):
    bench.prepare = lambda engine: engine.may_load.clear()
    bench.switch.choose("new")
    await until(lambda: "new" in bench.engines)
    bench.switch.cancel()
    await bench.stage("idle")
    await until(lambda: bench.engines["new"].closed)
    assert await bench.says() == "old"


async def test_one_change_at_a_time_and_none_to_the_present_model(bench):
    bench.prepare = lambda engine: engine.may_load.clear()
    with pytest.raises(InvalidRequest, match="answers already"):
        bench.switch.choose("old")
    bench.switch.choose("new")
    with pytest.raises(InvalidRequest, match="Cancel that first"):
        bench.switch.choose("other")


async def test_nothing_is_chosen_before_the_first_model_has_loaded(tmp_path):
    bench = Bench(tmp_path)
    with pytest.raises(InvalidRequest, match="still loading"):
        bench.switch.choose("new")
    await bench.switch.close()


async def test_a_model_that_memory_does_not_hold_is_refused_before_it_is_fetched(bench):
    bench.too_large.add("new")
    bench.to_fetch.add("new")
    bench.switch.choose("new")
    await bench.stage("failed")
    assert "99 GiB" in bench.switch.status.detail and not bench.downloads
    bench.switch.cancel()
    assert bench.switch.status.stage == "idle", "whoever has read the reason puts it aside"
    assert await bench.says() == "old"


async def test_models_that_memory_does_not_hold_together_change_places(bench):
    bench.fits_beside = False
    bench.prepare = lambda engine: engine.may_load.clear()
    bench.old.may_go_on.clear()
    events = bench.switch.stream(question("Who?"))
    await anext(events)
    bench.switch.choose("new")
    await bench.stage("draining")
    assert not bench.old.closed, "what has begun is ended first"
    with pytest.raises(NotReady, match="new is being loaded in the place"):
        await bench.says()
    bench.old.may_go_on.set()
    assert [event async for event in events]
    await until(lambda: "reading weights" in bench.switch.health().detail)
    health = bench.switch.health()
    assert bench.old.closed and (health.ready, health.failed, health.loading) == (False, False, True)
    service = Service(Settings(), bench.switch)
    service.ready_without_warmup()
    assert service.status().state == "loading" and "reading weights" in service.status().detail and not service.is_lost
    bench.engines["new"].may_load.set()
    await bench.stage("idle")
    assert await bench.says() == "new" and bench.switch.health().ready


@pytest.mark.parametrize("given_up", [False, True])
async def test_a_model_that_left_comes_back_when_the_new_one_fails_or_is_given_up(bench, given_up):
    bench.fits_beside = False
    bench.prepare = lambda engine: engine.name == "new" and engine.may_load.clear()
    bench.switch.choose("new" if given_up else "broken")
    if given_up:
        await until(lambda: "new" in bench.engines and bench.switch.status.stage == "loading")
        bench.switch.cancel()
        await until(lambda: bench.switch.health().ready)
    await bench.stage("idle" if given_up else "failed")
    assert given_up or (bench.switch.status.model, "9 GiB" in bench.switch.status.detail) == ("broken", True)
    assert await bench.says() == "old" and bench.engines["old"] is not bench.old


async def test_where_the_one_that_left_does_not_come_back_health_says_that_all_is_lost(bench):
    bench.fits_beside = False
    bench.fails["old"] = "the disk is gone"
    bench.switch.choose("broken")
    await bench.stage("failed")
    health = bench.switch.health()
    assert health.failed and "the disk is gone" in health.detail


async def test_who_gives_up_twice_has_the_model_back_all_the_same(bench):
    bench.fits_beside = False
    bench.prepare = lambda engine: engine.may_load.clear()
    bench.switch.choose("new")
    await until(lambda: "new" in bench.engines and bench.switch.status.stage == "loading")
    bench.switch.cancel()
    await until(lambda: bench.engines["old"] is not bench.old)
    await asyncio.sleep(0.1)
    bench.switch.cancel()
    bench.engines["old"].may_load.set()
    await until(lambda: bench.switch.health().ready)
    assert await bench.says() == "old"


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("model", ["new", "old"])
async def test_where_all_is_lost_another_choice_helps(bench, beside, model):
    bench.fits_beside = False
    bench.fails["old"] = "the disk is gone"
    bench.switch.choose("broken")
    await bench.stage("failed")
    bench.fits_beside = beside
    del bench.fails["old"]
    bench.switch.cancel()
    bench.switch.choose(model)
    await until(lambda: bench.switch.health().ready)
    assert await bench.says() == model


async def test_who_shows_a_label_is_told_of_a_change_once_it_is_done(bench):
    told = []
    bench.switch.on_change = lambda: told.append(bench.switch.info.model_id)
    bench.switch.choose("broken")
    await bench.stage("failed")
    bench.switch.choose("new")
    await until(lambda: told)
    assert told == ["new"]


async def test_the_choice_is_remembered_once_it_answers_and_begun_with(bench):
    bench.switch.choose("broken")
    await bench.stage("failed")
    assert bench.remembered.read() is None
    bench.switch.choose("new")
    await until(lambda: bench.switch.info.model_id == "new")
    assert bench.remembered.read() == "new"
    bench.engines.clear()
    await bench.switch.close()
    bench.begin()
    await bench.switch.start()
    assert await bench.says() == "new" and "old" not in bench.engines


async def test_a_remembered_model_that_does_not_load_is_given_up_with_its_reason(tmp_path):
    bench = Bench(tmp_path, broken="its files are gone")
    bench.remembered.write("broken")
    bench.engines.clear()
    bench.begin()
    await bench.switch.start()
    assert await bench.says() == "old" and bench.remembered.read() is None
    assert bench.switch.status.stage == "failed" and "files are gone" in bench.switch.status.detail
    await bench.switch.close()


def test_a_file_of_another_kind_is_no_choice(tmp_path):
    remembered = RememberedModel(tmp_path)
    for text in ("", "[]", '{"model": 3}', '{"model": ""}', "{"):
        (tmp_path / "model.json").write_text(text)
        assert remembered.read() is None
    remembered.write("somebody/model")
    assert remembered.read() == "somebody/model"
    remembered.forget()
    assert remembered.read() is None and RememberedModel(None).read() is None


async def test_closing_ends_whatever_is_under_way(bench):
    bench.to_fetch.add("new")
    bench.switch.choose("new")
    await until(lambda: bench.downloads)
    await bench.switch.close()
    assert bench.old.closed and bench.downloads[0].stopped.is_set()

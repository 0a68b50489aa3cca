"""Fetching a model: progress, pause, and all that goes wrong between the hub and the disk."""

import json
import shutil
import threading
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import constants, file_download

from qwen_demo.errors import ModelLoadError
from qwen_demo.models.choose import Choice
from qwen_demo.models.hub import download as downloading
from qwen_demo.models.hub.cache import cached_folder
from qwen_demo.models.hub.download import Download, DownloadStopped
from qwen_demo.models.hub.fetch import folder_of
from qwen_demo.models.hub.listing import list_files
from qwen_demo.settings import Settings
from tests.models.hub import hub_server
from tests.models.hub.hub_server import COMMIT

MODEL = "somebody/small-vl"
LARGE = bytes(range(256)) * 4096  # 1 MiB
SECOND = LARGE[::-1]
INDEX = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
FILES = {
    "config.json": b'{"model_type": "qwen2_5_vl"}',
    "model.safetensors.index.json": json.dumps(INDEX).encode(),
    "model-1.safetensors": LARGE,
    "model-2.safetensors": SECOND,
    "README.md": b"not wanted",
    "pytorch_model.bin": b"not wanted either",
}
WANTED = [name for name in FILES if name not in ("README.md", "pytorch_model.bin")]


@pytest.fixture
def hub(empty_hub, monkeypatch):
    empty_hub.files[MODEL] = dict(FILES)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the library waits before it tries again
    return empty_hub


def fetch(on_progress=lambda progress: None, token=None):
    return Download(list_files(MODEL, None, token), token, on_progress)


def parts(tmp_path) -> list:
    return list((tmp_path / "cache").rglob("*.part"))


def test_the_files_that_loading_reads_come_into_the_hubs_cache(hub):
    folder = fetch().run()
    assert sorted(path.name for path in folder.iterdir()) == sorted(WANTED)
    assert all((folder / name).read_bytes() == FILES[name] for name in WANTED)
    # The library finds them as its own.
    assert huggingface_hub.snapshot_download(MODEL, local_files_only=True) == str(folder).rstrip("/")
    assert cached_folder(MODEL, None) == folder
    assert cached_folder(MODEL, COMMIT) == folder


def test_what_is_there_is_not_fetched_again(hub):
    fetch().run()
    hub.asked.clear()
    said = []
    fetch(said.append).run()
    assert all(asked[0] == "HEAD" or asked[1].startswith("/api") for asked in hub.asked)
    assert said[0].done_bytes == said[0].total_bytes


def test_progress_counts_every_byte(hub, monkeypatch):
    monkeypatch.setattr(downloading, "REPORT_EVERY_S", 0.0)
    said = []
    fetch(said.append).run()
    total = sum(len(FILES[name]) for name in WANTED)
    done = [progress.done_bytes for progress in said]
    assert done[0] == 0 and done[-1] == total and done == sorted(done)
    assert {progress.total_bytes for progress in said} == {total}
    assert len({*done}) > 10
    assert said[-1].files_done == said[-1].files == len(WANTED)
    assert said[-1].seconds_left == 0 and "s left" in said[-1].sentence and MODEL in said[-1].sentence
    assert said[0].seconds_left is None and "left" not in said[0].sentence


def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub):
    hub.breaks["model-1.safetensors"] = [300_000, 600_000]
    folder = fetch().run()
    assert (folder / "model-1.safetensors").read_bytes() == LARGE
    ranges = hub.sent("model-1.safetensors")
    assert ranges[0] == "" and len(ranges) == 3
    assert all(0 < int(each.removeprefix("bytes=").rstrip("-")) <= 600_000 for each in ranges[1:])


def test_a_download_that_ended_goes_on_where_it_was_in_another_run(hub, tmp_path):
    hub.slow.add("model-1.safetensors")
    first = fetch()
    failure: list[BaseException] = []

    def run():
        try:
            first.run()
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not hub.sent("model-1.safetensors"):
        threading.Event().wait(0.01)
    first.stop()
    hub.go.set()
    thread.join(20)
    assert isinstance(failure[0], DownloadStopped)
    (part,) = parts(tmp_path)
    kept = part.stat().st_size
    assert cached_folder(MODEL, None) is None, "half a model is none"
    hub.slow.clear()
    hub.asked.clear()
    second = fetch()
    assert second.missing_bytes() == len(LARGE) + len(SECOND) - kept
    folder = second.run()
    assert (folder / "model-1.safetensors").read_bytes() == LARGE
    assert hub.sent("model-1.safetensors") == ([f"bytes={kept}-"] if kept else [""])
    assert parts(tmp_path) == []


def stops_at(share: float, way: str):
    """A download that another part of the program stops when so much has come."""
    download = fetch()

    def watch(progress):
        if progress.done_bytes > share * progress.total_bytes:
            getattr(download, way)()

    download._on_progress = watch
    return download


@pytest.mark.parametrize(("way", "kept"), [("stop", 1), ("cancel", 0)])
def test_a_pause_keeps_what_has_come_and_a_cancel_does_not(hub, tmp_path, monkeypatch, way, kept):
    monkeypatch.setattr(downloading, "REPORT_EVERY_S", 0.0)
    with pytest.raises(DownloadStopped):
        stops_at(0.3, way).run()
    assert len(parts(tmp_path)) == kept
    fetch().run()
    assert cached_folder(MODEL, None) is not None


def test_wrong_bytes_are_told_from_right_ones_and_removed(hub, tmp_path):
    hub.wrong.add("model-2.safetensors")
    with pytest.raises(ModelLoadError, match=r"model-2\.safetensors .* hash differs"):
        fetch().run()
    assert parts(tmp_path) == []
    assert cached_folder(MODEL, None) is None
    hub.wrong.clear()
    fetch().run()
    assert cached_folder(MODEL, None) is not None


def test_wrong_small_files_are_told_too(hub):
    hub.wrong.add("config.json")
    with pytest.raises(ModelLoadError, match=r"config\.json .* hash differs"):
        fetch().run()


def test_a_disk_without_room_is_told_before_anything_is_fetched(hub, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(ModelLoadError, match=r"still to be downloaded.*HF_HOME"):
        fetch().run()
    assert hub.sent("config.json") == []


def test_a_disk_that_fills_up_on_the_way_keeps_what_has_come(hub, tmp_path, monkeypatch):
    write = file_download.http_get

    def full(url, opened, **kwargs):
        if url.endswith("model-1.safetensors"):
            opened.write(LARGE[:1000])
            raise OSError(28, "No space left on device")
        return write(url, opened, **kwargs)

    monkeypatch.setattr(file_download, "http_get", full)
    with pytest.raises(ModelLoadError, match=r"HF_HOME"):
        fetch().run()
    assert [part.stat().st_size for part in parts(tmp_path)] == [1000]


def test_a_private_repository_asks_for_a_token_and_opens_with_it(hub):
    hub.private.add(MODEL)
    with pytest.raises(ModelLoadError, match=r"private.*QWEN_DEMO_HF_TOKEN"):
        list_files(MODEL, None, None)
    with pytest.raises(ModelLoadError, match="QWEN_DEMO_HF_TOKEN"):
        list_files(MODEL, None, "wrong")
    folder = fetch(token=hub.token).run()
    assert (folder / "config.json").is_file()


@pytest.mark.parametrize(("model", "revision", "words"), [("nobody/no", None, "name is wrong"), (MODEL, "v9", "v9")])
def test_what_is_not_there_is_said(hub, model, revision, words):
    with pytest.raises(ModelLoadError, match=words):
        list_files(model, revision, None)


def test_a_repository_without_safetensors_is_refused(hub):
    hub.files["somebody/old"] = {"config.json": b"{}", "pytorch_model.bin": b"x"}
    with pytest.raises(ModelLoadError, match="no safetensors"):
        list_files("somebody/old", None, None)


@pytest.mark.parametrize("name", ["../../../config.json", "/etc/a.json", "a//b.json", "..\\a.json"])
def test_a_mirror_names_no_path_outside_of_the_cache(hub, name):
    hub.files[MODEL][name] = b"{}"
    with pytest.raises(ModelLoadError, match="that cannot be"):
        list_files(MODEL, None, None)


def test_a_hash_of_a_mirror_is_no_path_either(hub, monkeypatch):
    monkeypatch.setattr(hub_server, "git_hash", lambda data: "../../../../etc/passwd")
    with pytest.raises(ModelLoadError, match="that cannot be"):
        list_files(MODEL, None, None)


def test_a_hub_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelLoadError, match="connection to the hub"):
        list_files(MODEL, None, None, timeout_s=2)


def test_loading_fetches_what_is_missing_and_says_how_far_it_is(hub):
    said = []
    choice = Choice(MODEL, MODEL, None, "none", "for a test")
    folder = folder_of(choice, Settings(model=MODEL), said.append)
    assert (folder / "config.json").is_file()
    assert any("Downloading somebody/small-vl" in text for text in said)
    hub.asked.clear()
    assert folder_of(choice, Settings(model=MODEL), said.append) == folder
    assert hub.asked == [], "what is cached asks nobody"

"""The panels without a browser: what reaches the engine, and what comes back for the views."""

import base64
import io
from contextlib import aclosing

import pytest

from qwen_demo.engines.scripted import Script, ScriptedEngine
from qwen_demo.service.service import Service
from qwen_demo.types import Image, Sampling, Video
from qwen_demo.ui.conversation import Reader
from qwen_demo.ui.panels import answering
from qwen_demo.ui.panels.camera import camera
from qwen_demo.ui.panels.documents import documents
from qwen_demo.ui.panels.video import video
from tests import hostile_pdfs
from tests.conftest import draw
from tests.hostile_clips import clip

HTML = (
    '<h2 data-bbox="0 0 126 42">Title</h2><script>alert(1)</script>'
    '<p data-bbox="0 84 252 168">Words</p><div class="formula">$$x^2$$</div>'
)


@pytest.fixture
async def service(settings):
    service = Service(settings.model_copy(update={"warmup": False}), ScriptedEngine(Script(["one ", "two"])))
    service.start()
    await service.loaded()
    yield service
    await service.close()


@pytest.fixture
def reader(loader, tmp_path):
    return Reader(loader, [tmp_path])


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))


async def all_of(values) -> list[dict]:
    async with aclosing(values):
        return [value async for value in values]


def engine(service) -> ScriptedEngine:
    return service._engine


async def test_the_controls_of_a_clip_reach_the_decoder_and_the_request(service, reader, tmp_path):
    (tmp_path / "a.mp4").write_bytes(clip(40, rate=10))
    settings = video.clip_of(1, 3, 4, 6)
    frames = await video.preview(str(tmp_path / "a.mp4"), settings, service, reader)
    assert len(frames["times"]) == 6 and frames["times"][0] == 1 and frames["times"][-1] < 3
    await all_of(video.answers(str(tmp_path / "a.mp4"), "what?", settings, Sampling(), service, reader))
    sent = engine(service).requests[-1].messages[0].parts[0]
    assert isinstance(sent, Video)
    assert [round(time, 3) for time in sent.times_s] == frames["times"]


def test_empty_controls_take_the_whole_clip():
    assert video.clip_of(0, 0, None, None) == video.clip_of(None, None, 0, 0) == video.Clip()


async def test_a_clip_that_is_refused_is_told(service, reader, tmp_path):
    (tmp_path / "a.mp4").write_bytes(clip())
    assert (
        "before the part" in (await video.preview(str(tmp_path / "a.mp4"), video.Clip(99), service, reader))["problem"]
    )
    assert "empty" in (await video.preview(str(tmp_path / "a.mp4"), video.Clip(3, 2), service, reader))["problem"]
    assert await video.preview(None, video.Clip(), service, reader) == {}
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    last = (await all_of(video.answers(str(tmp_path / "b.png"), "x", video.Clip(), Sampling(), service, reader)))[-1]
    assert "Send a video" in last["problem"] and not last["running"]


async def test_an_answer_about_a_clip_grows_and_ends_with_timestamps_and_files(service, reader, tmp_path):
    (tmp_path / "a.mp4").write_bytes(clip(40, rate=10))
    engine(service).script = Script(["At 0:01 it falls. ", "At 9:59 nothing."], gap_s=0.15)
    values = await all_of(video.answers(str(tmp_path / "a.mp4"), "x", video.Clip(), Sampling(), service, reader))
    assert values[0]["running"] and not values[-1]["running"]
    assert [timestamp["time"] for timestamp in values[-1]["timestamps"]] == ["0:01"]
    assert "00:00:01,000 --> 00:00:04,000\nit falls" in values[-1]["files"]["srt"]
    assert not any("files" in value for value in values[:-1])


async def test_a_page_is_read_with_regions_in_its_own_pixels(service, reader, tmp_path):
    (tmp_path / "a.pdf").write_bytes(hostile_pdfs.pdf(hostile_pdfs.RED, hostile_pdfs.RED))
    engine(service).script = Script([HTML])
    first = await documents.turn_page(str(tmp_path / "a.pdf"), 2, reader)
    assert (first["page"]["number"], first["page"]["pages"]) == (2, 2)
    last = (await all_of(documents.read_page(str(tmp_path / "a.pdf"), 2, "x", Sampling(), service, reader)))[-1]
    assert isinstance(engine(service).requests[-1].messages[0].parts[0], Image)
    # The model sees the page of 555 x 277 as 560 x 280.
    title, words, formula = last["elements"]
    assert title["region"] == pytest.approx((0, 0, 126 * 555 / 560, 42 * 277 / 280))
    assert words["region"][3] == pytest.approx(168 * 277 / 280)
    assert formula["region"] is None and documents.formulas_of(last) == "3\n$$x^2$$"
    assert "<script" not in last["frame"] + "".join(last["files"].values())
    assert last["files"]["markdown"].startswith("## Title\n")


async def test_a_document_that_is_refused_is_told(service, reader, tmp_path):
    (tmp_path / "a.pdf").write_bytes(hostile_pdfs.locked())
    assert "password" in (await documents.turn_page(str(tmp_path / "a.pdf"), 1, reader))["problem"]
    last = (await all_of(documents.read_page(str(tmp_path / "a.pdf"), 1, "x", Sampling(), service, reader)))[-1]
    assert "password" in last["problem"]
    outside = await documents.turn_page("/etc/passwd", 1, reader)
    assert "cannot be opened" in outside["problem"]


@pytest.mark.parametrize("value", [None, {}, {"page": None}, {"page": {"number": "2"}}, {"page": {"number": -1}}, 5])
def test_a_view_that_comes_back_changed_names_the_first_page(value):
    assert documents.number_in(value) == 1


def test_a_formula_cannot_leave_its_place():
    hostile = r"x$$ <img src=x onerror=alert(1)> `a` \href{javascript:alert(1)}{y} \htmlClass{z}{w}"
    shown = documents.formulas_of({"elements": [{"number": 1, "formula": hostile}]})
    assert shown.count("$$") == 2 and not set("<>`") & set(shown)
    assert "href" not in shown and "htmlClass" not in shown
    assert documents.formulas_of({"elements": [{"number": 2, "formula": "a < b &lt; c & d"}]}) == (
        "2\n$$a \\lt b & lt; c & d$$"
    )


async def test_the_camera_asks_once_for_each_image_and_names_no_other_source(service, reader, tmp_path):

    file = io.BytesIO()
    draw("red", (64, 48)).save(file, "JPEG")
    url = "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
    values = await all_of(camera.answers({"shot": 7, "image": url}, "what?", 3, service, reader))
    assert {value["shot"] for value in values} == {7}
    assert values[-1]["text"] == "one two" and not values[-1]["running"]
    draw("red").save(tmp_path / "a.png")
    asked = len(engine(service).requests)
    for image in (str(tmp_path / "a.png"), "https://example.org/a.png", "data:text/html;base64,AA==", None, 5):
        (value,) = await all_of(camera.answers({"shot": "x", "image": image}, "what?", 3, service, reader))
        assert value["problem"] and not value["running"]
    assert len(engine(service).requests) == asked


async def test_leaving_frees_the_engine(service, reader, tmp_path):
    (tmp_path / "a.mp4").write_bytes(clip())
    engine(service).script = Script(["a "] * 100, gap_s=0.05)
    values = video.answers(str(tmp_path / "a.mp4"), "x", video.Clip(), Sampling(), service, reader)
    while not (await anext(values)).get("text"):
        pass
    assert service.status().running == 1
    await values.aclose()
    assert service.status().running == 0


def test_stop_keeps_what_was_written():
    assert answering.note_stop({"text": "half", "running": True})["text"] == "half"
    assert not answering.note_stop("nonsense")["running"]

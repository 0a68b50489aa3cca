"""The Video panel in a real browser: uploaded, recorded, asked about, exported."""

import asyncio
import re
import threading

import pytest
from playwright.sync_api import expect

from qwen_demo.engines.scripted import Script
from qwen_demo.ui.examples import FOLDER
from qwen_demo.ui.panels.video import video
from tests.ui.steps import looked_over, saved, tab


@pytest.mark.slow
def test_a_video_from_upload_to_export(opened, app):
    page = opened(app)
    app.engine.script = Script(
        ["At 0:01 the square stands. ", "<b>Then</b> between 0:02 and 0:03 it moves down."], gap_s=0.05
    )
    tab(page, "Video")
    page.locator("#clip-ask").click()
    expect(page.locator(".toast-body")).to_contain_text("Choose or record a video")
    page.locator("#clip input[type=file]").set_input_files(str(FOLDER / "clip.mp4"))
    expect(page.locator(".frames .frame")).to_have_count(8)
    expect(page.locator(".frames .facts")).to_contain_text(
        re.compile(r"8 frames of 4 s.* \d+ tokens, \d+ % of the context")
    )
    page.locator("#clip-start input").fill("2")
    page.locator("#clip-start input").press("Enter")
    expect(page.locator(".frames .time").first).to_have_text("0:02.0")
    expect(page.locator(".frames .frame")).to_have_count(4)
    page.locator("#clip-ask").click()
    items = page.locator(".timestamps ol.list button")
    expect(items).to_have_count(2)
    sent = app.engine.requests[-1].messages[0].parts[0]
    assert (sent.times_s[0], len(sent.frames)) == (2.0, 4)
    expect(page.locator(".timestamps .answer-text")).to_contain_text("<b>Then</b>")
    items.nth(1).click()
    page.wait_for_function("document.querySelector('#clip video').currentTime === 2")
    page.locator(".timestamps .answer-text button").first.click()
    page.wait_for_function("document.querySelector('#clip video').currentTime === 1")
    page.locator(".frames li button").last.click()
    page.wait_for_function("document.querySelector('#clip video').currentTime === 3.5")
    expect(page.locator(".frames button.now .time")).to_have_text("0:03.5")
    assert "00:00:02,000 --> 00:00:03,000\nit moves down" in saved(page, "timestamps", "SRT subtitles")
    assert saved(page, "timestamps", "WebVTT").startswith("WEBVTT")
    assert saved(page, "timestamps", "Chapters").splitlines()[0] == "0:00 Start"
    looked_over(page, "video-panel")
    app.engine.script = Script([*["word "] * 200], gap_s=0.05)
    page.locator("#clip-ask").click()
    expect(page.locator(".timestamps .answer-text")).to_contain_text("word word")
    page.locator("#clip-stop").click()
    expect(page.locator(".timestamps .note")).to_contain_text("Stopped")
    expect(page.locator("#clip-ask")).to_be_enabled()


@pytest.mark.slow
def test_a_question_that_is_asked_before_the_frames_are_shown_is_answered(opened, app, monkeypatch):
    shown, preview = threading.Event(), video.preview

    async def late(*asked):
        await asyncio.to_thread(shown.wait, 60)
        return await preview(*asked)

    monkeypatch.setattr(video, "preview", late)
    page = opened(app)
    app.engine.script = Script(["It falls ", *["on "] * 500], gap_s=0.02)
    tab(page, "Video")
    page.locator("#clip input[type=file]").set_input_files(str(FOLDER / "clip.mp4"))
    expect(page.locator("#clip video")).to_be_visible()
    page.locator("#clip-question textarea").fill("what falls?")
    page.locator("#clip-ask").click()
    expect(page.locator(".timestamps .answer-text")).to_contain_text("It falls on on")
    shown.set()
    expect(page.locator(".frames .frame")).to_have_count(8)
    expect(page.locator("#clip-stop")).to_be_enabled()
    page.locator("#clip-stop").click()
    expect(page.locator(".timestamps .note")).to_contain_text("Stopped")
    expect(page.locator(".timestamps .answer-text")).to_contain_text("It falls on on")


RECORDER = """() => {
  const start = MediaRecorder.prototype.start;
  window.recorded = 0;
  MediaRecorder.prototype.start = function (...how) {
    window.recorder = this;
    this.addEventListener("dataavailable", (event) => (window.recorded += event.data.size));
    return start.apply(this, how);
  };
}"""


@pytest.mark.slow
def test_a_video_is_recorded(opened, app):
    page = opened(app)
    tab(page, "Video")
    page.get_by_label("Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    record = page.locator("#clip").get_by_label("start recording")
    expect(record).to_be_enabled()
    page.wait_for_function("document.querySelector('#clip video').videoWidth > 0")
    # The recorder is told to say when it has something: on a busy machine seconds pass before its first frame.
    page.evaluate(RECORDER)
    begun = page.evaluate("document.querySelector('#clip video').currentTime")
    record.click()
    expect(record).to_contain_text("Stop")
    page.wait_for_function("start => document.querySelector('#clip video').currentTime > start + 1.5", arg=begun)
    page.wait_for_function(
        "window.recorder.state == 'recording' && (window.recorder.requestData(), window.recorded > 4000)"
    )
    record.click()
    expect(page.locator(".frames .facts")).to_contain_text(re.compile(r"([2-9]|\d\d) frames of [\d.]+ s"))

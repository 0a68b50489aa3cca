"""The chat in a real browser, on the embedded model and, where timing matters, on the scripted engine."""

import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import expect

from qwen_demo.engines.scripted import Script
from qwen_demo.errors import EngineFailed
from tests.hostile_clips import clip
from tests.ui.steps import answered, answers, ask, looked_over, settled
from tests.ui.steps import opened as frame_opened


def test_upload_ask_and_follow_up(opened, embedded, red):
    page = opened(embedded)
    expect(page.locator("#badge")).to_contain_text("embedded model answers")
    looked_over(page, "start")
    ask(page, "What color is the circle?", red)
    expect(answers(page).last).to_contain_text("red")
    settled(page)
    expect(page.locator("#chat")).to_contain_text(re.compile(r"first token [\d.]+ s"))
    expect(page.locator("#chat .user img")).to_be_visible()
    ask(page, "Describe the image.")
    expect(page.locator("#chat")).to_contain_text("white background")
    settled(page)
    looked_over(page, "answered")


def test_a_page_that_opens_in_the_dark_is_dark(opened, app):
    page = opened(app, "dark")
    expect(page.locator("body")).to_have_class(re.compile("dark"))


@pytest.mark.parametrize("opened", ["phone"], indirect=True)
def test_an_answer_grows_and_stops_on_demand(opened, app):
    page = opened(app)
    app.engine.script = Script(["word "] * 600, gap_s=0.02)
    ask(page, "go on")
    answer = answers(page).last
    expect(answer).to_contain_text("word word word")
    early = len(answer.inner_text())
    page.wait_for_function("n => document.querySelector('#chat .bot.message').innerText.length > n", arg=early + 50)
    page.locator("#question .stop-button").click()
    expect(page.locator("#chat")).to_contain_text("Stopped.")
    settled(page)
    while app.service.status().running:
        page.wait_for_timeout(20)
    length = len(answer.inner_text())
    assert length < 600 * 5
    # What was on its way would have come before the answer to another question.
    app.engine.script = Script(["The next one."])
    ask(page, "and?")
    expect(answers(page).last).to_contain_text("The next one.")
    assert len(answers(page).first.inner_text()) == length


@pytest.mark.slow
def test_what_is_written_while_an_answer_comes_stays_in_the_box_until_it_can_be_sent(opened, app):
    page = opened(app)
    app.engine.script = Script(["word "] * 40, first_s=0.5, gap_s=0.02)
    ask(page, "the first")
    expect(page.locator("#question .stop-button")).to_be_visible()
    question = page.locator("#question textarea")
    question.fill("the second")
    question.press("Enter")
    answered(page, 1)
    expect(question).to_have_value("the second")
    expect(page.locator("#chat .versions")).to_have_count(0)
    question.press("Enter")
    answered(page, 2)
    assert len(app.engine.requests[-1].messages) == 3


@pytest.mark.slow
def test_while_an_answer_comes_nothing_is_asked_again_beside_it(opened, app):
    page = opened(app)
    app.engine.script = Script(["old "] * 200, gap_s=0.02)
    ask(page, "first wording")
    expect(answers(page).last).to_contain_text("old old")
    asked = len(app.engine.requests)
    page.get_by_label("Retry").last.click()
    page.get_by_label("Edit").first.click()
    field = page.get_by_label("Changed question")
    field.fill("second wording")
    page.get_by_role("button", name="Ask again").click()
    expect(field).to_have_value("second wording")
    app.engine.script = Script(["new"])
    answered(page, 1)
    assert len(app.engine.requests) == asked
    page.get_by_role("button", name="Ask again").click()
    expect(answers(page).last).to_contain_text("new")
    answered(page, 1)
    expect(page.locator("#chat")).not_to_contain_text("first wording")


@pytest.mark.slow
def test_retry_undo_edit_and_clear(opened, app):
    page = opened(app)
    app.engine.script = Script(["one"])
    ask(page, "first question")
    answered(page, 1)
    expect(answers(page).first).to_contain_text("one")
    app.engine.script = Script(["two"])
    page.get_by_label("Retry").last.click()
    expect(answers(page).first).to_contain_text("two")
    answered(page, 1)
    app.engine.script = Script()
    page.get_by_label("Edit").first.click()
    page.get_by_label("Changed question").fill("second wording")
    page.get_by_role("button", name="Ask again").click()
    expect(answers(page).first).to_contain_text("second wording")
    answered(page, 1)
    expect(page.locator("#chat")).not_to_contain_text("first question")
    page.get_by_label("Undo").last.click()
    expect(page.locator("#question textarea")).to_have_value("second wording")
    expect(answers(page)).to_have_count(0)
    page.locator("#question textarea").press("Enter")
    answered(page, 1)
    expect(answers(page).first).to_contain_text("second wording")
    page.get_by_role("button", name="New chat").click()
    expect(answers(page)).to_have_count(0)


@pytest.mark.slow
def test_an_example_is_one_click(opened, embedded):
    page = opened(embedded)
    page.locator("#chat .example").first.click()
    expect(answers(page).last).to_be_visible()
    settled(page)
    expect(page.locator("#chat .user img")).to_be_visible()


@pytest.mark.parametrize("opened", ["phone"], indirect=True)
def test_a_file_that_is_no_image_is_told_and_the_conversation_goes_on(opened, app, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"junk" * 9)
    page = opened(app)
    page.locator("#question input[type=file]").set_input_files(str(tmp_path / "broken.png"))
    expect(page.locator("#context .chip.refused")).to_have_count(1)  # uploaded, and looked at
    page.locator("#question textarea").fill("what is it?")
    page.locator("#question textarea").press("Enter")
    expect(page.locator("#chat")).to_contain_text("⚠")
    settled(page)
    assert "Traceback" not in page.locator("body").inner_text()
    # What the browser cannot show leaves the words beside it their room.
    height = page.locator("#chat .user.message p").evaluate(
        "p => p.offsetHeight / parseFloat(getComputedStyle(p).lineHeight)"
    )
    assert height < 1.5
    page.problems.clear()  # the browser itself complains that it cannot show the file
    ask(page, "hello there")
    expect(answers(page).last).to_contain_text("hello there")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["paste", pytest.param("drop", marks=pytest.mark.slow)])
def test_an_image_can_be_pasted_and_dropped(opened, app, red, how):
    page = opened(app)
    transfer = page.evaluate_handle(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "red.png", {type: "image/png"}));
            return transfer;
        }""",
        list(Path(red).read_bytes()),
    )
    target = page.locator("#question textarea")
    if how == "drop":
        target.dispatch_event("drop", {"dataTransfer": transfer})
    else:
        target.evaluate(
            "(e, data) => e.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}))", transfer
        )
    expect(page.locator("#question img")).to_be_visible()
    ask(page, "seen?")
    expect(answers(page).last).to_contain_text("seen?")
    expect(page.locator("#chat .user img")).to_be_visible()


@pytest.mark.slow
def test_a_video_is_asked_about(opened, embedded, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(clip())
    page = opened(embedded)
    page.locator("#question input[type=file]").set_input_files(str(tmp_path / "clip.mp4"))
    expect(page.locator("#context .chip")).to_contain_text("frames")  # uploaded, and looked at
    ask(page, "What is in the video?")
    settled(page)
    expect(page.locator("#chat")).to_contain_text(re.compile(r"\d+ image"))
    expect(page.locator("#chat .user video")).to_be_visible()
    looked_over(page, "video")


@pytest.mark.slow
def test_an_address_that_may_not_be_fetched_is_told(opened, app):
    page = opened(app)
    frame_opened(page, "settings")
    page.get_by_text("Image from the web or the camera").click()
    page.get_by_label("Address of an image").fill("http://127.0.0.1/secret.png")
    page.get_by_role("button", name="Add to the question").click()
    expect(page.locator(".toast-wrap, .toast-body").first).to_contain_text("https")
    looked_over(page, "address")


@pytest.mark.slow
def test_the_camera_gives_an_image(opened, app):
    page = opened(app)
    frame_opened(page, "settings")
    page.get_by_text("Image from the web or the camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function(
        "[...document.querySelectorAll('video')].some(video => video.videoWidth > 0 && video.currentTime > 0.2)"
    )
    page.get_by_label("capture photo").click()
    expect(page.locator("#question img")).to_be_visible()


@pytest.mark.slow
def test_a_question_that_is_asked_while_the_model_loads_waits_and_is_answered(opened, start):
    loaded = threading.Event()
    page = opened(start(Script(), loaded))
    expect(page.locator("#badge")).to_contain_text("loading")
    ask(page, "asked too early")
    expect(page.locator("#chat")).to_contain_text(re.compile("loading", re.IGNORECASE))
    loaded.set()
    expect(page.locator("#badge")).to_contain_text("scripted answers")
    expect(answers(page).last).to_contain_text("asked too early")
    answered(page, 1)


@pytest.mark.slow
def test_a_model_that_fails_is_told_and_so_is_its_return(opened, app, monkeypatch):
    page = opened(app)
    badge = page.locator("#badge")
    expect(badge.locator(".ready")).to_be_visible()
    healthy = app.engine.health
    with monkeypatch.context() as broken:
        broken.setattr(app.engine, "health", lambda: replace(healthy(), ready=False, detail="It fell."))
        ask(page, "are you there?")
        # An open page learns it from the answer that failed, and then looks by itself until the model is back.
        expect(badge.locator(".failed")).to_contain_text("It fell.")
        expect(page.locator("#chat")).to_contain_text("⚠")
    expect(badge.locator(".ready")).to_contain_text("scripted answers")
    app.engine.script = Script([], error=EngineFailed("This answer alone."))
    ask(page, "again?")
    expect(page.locator("#chat")).to_contain_text("This answer alone.")
    expect(badge.locator(".ready")).to_be_visible()


@pytest.mark.slow
def test_the_keyboard_alone_asks_and_stops(opened, app):
    page = opened(app)
    app.engine.script = Script(["word "] * 400, gap_s=0.02)
    page.keyboard.insert_text("go on")  # the question has the focus from the start
    page.keyboard.press("Enter")
    expect(answers(page).last).to_contain_text("word word")
    page.locator("#question textarea").focus()
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('stop-button')"):
            break
    page.keyboard.press("Enter")
    expect(page.locator("#chat")).to_contain_text("Stopped.")
    settled(page)

"""The page in a real browser, on the embedded model and, where timing matters, on the fake engine."""

import re
from pathlib import Path

import PIL.Image
import PIL.ImageDraw
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from qwen_demo.engines.fake import Script
from qwen_demo.settings import Settings
from tests.api.conftest import App
from tests.browser import find
from tests.conftest import ROOT, draw
from tests.hostile_clips import clip
from tests.servers import running

expect.set_options(timeout=30_000)

SCREENSHOTS = ROOT / "tests" / "screenshots"
SIZES = {"desktop": (1280, 860), "phone": (390, 844)}


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find(),
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--use-fake-device-for-media-stream",
                  "--use-fake-ui-for-media-stream"],
        )  # fmt: skip
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def embedded():
    with running("--model", "embedded") as server:
        yield server


@pytest.fixture(scope="module")
def fake():
    with running("--engine", "fake", "--max-running", "8") as server:
        yield server


@pytest.fixture(params=SIZES)
def opened(request, chromium):
    """Opens a server's page; a test fails on any error in the browser's console."""
    pages = []
    width, height = SIZES[request.param]

    def open_(server, scheme="light") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, permissions=["camera"]
        )
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("console", lambda m: m.type == "error" and page.problems.append(f"{m.text} {m.location}"))
        page.goto(server.url)
        expect(page.locator("#question textarea")).to_be_visible()
        page.size = request.param
        pages.append(page)
        return page

    yield open_
    for page in pages:
        assert not page.problems
        page.context.close()


@pytest.fixture
def red(tmp_path) -> str:
    draw("red").save(tmp_path / "red.png")
    return str(tmp_path / "red.png")


def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{page.size}.png")


def ask(page: Page, text: str, picture: str | None = None) -> None:
    if picture:
        page.locator("#question input[type=file]").set_input_files(picture)
        expect(page.locator("#question img")).to_be_visible()
    page.locator("#question textarea").fill(text)
    page.locator("#question textarea").press("Enter")


def answers(page: Page):
    return page.locator("#chat .bot.message")


def settled(page: Page, server=None, ended: int = 0) -> None:
    """Until the question can be sent again; with `server`, until `ended` answers ended there."""
    while server and sum("outcome=" in line for line in server.lines) < ended:
        page.wait_for_timeout(20)
    expect(page.locator("#question .submit-button")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_upload_ask_and_follow_up(opened, embedded, red, scheme):
    page = opened(embedded, scheme)
    expect(page.locator("#badge")).to_contain_text("embedded model answers")
    shoot(page, f"start-{scheme}")
    ask(page, "What color is the circle?", red)
    expect(answers(page).last).to_contain_text("red")
    settled(page)
    expect(page.locator("#chat")).to_contain_text(re.compile(r"first token [\d.]+ s"))
    expect(page.locator("#chat .user img")).to_be_visible()
    ask(page, "Describe the image.")
    expect(page.locator("#chat")).to_contain_text("white background")
    settled(page)
    shoot(page, f"answered-{scheme}")


def test_an_answer_grows_and_stops_on_demand(opened, fake):
    page = opened(fake)
    ask(page, "word " * 600)
    answer = answers(page).last
    expect(answer).to_contain_text("word word word")
    early = len(answer.inner_text())
    page.wait_for_function("n => document.querySelector('#chat .bot.message').innerText.length > n", arg=early + 50)
    shoot(page, "growing")
    page.locator("#question .stop-button").click()
    expect(page.locator("#chat")).to_contain_text("Stopped.")
    settled(page)
    fake.wait_for("outcome=cancelled")
    length = len(answer.inner_text())
    page.wait_for_timeout(500)
    assert len(answer.inner_text()) == length < 600 * 5


def test_retry_undo_edit_and_clear(opened, fake):
    page = opened(fake)
    before = sum("outcome=" in line for line in fake.lines)
    ask(page, "first question")
    settled(page, fake, before + 1)
    expect(answers(page).first).to_contain_text("first question")
    page.get_by_label("Retry").last.click()
    settled(page, fake, before + 2)
    expect(answers(page).first).to_contain_text("first question")
    page.get_by_label("Edit").first.click()
    page.locator("#chat textarea").fill("second wording")
    page.get_by_label("Submit").first.click()
    settled(page, fake, before + 3)
    expect(answers(page).first).to_contain_text("second wording")
    expect(page.locator("#chat")).not_to_contain_text("first question")
    page.get_by_label("Undo").last.click()
    expect(page.locator("#question textarea")).to_have_value("second wording")
    expect(answers(page)).to_have_count(0)
    page.locator("#question textarea").press("Enter")
    settled(page, fake, before + 4)
    expect(answers(page).first).to_contain_text("second wording")
    page.get_by_label("Clear").first.click()
    expect(answers(page)).to_have_count(0)


def test_an_example_is_one_click(opened, embedded):
    page = opened(embedded)
    page.locator("#chat .example").first.click()
    expect(answers(page).last).to_be_visible()
    settled(page)
    expect(page.locator("#chat .user img")).to_be_visible()
    shoot(page, "example")


def test_a_file_that_is_no_picture_is_told_and_the_conversation_goes_on(opened, fake, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"junk" * 9)
    page = opened(fake)
    page.locator("#question input[type=file]").set_input_files(str(tmp_path / "broken.png"))
    page.locator("#question textarea").fill("what is it?")
    page.wait_for_timeout(500)
    page.locator("#question textarea").press("Enter")
    expect(page.locator("#chat")).to_contain_text("⚠")
    settled(page)
    shoot(page, "refused")
    assert "Traceback" not in page.locator("body").inner_text()
    page.problems.clear()  # the browser itself complains that it cannot show the file
    ask(page, "hello there")
    expect(answers(page).last).to_contain_text("hello there")


def test_what_the_model_points_at_is_drawn(opened, embedded, tmp_path):
    picture = PIL.Image.new("RGB", (448, 336), "white")
    PIL.ImageDraw.Draw(picture).ellipse((40, 60, 160, 180), fill=(220, 30, 30))
    picture.save(tmp_path / "disc.png")
    page = opened(embedded)
    ask(page, "Detect all objects and give their bounding boxes in JSON.", str(tmp_path / "disc.png"))
    settled(page)
    expect(page.locator("#boxes")).to_contain_text("circle")
    shoot(page, "boxes")
    ask(page, "What color is it?")
    expect(page.locator("#boxes")).to_be_hidden()
    settled(page)


@pytest.mark.parametrize("how", ["paste", "drop"])
def test_a_picture_can_be_pasted_and_dropped(opened, fake, red, how):
    page = opened(fake)
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


def test_a_video_is_asked_about(opened, embedded, tmp_path):
    (tmp_path / "clip.mp4").write_bytes(clip())
    page = opened(embedded)
    page.locator("#question input[type=file]").set_input_files(str(tmp_path / "clip.mp4"))
    page.wait_for_timeout(800)
    ask(page, "What is in the video?")
    settled(page)
    expect(page.locator("#chat")).to_contain_text(re.compile(r"\d+ picture"))
    expect(page.locator("#chat .user video")).to_be_visible()
    shoot(page, "video")


def test_an_address_that_may_not_be_fetched_is_told(opened, fake):
    page = opened(fake)
    page.get_by_text("Picture from the web or the camera").click()
    page.get_by_label("Address of a picture").fill("http://127.0.0.1/secret.png")
    page.get_by_role("button", name="Add to the question").click()
    expect(page.locator(".toast-wrap, .toast-body").first).to_contain_text("https")
    shoot(page, "address")


def test_the_camera_gives_a_picture(opened, fake):
    page = opened(fake)
    page.get_by_text("Picture from the web or the camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function(
        "[...document.querySelectorAll('video')].some(video => video.videoWidth > 0 && video.currentTime > 0.2)"
    )
    page.get_by_label("capture photo").click()
    expect(page.locator("#question img")).to_be_visible()


def test_the_page_says_that_the_model_is_loading(opened):
    app = App(Settings(warmup=False, canary_s=0, grace_s=1), Script(), load_s=8)
    page = opened(app)
    expect(page.locator("#badge")).to_contain_text("loading")
    shoot(page, "loading")
    expect(page.locator("#badge")).to_contain_text("fake answers")
    app.stop()


def test_the_keyboard_alone_asks_and_stops(opened, fake):
    page = opened(fake)
    page.keyboard.insert_text("word " * 400)  # the question has the focus from the start
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

"""Tasks, video, documents and the live camera in a real browser: both widths, light and dark."""

import json
import os
import re

import pytest
from playwright.sync_api import Page, expect

from qwen_demo.engines.scripted import Script
from qwen_demo.settings import Settings
from qwen_demo.ui.examples import FOLDER
from qwen_demo.ui.panels.tasks.tasks import TASKS
from tests import hostile_pdfs
from tests.answers.test_documents import HOSTILE, PAGE
from tests.api.conftest import App
from tests.ui.steps import shoot

SCHEMES = {"desktop": "light", "phone": "dark"}


@pytest.fixture(scope="module")
def app():
    app = App(Settings(warmup=False, canary_s=0, grace_s=1, max_running=8), Script())
    app.uploads = os.environ["GRADIO_TEMP_DIR"]
    yield app
    app.stop()


@pytest.fixture(autouse=True)
def uploads_stay_where_they_are(app, no_settings_of_this_machine, monkeypatch):
    """The application lives in this process and longer than one test."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", app.uploads)


@pytest.fixture
def page(opened, app, request) -> Page:
    """Desktop in light colours, phone in dark ones."""
    return opened(app, SCHEMES["phone" if "phone" in request.node.name else "desktop"])


def tab(page: Page, name: str) -> None:
    page.locator("#tabs").get_by_role("tab", name=name, exact=True).click()


def script(app: App, *words: str, **timing: float) -> None:
    app.engine.script = Script(words, **timing)


def saved(page: Page, view: str, name: str) -> str:
    with page.expect_download() as download:
        page.locator(f"#{view}").get_by_role("button", name=name, exact=True).click()
    return download.value.path().read_text(encoding="utf-8")


def fits(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_video_from_upload_to_export(page, app):
    script(app, "At 0:01 the square stands. ", "<b>Then</b> between 0:02 and 0:03 it moves down.", gap_s=0.05)
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
    assert fits(page)
    shoot(page, "video-panel")
    script(app, *["word "] * 200, gap_s=0.05)
    page.locator("#clip-ask").click()
    expect(page.locator(".timestamps .answer-text")).to_contain_text("word word")
    page.locator("#clip-stop").click()
    expect(page.locator(".timestamps .note")).to_contain_text("Stopped")
    expect(page.locator("#clip-ask")).to_be_enabled()


RECORDER = """() => {
  const start = MediaRecorder.prototype.start;
  window.recorded = 0;
  MediaRecorder.prototype.start = function (...how) {
    window.recorder = this;
    this.addEventListener("dataavailable", (event) => (window.recorded += event.data.size));
    return start.apply(this, how);
  };
}"""


def test_a_video_is_recorded(page):
    tab(page, "Video")
    page.get_by_label("Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    record = page.locator("#clip").get_by_label("start recording")
    expect(record).to_be_enabled()
    page.wait_for_function("document.querySelector('#clip video').videoWidth > 0")
    # The recorder is told to say when it has something: on a busy machine seconds pass before its first frame.
    page.evaluate(RECORDER)
    record.click()
    expect(record).to_contain_text("Stop")
    page.wait_for_timeout(1500)
    page.wait_for_function(
        "window.recorder.state == 'recording' && (window.recorder.requestData(), window.recorded > 4000)"
    )
    record.click()
    expect(page.locator(".frames .facts")).to_contain_text(re.compile(r"([2-9]|\d\d) frames of [\d.]+ s"))


def test_a_pdf_is_read_page_by_page_with_its_regions_linked(page, app, tmp_path):
    (tmp_path / "two.pdf").write_bytes(hostile_pdfs.pdf(hostile_pdfs.words("First"), hostile_pdfs.words("Second")))
    script(app, *re.findall(r"\S+\s*", PAGE.replace("10 90 300 200", "10 90 300 150")), gap_s=0.01)
    tab(page, "Documents")
    page.locator("#page-file input[type=file]").set_input_files(str(tmp_path / "two.pdf"))
    expect(page.locator(".document .pager")).to_contain_text("Page 1 of 2")
    page.get_by_role("button", name="Next page").click()
    expect(page.locator(".document .pager")).to_contain_text("Page 2 of 2")
    page.get_by_text("QwenVL HTML with regions").click()
    expect(page.locator("#page-prompt textarea")).to_have_value("QwenVL HTML")
    page.locator("#page-read").click()
    elements = page.locator(".document .element")
    expect(elements).to_have_count(8)
    assert app.engine.requests[-1].messages[0].parts[0].name == "two.pdf, page 2"
    frame = page.frame_locator(".document iframe")
    expect(frame.locator("h2")).to_have_text("Invoice No. 7")
    # From the list to the region and the frame, and from the region to the list and the frame.
    elements.nth(2).click()
    expect(page.locator(".document .region[data-number='3']")).to_have_attribute("aria-pressed", "true")
    expect(frame.locator("div:target")).to_have_attribute("data-n", "3")
    page.locator(".document .region[data-number='1']").click(position={"x": 3, "y": 3})
    expect(elements.nth(0)).to_have_attribute("aria-pressed", "true")
    expect(frame.locator("div:target h2")).to_be_visible()
    elements.nth(1).hover()
    expect(page.locator(".document .region[data-number='2']")).to_have_class(re.compile("lit"))
    expect(page.locator("#formulas-text .katex")).to_be_visible()
    assert "| Tea | 1 |" in saved(page, "document", "Markdown")
    assert "data-bbox=" in saved(page, "document", "HTML")
    exported = json.loads(saved(page, "document", "JSON"))
    # 560 x 280 for the model, 555 x 277 in the page.
    assert (exported["page"], exported["width"]) == (2, 555)
    assert exported["elements"][0]["bbox"] == pytest.approx(
        [10 * 555 / 560, 10 * 277 / 280, 200 * 555 / 560, 40 * 277 / 280], abs=0.1
    )
    assert fits(page)
    shoot(page, "document-panel")


def test_a_hostile_document_does_nothing(page, app, tmp_path):
    """Nothing runs, nothing is loaded from elsewhere, the page stays where it is."""
    asked, spoken = [], []
    page.on("request", lambda request: "evil.example" in request.url and asked.append(request))
    page.on("dialog", lambda dialog: (spoken.append(dialog.message), dialog.dismiss()))
    page.evaluate("() => { window.alert = window.stolen = () => { window.hurt = true; }; }")
    tab(page, "Documents")
    page.locator("#page-file input[type=file]").set_input_files(str(FOLDER / "page.png"))
    expect(page.locator(".document .sheet img")).to_be_visible()
    escape = "<script>parent.stolen()</script><p data-bbox='1 2 30 40'>alive</p>"
    script(app, "<html><body>" + "\n".join(text.replace("```html", "") for text in HOSTILE[:-1]) + escape)
    page.locator("#page-read").click()
    frame = page.frame_locator(".document iframe")
    expect(frame.locator("body")).to_contain_text("x")
    expect(page.locator(".document iframe")).to_have_attribute("sandbox", "")
    assert frame.locator("script, iframe, a, img, form, style ~ style, meta[http-equiv=refresh]").count() == 0
    # Even what the sanitizer would miss cannot run there or load anything.
    page.evaluate(
        """() => { const frame = document.querySelector('.document iframe'); frame.srcdoc = frame.srcdoc.replace('<body>',
        `<body><script>parent.stolen()</scr` + `ipt><img src="https://evil.example/x.png" onerror="parent.stolen()">
         <style>body { display: none }</style><meta http-equiv="refresh" content="0;url=https://evil.example/">`); }"""
    )
    page.wait_for_timeout(500)
    assert not page.evaluate("window.hurt") and not spoken
    assert {request.failure for request in asked} == {"csp"}  # stopped before the network
    expect(frame.locator("body")).to_be_visible()
    # The browser tells that it blocked all this; so it should.
    assert page.problems and all("sandboxed" in said or "Content Security Policy" in said for said in page.problems)
    page.problems.clear()


def test_a_pdf_that_cannot_be_read_is_told(page, tmp_path):
    (tmp_path / "locked.pdf").write_bytes(hostile_pdfs.locked())
    tab(page, "Documents")
    page.locator("#page-file input[type=file]").set_input_files(str(tmp_path / "locked.pdf"))
    expect(page.locator(".document .problem")).to_contain_text("password")
    page.locator("#page-read").click()
    expect(page.locator("#page-read")).to_be_enabled()
    expect(page.locator(".document .problem")).to_contain_text("password")


def test_a_preset_fills_in_image_question_and_controls(page, app):
    script(app, "yes")
    tab(page, "Tasks")
    expect(page.locator(".tasks .card")).to_have_count(12)
    page.wait_for_function(
        "[...document.querySelectorAll('.tasks img')].slice(0, 3).every(img => img.naturalWidth > 0)"
    )
    shoot(page, "tasks")
    assert fits(page)
    page.locator(".tasks .card[data-key=extract]").click()
    expect(page.locator("#question textarea")).to_have_value("What is the total?")
    expect(page.locator("#question img")).to_be_visible()
    page.get_by_text("Answer as JSON by this schema").click()
    expect(page.locator("#schema textarea")).to_have_value(re.compile('"total"'))
    # As a person does it, who is not that fast: what happens to a field that is only just drawn can be lost.
    page.wait_for_timeout(1000)
    page.locator("#schema textarea").press("ControlOrMeta+a")
    page.locator("#schema textarea").press("Delete")
    expect(page.locator("#schema textarea")).to_have_value("")
    page.wait_for_timeout(500)
    page.locator("#question textarea").press("Enter")
    expect(page.locator("#chat .bot.message").last).to_contain_text("yes")
    assert app.engine.requests[-1].sampling.max_new_tokens == 64
    tab(page, "Tasks")
    page.locator(".tasks .card[data-key=document]").click()
    expect(page.locator("#page-prompt textarea")).to_have_value("QwenVL HTML")
    expect(page.locator(".document .sheet img")).to_be_visible()
    tab(page, "Tasks")
    page.locator(".tasks .card[data-key=video]").click()
    expect(page.locator("#clip-question textarea")).to_have_value(re.compile("start_time"))
    expect(page.locator(".frames .frame").first).to_be_visible()


def test_the_schema_reaches_the_engine(page, app):
    page.get_by_text("Answer as JSON by this schema").click()
    page.locator("#schema textarea").fill('{"type": "integer"}')
    page.locator("#question textarea").fill("how many?")
    page.locator("#question textarea").press("Enter")
    # The scripted engine has no grammar and says so; nothing is ignored in silence.
    expect(page.locator("#chat")).to_contain_text("cannot hold an answer to a JSON schema")


def test_the_camera_never_has_a_backlog_and_stops_when_nobody_looks(page, app):
    tab(page, "Camera")
    page.locator("#camera-every input[type=number]").fill("1")
    script(app, "A green ", "<i>clock</i>.", first_s=2.5)
    began = len(app.engine.requests)
    page.locator(".camera .start").click()
    most = 0
    for _ in range(40):
        page.wait_for_timeout(100)
        status = app.service.status()
        most = max(most, status.running + status.waiting)
    assert most == 1  # an image a second would have made two or more of it
    assert len(app.engine.requests) - began <= 2
    expect(page.locator(".camera .answer-text")).to_have_text("A green <i>clock</i>.")
    expect(page.locator(".camera .asked")).to_contain_text("Image of")
    assert app.engine.requests[-1].messages[0].parts[0].pixels.width > 100
    assert fits(page)
    shoot(page, "live")
    # The latest answer stays while the next image is looked at.
    page.wait_for_function("document.querySelector('.camera [role=status]').textContent.startsWith('Looking')")
    expect(page.locator(".camera .answer-text")).to_have_text("A green <i>clock</i>.")
    page.evaluate(
        """() => { Object.defineProperty(document, 'hidden', { value: true, configurable: true });
        document.dispatchEvent(new Event('visibilitychange')); }"""
    )
    expect(page.locator(".camera [role=status]")).to_have_text("Stopped, because the page was hidden.")
    assert page.evaluate("document.querySelector('.camera video').srcObject") is None
    page.evaluate("delete document.hidden")
    while app.service.status().running:
        page.wait_for_timeout(50)
    asked = len(app.engine.requests)
    page.wait_for_timeout(1500)
    assert len(app.engine.requests) == asked
    script(app, "Again.")
    page.locator(".camera .start").click()
    expect(page.locator(".camera .answer-text")).to_have_text("Again.")
    page.locator(".camera .stop").click()
    expect(page.locator(".camera .start")).to_be_enabled()


def test_two_settings_from_upload_to_difference(page, app, red):
    tab(page, "Compare")
    page.locator("#compare-ask").click()
    expect(page.locator(".toast-body")).to_contain_text("Type a question")
    expect(page.locator("#compare-one")).to_contain_text("--compare-engine")
    page.locator("#compare-question input[type=file]").set_input_files(red)
    seen = page.locator(".model_inputs p")
    expect(seen).to_have_count(2)
    expect(seen.first).to_contain_text("336 × 336 → 336 × 336 · 144 tokens")
    budget = page.locator("#compare-budget-B input[type=number]")
    budget.fill("64")
    budget.press("Enter")
    expect(seen.last).to_contain_text("→ 224 × 224 · 64 tokens")
    page.locator("#compare-question textarea").fill("what is it?")
    script(app, *["a <b>red</b> circle "] * 200, gap_s=0.3)  # longer than any machine takes to reach Stop
    page.locator("#compare-ask").click()
    texts = page.locator(".compare .answer-text")
    for side in (texts.first, texts.last):
        expect(side).to_contain_text("<b>red</b> circle a <b>red</b>")
    page.locator("#compare-stop").click()
    expect(page.locator(".compare .note")).to_have_text(["Stopped. What was written so far stays."] * 2)
    assert sorted(request.max_pixels or 0 for request in list(app.engine.requests)[-2:]) == [0, 64 * 28 * 28]
    while app.service.status().running:
        page.wait_for_timeout(20)
    # The scripted engine cuts an answer at its length: that is what differs here.
    script(app, *["word ", "<i>word</i> "] * 16)
    longest = page.locator("#compare-B").get_by_label("number input for Longest answer, in tokens")
    longest.fill("16")
    longest.press("Enter")
    page.locator("#compare-ask").click()
    expect(page.locator(".compare .verdict")).to_contain_text("The answers differ.")
    expect(page.locator(".compare .difference del")).to_contain_text("word <i>word</i>")
    expect(page.locator(".compare .difference ins")).to_have_count(0)
    expect(page.locator(".compare .settings").last).to_contain_text(
        "temperature 1 · 64 tokens an image · up to 16 tokens"
    )
    expect(page.locator(".compare tbody tr").filter(has_text="answer tokens").locator("td")).to_have_text(["32", "16"])
    assert page.get_by_role("group", name="A", exact=True).count() == 1
    side_by_side = texts.first.bounding_box()["y"] == texts.last.bounding_box()["y"]
    assert side_by_side == (page.size == "desktop") and fits(page)
    shoot(page, "compare")


def test_the_embedded_model_says_what_it_cannot_do_and_reads_a_page(opened, embedded):
    page = opened(embedded)
    tab(page, "Tasks")
    expect(page.locator(".tasks .unable")).to_have_count(sum(not task.embedded for task in TASKS))
    expect(page.locator(".tasks .card[data-key=document]")).to_contain_text("needs the full model")
    page.locator(".tasks .card[data-key=page]").click()
    expect(page.locator("#page-note")).to_contain_text("never taught QwenVL HTML")
    expect(page.locator(".document .sheet img")).to_be_visible()
    page.locator("#page-read").click()
    expect(page.frame_locator(".document iframe").locator("body")).to_contain_text("Meeting on Friday")
    expect(page.locator(".document")).to_contain_text("names no regions")
    shoot(page, "document-embedded")

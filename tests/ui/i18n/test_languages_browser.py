"""The page is Chinese where the browser is, and says nothing in the other language."""

import os
import re

import pytest
from playwright.sync_api import expect

from qwen_demo.engines.scripted import Script
from qwen_demo.errors import EngineFailed, InvalidRequest
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings
from qwen_demo.ui.i18n import catalogues, labels, languages, texts
from tests import hostile_pdfs
from tests.api.conftest import App
from tests.hostile_clips import clip
from tests.ui.steps import answers, ask, drawn, looked_over, settled
from tests.ui.steps import opened as frame_opened

ZH = catalogues.words("zh")


def page_in(chromium, server, locale: str, size: tuple[int, int] = (1280, 860)):
    page = chromium.new_context(locale=locale, viewport={"width": size[0], "height": size[1]}).new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda m: m.type == "error" and page.problems.append(m.text))
    page.goto(server.url)
    expect(page.locator("#question textarea")).to_be_visible()
    return page


def readable_text(page) -> str:
    """Everything that stands on the page or is read out."""
    return page.evaluate(
        """() => [document.body.innerText, ...[...document.querySelectorAll('[aria-label], [placeholder], [title]')]
        .flatMap(e => ['aria-label', 'placeholder', 'title'].map(name => e.getAttribute(name) ?? ''))].join('\\n')"""
    )


@pytest.mark.slow
def test_the_page_speaks_chinese_where_the_browser_does_of_whatever_region(chromium, app):
    page = page_in(chromium, app, "zh-TW")
    expect(page.locator("#question textarea")).to_have_attribute("placeholder", ZH.PLACEHOLDER)
    expect(page.locator(".conversations button.new")).to_have_text("新对话")
    expect(page.locator("#chat")).to_contain_text(ZH.WELCOME.split("\n\n")[0])
    assert "__i18n__" not in readable_text(page)
    page.context.close()


@pytest.mark.slow
def test_every_tab_of_the_page_speaks_chinese_where_the_browser_does(chromium, app):
    page = page_in(chromium, app, "zh-CN")
    expect(page.locator("#question textarea")).to_have_attribute("placeholder", ZH.PLACEHOLDER)
    expect(page.locator(".conversations button.new")).to_have_text("新对话")
    expect(page.locator("#tabs")).to_contain_text("任务")
    expect(page.locator("#chat")).to_contain_text(ZH.WELCOME.split("\n\n")[0])
    expect(page.locator("#chat")).to_contain_text("指出物体")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    seen = readable_text(page)
    frame_opened(page, "settings")
    page.locator(".share summary").click()
    looked_over(page, "chinese")
    seen += readable_text(page)
    page.keyboard.press("Escape")
    for tab in ("任务", "视频", "文档", "比较", "摄像头"):
        page.locator("#tabs").get_by_role("tab", name=tab, exact=True).click()
        expect(page.get_by_role("tabpanel").filter(visible=True).first).to_be_visible()
        drawn(page)
        seen += readable_text(page)
    assert "__i18n__" not in seen and "translation_metadata" not in seen
    left = {
        line
        for line in seen.splitlines()
        if line
        in set(labels.translations("zh"))
        - {"Top-p", "Markdown", "QwenVL HTML", "Qwen2.5-VL", "3D", "What is the total?"}
    }
    assert not left
    for name in (
        "VIEWER",
        "CONTEXT",
        "CONVERSATIONS",
        "LAYOUT",
        "CHIPS",
        "SHARE",
        "TASKS",
        "CAMERA_VIEW",
        "FRAMES",
        "TIMESTAMPS",
        "DOCUMENT",
        "COMPARE",
    ):
        english = {text for text in getattr(texts, name).values() if isinstance(text, str) and " " in text}
        chinese = set(map(str, getattr(ZH, name).values()))
        assert not {line for line in seen.splitlines() if line in english - chinese}, name
    assert not page.problems
    page.context.close()


@pytest.mark.slow
def test_the_menu_switches_and_the_choice_stays(chromium, app):
    page = page_in(chromium, app, "de-DE")
    expect(page.locator("#question textarea")).to_have_attribute("placeholder", re.compile("^Fragen Sie"))
    page.locator(".language select").select_option("zh")
    expect(page.locator(".conversations button.new")).to_have_text("新对话")
    expect(page.locator("#tabs")).to_contain_text("任务")
    ask(page, "你好 世界")
    expect(answers(page).last).to_contain_text("你好 世界")
    settled(page)
    answered_open = page.locator(".conversations li button.open")
    expect(answered_open).to_have_attribute("title", re.compile("2 条消息"))
    page.goto(app.url)
    expect(page.locator(".conversations button.new")).to_have_text("新对话")
    expect(page.locator("#question textarea")).to_have_attribute("placeholder", ZH.PLACEHOLDER)
    page.locator(".language select").select_option("en")
    expect(page.locator("#tabs")).to_contain_text("Tasks")
    expect(page.locator("#question textarea")).to_have_attribute("placeholder", texts.PLACEHOLDER)
    assert not page.problems
    page.context.close()


NAMELESS = Sentence("The question is empty: type something or add an image.")
NO_HTTP = Sentence("Only https:// URLs (and data: URLs) are accepted.")
NO_ANSWER = Sentence("There is no whole answer to share. Ask first, or ask again.")
# Names, units and formats, which are the same in every language.
NAMES = re.compile(
    r"Qwen2?\.?5?-?VL|Gradio|scripted|token(/s)?|JSON|COCO|CSV|PNG|PDF|HTML|Markdown|SRT|WebVTT|MiB|KiB|ms|s|Top-p|(Zero)?GPU|CUDA|API|MCP|Office|"
    r"(JSON )?Schema|"
    r"curl|openai|gradio_client|Python|none|English|[\w-]*\.(png|mp4|pdf|txt)|PNG|JPEG|WebP|GIF|BMP|TIFF|AVIF|HEIC|"
    r"--[a-z-]+|MP4|WebM|Matroska|AVI|MOV|H\.264|https:|data:"
)
# Text that is seen, except what visitors and models say, what is marked as another language, and code.
SEEN = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement;
    const left = 'script, style, pre, code, [lang]:not(html), .user.message, .answer-text, .kept .name';
    if (!node.data.trim() || parent.closest(left)) continue;
    if (parent.closest('.bot.message') && !parent.closest('.thought-group')) continue;
    if (parent.checkVisibility()) found.push(node.data.trim());
  }
  return found;
}"""


def foreign(page, chinese: bool) -> set[str]:
    """Seen texts with words of the other language."""
    wrong = re.compile("[A-Za-z]{2,}") if chinese else re.compile("[\u4e00-\u9fff]")
    return {text for text in page.evaluate(SEEN) if wrong.search(NAMES.sub("", text) if chinese else text)}


@pytest.fixture(scope="module")
def narrow_app():
    """It answers one at a time, so that a second visitor waits."""
    app = App(Settings(max_running=1, max_images=2, warmup=False, canary_s=0, grace_s=1), Script())
    app.uploads = os.environ["GRADIO_TEMP_DIR"]
    yield app
    app.stop()


@pytest.fixture
def uploads_stay_where_they_are(narrow_app, no_settings_of_this_machine, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", narrow_app.uploads)


@pytest.mark.slow
@pytest.mark.usefixtures("uploads_stay_where_they_are")
@pytest.mark.parametrize("locale", ["zh-CN", "en-US"])
def test_nothing_is_said_in_the_other_language(chromium, narrow_app, red, tmp_path, locale):
    chinese = locale == "zh-CN"
    words = ZH if chinese else texts
    app = narrow_app
    app.engine.script = Script()
    page = page_in(chromium, app, locale)
    expect(page.locator("#badge")).to_contain_text(words.answers("scripted"))
    expect(page.locator("footer")).to_be_hidden()
    found = foreign(page, chinese)

    page.locator("#question textarea").press("Enter")
    expect(page.locator(".toast-wrap")).to_contain_text(words.EMPTY_QUESTION)
    ask(page, "你好", red)
    expect(page.locator("#chat")).to_contain_text(words.first_token(0)[:5])
    settled(page)
    page.locator("#chat").get_by_text(words.first_token(0)[:5]).click()
    expect(page.locator("#chat table.waterfall")).to_contain_text(words.STAGES["prefill"])
    assert words.STAGES["prefill"] in page.evaluate(SEEN)
    found |= foreign(page, chinese)

    # Another visitor holds the only place; this one waits.
    app.engine.script = Script(["好"] * 400, gap_s=0.02)
    other = page_in(chromium, app, locale)
    ask(other, "等一等")
    expect(answers(other).last).to_contain_text("好")
    ask(page, "还有呢")
    expect(page.locator("#chat")).to_contain_text(words.in_line(0, 0))
    found |= foreign(page, chinese)
    other.locator("#question .stop-button").click()
    expect(other.locator("#chat")).to_contain_text(words.STOPPED)
    found |= foreign(other, chinese)
    other.context.close()
    page.locator("#question .stop-button").click()
    settled(page)

    # An error with a sentence of its own, and one that has English words alone.
    for text, problem in [("坏的", EngineFailed("The kernel <b>fell</b>.")), ("空的", InvalidRequest(NAMELESS))]:
        app.engine.script = Script([], error=problem)
        ask(page, text)
        note = page.locator("#chat").get_by_text("⚠").last
        expect(note).to_contain_text(languages.Problem.of(problem).localize(words)[0].rstrip("."))
        note.click()
        settled(page)
    if chinese:
        expect(page.locator("#chat [lang=en]").first).to_have_text("The kernel <b>fell</b>.")
    found |= foreign(page, chinese)
    looked_over(page, f"errors-{locale}")

    frame_opened(page, "settings")
    for panel in page.locator("#settings summary, #settings button.label-wrap").all():
        panel.click()
    page.locator(".share .make").click()
    expect(page.locator(".share pre")).to_contain_text("curl")
    page.locator(".share .pack").click()
    expect(page.locator(".toast-wrap")).to_contain_text(languages.translate(NO_ANSWER, words))
    page.get_by_label(words.URL).fill("http://127.0.0.1/a.png")
    page.get_by_role("button", name=words.ADD_URL).click()
    expect(page.locator(".toast-wrap")).to_contain_text(languages.translate(NO_HTTP, words))
    found |= foreign(page, chinese)
    looked_over(page, f"settings-{locale}")
    page.keyboard.press("Escape")

    (tmp_path / "a.mp4").write_bytes(clip())
    (tmp_path / "a.pdf").write_bytes(hostile_pdfs.locked())
    app.engine.script = Script(['<h2 data-bbox="0 0 9 9">一</h2>'])
    tabs = page.locator("#tabs").get_by_role("tab")
    for tab in tabs.all():
        tab.click()
        panel = page.get_by_role("tabpanel").filter(visible=True).first
        expect(panel).to_be_visible()
        if panel.locator("#clip").count():
            page.locator("#clip-ask").click()
            expect(page.locator(".toast-wrap")).to_contain_text(words.NO_CLIP)
            page.locator("#clip input[type=file]").first.set_input_files(str(tmp_path / "a.mp4"))
            expect(page.locator("#frames li")).not_to_have_count(0)
        if panel.locator("#page-file").count():
            page.locator("#page-file input[type=file]").set_input_files(str(tmp_path / "a.pdf"))
            expect(page.locator(".document .problem")).to_contain_text("a.pdf")
        drawn(page)
        found |= foreign(page, chinese)
    assert not found
    assert not page.problems
    page.context.close()

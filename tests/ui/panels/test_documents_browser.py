"""The Documents panel in a real browser: pages and regions, and documents that mean harm."""

import asyncio
import json
import re
import threading

import pytest
from playwright.sync_api import expect

from qwen_demo.engines.scripted import Script
from qwen_demo.ui.examples import FOLDER
from qwen_demo.ui.panels.documents import documents
from tests import hostile_pdfs
from tests.answers.test_documents import HOSTILE, PAGE
from tests.ui.steps import barrier, looked_over, saved, tab


@pytest.mark.slow
def test_a_pdf_is_read_page_by_page_with_its_regions_linked(opened, app, tmp_path):
    page = opened(app)
    (tmp_path / "two.pdf").write_bytes(hostile_pdfs.pdf(hostile_pdfs.words("First"), hostile_pdfs.words("Second")))
    app.engine.script = Script([*re.findall(r"\S+\s*", PAGE.replace("10 90 300 200", "10 90 300 150"))], gap_s=0.01)
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
    looked_over(page, "document-panel")


@pytest.mark.slow
def test_a_hostile_document_does_nothing(opened, app, tmp_path):
    """Nothing runs, nothing is loaded from elsewhere, the page stays where it is."""
    page = opened(app)
    asked, spoken = [], []
    page.on("request", lambda request: "evil.example" in request.url and asked.append(request))
    page.on("dialog", lambda dialog: (spoken.append(dialog.message), dialog.dismiss()))
    page.evaluate("() => { window.alert = window.stolen = () => { window.hurt = true; }; }")
    tab(page, "Documents")
    page.locator("#page-file input[type=file]").set_input_files(str(FOLDER / "page.png"))
    expect(page.locator(".document .sheet img")).to_be_visible()
    escape = "<script>parent.stolen()</script><p data-bbox='1 2 30 40'>alive</p>"
    app.engine.script = Script(
        ["<html><body>" + "\n".join(text.replace("```html", "") for text in HOSTILE[:-1]) + escape]
    )
    page.locator("#page-read").click()
    frame = page.frame_locator(".document iframe")
    expect(frame.locator("body")).to_contain_text("x")
    expect(page.locator(".document iframe")).to_have_attribute("sandbox", "")
    assert frame.locator("script, iframe, a, img, form, style ~ style, meta[http-equiv=refresh]").count() == 0
    # Even what the sanitizer would miss cannot run there or load anything.
    with page.expect_event("requestfailed", lambda request: "evil.example" in request.url):
        page.evaluate(
            """() => { const frame = document.querySelector('.document iframe'); frame.srcdoc = frame.srcdoc.replace('<body>',
        `<body><script>parent.stolen()</scr` + `ipt><img src="https://evil.example/x.png" onerror="parent.stolen()">
         <style>body { display: none }</style><meta http-equiv="refresh" content="0;url=https://evil.example/">`); }"""
        )
    barrier(page)
    assert not page.evaluate("window.hurt") and not spoken
    assert {request.failure for request in asked} == {"csp"}  # stopped before the network
    expect(frame.locator("body")).to_be_visible()
    # The browser tells that it blocked all this; so it should.
    assert page.problems and all("sandboxed" in said or "Content Security Policy" in said for said in page.problems)
    page.problems.clear()


@pytest.mark.slow
def test_a_pdf_that_cannot_be_read_is_told(opened, app, tmp_path):
    page = opened(app)
    (tmp_path / "locked.pdf").write_bytes(hostile_pdfs.locked())
    tab(page, "Documents")
    page.locator("#page-file input[type=file]").set_input_files(str(tmp_path / "locked.pdf"))
    expect(page.locator(".document .problem")).to_contain_text("password")
    page.locator("#page-read").click()
    expect(page.locator("#page-read")).to_be_enabled()
    expect(page.locator(".document .problem")).to_contain_text("password")


@pytest.mark.slow
def test_pages_keep_their_readings_and_all_are_read_with_progress_and_stop(opened, app, tmp_path):
    page = opened(app)
    names = ["First", "Second", "Third"]
    (tmp_path / "three.pdf").write_bytes(hostile_pdfs.pdf(*(hostile_pdfs.words(name) for name in names)))
    tab(page, "Documents")
    page.locator("#page-file input[type=file]").set_input_files(str(tmp_path / "three.pdf"))
    pager, frame = page.locator(".document .pager"), page.frame_locator(".document iframe")
    expect(pager).to_contain_text("Page 1 of 3")
    app.engine.script = Script(["The first."])
    page.locator("#page-read").click()
    expect(frame.locator("body")).to_contain_text("The first.")
    # By its number, and back: what was read is still there.
    pager.get_by_label("Go to page").fill("99")
    pager.get_by_label("Go to page").press("Enter")
    expect(pager).to_contain_text("Page 3 of 3")
    expect(page.locator(".document")).to_contain_text("Nothing was read off this page yet.")
    pager.get_by_label("Go to page").fill("1")
    pager.get_by_label("Go to page").press("Enter")
    expect(frame.locator("body")).to_contain_text("The first.")
    # All that is not read yet; what Stop leaves out is read the next time.
    app.engine.script = Script(["The ", *["next "] * 500], gap_s=0.1)
    page.get_by_role("button", name="Read all pages").click()
    expect(page.locator(".document .progress")).to_contain_text("0 of 2 pages read")
    expect(page.locator(".document .growing")).to_contain_text("The next")
    page.locator("#page-stop").click()
    expect(page.locator(".document .note")).to_contain_text("Stopped")
    app.engine.script = Script(["Another."])
    page.get_by_role("button", name="Read all pages").click()
    expect(pager).to_contain_text("Page 3 of 3")
    expect(frame.locator("body")).to_contain_text("Another.")
    expect(page.locator(".document")).to_contain_text("(pages: 3)")
    read = [request.messages[0].parts[0].name for request in app.engine.requests]
    assert read == [f"three.pdf, page {number}" for number in (1, 2, 2, 3)]


@pytest.mark.slow
def test_a_quick_visitor_loses_neither_a_turn_nor_a_click(opened, app, tmp_path, monkeypatch):
    """A page that was turned to may come late, even after the next one: what was pressed meanwhile is done all the same."""
    arrive = {2: threading.Event(), 3: threading.Event()}
    turn_page = documents.turn_page

    async def late(path, number, *rest):
        await asyncio.to_thread(arrive[number].wait, 60)
        return await turn_page(path, number, *rest)

    page = opened(app)
    (tmp_path / "three.pdf").write_bytes(hostile_pdfs.pdf(*(hostile_pdfs.words(name) for name in "ABC")))
    tab(page, "Documents")
    page.locator("#page-file input[type=file]").set_input_files(str(tmp_path / "three.pdf"))
    pager, frame = page.locator(".document .pager"), page.frame_locator(".document iframe")
    expect(pager).to_contain_text("Page 1 of 3")
    monkeypatch.setattr(documents, "turn_page", late)
    following = page.get_by_role("button", name="Next page")
    following.click()
    following.click()
    arrive[3].set()
    expect(pager).to_contain_text("Page 3 of 3")
    arrive[2].set()
    barrier(page)
    expect(pager).to_contain_text("Page 3 of 3")
    # A page is read while it is still on its way.
    arrive[2].clear()
    app.engine.script = Script(["The second."])
    page.get_by_role("button", name="Previous page").click()
    page.locator("#page-read").click()
    expect(page.locator(".document iframe")).to_be_visible()
    expect(frame.locator("body")).to_contain_text("The second.")
    arrive[2].set()
    # So are all pages.
    arrive[3].clear()
    expect(page.locator("#page-read")).to_be_enabled()
    app.engine.script = Script(["Another."])
    following.click()
    page.get_by_role("button", name="Read all pages").click()
    expect(page.locator(".document")).to_contain_text("(pages: 3)")
    arrive[3].set()
    expect(page.locator("#page-read")).to_be_enabled()
    read = [request.messages[0].parts[0].name for request in app.engine.requests]
    assert read == [f"three.pdf, page {number}" for number in (2, 1, 3)]

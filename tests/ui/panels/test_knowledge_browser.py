"""Three PDF are dropped, a question is asked of them, and the cited page opens beside the chat with its mark; reading is
stopped and gone on with by keyboard; axe finds nothing serious in the panel, and nothing in it is wider than a phone.
"""

import re

import pytest
from playwright.sync_api import expect

from qwen_demo.engines.scripted import Script
from tests.knowledge import files
from tests.ui import steps
from tests.ui.test_accessibility import AXE_SCRIPT, violations

PAPERS = {
    "lease.pdf": files.pdf(["The lease of the flat in Elm Street"], ["It ends on the last day of October"]),
    "boiler.pdf": files.pdf(["Boiler log"], ["The boiler was serviced in March", "Its pressure is 3.5 bar"]),
    "ferry.pdf": files.pdf(["The ferry to the island leaves at nine"]),
}

# Where words of the last answer stand in the window.
MIDDLE_OF = """words => {
  const answer = [...document.querySelectorAll('#chat .bot.message')].at(-1);
  const walker = document.createTreeWalker(answer, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const at = walker.currentNode.data.indexOf(words);
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(walker.currentNode, at + 2);
    range.setEnd(walker.currentNode, at + 8);
    const box = range.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2];
  }
}"""


@pytest.mark.slow
def test_a_cited_page_opens_beside_the_chat_with_its_mark(start, opened, tmp_path):
    app = start(Script(["It is 3.5 bar ", "[boiler.pdf, page 2]."]), knowledge_dir=tmp_path / "knowledge")
    for name, data in PAPERS.items():
        (tmp_path / name).write_bytes(data)
    page = opened(app)
    steps.tab(page, "Knowledge")
    page.locator("#collection-files input[type=file]").set_input_files([tmp_path / name for name in PAPERS])
    kept = page.locator("#collections .kept")
    for name, pages in (("lease.pdf", "2 pages"), ("boiler.pdf", "2 pages"), ("ferry.pdf", "1 page")):
        expect(kept.get_by_role("listitem").filter(has_text=name).locator(".state")).to_have_text(pages)
    page.locator("#collection-query input, #collection-query textarea").first.fill("boiler pressure")
    page.locator("#collection-find").click()
    page.locator("#collections .hit").first.click()
    expect(page.locator("#collections .sheet .mark").first).to_be_visible()

    steps.tab(page, "Chat")
    page.locator("#ask-with input").click()
    page.get_by_role("option", name="documents").click()
    steps.ask(page, "What is the pressure of the boiler?")
    expect(steps.answers(page).last).to_contain_text(re.compile("page 2"))
    cited = page.locator("#sources").get_by_role("button", name="boiler.pdf, page 2")
    expect(cited).to_be_visible()
    steps.settled(page)
    page.mouse.click(*page.evaluate(MIDDLE_OF, "[boiler.pdf, page 2]"))
    expect(page.locator("#sources .sheet img")).to_be_visible()
    expect(page.locator("#sources .sheet .mark").first).to_be_visible()

    page.reload()
    expect(page.locator("#ask-with input")).to_have_value("documents")


LOOKS = [(size, scheme) for size in ("desktop", "phone") for scheme in ("light", "dark")]


@pytest.mark.slow
def test_reading_is_stopped_and_gone_on_with_by_keyboard_and_axe_finds_nothing(start, opened, tmp_path):
    app = start(Script(["late"], first_s=600), knowledge_dir=tmp_path / "knowledge")
    scans = tmp_path / "a rather long name of a file that was scanned in the office.pdf"
    scans.write_bytes(files.scanned_pdf("one", "two", "three"))
    (tmp_path / "boiler.pdf").write_bytes(PAPERS["boiler.pdf"])
    page = opened(app)
    page.evaluate(AXE_SCRIPT)
    steps.tab(page, "Knowledge")
    page.locator("#collection-files input[type=file]").set_input_files([tmp_path / "boiler.pdf", scans])
    kept = page.locator("#collections .kept")
    expect(kept.get_by_role("progressbar", name="documents")).to_have_attribute("value", "2")
    stop = kept.get_by_role("button", name="Stop reading documents")
    found = violations(page, LOOKS, "reading", "collections")
    stop.press("Enter")
    expect(kept.locator(".progress")).to_contain_text("stopped at 2 of 5 pages")
    app.engine.script = Script(["Words that the model read off this page, and they are quite long."])
    kept.get_by_role("button", name="Go on reading documents").press("Enter")
    expect(kept.locator(".progress")).to_have_count(0)
    expect(kept.get_by_role("listitem").filter(has_text="scanned in the office")).to_contain_text("3 pages")
    page.locator("#collection-query input, #collection-query textarea").first.fill("boiler pressure")
    page.locator("#collection-find").click()
    page.locator("#collections .hit").first.press("Enter")
    expect(page.locator("#collections .sheet .mark").first).to_be_visible()
    expect(page.locator("#collections .hit").first).to_be_focused()
    found += violations(page, LOOKS, "a page with marks", "collections")
    assert not found, "\n".join(found)
    steps.looked_over(page, "knowledge")

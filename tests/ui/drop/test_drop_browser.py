"""Files that are dropped or pasted anywhere on the page, in a real browser."""

import asyncio
import threading
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from qwen_demo.ui.conversation import Reader
from tests.conftest import draw
from tests.ui.steps import answered, ask, tab

TRANSFER = """files => {
    const transfer = new DataTransfer();
    for (const [name, type, bytes] of files) transfer.items.add(new File([new Uint8Array(bytes)], name, {type}));
    return transfer;
}"""
PDF = b"%PDF-1.4\n%%EOF\n"


@pytest.fixture
def images(tmp_path) -> list:
    made = []
    for colour in ("red", "blue"):
        draw(colour).save(tmp_path / f"{colour}.png")
        made.append([f"{colour}.png", "image/png", list(Path(tmp_path / f"{colour}.png").read_bytes())])
    return made


def dropped(page: Page, files: list, target: str) -> bool:
    """Drag and drop onto an element; gives whether the page took it, so that the browser does not open the file."""
    transfer = page.evaluate_handle(TRANSFER, files)
    return page.locator(target).first.evaluate(
        """(node, dataTransfer) => ['dragover', 'drop'].map(kind => !node.dispatchEvent(
            new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true}))).every(Boolean)""",
        transfer,
    )


@pytest.mark.slow
@pytest.mark.parametrize("opened", ["desktop", "phone"], indirect=True)
@pytest.mark.parametrize("target", ["#chat", "#header", "body"])
def test_several_images_dropped_anywhere_go_into_the_question(opened, app, images, target):
    page = opened(app)
    assert dropped(page, images, target)
    expect(page.locator("#question img")).to_have_count(2)
    ask(page, "which colours?")
    answered(page, 1)
    assert [type(part).__name__ for part in app.engine.requests[-1].messages[0].parts] == ["Image", "Image", "Text"]


@pytest.mark.slow
def test_an_image_dropped_while_another_tab_is_open_is_asked_about_in_the_chat(opened, app, images):
    page = opened(app)
    tab(page, "Tasks")
    assert dropped(page, images[:1], ".tasks")
    expect(page.locator("#question img")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["#chat", "#question textarea"])
def test_a_pdf_leads_to_documents_wherever_it_is_dropped(opened, app, target):
    page = opened(app)
    assert dropped(page, [["letter.pdf", "application/pdf", list(PDF)]], target)
    expect(page.locator("#tabs").get_by_role("tab", name="Documents")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#page-file")).to_contain_text("letter")


@pytest.mark.slow
def test_a_file_of_a_kind_that_nobody_knows_is_told_and_never_opens(opened, app):
    page = opened(app)
    assert dropped(page, [["notes.qqq", "application/x-unknown", [1, 2, 3]]], "#chat")
    expect(page.locator(".toast-body")).to_be_visible()
    expect(page.locator("#question textarea")).to_be_visible()


@pytest.mark.slow
def test_words_are_still_dropped_where_the_browser_puts_them(opened, app):
    page = opened(app)
    taken = page.locator("#chat").evaluate(
        """node => {
            const dataTransfer = new DataTransfer();
            dataTransfer.setData('text/plain', 'some words');
            return !node.dispatchEvent(new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true}));
        }"""
    )
    assert not taken


@pytest.mark.slow
def test_an_image_pasted_anywhere_goes_into_the_question(opened, app, images):
    page = opened(app)
    transfer = page.evaluate_handle(TRANSFER, images[:1])
    page.locator("#chat").evaluate(
        """(node, clipboardData) => node.dispatchEvent(
            new ClipboardEvent('paste', {clipboardData, bubbles: true, cancelable: true}))""",
        transfer,
    )
    expect(page.locator("#question img")).to_be_visible()


ADDRESS = """node => {
    const dataTransfer = new DataTransfer();
    dataTransfer.setData('text/uri-list', 'http://127.0.0.1/secret.png');
    node.dispatchEvent(new DragEvent('drop', {dataTransfer, bubbles: true, cancelable: true}));
}"""


@pytest.mark.slow
def test_an_address_dropped_from_another_tab_goes_the_way_of_addresses(opened, app):
    page = opened(app)
    page.locator("#chat").evaluate(ADDRESS)
    expect(page.locator(".toast-body")).to_contain_text("https")


@pytest.mark.slow
def test_what_is_typed_while_an_address_is_fetched_or_a_question_sent_stays(opened, app, images, monkeypatch):
    asked, fetched = threading.Event(), threading.Event()

    async def download(reader, url: str) -> bytes:
        asked.set()
        assert await asyncio.to_thread(fetched.wait, 60)
        return bytes(images[0][2])

    monkeypatch.setattr(Reader, "download", download)
    page = opened(app)
    box, attached = page.locator("#question textarea"), page.locator("#question img")
    dropped(page, images[1:], "#chat")
    expect(attached).to_have_count(1)
    box.fill("before")
    page.locator("#chat").evaluate(ADDRESS)
    assert asked.wait(60)
    box.press_sequentially(" and meanwhile")
    fetched.set()
    expect(attached).to_have_count(2)
    expect(box).to_have_value("before and meanwhile")

    held = []
    page.route("**/queue/join*", lambda route: route.continue_() if held else held.append(route))
    box.press("Enter")
    box.press_sequentially(" the next one")
    page.wait_for_function("document.querySelector('#question textarea').value.endsWith('next one')")
    held[0].continue_()
    expect(page.locator("#chat .user.message")).to_have_text(["before and meanwhile"])
    expect(box).to_have_value("the next one")
    answered(page, 1)
    expect(attached).to_have_count(0)
    expect(box).to_have_value("the next one")

"""A browser for the tests of the page."""

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser import find
from tests.conftest import draw

expect.set_options(timeout=30_000)

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
def profile(chromium):
    """What a browser remembers: its cache, which makes opening pages quick. `opened` clears all the rest."""
    context = chromium.new_context()
    yield context
    context.close()


@pytest.fixture(params=SIZES)
def opened(request, profile):
    """Opens a server's page; a test fails on any error in the browser's console."""
    pages = []
    width, height = SIZES[request.param]

    def open_(server, scheme="light") -> Page:
        profile.grant_permissions(["camera"])
        page = profile.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.set_default_timeout(20_000)
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "console", lambda m: m.type == "error" and not _early(m) and page.problems.append(f"{m.text} {m.location}")
        )
        page.goto(server.url)
        expect(page.locator("#question textarea")).to_be_visible()
        page.size = request.param
        pages.append(page)
        return page

    yield open_
    for page in pages:
        whole = {"origin": page.evaluate("location.origin"), "storageTypes": "all"}
        profile.new_cdp_session(page).send("Storage.clearDataForOrigin", whole)
        page.close()
    assert not [problem for page in pages for problem in page.problems]


def _early(message) -> bool:
    """Gradio's client tells the server to end a call that has no number yet; the server refuses, and nothing runs."""
    return "422" in message.text and message.location["url"].endswith("/gradio_api/reset")


@pytest.fixture
def red(tmp_path) -> str:
    draw("red").save(tmp_path / "red.png")
    return str(tmp_path / "red.png")

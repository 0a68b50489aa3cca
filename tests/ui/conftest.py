"""A browser, and servers on the embedded model and on the fake engine, shared by all tests of the page."""

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.browser import find
from tests.conftest import draw
from tests.servers import running

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


@pytest.fixture(scope="package")
def embedded():
    with running("--model", "embedded") as server:
        yield server


@pytest.fixture(scope="package")
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

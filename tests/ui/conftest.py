"""A browser, and one application on the scripted engine, for the tests of the page."""

import os

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from qwen_demo.engines.scripted import Script
from qwen_demo.settings import Settings
from tests.api.conftest import App, start
from tests.browser import ARGUMENTS, find
from tests.conftest import draw

__all__ = ["start"]

# Other work may have the processors: what comes at all comes in time, and what does not is told by its absence.
expect.set_options(timeout=60_000)

SIZES = {"desktop": (1280, 860), "phone": (390, 844)}
# Says the words of the question, one after the other.
ECHO = Script(first_s=0.1, gap_s=0.02)


@pytest.fixture(scope="session")
def shared_app():
    app = App(Settings(warmup=False, canary_s=0, grace_s=1, max_running=8), ECHO)
    app.uploads = os.environ["GRADIO_TEMP_DIR"]
    yield app
    app.stop()


@pytest.fixture
def app(shared_app, no_settings_of_this_machine, monkeypatch):
    """One application for all tests of a worker; `app.engine` answers as `app.engine.script` says."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", shared_app.uploads)
    shared_app.engine.script = ECHO
    shared_app.engine.requests.clear()
    return shared_app


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find(),
            args=[*ARGUMENTS, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def profile(chromium):
    """What a browser remembers: its cache, which makes opening pages quick. `opened` clears all the rest."""
    context = chromium.new_context()
    yield context
    context.close()


@pytest.fixture
def opened(request, profile, start):
    """Opens a server's page; a test fails on any error in the browser's console.

    Pages go before the servers of `start` do: one that loses its server tells so there.

    On a desktop, or by `@pytest.mark.parametrize("opened", ["phone"], indirect=True)` on a phone. What is claimed of
    the layout at both widths is tried by `steps.looked_over`, in the same visit.
    """
    pages = []
    size = getattr(request, "param", "desktop")
    width, height = SIZES[size]

    def open_(server, scheme="light") -> Page:
        profile.grant_permissions(["camera"])
        page = profile.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.set_default_timeout(60_000)
        page.problems = []
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on(
            "console",
            lambda m: m.type == "error" and not _expected(m) and page.problems.append(f"{m.text} {m.location}"),
        )
        page.goto(server.url)
        expect(page.locator("#question textarea")).to_be_visible()
        pages.append(page)
        return page

    yield open_
    for page in pages:
        if page.is_closed():
            continue
        whole = {"origin": page.evaluate("location.origin"), "storageTypes": "all"}
        profile.new_cdp_session(page).send("Storage.clearDataForOrigin", whole)
        page.close()
    assert not [problem for page in pages for problem in page.problems]


def _expected(message) -> bool:
    """Gradio's client tells the server to end a call that has no number yet; the server refuses, and nothing runs.

    And `steps.barrier` asks for an image that is not there.
    """
    url = message.location["url"]
    return ("422" in message.text and url.endswith("/gradio_api/reset")) or "there-is-no-such-image" in url


@pytest.fixture
def red(tmp_path) -> str:
    draw("red").save(tmp_path / "red.png")
    return str(tmp_path / "red.png")

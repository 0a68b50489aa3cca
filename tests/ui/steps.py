"""What visitors do on the page, for its tests."""

from playwright.sync_api import Page, expect

from tests.conftest import ROOT

SCREENSHOTS = ROOT / "tests" / "screenshots"


def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{page.size}.png")


def ask(page: Page, text: str, image: str | None = None) -> None:
    if image:
        page.locator("#question input[type=file]").set_input_files(image)
        expect(page.locator("#question img")).to_be_visible()
    page.locator("#question textarea").fill(text)
    page.locator("#question textarea").press("Enter")


def answers(page: Page):
    return page.locator("#chat .bot.message")


def ended(server) -> int:
    """How many answers have ended there."""
    return sum("outcome=" in line for line in server.lines)


def settled(page: Page, server=None, count: int = 0) -> None:
    """Until the question can be sent again; with `server`, until `count` answers ended there."""
    while server and ended(server) < count:
        page.wait_for_timeout(20)
    expect(page.locator("#question .submit-button")).to_be_visible()

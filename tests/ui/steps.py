"""What visitors do on the page, and what they see of it, for its tests."""

import re

from playwright.sync_api import Page, expect

from tests.conftest import ROOT
from tests.ui.conftest import SIZES

SCREENSHOTS = ROOT / "tests" / "screenshots"
# The widths and colours in which the page is looked at: each of both once.
LOOKS = (("desktop", "light"), ("phone", "dark"))


# A colour on its way to another one is neither. What turns for ever may, and the bar of a notice runs down slowly.
STILL = """() => document.getAnimations().every(({playState, effect}) => {
  const {endTime} = effect.getComputedTiming();
  return playState !== 'running' || endTime > 2000;
})"""


def still(page: Page) -> None:
    """Until nothing moves on the page."""
    page.wait_for_function(STILL)


def looked_over(page: Page, name: str) -> None:
    """At both widths nothing is wider than the window. Screenshots for people are left in `tests/screenshots`."""
    SCREENSHOTS.mkdir(exist_ok=True)
    before = page.viewport_size
    for size, scheme in LOOKS:
        page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")
        page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
        still(page)
        page.screenshot(path=SCREENSHOTS / f"{name}-{size}-{scheme}.png")
    page.evaluate("document.body.classList.remove('dark')")
    page.set_viewport_size(before)


def ask(page: Page, text: str, image: str | None = None) -> None:
    if image:
        page.locator("#question input[type=file]").set_input_files(image)
        expect(page.locator("#question img")).to_be_visible()
    settled(page)
    page.locator("#question textarea").fill(text)
    page.locator("#question textarea").press("Enter")


def answers(page: Page):
    return page.locator("#chat .bot.message")


def answered(page: Page, count: int) -> None:
    """Until so many answers are whole and the question can be sent again."""
    expect(page.locator("#chat").get_by_text(re.compile("^first token"))).to_have_count(count)
    settled(page)


def settled(page: Page) -> None:
    """Until the question can be sent again."""
    expect(page.locator("#question .submit-button")).to_be_visible()


def tab(page: Page, name: str) -> None:
    found = page.locator("#tabs").get_by_role("tab", name=name, exact=True)
    if not found.is_visible():
        opened(page, "rail")
    found.click()


def opened(page: Page, part: str) -> None:
    """Open a part of the page's frame: `rail`, `side` or `settings`."""
    button = page.locator(f"button[data-frame={part}]")
    expect(button).to_be_visible()
    if button.get_attribute("aria-expanded") != "true":
        button.click()
    expect(page.locator(f"#{part}")).to_be_visible()


def saved(page: Page, view: str, name: str) -> str:
    """The text of the file that a view's button gives."""
    with page.expect_download() as download:
        page.locator(f"#{view}").get_by_role("button", name=name, exact=True).click()
    return download.value.path().read_text(encoding="utf-8")


def drawn(page: Page) -> None:
    """Until nothing was drawn for 300 ms: the page repairs Gradio's elements in the frame after they are drawn."""
    page.evaluate(
        """() => new Promise(done => {
            let quiet;
            const watch = new MutationObserver(start);
            function end() { watch.disconnect(); done(); }
            function start() { clearTimeout(quiet); quiet = setTimeout(end, 300); }
            watch.observe(document, {childList: true, subtree: true});
            setTimeout(end, 5000);
            start();
        })"""
    )


def until(page: Page, condition: str, timeout_s: float = 60) -> None:
    """Until the expression, which may give a promise, is true in the browser."""
    value = page.evaluate(
        """async ([condition, timeout]) => {
            const end = performance.now() + timeout;
            while (!(await eval(condition)) && performance.now() < end) await new Promise(done => setTimeout(done, 20));
            return await eval(condition);
        }""",
        [condition, timeout_s * 1000],
    )
    assert value, f"not within {timeout_s:g} s: {condition}; the browser keeps {page.evaluate(KEPT)}"


KEPT = "async () => JSON.stringify(await window.qwenDemo?.store?.all()).slice(0, 2000)"


def barrier(page: Page) -> None:
    """Until an image that is asked for only now was refused by the server and the page was drawn again.

    All that the page had begun before, such as the error handlers of earlier images, has then had its turn.
    """
    page.evaluate(
        """() => new Promise(done => {
            const image = new Image();
            image.onerror = () => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)));
            image.src = `/there-is-no-such-image-${Math.random()}`;
        })"""
    )

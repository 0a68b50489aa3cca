"""What a new user wants first, from the page alone, each against a minute: `python -m benchmarks.first_minutes`.

Starts the app on the embedded model, with a copy of it in a folder as the second model, and acts in a Chromium by what
the page shows: names of buttons and fields, no addresses. It does not think between two acts, so their count stands
beside the seconds. Needs requirements-dev.txt.
"""

import argparse
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from playwright.sync_api import Locator, Page, expect

from benchmarks import machine
from benchmarks.page import WINDOW, chromium
from benchmarks.running import ROOT, app
from qwen_demo.models.choose import EMBEDDED_DIR

EXAMPLES = ROOT / "examples"
SECOND = "Second-VL"
LIMIT_S = 60
# As a day later would find them.
A_DAY_LATER = """async () => {
  const { store } = window.qwenDemo;
  for (const item of await store.all()) await store.put({ ...item, time: item.time - 86_400_000 });
}"""


class Hands:
    """What somebody does with mouse and keys, counted."""

    def __init__(self, page: Page):
        self.page, self.acts = page, 0

    def click(self, target: Locator) -> None:
        self.acts += 1
        target.click()

    def type(self, target: Locator, words: str) -> None:
        self.acts += 1
        target.press_sequentially(words, delay=20)

    def attach(self, button: Locator, file: Path) -> None:
        self.acts += 2  # the button, and the file in the window of the system
        with self.page.expect_file_chooser() as chooser:
            button.click()
        chooser.value.set_files(file)

    def named(self, role: Literal["button", "tab"], name: str, *, within: str = "body", exact: bool = True) -> Locator:
        return self.page.locator(within).get_by_role(role, name=name, exact=exact)


def ask(hands: Hands) -> None:
    """Ask about an image."""
    hands.attach(hands.named("button", "Upload a file", within="#question"), EXAMPLES / "shapes.png")
    hands.type(hands.page.locator("#question textarea"), "Describe the image.")
    hands.click(hands.page.locator("#question .submit-button"))
    expect(hands.page.locator("#chat .bot.message").last).to_contain_text("white background")
    _settled(hands.page)


def find_boxes(hands: Hands) -> None:
    """Find things and see their boxes."""
    hands.click(hands.named("button", "New chat"))
    hands.click(hands.page.locator("#chat .example", has_text="Point at things"))
    expect(hands.page.locator("#viewer .detections g rect").first).to_be_visible()
    _settled(hands.page)


def compare(hands: Hands) -> None:
    """Compare two settings."""
    hands.click(hands.named("tab", "Compare"))
    hands.attach(hands.named("button", "Upload a file", within="#compare-question"), EXAMPLES / "shapes.png")
    hands.type(hands.page.locator("#compare-question textarea"), "Describe the image.")
    hands.click(hands.named("button", "Ask both"))
    expect(hands.page.locator("#compare")).to_contain_text(re.compile("The answers (are the same|differ)"))
    hands.click(hands.named("tab", "Chat"))


def reopen(hands: Hands) -> None:
    """Reopen yesterday's conversation."""
    page = hands.page
    yesterday = page.locator("#conversations section", has=page.get_by_role("heading", name="Yesterday"))
    hands.click(yesterday.get_by_role("button", name="Open Describe the image."))
    expect(hands.page.locator("#chat .bot.message").last).to_contain_text("white background")
    expect(hands.page.locator("#chat .user img")).to_be_visible()


def change_model(hands: Hands) -> None:
    """Change the model, and have it answer."""
    hands.click(hands.page.locator("#model_menu summary"))
    hands.click(hands.page.get_by_role("listitem").filter(has_text=SECOND).get_by_role("button"))
    expect(hands.page.locator("#badge")).to_contain_text(f"{SECOND} answers")
    hands.click(hands.page.locator("#question textarea"))
    hands.type(hands.page.locator("#question textarea"), "Describe the image.")
    hands.click(hands.page.locator("#question .submit-button"))
    expect(hands.page.locator("#chat .bot.message")).to_have_count(2)
    expect(hands.page.locator("#chat .bot.message").last).to_contain_text("white background")
    _settled(hands.page)


STEPS: tuple[Callable[[Hands], None], ...] = (ask, find_boxes, compare, reopen, change_model)


def _settled(page: Page) -> None:
    expect(page.locator("#question .submit-button")).to_be_visible()


def tried(page: Page) -> list[dict]:
    rows = []
    for step in STEPS:
        if step is reopen:
            page.evaluate(A_DAY_LATER)
            page.reload()
            expect(page.locator("#conversations section").first).to_be_visible()
        hands, began = Hands(page), time.perf_counter()
        step(hands)
        seconds = time.perf_counter() - began
        rows.append({"wanted": (step.__doc__ or "").rstrip("."), "acts": hands.acts, "s": seconds})
    return rows


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args(argv)
    expect.set_options(timeout=20000)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(EMBEDDED_DIR, Path(place) / SECOND)
        own = ["--offer-models", str(Path(place) / SECOND), "--state-dir", f"{place}/state"]
        with app("embedded", own) as url, chromium() as browser:
            page = browser.new_context(viewport=WINDOW).new_page()
            page.goto(url)
            expect(page.locator("#badge")).to_contain_text("embedded model answers")
            rows = tried(page)
    print(machine.table(rows))
    print(machine.write("first-minutes", {"rows": rows, "load_average_before": load}))
    late = [row["wanted"] for row in rows if row["s"] > LIMIT_S]
    if late:
        print(f"error: took longer than a minute: {', '.join(late)}", file=sys.stderr)
    return bool(late)


if __name__ == "__main__":
    sys.exit(main())

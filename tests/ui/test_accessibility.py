"""Who sees little or uses no mouse: axe finds nothing serious, and a keyboard alone holds a conversation."""

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page, expect

from qwen_demo.engines.scripted import Script
from tests.ui.conftest import SIZES
from tests.ui.steps import answers, drawn, opened, settled, still

DESKTOP = dict(zip(("width", "height"), SIZES["desktop"], strict=True))
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}
# Each scheme and each width. What a language can break, names and contrast, is the same in every look of it.
LOOKS = {"en-US": [("desktop", "light"), ("phone", "dark")], "zh-CN": [("desktop", "dark")]}
# "rule selector" -> why it stays. Only what is Gradio's own and cannot be repaired from outside.
LEFT: dict[str, str] = {}
BOXES = (
    '```json\n[{"bbox_2d": [20, 20, 90, 90], "label": "disc"}, {"bbox_2d": [60, 60, 200, 200], "label": "ring"}]\n```'
)


def violations(page: Page, looks: list[tuple[str, str]], where: str, panel: str = "") -> list[str]:
    """What axe calls serious or critical in each of the looks, as far as it is not in `LEFT`.

    Args:
        panel: id of the element that is looked at; else the whole page is.
    """
    found = []
    for size, scheme in looks:
        page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", scheme == "dark")
        still(page)
        drawn(page)
        for rule in page.evaluate(
            """([panel, rules]) => axe.run(panel ? document.getElementById(panel) : document, rules)
            .then(result => result.violations)""",
            [panel, RULES],
        ):
            if rule["impact"] in ("serious", "critical"):
                nodes = [(f"{rule['id']} {node['target'][-1]}", node["failureSummary"]) for node in rule["nodes"]]
                found += [f"{where}, {size}, {scheme}: {node} {why}" for node, why in nodes if node not in LEFT]
    return found


def page_with_axe(chromium, server, locale: str) -> Page:
    page = chromium.new_context(locale=locale, permissions=["camera"]).new_page()
    page.add_init_script(AXE_SCRIPT)
    page.goto(server.url)
    expect(page.locator("#badge .ready")).to_be_visible()
    return page


@pytest.mark.parametrize("locale", ["en-US", pytest.param("zh-CN", marks=pytest.mark.slow)])
def test_axe_finds_nothing_serious_before_anything_was_asked(chromium, app, locale):
    page = page_with_axe(chromium, app, locale)
    found = violations(page, LOOKS[locale], "empty")
    assert not found, "\n".join(found)
    page.context.close()


@pytest.mark.slow
@pytest.mark.parametrize("locale", LOOKS)
def test_axe_finds_nothing_serious_in_an_answer_and_every_panel(chromium, embedded, red, locale):
    looks = LOOKS[locale]
    page = page_with_axe(chromium, embedded, locale)
    page.locator("#chat .example").first.click()
    settled(page)
    expect(page.locator("#viewer .labels button")).not_to_have_count(0)
    page.locator("#chat .title[role=button]").click()
    opened(page, "settings")
    for panel in page.locator("#settings summary, #settings button.label-wrap").all():
        panel.click()
    page.locator(".share .make").click()
    expect(page.locator(".share pre")).to_contain_text("curl")
    found = violations(page, looks, "settings, all panels open")
    sliders = page.locator("#settings .slider_input_container:visible")
    heights = sliders.evaluate_all("sliders => sliders.map(each => each.getBoundingClientRect().height)")
    assert heights and min(heights) >= 16, "the knob of a slider is cut off"
    page.keyboard.press("Escape")
    page.locator("#question textarea").press("Enter")
    expect(page.get_by_test_id("toast-body")).to_be_visible()
    page.locator("#question input[type=file]").set_input_files(red)
    expect(page.locator("#question img")).to_be_visible()
    found += violations(page, looks, "answered")
    # A notice goes by itself after a while, which may have passed.
    page.evaluate("document.querySelector('[data-testid=toast-close]')?.click()")
    expect(page.get_by_test_id("toast-body")).to_have_count(0)
    tabs = page.locator("#tabs").get_by_role("tab")
    # Two presets fill in a clip and a page.
    for key, there in (("motion", "#frames li"), ("page", ".document .sheet img")):
        page.set_viewport_size(DESKTOP)
        tabs.nth(1).click()
        page.locator(f".tasks [data-key={key}]").click()
        expect(page.locator(there).first).to_be_visible()
    for index in range(1, tabs.count()):
        page.set_viewport_size(DESKTOP)
        tabs.nth(index).click()
        expect(tabs.nth(index)).to_have_attribute("aria-selected", "true")
        found += violations(page, looks, tabs.nth(index).inner_text(), tabs.nth(index).get_attribute("aria-controls"))
    assert not found, "\n".join(found)
    page.context.close()


# Whether it shows that the element has the focus: it, or what is around it, looks otherwise without.
SHOWS_FOCUS = """() => {
  const focused = document.activeElement, around = [focused];
  for (let i = 0; i < 4; i++) around.push(around.at(-1).parentElement);
  const look = () => around.map(node => {
    const style = getComputedStyle(node);
    return [style.outlineStyle, style.outlineWidth, style.boxShadow, style.borderColor, style.backgroundColor].join();
  }).join('|');
  const before = look();
  focused.blur();
  const after = look();
  focused.focus();
  return before !== after || focused.matches('textarea, input:not([type=range])');  // there a caret blinks
}"""


def tab_to(page: Page, wanted: str, keys: str = "Tab", most: int = 60) -> None:
    """Press Tab until something that matches `wanted` has the focus, which shows."""
    for _ in range(most):
        page.keyboard.press(keys)
        if page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            assert page.evaluate(SHOWS_FOCUS), f"the focus of {wanted} does not show"
            assert page.evaluate("document.activeElement.checkVisibility({opacityProperty: true})")
            return
    raise AssertionError(f"{wanted} was not reached; the focus is at " + page.evaluate(
        "document.activeElement.outerHTML.slice(0, 200)"))  # fmt: skip


@pytest.mark.slow
def test_a_keyboard_alone_holds_a_conversation(chromium, app, red):
    app.engine.script = Script(["slow "] * 400, gap_s=0.02)
    context = chromium.new_context(locale="en-US", permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(app.url)
    keys, back = page.keyboard, "Shift+Tab"
    expect(page.locator("#question textarea")).to_be_focused()

    # An example, and Stop.
    expect(page.locator("#chat .example")).not_to_have_count(0)
    tab_to(page, "#chat .example", back)
    keys.press("Enter")
    expect(answers(page).last).to_contain_text("slow")
    tab_to(page, "#question .stop-button")
    keys.press("Enter")
    expect(page.locator("#chat")).to_contain_text("Stopped.")
    settled(page)

    # An image of one's own, and a question; boxes and their labels.
    app.engine.script = Script([BOXES], first_s=0.3)
    page.locator("#question .submit-button").wait_for()
    with page.expect_file_chooser() as chooser:
        tab_to(page, "#question .upload-button", back)
        keys.press("Enter")
    chooser.value.set_files(red)
    expect(page.locator("#question img")).to_be_visible()
    tab_to(page, "#question textarea")
    keys.insert_text("Where is the disc?")
    keys.press("Enter")
    expect(page.locator("#viewer .labels button")).to_have_count(2)
    settled(page)
    tab_to(page, "#viewer .labels button")
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(page.locator("#viewer .labels button").nth(1)).to_have_attribute("aria-pressed", "true")
    keys.press("Escape")
    expect(page.locator("#viewer .labels [aria-pressed=true]")).to_have_count(0)
    with page.expect_download() as download:
        tab_to(page, "#viewer .exports button")
        keys.press("Enter")
    assert download.value.suggested_filename == "red-boxes.json"

    # Copy, the note under the answer, a follow-up, and an end.
    tab_to(page, "#chat [aria-label='Copy message']", back)
    keys.press("Enter")
    page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('bbox_2d')")
    tab_to(page, "#chat .title[role=button]", back)
    keys.press("Enter")
    expect(page.locator("#chat table.waterfall").last).to_be_visible()
    app.engine.script = Script(["It is red."])
    tab_to(page, "#question textarea")
    keys.insert_text("Which colour?")
    keys.press("Enter")
    expect(answers(page).last).to_contain_text("It is red.")
    settled(page)
    tab_to(page, ".conversations button.new", back)
    keys.press("Enter")
    expect(answers(page)).to_have_count(0)
    context.close()

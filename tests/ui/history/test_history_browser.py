"""Conversations, code and bundles in a real browser, with hostile words in all of them."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from qwen_demo.engines.scripted import Script
from qwen_demo.http.credentials import hash_of_password
from tests.conftest import draw
from tests.ui.steps import answered, answers, ask, looked_over, settled, until
from tests.ui.steps import opened as steps_opened

HOSTILE = '<svg onload="window.hacked=1"> first'
PUT = "item => window.qwenDemo.store.put(item)"
KEPT_FILES = """() => new Promise(done => {
    indexedDB.open("qwen-demo").onsuccess = ({ target: { result: kept } }) => {
        kept.transaction("files").objectStore("files").count().onsuccess = ({ target }) => { kept.close(); done(target.result); };
    };
})"""


def stored(page: Page) -> list:
    """What the browser keeps, newest first; the messages are those of the version that is shown."""
    return page.evaluate(
        "async () => (await window.qwenDemo.store.all()).map(item => ({...item, messages: item.lines[item.at]}))"
    )


def more(page: Page, row) -> None:
    """Unfold what can be done with a conversation."""
    row.get_by_role("button", name=re.compile("^More")).click()


def saved(page: Page, button) -> str:
    with page.expect_download() as download:
        button.click()
    return download.value.path().read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_conversation_is_kept_found_renamed_reopened_exported_and_deleted(opened, app, red):
    app.engine.script = Script(["<b>Red</b>", " it is."])
    page = opened(app)
    ask(page, HOSTILE, red)
    count = page.locator(".conversations .count")
    expect(count).to_have_text("(1)")
    answered(page, 1)
    page.get_by_role("button", name="New chat").click()
    expect(answers(page)).to_have_count(0)
    ask(page, "second question")
    expect(count).to_have_text("(2)")
    answered(page, 1)
    rows = page.locator(".conversations li")
    expect(rows).to_have_count(2)
    expect(rows.nth(1).locator(".name")).to_have_text(HOSTILE)
    search = page.locator(".conversations input[type=search]")
    search.fill("onload")
    expect(rows).to_have_count(1)
    more(page, rows)
    rows.get_by_role("button", name=re.compile("^Rename")).click()
    page.locator(".conversations input.name").fill("A <i>name</i>.")
    page.keyboard.press("Enter")
    search.fill("")
    renamed = rows.filter(has_text="A <i>name</i>")
    html = saved(page, renamed.get_by_role("button", name=re.compile("as HTML$")))
    assert "data:image/jpeg;base64," in html and "<svg" not in html and "<b>" not in html
    with page.expect_download() as download:
        renamed.get_by_role("button", name=re.compile("as Markdown$")).click()
    assert download.value.suggested_filename == "A i name i.md"
    assert "## You" in download.value.path().read_text(encoding="utf-8")
    assert json.loads(saved(page, renamed.get_by_role("button", name=re.compile("as JSON$"))))["messages"]
    looked_over(page, "conversations")
    renamed.locator("button.open").click()
    expect(page.locator("#chat .user img")).to_be_visible()
    expect(answers(page).first).to_contain_text("Red")
    expect(page.locator(".context .chip")).to_have_count(1)
    # It goes on under its own name, and the other one stays as it was.
    ask(page, "and now?")
    expect(rows.first.locator("button.open")).to_have_attribute("title", re.compile("4 messages"))
    expect(rows).to_have_count(2)
    expect(rows.first.locator(".name")).to_have_text("A <i>name</i>.")
    assert [len(item["messages"]) for item in stored(page)] == [4, 2]
    assert len(app.engine.requests[-1].messages) == 3
    more(page, rows.nth(1))
    rows.nth(1).get_by_role("button", name=re.compile("^Delete")).click()
    rows.nth(1).get_by_role("button", name=re.compile("^Really")).click()
    expect(rows).to_have_count(1)
    page.reload()
    expect(count).to_have_text("(1)")
    assert page.evaluate("window.hacked") is None


@pytest.mark.slow
def test_what_others_put_into_the_storage_is_refused(opened, app):
    page = opened(app)
    foreign = {"role": "user", "parts": [{"file": "/etc/passwd"}]}
    for item in (
        {"id": "a", "name": HOSTILE, "time": 1, "at": 0, "lines": [[foreign]]},
        {"id": "b", "name": "no time", "at": 0, "lines": [[]]},
        {"id": "c", "name": "no parts", "time": 1, "at": 0, "lines": [[{"role": "user", "parts": "x"}]]},
        {"id": "d", "name": "no line", "time": 1, "at": 7, "lines": [[foreign]]},
        {"id": "e"},
    ):
        page.evaluate(PUT, item)
    page.reload()
    expect(page.locator(".conversations li")).to_have_count(1)
    page.locator(".conversations button.open").click()
    expect(page.locator(".conversations .state")).to_contain_text("not uploaded here")
    expect(page.locator("#chat .user")).to_have_count(0)
    assert page.evaluate("window.hacked") is None


@pytest.mark.slow
def test_each_version_of_an_edited_or_retried_turn_stays_and_is_gone_back_to(opened, app):
    app.engine.script = Script(["one"])
    page = opened(app)
    ask(page, "first wording")
    answered(page, 1)
    versions = page.locator("#chat .versions")
    expect(versions).to_have_count(0)
    app.engine.script = Script(["two"])
    page.get_by_label("Retry").last.click()
    expect(answers(page).first).to_contain_text("two")
    expect(versions).to_contain_text("2 / 2")
    page.get_by_role("button", name="Earlier version").click()
    expect(answers(page).first).to_contain_text("one")
    expect(versions).to_contain_text("1 / 2")
    app.engine.script = Script(["three"])
    page.get_by_label("Edit").first.click()
    page.locator("#chat textarea").fill("second wording")
    page.get_by_role("button", name="Ask again", exact=True).click()
    expect(answers(page).first).to_contain_text("three")
    answered(page, 1)
    expect(versions).to_have_count(1)
    expect(versions).to_contain_text("2 / 2")
    page.reload()
    expect(page.locator("#chat .user").first).to_contain_text("second wording")
    page.get_by_role("button", name="Earlier version").click()
    expect(page.locator("#chat .user").first).to_contain_text("first wording")
    expect(versions).to_have_count(2)
    looked_over(page, "versions")


@pytest.mark.slow
def test_an_answer_goes_on_when_its_page_comes_back_with_question_image_words_and_settings(opened, app, red):
    app.engine.script = Script(["word "] * 400, gap_s=0.02)
    page = opened(app)
    steps_opened(page, "settings")
    page.get_by_label("number input for Temperature").fill("0.5")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    ask(page, "go on", red)
    until(page, "window.qwenDemo.store.all().then(([item]) => item?.lines[0].length === 2)")
    app.engine.script = Script(["and the end."])
    page.reload()
    page.problems.clear()  # Gradio complains that its stream was cut
    expect(answers(page).first).to_contain_text(re.compile(r"^\s*word word.*and the end\."))
    answered(page, 1)
    expect(page.locator("#chat .user img")).to_be_visible()
    request = app.engine.requests[-1]
    assert request.continue_final_message and request.messages[-1].text.startswith("word word")
    assert request.sampling.temperature == 0.5
    until(page, "window.qwenDemo.store.all().then(([item]) => !item.asking && item.lines[0].length === 2)")
    # What was cut twice without a word between is left to the visitor.
    app.engine.script = Script([], first_s=600)
    ask(page, "and now?")
    until(page, "window.qwenDemo.store.all().then(([item]) => item?.asking && item.lines[0].length === 3)")
    asked = len(app.engine.requests)
    page.reload()
    expect(page.locator("#question .stop-button")).to_be_visible()
    while len(app.engine.requests) == asked:
        page.wait_for_timeout(20)
    page.reload()
    page.problems.clear()
    expect(page.locator("#chat")).to_contain_text("got no answer")
    settled(page)
    assert len(app.engine.requests) == asked + 1
    # What the visitor has left does not go on, neither after New chat nor when it is opened again.
    ask(page, "and then?")
    until(page, "window.qwenDemo.store.all().then(([item]) => item?.asking && item.lines[0].length === 4)")
    page.get_by_role("button", name="New chat").click()
    until(page, "window.qwenDemo.store.all().then(([item]) => item && !item.asking)")
    page.locator(".conversations button.open").click()
    expect(page.locator("#chat")).to_contain_text("got no answer")
    asked = len(app.engine.requests)
    page.reload()
    expect(page.locator("#chat")).to_contain_text("got no answer")
    settled(page)
    assert len(app.engine.requests) == asked


@pytest.mark.slow
def test_an_answer_is_corrected_while_another_one_comes_and_saved_as_training_data(opened, app, red):
    app.engine.script = Script(["It is <b>blue</b>."])
    page = opened(app)
    ask(page, "what is it?", red)
    answered(page, 1)
    app.engine.script = Script(["word "] * 400, gap_s=0.02)
    ask(page, "and now?")
    expect(answers(page).nth(1)).to_contain_text("word word")
    page.get_by_role("button", name="Correct this answer").first.click()
    field = page.get_by_label("What should have been answered")
    expect(field).to_have_value("It is <b>blue</b>.")
    expect(field).to_be_focused()
    field.fill("It is <b>red</b>.")
    page.get_by_role("button", name="Keep", exact=True).click()
    corrected = page.locator("#chat .correction")
    expect(corrected).to_have_text("CorrectedIt is <b>red</b>.")
    # Whichever button comes last, each has its place.
    page.evaluate("document.querySelector('#chat .look').remove()")
    expect(page.locator("#chat .look + .correct + .correction")).to_be_visible()
    page.locator("#question .stop-button").click()
    expect(page.locator("#chat")).to_contain_text("Stopped.")
    until(page, "window.qwenDemo.store.all().then(([item]) => item?.lines[0].length === 4 && !item.asking)")
    first, second = stored(page)[0]["messages"][1::2]
    assert (first["parts"], first["corrected"]) == ([{"text": "It is <b>blue</b>."}], "It is <b>red</b>.")
    assert "corrected" not in second
    looked_over(page, "corrected")
    page.reload()
    expect(corrected).to_have_text("CorrectedIt is <b>red</b>.")
    row = page.locator(".conversations li")
    more(page, row)
    line = json.loads(saved(page, row.get_by_role("button", name=re.compile("as training data$"))))
    assert line["messages"][1] == {
        "role": "assistant",
        "content": "It is <b>blue</b>.",
        "corrected": "It is <b>red</b>.",
    }
    # Its own words again are no correction.
    page.get_by_role("button", name="Correct this answer").first.click()
    field.fill("It is <b>blue</b>.")
    field.press("Control+Enter")
    expect(corrected).to_have_count(0)
    until(page, "window.qwenDemo.store.all().then(([item]) => !('corrected' in item.lines[0][1]))")


def stopped(opened, app):
    """A page whose answer was stopped in its middle."""
    app.engine.script = Script(["word "] * 400, gap_s=0.02)
    page = opened(app)
    ask(page, "go on")
    expect(answers(page).first).to_contain_text("word word")
    page.locator("#question .stop-button").click()
    expect(page.locator("#chat")).to_contain_text("Stopped.")
    return page


def gone_on_with(page, app):
    app.engine.script = Script(["and the end."])
    page.get_by_role("button", name="Continue").click()
    expect(answers(page).first).to_contain_text(re.compile(r"^\s*word word.*and the end\."))
    answered(page, 1)


@pytest.mark.slow
def test_an_answer_that_was_stopped_goes_on_at_a_press(opened, app):
    page = stopped(opened, app)
    gone_on_with(page, app)
    expect(page.locator("#chat .versions")).to_have_count(0)


@pytest.mark.slow
def test_an_answer_that_was_stopped_goes_on_after_a_reload_as_well(opened, app):
    page = stopped(opened, app)
    until(page, "window.qwenDemo.store.all().then(([item]) => item?.lines[0][1]?.whole === false && !item.asking)")
    page.reload()
    gone_on_with(page, app)


@pytest.mark.slow
def test_that_nothing_was_written_is_told_though_it_was_taken(opened, app):
    """As where there is no room: a browser says so at the end of the transaction."""
    page = opened(app)
    page.evaluate(
        """() => {
            const put = IDBObjectStore.prototype.put;
            IDBObjectStore.prototype.put = function (...given) {
                const request = put.apply(this, given);
                request.addEventListener("success", () => this.transaction.abort());
                return request;
            };
        }"""
    )
    ask(page, "is it kept?")
    expect(page.locator(".conversations .state")).to_contain_text("keeps nothing")


@pytest.mark.slow
def test_a_draft_of_another_tab_keeps_its_image(opened, app, red):
    page = opened(app)
    other = page.context.new_page()
    other.goto(app.url)
    other.locator("#question input[type=file]").set_input_files(red)
    until(other, f"({KEPT_FILES})().then(count => count === 1)")
    ask(page, "without an image")
    answered(page, 1)
    until(page, "window.qwenDemo.store.all().then(([item]) => item?.lines[0].length === 2 && !item.asking)")
    page.evaluate("() => window.qwenDemo.store.prune()")
    assert page.evaluate(KEPT_FILES) == 1
    other.close()


@pytest.mark.slow
def test_images_come_back_from_the_browser_when_the_server_has_lost_them(opened, app, red, tmp_path):
    app.engine.script = Script(["red"])
    page = opened(app)
    ask(page, "what is it?", red)
    answered(page, 1)
    until(page, "window.qwenDemo.store.all().then(([item]) => item?.thumb)")
    draw("blue").save(tmp_path / "blue.png")
    page.locator("#question input[type=file]").set_input_files(str(tmp_path / "blue.png"))
    expect(page.locator("#question img")).to_be_visible()
    page.locator("#question textarea").fill("a draft of mine")
    until(page, "JSON.parse(sessionStorage.getItem('qwen-demo.draft'))?.text === 'a draft of mine'")
    until(page, f"({KEPT_FILES})().then(count => count === 2)")
    for name in ("red.png", "blue.png"):
        for path in Path(app.uploads).rglob(name):
            path.unlink()
    page.reload()
    expect(page.locator("#question textarea")).to_have_value("a draft of mine")
    expect(page.locator("#question img")).to_be_visible()
    expect(page.locator("#chat .user img")).to_be_visible()
    ask(page, "and now?")
    answered(page, 1)
    expect(answers(page)).to_have_count(2)
    sent = app.engine.requests[-1].messages
    assert [type(part).__name__ for part in sent[0].parts] == ["Image", "Text"]
    page.problems.clear()  # the browser complains of the file that the server had lost


@pytest.mark.slow
def test_what_is_added_before_the_draft_is_back_stays(opened, app, red, tmp_path):
    """The server is asked for the draft's files, which takes as long as it takes."""
    page = opened(app)
    draw("blue").save(tmp_path / "blue.png")
    page.locator("#question input[type=file]").set_input_files(str(tmp_path / "blue.png"))
    page.locator("#question textarea").fill("a draft of mine")
    until(page, "JSON.parse(sessionStorage.getItem('qwen-demo.draft'))?.files.length === 1")
    held = []
    page.route(re.compile("/file=.*blue"), lambda route: held.append(route))
    page.reload()
    images = page.locator("#question img")
    page.locator("#question input[type=file]").set_input_files(red)
    expect(images).to_have_count(1)
    while not held:
        page.wait_for_timeout(20)
    # Given back, the route lets all of them through.
    page.unroute(re.compile("/file=.*blue"))
    expect(images).to_have_count(2)
    expect(page.locator("#context .chip")).to_have_count(2)
    expect(page.locator("#question textarea")).to_have_value("a draft of mine")


@pytest.mark.slow
def test_code_is_copied_and_a_bundle_is_asked_again(opened, app, red, tmp_path):
    app.engine.script = Script(["<b>Red</b>", " it is."])
    page = opened(app)
    ask(page, HOSTILE, red)
    answered(page, 1)
    steps_opened(page, "settings")
    page.locator(".share summary").click()
    page.locator(".share .make").click()
    code = page.locator(".share pre")
    expect(code).to_contain_text(f"{app.url}/v1/chat/completions")
    expect(code).to_contain_text("base64 < ./red.png")
    page.get_by_role("button", name="openai (Python)").click()
    expect(code).to_contain_text("data_url('red.png', 'image/png')")
    expect(code).to_contain_text('<svg onload="window.hacked=1"> first')
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".share .copy").click()
    expect(page.locator(".share .state")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == code.inner_text()
    looked_over(page, "copy-as")
    bundle = saved(page, page.locator(".share .pack"))
    (tmp_path / "bundle.json").write_text(bundle)
    load = page.locator("input[type=file][accept='.json']")
    load.set_input_files(str(tmp_path / "bundle.json"))
    expect(page.locator(".share .state")).to_contain_text("The same answer. The same model: scripted.")
    asked = app.engine.requests[-1].messages[-1]
    assert asked.parts[0].digest == app.engine.requests[-2].messages[-1].parts[0].digest
    app.engine.script = Script(["<b>Blue</b>", " it is."])
    (tmp_path / "again.json").write_text(bundle)  # a browser tells a change of names only
    load.set_input_files(str(tmp_path / "again.json"))
    expect(page.locator(".share .state")).to_contain_text("Another answer.")
    expect(page.locator(".share .difference ins")).to_contain_text("<b>Blue</b>")
    looked_over(page, "replayed")
    (tmp_path / "broken.json").write_text(bundle.replace('"sha256": "', '"sha256": "0'))
    load.set_input_files(str(tmp_path / "broken.json"))
    expect(page.locator(".toast-body")).to_contain_text("no share bundle")
    settled(page)
    assert page.evaluate("window.hacked") is None


@pytest.mark.slow
def test_each_login_has_its_own_conversations_in_one_browser(profile, start, tmp_path):
    hashed = hash_of_password("right horse")
    (tmp_path / "users").write_text(f"alice:{hashed}\nbob:{hashed}\n")
    app = start(Script(["An answer."]), page_users_file=tmp_path / "users")
    page = profile.new_page()
    kept = []
    for name in ("alice", "bob", "alice"):
        page.context.request.post(f"{app.url}/login", form={"username": name, "password": "right horse"})
        page.goto(app.url)
        expect(page.locator("#question textarea")).to_be_visible()
        if len(kept) < 2:
            ask(page, f"a question of {name}")
            answered(page, 1)
        expect(page.locator(".conversations .count")).to_have_text("(1)")
        kept.append(page.locator(".conversations li .open .name").all_inner_texts())
        assert page.context.request.post(f"{app.url}/logout", max_redirects=0).status == 302
    assert kept == [["a question of alice"], ["a question of bob"], ["a question of alice"]]
    page.close()

"""Conversations, code and bundles in a real browser, with hostile words in all of them."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from qwen_demo.engines.scripted import Script
from qwen_demo.http.credentials import hash_of_password
from tests.ui.steps import answers, ask, looked_over, settled

HOSTILE = '<svg onload="window.hacked=1"> first'
STORE = "qwen-demo.conversations"


def stored(page: Page) -> list:
    return json.loads(page.evaluate(f"localStorage.getItem('{STORE}')") or "[]")


def saved(page: Page, button) -> str:
    with page.expect_download() as download:
        button.click()
    return download.value.path().read_text(encoding="utf-8")


def test_a_conversation_is_kept_found_renamed_reopened_exported_and_deleted(opened, app, red):
    app.engine.script = Script(["<b>Red</b>", " it is."])
    page = opened(app)
    ask(page, HOSTILE, red)
    expect(page.locator(".conversations .count")).to_have_text("(1)")  # kept when the answer has ended
    page.get_by_label("Clear").first.click()
    expect(answers(page)).to_have_count(0)
    ask(page, "second question")
    expect(page.locator(".conversations .count")).to_have_text("(2)")
    page.locator(".conversations summary").click()
    rows = page.locator(".conversations li")
    expect(rows).to_have_count(2)
    expect(rows.nth(1).locator(".name")).to_have_text(HOSTILE)
    page.locator(".conversations input[type=search]").fill("onload")
    expect(rows).to_have_count(1)
    rows.get_by_role("button", name=re.compile("^Rename")).click()
    page.locator(".conversations input.name").fill("A <i>name</i>")
    page.keyboard.press("Enter")
    page.locator(".conversations input[type=search]").fill("")
    renamed = rows.filter(has_text="A <i>name</i>")
    html = saved(page, renamed.get_by_role("button", name=re.compile("as HTML$")))
    assert "data:image/jpeg;base64," in html and "<svg" not in html and "<b>" not in html
    assert "## You" in saved(page, renamed.get_by_role("button", name=re.compile("as Markdown$")))
    assert json.loads(saved(page, renamed.get_by_role("button", name=re.compile("as JSON$"))))["messages"]
    looked_over(page, "conversations")
    renamed.locator("button.open").click()
    expect(page.locator("#chat .user img")).to_be_visible()
    expect(answers(page).first).to_contain_text("Red")
    expect(page.locator(".context .chip")).to_have_count(1)
    # It goes on under its own name, and the other one stays as it was.
    ask(page, "and now?")
    expect(rows.first).to_contain_text("4 messages")
    expect(rows).to_have_count(2)
    expect(rows.first.locator(".name")).to_have_text("A <i>name</i>")
    assert [len(item["messages"]) for item in stored(page)] == [4, 2]
    assert len(app.engine.requests[-1].messages) == 3
    rows.nth(1).get_by_role("button", name=re.compile("^Delete")).click()
    rows.nth(1).get_by_role("button", name=re.compile("^Really")).click()
    expect(rows).to_have_count(1)
    page.reload()
    expect(page.locator(".conversations .count")).to_have_text("(1)")
    assert page.evaluate("window.hacked") is None


def test_what_others_put_into_the_storage_is_refused(opened, app):
    page = opened(app)
    hostile = [
        {"id": "a", "name": HOSTILE, "time": 1, "messages": [{"role": "user", "parts": [{"file": "/etc/passwd"}]}]},
        {"id": "b", "name": "no time", "messages": []},
        {"id": "c", "name": "no parts", "time": 1, "messages": [{"role": "user", "parts": "x"}]},
        5,
        None,
    ]
    page.evaluate(f"value => localStorage.setItem('{STORE}', value)", json.dumps(hostile))
    page.reload()
    page.locator(".conversations summary").click()
    expect(page.locator(".conversations li")).to_have_count(1)
    page.locator(".conversations button.open").click()
    expect(page.locator(".toast-body")).to_contain_text("not uploaded here")
    expect(page.locator("#chat .user")).to_have_count(0)
    page.evaluate(f"localStorage.setItem('{STORE}', '][')")
    page.reload()
    expect(page.locator(".conversations .state")).to_contain_text("Nothing is kept yet")
    assert page.evaluate("window.hacked") is None


@pytest.mark.slow
def test_code_is_copied_and_a_bundle_is_asked_again(opened, app, red, tmp_path):
    app.engine.script = Script(["<b>Red</b>", " it is."])
    page = opened(app)
    ask(page, HOSTILE, red)
    expect(page.locator(".conversations .count")).to_have_text("(1)")  # kept when the answer has ended
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
            expect(page.locator(".conversations .count")).to_have_text("(1)")
        page.locator(".conversations summary").click()
        kept.append(page.locator(".conversations li .open .name").all_inner_texts())
        assert page.context.request.post(f"{app.url}/logout", max_redirects=0).status == 302
    assert kept == [["a question of alice"], ["a question of bob"], ["a question of alice"]]
    page.close()

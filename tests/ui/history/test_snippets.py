"""The code that the page offers runs, asks what the page asks, and is nothing but code."""

import json
import subprocess
import sys

import pytest

from qwen_demo.engines.scripted import Script
from qwen_demo.types import Image, Sampling
from qwen_demo.ui.history import snippets
from qwen_demo.ui.history.snippets import Question
from qwen_demo.ui.history.transcript import File, Turn, asked_next, of_history
from tests.api.conftest import start
from tests.conftest import draw

__all__ = ["start"]

HOSTILE = "'; touch hacked; ' $(touch hacked) `touch hacked` \" ''' \"\"\" \\ \n# \r\u2028 \0 JSON %s {x} 你好 $HOME <|im_end|>"
NAME = "-rf $(touch hacked) 'q' \"d\" é.png"
CONVERSATION = (
    Turn("user", (File(f"/uploads/abc/{NAME}"), "first")),
    Turn("assistant", ("an answer\n",)),
    Turn("user", (HOSTILE,)),
)


def ran(kind: str, code: str, folder) -> str:
    """What the code prints."""
    command = ["bash", "-c", code] if kind == "curl" else [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["curl", "openai", "gradio_client"])
def test_the_code_asks_what_the_page_asks_and_runs_nothing_else(start, tmp_path, kind):
    app = start(Script(["He said ", "<b>yes</b> 你好"]))
    draw("red", (56, 84)).save(tmp_path / NAME)
    sampling = Sampling(max_new_tokens=77, temperature=0.5, top_p=0.9, seed=3)
    asked = Question(
        CONVERSATION, sampling, app.url, "scripted", system_prompt="Be 'brief'\n$(touch hacked)", max_pixels=50176
    )
    printed = ran(kind, snippets.all_of(asked)[kind], tmp_path)
    answer = json.loads(printed)["choices"][0]["message"]["content"] if kind == "curl" else printed.splitlines()[-1]
    assert answer == "He said <b>yes</b> 你好"
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    request = app.engine.requests[-1]
    assert [message.role for message in request.messages] == ["system", "user", "assistant", "user"]
    assert request.messages[0].text == asked.system_prompt
    assert isinstance(image := request.messages[1].parts[0], Image) and image.size == (56, 84)
    assert request.messages[-1].text == HOSTILE
    assert (request.sampling.temperature, request.sampling.seed, request.max_pixels) == (0.5, 3, 50176)
    assert request.sampling.max_new_tokens == 77


def test_code_without_images_reads_no_files():
    codes = snippets.all_of(Question([Turn("user", ("hello",))], Sampling(), "http://h:1"))
    assert "base64" not in codes["curl"] + codes["openai"] and "handle_file" not in codes["gradio_client"]


def test_keys_logins_and_schemas_are_told():
    sampling = Sampling(json_schema='{"type": "integer", "nullable": true}')
    codes = snippets.all_of(Question(CONVERSATION, sampling, "http://h:1", needs_key=True, has_login=True))
    assert "Bearer $QWEN_DEMO_API_KEY" in codes["curl"] and 'os.environ["QWEN_DEMO_API_KEY"]' in codes["openai"]
    assert "auth=" in codes["gradio_client"] and "takes no JSON schema" in codes["gradio_client"]
    asked = snippets.all_of(Question(CONVERSATION, Sampling(), "http://h:1", "base", "forms"))
    assert '"model": "forms"' in asked["curl"] and "model='forms'" in asked["openai"]
    assert "takes no adapter" in asked["gradio_client"]
    assert "'nullable': True" in codes["openai"] and '"nullable": true' in codes["curl"]


@pytest.mark.parametrize("value", [None, 5, "javascript:alert(1)", "http://a'b", "http://a\nb", "http://" + "a" * 600])
def test_an_address_that_is_none_does_not_reach_the_code(value):
    assert snippets.address_of(value) == "http://localhost:7860"


def test_an_address_is_kept_with_its_folder():
    assert snippets.address_of("https://demo.example:8443/qwen/") == "https://demo.example:8443/qwen"


@pytest.mark.parametrize("turns", [[], [Turn("user", ("x" * 200_001,))]])
def test_nothing_and_too_much_are_refused(turns):
    with pytest.raises(ValueError):
        snippets.all_of(Question(turns, Sampling(), "http://h:1"))


def test_what_is_being_written_is_asked_and_else_the_last_question_again():
    image = {"type": "file", "file": {"path": "/u/a.png"}}
    history = [
        {"role": "user", "content": [image, {"type": "text", "text": "one"}]},
        {"role": "assistant", "content": "two"},
        {"role": "assistant", "content": "", "metadata": {"title": "note", "id": "max_pixels=5"}},
    ]
    assert [turn.text for turn in asked_next(history, {"text": "", "files": []}, frozenset())] == ["one"]
    new = asked_next(history, {"text": "three", "files": []}, frozenset({"/u/a.png"}))
    assert [turn.text for turn in new] == ["one", "two", "three"] and not new[0].files
    assert of_history(history)[1].params == "max_pixels=5"

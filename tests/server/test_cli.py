import subprocess
import sys

import pytest

from tests.conftest import ROOT, draw


def run(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "qwen_demo", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, **options,
    )  # fmt: skip


def test_ask_answers_about_a_image_on_standard_output(tmp_path):
    draw("red").save(tmp_path / "red.png")
    done = run("ask", str(tmp_path / "red.png"), "What color is the circle?", "--model", "embedded")
    assert done.returncode == 0, done.stderr
    assert "red" in done.stdout
    assert done.stdout.endswith("\n")


def test_ask_works_without_a_image():
    done = run("ask", "Tell me: hello there", "--engine", "scripted")
    assert (done.returncode, done.stdout) == (0, "Tell me: hello there \n")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["ask", "no-such.png", "What?", "--engine", "scripted"], 1, "no-such.png"),
        (["ask", "README.md", "What?", "--engine", "scripted"], 1, "README.md"),
        (["ask", "hello", "--max-tokens", "0", "--engine", "scripted"], 1, "max_new_tokens"),
        (["ask", "hello", "--quantization", "fp3"], 2, "--quantization"),
        (["ask"], 2, "usage"),
        (["fly"], 2, "usage"),
    ],
)
def test_errors_go_to_standard_error_with_a_code(arguments, code, told):
    done = run(*arguments)
    assert done.returncode == code
    assert told in done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr

"""The command line as a person calls it."""

import contextlib
import importlib
import json
import os
import pty
import socket
import subprocess
import sys

import pytest

from qwen_demo import __version__
from qwen_demo.http.credentials import hash_of_key, password_fits
from qwen_demo.server import cli
from tests.conftest import ROOT, draw


def run(*arguments: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "qwen_demo", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, start_new_session=True, **options,
    )  # fmt: skip


@pytest.fixture
def taken():
    """A port of this machine that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        yield somebody.getsockname()[1]


@pytest.mark.slow
def test_ask_answers_about_an_image_on_standard_output(tmp_path):
    draw("red").save(tmp_path / "red.png")
    done = run("ask", str(tmp_path / "red.png"), "What color is the circle?", "--model", "embedded")
    assert done.returncode == 0, done.stderr
    assert "red" in done.stdout
    assert done.stdout.endswith("\n")


def test_ask_works_without_an_image():
    done = run("ask", "Tell me: hello there", "--engine", "scripted")
    assert (done.returncode, done.stdout) == (0, "Tell me: hello there \n")


def test_settings_may_stand_between_the_words_of_ask():
    done = run("ask", "--engine", "scripted", "--max-tokens", "8", "Tell me: hello there")
    assert (done.returncode, done.stdout) == (0, "Tell me: hello there \n")


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["ask", "no-such.png", "What?", "--engine", "scripted"], 1, "no-such.png"),
        (["ask", "README.md", "What?", "--engine", "scripted"], 1, "README.md"),
        (["ask", "hello", "--max-tokens", "0", "--engine", "scripted"], 1, "max_new_tokens"),
        (["ask", "hello", "--quantization", "fp3"], 2, "--quantization"),
        (["ask", "hello", "--temprature", "1"], 2, "did you mean --temperature?"),
        (["ask"], 2, "ask --help"),
        (["serve", "--max-imges", "4"], 2, "did you mean --max-images?"),
        (["serve", "--host", "192.0.2.1", "--open"], 2, "--host 192.0.2.1 is no address of this machine"),
        (["serve", "--host", "0.0.0.0"], 2, "--api-keys-file"),
        (["key"], 2, "NAME"),
        (["key", "a:b"], 2, "cannot be a name"),
        (["key", "a\nb"], 2, "cannot be a name"),
        (["user", "alice"], 2, "an empty password"),
        (["ask", "README.md", "--engine", "scripted"], 1, "what is asked about it comes last"),
        (["ask", "hello", "--places", "found.txt", "--engine", "scripted"], 1, "name it .json or .csv"),
        (
            ["serve", "--upload-dir", "README.md", "--port", "0"],
            2,
            "--upload-dir README.md cannot be used: File exists",
        ),
        (["serve", "--offer-models", "nothing", "--port", "0"], 1, "--offer-models nothing: there is no such folder"),
        (["sreve"], 2, "did you mean serve?"),
        (["--max-images", "none"], 2, "--max-images: must be a whole number"),
        (["--max-imges", "4"], 2, "did you mean --max-images?"),
        (["fly"], 2, "there is no command fly"),
        ([], 2, "usage"),
    ],
)
def test_errors_go_to_standard_error_with_a_code(arguments, code, told):
    done = run(*arguments)
    assert done.returncode == code
    assert told in done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("program", [["app.py"], ["-m", "qwen_demo", "serve"]])
def test_a_port_in_use_is_told_in_one_line_before_anything_heavy_is_imported(program, taken):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *program, "--port", str(taken)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    told = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert told == [f"error: port {taken} of 127.0.0.1 is in use; choose another with --port, or 0 for any free one"]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "qwen_demo.settings" in imported
    assert not imported & {"torch", "gradio", "transformers", "uvicorn", "fastapi"}


def test_who_connects_early_waits_for_the_server_instead_of_being_refused():
    from qwen_demo.server.listening import listening_socket
    from qwen_demo.settings import Settings

    with (
        listening_socket(Settings(port=0)) as listening,
        socket.create_connection(listening.getsockname()[:2]) as early,
    ):
        early.sendall(b"hello")
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.recv(5) == b"hello"


def test_a_server_whose_output_nobody_takes_serves_all_the_same():
    reading, writing = os.pipe()
    os.close(reading)
    said = "from qwen_demo.server.run import _say; _say('it loads'); _say('it is ready')"
    done = subprocess.run([sys.executable, "-c", said], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, timeout=120)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_address_of_the_sixth_version_can_be_listened_on():
    from qwen_demo.server.listening import listening_socket
    from qwen_demo.settings import Settings

    with listening_socket(Settings(host="::1", port=0)) as listening:
        assert listening.family == socket.AF_INET6


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_each_command_has_help_of_its_own(command, capsys):
    with contextlib.suppress(SystemExit):
        assert cli.main([command, "--help"]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"usage: qwen-demo {command} ")


def test_help_lists_the_commands_with_what_they_do(capsys):
    assert cli.main(["--help"]) == 0
    told = capsys.readouterr().out
    for name, command in cli.COMMANDS.items():
        assert f"  {name} " in told
        assert command.summary in told


def test_the_version_is_printed(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


def test_the_table_names_functions_that_are_there():
    for command in cli.COMMANDS.values():
        module, _, function = command.target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_another_room_adds_a_command_with_one_line(monkeypatch, capsys):
    monkeypatch.setitem(cli.COMMANDS, "version-of", cli.Command("a second way", "tests.server.test_cli:command"))
    assert cli.main(["version-of", "a", "b"]) == 7
    assert capsys.readouterr().out == "['a', 'b'] qwen-demo version-of\n"


def command(argv, prog) -> int:
    print(argv, prog)
    return 7


def test_a_key_is_shown_once_and_its_line_can_be_kept():
    done = run("key", "alice")
    assert done.returncode == 0
    key = done.stderr.splitlines()[-1]
    assert done.stdout == f"alice:{hash_of_key(key)}\n"


def test_a_password_is_asked_for_on_the_terminal_and_its_line_can_be_kept():
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "qwen_demo", "user", "alice"]
    pipe = subprocess.PIPE
    try:
        # In a session of its own there is no terminal but this one.
        with subprocess.Popen(
            command, cwd=ROOT, stdin=theirs, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        ) as asking:
            asked = asking.stderr.read(len("Password of alice: "))
            os.write(ours, b"open sesame\n")
            line = asking.stdout.read()
            asking.stderr.read()
    finally:
        os.close(ours)
        os.close(theirs)
    name, _, known = line.strip().partition(":")
    assert (asked, name) == ("Password of alice: ", "alice")
    assert password_fits("open sesame", known)


def test_why_it_cannot_start_is_json_where_the_log_is(taken):
    for flags in (["--port", str(taken)], ["--max-imges", "4"], ["--port", "99999"]):
        done = run("serve", "--log-json", *flags)
        (line,) = map(json.loads, done.stderr.splitlines())
        assert (done.returncode, done.stdout) == (2, "")
        assert line["message"].startswith("error: ")

"""The log: one line an event, whoever wrote it, and no words of strangers."""

import json
import logging
import subprocess
import sys

import pytest

from qwen_demo.errors import EngineFailed, InvalidRequest
from qwen_demo.service import logs
from tests.conftest import ROOT

FORGED = 'x\nERROR qwen_demo.service: forged\r\n{"level": "ERROR"}\x1b[31m\u2028\x85\u202e\x9b2J\ud800'


@pytest.fixture(params=["plain", "json"])
def written(request):
    """What a record becomes: `written(message, *args, **more)`."""
    formatter = logs._Json() if request.param == "json" else logs._Plain()

    def written_(message, *args, error=None, **extra) -> str:
        info = (type(error), error, error.__traceback__) if error else None
        record = logging.LogRecord("a.logger", logging.ERROR, "a.py", 1, message, args, info)
        record.__dict__.update(extra)
        return formatter.format(record)

    written_.as_json = request.param == "json"
    return written_


def test_what_a_stranger_writes_stays_in_its_line(written):
    for line in (written("%s", FORGED), written("said", fields={"word": FORGED})):
        assert len(line.splitlines()) == 1
        assert line.isprintable()
        if written.as_json:
            assert json.loads(line)["level"] == "ERROR"
        else:
            assert line.startswith("ERROR a.logger: ")


def test_other_peoples_letters_stay_as_they_are(written):
    assert "图片 é ☺" in written("图片 é ☺")


def test_a_line_has_a_bounded_length(written):
    assert len(written("%s", "x" * 1_000_000)) < 2 * logs.MAX_CHARACTERS


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        ValueError(f"invalid literal for int(): '{FORGED} secret'"),
        KeyError("secret"),
        TypeError("got an unexpected keyword argument 'secret'"),
        UnicodeDecodeError("utf-8", b"secret", 0, 1, "secret"),
        InvalidRequest("the role 'secret'"),
        FileNotFoundError(2, "No such file", "/tmp/secret.png"),
        ExceptionGroup("secret", [ValueError("secret")]),
        type("ForeignError", (Exception,), {})("secret"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_of_an_error_that_may_quote_its_input_kind_and_place_are_told(written, error):
    for each in (raised(error), raised(RuntimeError("a reason"), error)):
        text = written("failed", error=each)
        assert "secret" not in text and "forged" not in text
        assert type(error).__name__ in text
        assert "test_logs.py" in text and "in raised" in text


def test_an_error_of_ours_or_of_the_system_keeps_its_reason(written):
    for error in (
        EngineFailed("the engine broke"),
        RuntimeError("CUDA said no"),
        OSError(28, "No space left", "/tmp/x"),
    ):
        text = written("failed", error=raised(error))
        assert str(error).rpartition(": ")[2].replace("'/tmp/x'", "No space left") in text
        assert "/tmp/x" not in text


def test_lines_of_an_error_cannot_be_taken_for_others():
    error = raised(RuntimeError(FORGED))
    first, *rest = (
        logs._Plain()
        .format(logging.LogRecord("a", logging.ERROR, "a.py", 1, "failed", (), (type(error), error, None)))
        .splitlines()
    )
    assert first == "ERROR a: failed"
    assert rest and all(line.startswith("  | ") for line in rest)


def run(program: str) -> list[str]:
    """Lines that a program with `--log-json` writes, in any way."""
    start = (
        "import logging, os, subprocess, sys, threading, warnings\n"
        "from qwen_demo.service.logs import set_up_logging, take_over_output\n"
        "set_up_logging(as_json=True)\n"
        "take_over_output()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", start + program], cwd=ROOT, capture_output=True, text=True, timeout=60, errors="replace"
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


CHILD = (
    "import logging, os; from qwen_demo.service.logs import set_up_logging; set_up_logging(as_json=True); "
    "logging.getLogger('child').info('a line of its own'); print('printed by a child'); os.write(1, b'written by a child\\\\n')"
)
WRITERS = {
    "printed": "print('hello\\nworld')\nprint('no end', end='')\nprint('; here', file=sys.stdout)",
    "on standard error": "print('hello', file=sys.stderr)",
    "a warning": "warnings.warn('look out')",
    "a progress bar": "sys.stderr.write('\\r10 %\\r20 %\\n')",
    "below Python": "os.write(1, b'raw\\n{\"time\": \"not so\"}\\n\\xff\\xfe\\x1b[31m\\n'); os.write(2, b'x' * 9000 + b'\\n')",
    "a child": "subprocess.run(['sh', '-c', 'echo out; echo err >&2'])",
    "a child with a log": f'subprocess.run([sys.executable, "-c", "{CHILD}"])',
    "a library's mistake": "logging.getLogger('library').error('%d', 'no number')",
    "a thread that fails": "t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join()",
    "an uncaught error": "raise ValueError('secret\\n{')",
    "a line without an end": "os.write(1, b'last words')",
}


def test_every_line_is_json_whoever_writes_it():
    program = "\n".join(code for name, code in WRITERS.items() if name != "an uncaught error")
    lines = [json.loads(line) for line in run(f"{program}\n{WRITERS['an uncaught error']}")]
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    messages = [line["message"] for line in lines]
    for told in ("hello", "world", "no end; here", "10 %", "raw", '{"time": "not so"}', "out", "err", "a line of its own",
                 "printed by a child", "written by a child", "last words"):  # fmt: skip
        assert told in messages, told
    for part in ("look out", "a line of library", "a thread ended: ZeroDivisionError", "the program ended: ValueError"):
        assert any(part in message for message in messages), part
    assert "secret" not in json.dumps(lines)
    (own,) = [line for line in lines if line["message"] == "a line of its own"]
    assert own["logger"] == "child", "a line of the log is not wrapped into another"

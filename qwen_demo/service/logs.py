"""The log: one line an event on standard error, for people or (`--log-json`) as JSON, and nothing else beside it.

It holds back what strangers write. Line breaks and control characters are escaped, so nobody writes a second line or to
the terminal; of errors whose message may quote what was sent only the kind and the place are told. With `--log-json`
what libraries print, in Python or below it, and what child processes print becomes such lines as well.
"""

import atexit
import contextlib
import io
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Any, TextIO

from qwen_demo.errors import InvalidRequest, QwenDemoError
from qwen_demo.service.telemetry import request_id

MAX_CHARACTERS = 4000  # of a message
# What ends a line or steers a terminal: control characters, separators, directions of writing, halves of surrogates.
_ODD = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Their messages are written by programs, or by us. Those of a ValueError or KeyError quote the value.
_TOLD = (QwenDemoError, OSError, MemoryError, ImportError, RuntimeError, AssertionError)
# It advises to install a library for a product that nothing here calls.
ADVERTISING = "bitsandbytes.backends.cpu.ops"
_OURS = ("time", "level", "logger", "message")
_STANDARD = (1, 2)


def set_up_logging(*, as_json: bool, level: int = logging.INFO) -> None:
    """For this process, which inherits or makes the descriptor that lines go to."""
    handler = _Handler(sys.__stderr__ or sys.stderr)
    handler.setFormatter(_Json() if as_json else _Plain("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for chatty in ("httpx", "mcp", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger(ADVERTISING).setLevel(logging.ERROR)
    sys.excepthook = lambda kind, error, trace: _uncaught("the program ended", error)
    threading.excepthook = lambda args: _uncaught("a thread ended", args.exc_value)
    sys.unraisablehook = lambda args: _uncaught("an object could not be let go of", args.exc_value)
    if as_json:
        sys.stdout, sys.stderr = _Printed("stdout"), _Printed("stderr", logging.WARNING)


def take_over_output() -> None:
    """What is written to descriptors 1 and 2 becomes lines of the log: by libraries below Python and by children.

    Call it once, in the process that the others inherit from, after `set_up_logging(as_json=True)`.
    """
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, _Handler)
    real = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    handler.setStream(real)
    read, write = os.pipe()
    for descriptor in _STANDARD:
        os.dup2(write, descriptor)
    os.close(write)
    reader = threading.Thread(target=_pass_on, args=(read, handler), name="output of children", daemon=True)
    reader.start()

    def restore() -> None:
        # Children may hold the pipe open, so its end does not tell that all was read; this does.
        with contextlib.suppress(OSError):
            os.write(2, b"\n" + _END + b"\n")
            reader.join(2.0)
            for descriptor in _STANDARD:
                os.dup2(real.fileno(), descriptor)

    atexit.register(restore)


_END = os.urandom(16).hex().encode()


def _pass_on(read: int, handler: "_Handler") -> None:
    """Lines of the log as they are, all others as lines of the log."""
    log, rest = logging.getLogger("output"), b""
    while piece := os.read(read, 1 << 16):
        *lines, rest = re.split(rb"[\r\n]", rest + piece)
        if len(rest) > MAX_CHARACTERS:
            lines, rest = [*lines, rest], b""
        for line in lines:
            if line == _END:
                return
            if _is_ours(line):
                handler.write(line.decode(errors="backslashreplace"))
            elif line.strip():
                log.info("%s", line.decode(errors="backslashreplace"))


def _is_ours(line: bytes) -> bool:
    """Python's own output cannot look so: it has been made a line of the log in its own process."""
    if not line.startswith(b'{"time": "'):
        return False
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and all(isinstance(found.get(name), str) for name in _OURS)


def log_without_words(log: logging.Logger, level: int, message: str, error: BaseException) -> None:
    """An error whose own words may be a stranger's, whoever writes the log."""
    log.log(level, "%s: %s", message, type(error).__name__, extra={"trace": error_lines(error)})


def escaped(text: str) -> str:
    """One line, of bounded length, that a terminal shows and does not obey."""
    if len(text) > MAX_CHARACTERS:
        text = f"{text[:MAX_CHARACTERS]}… ({len(text) - MAX_CHARACTERS} characters more)"
    return _ODD.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def error_lines(error: BaseException) -> list[str]:
    """As Python prints it, without the words of those that may quote what a stranger sent."""
    lines: list[str] = []
    for each, link in reversed(list(_chain(error))):
        lines.append("Traceback (most recent call last):")
        lines += [line for frame in traceback.format_tb(each.__traceback__) for line in frame.rstrip().split("\n")]
        lines.append(_kind_and_words(each))
        if isinstance(each, BaseExceptionGroup):
            lines += [f"  + {line}" for part in each.exceptions for line in error_lines(part)]
        if link:
            lines += [link]
    return [escaped(line) for line in lines]


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """It and what brought it about, each with how it brought about the one before."""
    seen: set[int] = set()
    each, link = error, ""
    while id(each) not in seen:
        seen.add(id(each))
        yield each, link
        if each.__cause__ is not None:
            each, link = each.__cause__, "The above was the direct cause of:"
        elif each.__context__ is not None and not each.__suppress_context__:
            each, link = each.__context__, "While this was handled, another one came:"


def _kind_and_words(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    if not isinstance(error, _TOLD) or isinstance(error, InvalidRequest):
        return name
    if isinstance(error, OSError) and error.errno:
        return f"{name}: [Errno {error.errno}] {error.strerror}"
    with contextlib.suppress(Exception):
        return f"{name}: {error}"
    return name


def _uncaught(what: str, error: BaseException | None) -> None:
    if not isinstance(error, KeyboardInterrupt | None):
        logging.getLogger("qwen_demo").critical("%s: %s", what, type(error).__name__, exc_info=error)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes whole lines, its own and those that children made."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # a library's mistake in its own line
            record.msg, record.args, record.exc_info = f"a line of {record.name} could not be written", None, None
            line = self.format(record)
        self.write(line)

    def write(self, line: str) -> None:
        with self.lock or contextlib.nullcontext(), contextlib.suppress(OSError, ValueError):
            self.stream.write(line + self.terminator)
            self.stream.flush()


class _Printed(io.TextIOBase):
    """In the place of standard output or error: each line that is printed becomes one of the log."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name: str, level: int = logging.INFO):
        self._log, self._level = logging.getLogger(name), level
        self._begun = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, rest = re.split(r"[\r\n]", getattr(self._begun, "text", "") + text)
        self._begun.text = rest
        for line in filter(str.strip, lines):
            self._log.log(self._level, "%s", line)
        return len(text)

    def fileno(self) -> int:
        return 2


def _trace(record: logging.LogRecord) -> list[str]:
    given: list[str] = getattr(record, "trace", [])
    return given or (error_lines(record.exc_info[1]) if record.exc_info and record.exc_info[1] else [])


class _Plain(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {key}={escaped(str(value))}" for key, value in getattr(record, "fields", {}).items())
        line = f"{record.levelname} {escaped(record.name)}: {escaped(record.getMessage())}{fields}"
        # What stands at the left edge is ours.
        return "\n".join([line, *(f"  | {each}" for each in _trace(record))])


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage()[:MAX_CHARACTERS],
            **({"request": request_id()} if request_id() else {}),
            **getattr(record, "fields", {}),
        }
        if trace := _trace(record):
            line["exception"] = "\n".join(trace)
        text = json.dumps(line, ensure_ascii=False, default=str)
        # What JSON lets stand and other programs take for the end of a line.
        return _ODD.sub(lambda found: f"\\u{ord(found[0]):04x}", text)

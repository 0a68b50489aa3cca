"""The command line: `qwen-demo serve`, `ask`, `models`, `pull`, `quantize`, `knowledge`, `finetune`, `distill`,
`key`, `user`. `python app.py` is `serve`, `python -m qwen_demo` all of them.

Words go to standard output as they come, everything else to standard error. Exit codes: 0 answered
or ended as asked, 1 refused or failed, 2 wrong usage, 130 interrupted. A command's module is imported
when it is called, so that help and errors come at once.
"""

import getpass
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from qwen_demo import __version__
from qwen_demo.errors import QwenDemoError, SettingsError
from qwen_demo.models.choose import named_folder
from qwen_demo.server.command_parser import CommandParser
from qwen_demo.server.listening import listening_socket, refuse_open_door
from qwen_demo.settings import NO_PROGRESS_BARS, apply_environment, load_settings, process_environment
from qwen_demo.settings.flags import suggestion


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand.

    Attributes:
        summary: its line in `qwen-demo --help`.
        target: `module:function`. The function takes the words after the command and how the command was called,
            for messages, and gives the exit code; what is wrong it raises as a `QwenDemoError`.
    """

    summary: str
    target: str


# A command of another room is one more line.
COMMANDS = {
    "serve": Command("start the page and the API", "qwen_demo.server.cli:serve"),
    "ask": Command("one answer on the terminal, without a server", "qwen_demo.server.ask:ask"),
    "models": Command("which models there are, and what they need here", "qwen_demo.server.models:show"),
    "pull": Command("fetch a model from the hub", "qwen_demo.server.models:pull"),
    "quantize": Command("write a model with four-bit weights, and a report", "qwen_demo.server.quantize:quantize"),
    "knowledge": Command("collections of your own documents", "qwen_demo.server.knowledge:knowledge"),
    "finetune": Command("teach a model from labelled images", "qwen_demo.server.finetune:finetune"),
    "distill": Command("teach a small model a larger one's answers", "qwen_demo.server.distill:distill"),
    "key": Command("make an API key and its line for --api-keys-file", "qwen_demo.server.cli:make_key"),
    "user": Command("ask for a password and make its line for --page-users-file", "qwen_demo.server.cli:make_user"),
}


def main(argv: Sequence[str] | None = None, *, prog: str = "qwen-demo") -> int:
    """Run a command; gives the exit code. Errors that were foreseen are told in a line."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv:
        print(_help(prog), file=sys.stderr)
        return 2
    name, *rest = argv
    if name in ("-h", "--help"):
        print(_help(prog))
        return 0
    if name == "--version":
        print(__version__)
        return 0
    if name.startswith("--"):
        name, rest = "serve", list(argv)
    if name not in COMMANDS:
        near = suggestion(name, COMMANDS)
        print(f"error: there is no command {name}{near} See {prog} --help.", file=sys.stderr)
        return 2
    return run(name, rest, prog=f"{prog} {name}")


def run(name: str, argv: Sequence[str], *, prog: str) -> int:
    """Run the command `name`, called as `prog`; gives the exit code."""
    module, _, function = COMMANDS[name].target.partition(":")
    try:
        code: int = getattr(importlib.import_module(module), function)(argv, prog)
        return code
    except QwenDemoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Python writes what is left at its end; into the broken pipe that would be one more error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.filename is None:  # not about a file that somebody named
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1


def _help(prog: str) -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {prog} COMMAND ...",
            "",
            "Ask Qwen2.5-VL about images and videos, in the browser or through an API.",
            "",
            "commands:",
            *lines,
            "",
            f"{prog} COMMAND --help says what a command takes, {prog} serve --help lists all settings,",
            f"{prog} --version prints the version. Settings without a command are those of serve.",
        ]
    )


def serve(argv: Sequence[str], prog: str) -> int:
    """The page and the API, until a signal."""
    # Before settings are read, as what is wrong with them is a line, too.
    early = "--log-json" in argv and not {"-h", "--help"} & set(argv)
    if early:
        _log_all_as_json()
    settings = load_settings(argv, prog=prog)
    if settings.log_json and not early:
        _log_all_as_json()
    refuse_open_door(settings)
    if settings.holds_model:
        named_folder(settings.model)
    with listening_socket(settings) as listening:
        apply_environment(process_environment())
        from qwen_demo.server import run as running
        from qwen_demo.service.logs import set_up_logging

        if not settings.log_json:
            set_up_logging(as_json=False)

        return running.serve(settings, listening)


def _log_all_as_json() -> None:
    """From here on nothing is written but lines of the log, not even why the program cannot start."""
    from qwen_demo.service.logs import set_up_logging, take_over_output

    apply_environment(NO_PROGRESS_BARS)
    set_up_logging(as_json=True)
    take_over_output()


def make_key(argv: Sequence[str], prog: str) -> int:
    """A fresh key for a person, to standard error, and its line for the file."""
    from qwen_demo.http.credentials import new_key

    name = _name(argv, prog, "Make an API key. The key is shown once; its line goes to standard output: >> keys")
    key, hashed = new_key()
    print(f"Give this key to {name}; it is not shown again:\n{key}", file=sys.stderr)
    print(f"{name}:{hashed}")
    return 0


def make_user(argv: Sequence[str], prog: str) -> int:
    """Asks for a password; prints its line for the file."""
    from qwen_demo.http.credentials import hash_of_password

    name = _name(argv, prog, "Ask for a password. The line of the user goes to standard output: >> users")
    try:
        password = getpass.getpass(f"Password of {name}: ")
    except EOFError:
        password = ""
    if not password:
        raise SettingsError("an empty password would let everybody in")
    print(f"{name}:{hash_of_password(password)}")
    return 0


def _name(argv: Sequence[str], prog: str, description: str) -> str:
    parser = CommandParser(prog, description)
    parser.add_argument("name", metavar="NAME", help="whose it is; without a colon")
    name: str = parser.parse_args(argv).name
    if ":" in name or name.startswith("#") or name != name.strip() or not name or not name.isprintable():
        raise SettingsError(f"{name!r} cannot be a name in a file of name:hash lines")
    return name

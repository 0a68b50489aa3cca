"""The command line of a program with settings: a flag for each field, in groups, with suggestions for mistypes."""

import argparse
import difflib
import textwrap
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from qwen_demo.errors import SettingsError
from qwen_demo.settings.fields import GROUPS, Settings
from qwen_demo.settings.values import GIB, KIB, MIB, Usually

SOURCES = (
    "Each setting is also an environment variable and a line of .env in the current folder: --max-images 4 is "
    "QWEN_DEMO_MAX_IMAGES=4, and on/off flags take true or false. A flag wins over a variable, and that over .env. "
    "Sizes are bytes, or take KiB, MiB or GiB: --max-image-bytes 20MiB."
)
ENDINGS = {"_s": "SECONDS", "_seconds": "SECONDS", "_mib": "MIB", "_gib": "GIB", "_pixels": "PIXELS", "_bytes": "SIZE"}


def flag_of(field: str) -> str:
    """`--max-images` of `max_images`."""
    return "--" + field.replace("_", "-")


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or a full stop where no known word is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f"; did you mean {near[0]}?" if near else "."


class _Help(argparse.HelpFormatter):
    """Most flags share a line with what they are for, and none is broken at a hyphen."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=30)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return textwrap.fill(text, width, break_on_hyphens=False)


class FlagParser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises `SettingsError` instead of ending the program; `--help` ends it.

    Args:
        prog: how the program was called, for its messages.
        listed: whether `--help` lists the settings, or only says where they are listed.
    """

    def __init__(self, prog: str, description: str, *, usage: str = "[settings]", listed: bool = True):
        super().__init__(
            prog,
            usage=f"%(prog)s {usage}",
            description=description,
            epilog=SOURCES if listed else "Settings of `qwen-demo serve --help` may follow, such as --model embedded.",
            allow_abbrev=False,
            formatter_class=_Help,
        )
        for group in GROUPS:
            shown = self.add_argument_group((group.__doc__ or "").removesuffix("."))
            for name in group.model_fields:
                _add_flag(shown, name, Settings.model_fields[name], hidden=not listed)

    def error(self, message: str) -> NoReturn:
        end = "" if message.endswith((".", "?")) else "."
        raise SettingsError(f"{message.removeprefix('argument ')}{end} See {self.prog} --help.")

    def read(self, argv: Sequence[str]) -> tuple[dict[str, Any], argparse.Namespace]:
        """The settings that `argv` gives, unchecked, and what else the parser was told to take.

        Raises:
            SettingsError: a flag is unknown, or has no value or an empty one, or a word is too many.
        """
        found, unknown = self.parse_known_intermixed_args(argv)
        if unknown:
            self._refuse(unknown)
        given = {name: value for name, value in vars(found).items() if name in Settings.model_fields}
        for name in given:
            delattr(found, name)
        for name, value in given.items():
            if value == "" and (info := Settings.model_fields[name]).default != "":
                self.error(f"{flag_of(name)}: nothing is given; without the flag it is {default_in_words(name, info)}")
        return {name: ",".join(value) if isinstance(value, list) else value for name, value in given.items()}, found

    def _refuse(self, unknown: Sequence[str]) -> NoReturn:
        # What follows an unknown flag is taken for its value.
        word = next((word for word in unknown if word.startswith("-")), unknown[0]).partition("=")[0]
        if not word.startswith("-"):
            self.error(f"{word!r} is not expected here")
        self.error(f"there is no flag {word}{suggestion(word, self._option_string_actions)}")


def _add_flag(group: argparse._ArgumentGroup, name: str, info: FieldInfo, *, hidden: bool) -> None:
    words = f"{info.description} (default: {default_in_words(name, info)})".replace("%", "%%")
    options: dict[str, Any] = {
        "dest": name,
        "default": argparse.SUPPRESS,
        "help": argparse.SUPPRESS if hidden else words,
    }
    if info.annotation is bool:
        group.add_argument(flag_of(name), action=argparse.BooleanOptionalAction, **options)
    else:
        action = "append" if _kinds(info.annotation) == {tuple} else "store"
        group.add_argument(flag_of(name), action=action, metavar=_placeholder(name, info), **options)


def default_in_words(name: str, info: FieldInfo) -> str:
    """A default as a person would write it: 20 MiB, on, the model's own."""
    for item in info.metadata:
        if isinstance(item, Usually):
            return item.words
    value = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, bool):
        return "on" if value else "off"
    if name.endswith("_bytes"):
        unit, letters = next(
            ((u, n) for u, n in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")) if value % u == 0), (1, "B")
        )
        return f"{value // unit} {letters}"
    if isinstance(value, int | float):
        return f"{int(value):_}" if value == int(value) and value >= 100_000 else f"{value:g}"
    return str(value)


def _placeholder(name: str, info: FieldInfo) -> str:
    if choices := choices_of(info):
        return "{" + ",".join(choices) + "}"
    for ending, word in ENDINGS.items():
        if name.endswith(ending):
            return word
    kinds = _kinds(info.annotation)
    if Path in kinds:
        return "FOLDER" if name.endswith("_dir") else "FILE"
    if SecretStr in kinds:
        return "KEY"
    if kinds == {tuple}:
        return "A,B,..."
    return "N" if kinds & {int, float} else "TEXT"


def choices_of(info: FieldInfo) -> tuple[str, ...]:
    """The words that a field takes, if it takes only certain ones."""
    for kind in (info.annotation, *get_args(info.annotation)):
        if get_origin(kind) is Literal:
            return get_args(kind)
    return ()


def _kinds(annotation: Any) -> set[Any]:
    """`{int}` of `int | None`, `{tuple}` of `tuple[str, ...]`."""
    members = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return {get_origin(kind) or kind for kind in members} - {types.NoneType}

"""Settings from everywhere, and errors that name where a bad value came from."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream
from pydantic import ValidationError

from qwen_demo.errors import SettingsError
from qwen_demo.settings.fields import Settings
from qwen_demo.settings.flags import FlagParser, choices_of, flag_of, suggestion

PREFIX = "QWEN_DEMO_"
# Variables of others that `Settings` has defaults from.
FOREIGN = {"host": "GRADIO_SERVER_NAME", "port": "GRADIO_SERVER_PORT"}
# pydantic's words for these speak of parsing.
PLAIN = {
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
}
DESCRIPTION = "Ask Qwen2.5-VL about images and videos, in the browser or through an API."


def load_settings(argv: Sequence[str] | None = None, *, prog: str = "python app.py") -> Settings:
    """Settings of a program started with `argv` (without its name); None takes no command line.

    Raises:
        SettingsError: an unknown flag or a bad value, named. `--help` exits as usual.
    """
    return read_settings({} if argv is None else FlagParser(prog, DESCRIPTION).read(argv)[0])


def read_settings(flags: Mapping[str, Any]) -> Settings:
    """Settings, with the values in `flags` above those of environment and `.env`.

    Raises:
        SettingsError: a variable or line of ours that is no setting, or a bad value.
    """
    lines = dict(_lines_of_env_file())
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    names = dict.fromkeys(os.environ, "") | {name: f" in {where}" for name, where in lines.items()}
    for name, where in sorted(names.items()):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise SettingsError(
                f"there is no setting {name}{where}{suggestion(name.upper(), known)} See python app.py --help."
            )
    try:
        return Settings(**flags)
    except ValidationError as error:
        origins = _origins(flags, lines)
        raise SettingsError("; ".join(_explained(fault, origins) for fault in error.errors())) from error


def _lines_of_env_file() -> Iterator[tuple[str, str]]:
    """Each variable of `.env` and where it stands."""
    path = Settings.model_config.get("env_file")
    if not path or not Path(str(path)).is_file():
        return
    with open(str(path), encoding="utf-8") as file:
        for binding in parse_stream(file):
            if binding.key:
                # What precedes a binding is counted to it.
                blank = len(binding.original.string) - len(binding.original.string.lstrip())
                yield (
                    binding.key,
                    f"{path}, line {binding.original.line + binding.original.string[:blank].count(chr(10))}",
                )


def _origins(flags: Mapping[str, Any], lines: Mapping[str, str]) -> dict[str, str]:
    """For each field that was given other than by a flag: ` from ` and where."""
    variables = {name.upper(): name for name, value in os.environ.items() if value}
    lines = {name.upper(): f"{name} in {where}" for name, where in lines.items()}
    origins = {}
    for field in Settings.model_fields:
        name = PREFIX + field.upper()
        foreign = FOREIGN.get(field, "")
        origin = variables.get(name) or lines.get(name) or (foreign if os.environ.get(foreign) else "")
        if field not in flags and origin:
            origins[field] = f" from {origin}"
    return origins


def _explained(fault: Mapping[str, Any], origins: Mapping[str, str]) -> str:
    message = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:  # about several fields, which the message names by their flags
        fields = [flag.replace("-", "_") for flag in re.findall(r"--([a-z][a-z-]+)", message)]
        return "; ".join([message, *(f"{flag_of(field)} is{origins[field]}" for field in fields if field in origins)])
    name = str(fault["loc"][0])
    info, value = Settings.model_fields[name], fault.get("input")
    secret = "SecretStr" in str(info.annotation)
    if fault["type"] == "literal_error":
        message = f"{value!r} is none of {', '.join(choices_of(info))}{suggestion(str(value), choices_of(info))}"
    elif isinstance(value, str) and not secret:
        message = f"{PLAIN.get(fault['type'], message).replace('Input should', 'must')}, not {value!r}"
    return f"{flag_of(name)}{origins.get(name, '')}: {message}"

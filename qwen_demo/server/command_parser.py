"""argparse for the subcommands: what is wrong with the words is a `SettingsError` like any other."""

import argparse
from typing import NoReturn

from qwen_demo.errors import SettingsError


class CommandParser(argparse.ArgumentParser):
    """Raises `SettingsError` where argparse would end the program."""

    def __init__(self, prog: str, description: str):
        super().__init__(prog, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}. See {self.prog} --help.")

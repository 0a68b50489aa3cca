"""A sentence for people that can be said in another language. It knows none but English."""

from typing import Any, Self


class Sentence(str):
    """`template` filled in with `values`: an English text like any other, which remembers what it was made of.

    A value may be a sentence itself. Who shows it may look the template up among its translations.
    """

    template: str
    values: dict[str, Any]

    def __new__(cls, template: str, **values: Any) -> Self:
        sentence = super().__new__(cls, template.format(**values))
        sentence.template, sentence.values = template, values
        return sentence

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (self.template,), self.values


def counted(count: int, one: str, more: str = "") -> str:
    """The number and what there is so many of, for the terminal and the log: `1 page`, `1,200 pages`.

    Args:
        more: of several; else `one` with an s.
    """
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def printable(text: str) -> str:
    """Words of strangers for a terminal: what would steer it, or turn the line around, stands there as `?`."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def told_bytes(count: int) -> str:
    """`20.0 MiB`, `1,234 bytes`."""
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 // 10 else f"{count:,} bytes"

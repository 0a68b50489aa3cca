"""One labelled conversation as this room knows it, whatever file it came from. Images are held by path, never by bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PartOf = Literal["train", "held_out", ""]
# What people call the two parts, in fields and in names of files.
PARTS: dict[str, PartOf] = {
    "train": "train",
    "training": "train",
    "held_out": "held_out",
    "heldout": "held_out",
    "held-out": "held_out",
    "test": "held_out",
    "val": "held_out",
    "valid": "held_out",
    "validation": "held_out",
    "eval": "held_out",
    "dev": "held_out",
}


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image of a row.

    Attributes:
        source: a file's path, or an https: URL that is still to be fetched.
        name: as the data calls it, for messages.
    """

    source: str
    name: str

    @property
    def is_url(self) -> bool:
        return self.source.startswith("https://")

    @property
    def path(self) -> Path:
        return Path(self.source)


@dataclass(frozen=True, slots=True)
class RowTurn:
    """
    Attributes:
        role: `system`, `user` or `assistant`.
        parts: words and images in their order; an assistant's are words alone.
        taught: whether the model learns to say it; of an assistant only.
    """

    role: str
    parts: tuple[str | ImageFile, ...]
    taught: bool = False

    @property
    def text(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))


@dataclass(frozen=True, slots=True)
class Row:
    """
    Attributes:
        where: file and line, for messages.
        part: which part of the data it says it belongs to; empty where it does not say.
    """

    turns: tuple[RowTurn, ...]
    where: str
    part: PartOf = ""

    @property
    def images(self) -> tuple[ImageFile, ...]:
        return tuple(part for turn in self.turns for part in turn.parts if isinstance(part, ImageFile))

    @property
    def answer(self) -> str:
        """What is said last."""
        return self.turns[-1].text

    @property
    def question(self) -> str:
        """The user's last words."""
        return next((turn.text for turn in reversed(self.turns) if turn.role == "user"), "")


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is wrong with a line, and what to do about it.

    Attributes:
        fatal: the row cannot be learnt from and is left out.
    """

    where: str
    message: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


Read = Iterator[Row | RowProblem]

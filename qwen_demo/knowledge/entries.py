"""What a collection tells of its files and pages."""

from dataclasses import dataclass

from qwen_demo.media import Passage


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of a collection.

    Attributes:
        digest: SHA-256 (hex) of its bytes.
        state: `waiting`, `reading`, `stopped` by its owner, `ready`, or `failed`, where nothing of it can be found.
        pages: how many it has; 0 until that is known.
        pages_done: how many were read, those with a problem included.
        problem: what is wrong with it or with some of its pages, for people.
    """

    id: int
    name: str
    digest: str
    size: int
    state: str
    pages: int
    pages_done: int
    problem: str
    added: float


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page with its words. `file`: the name of its file."""

    id: int
    file: str
    file_id: int
    number: int
    passages: tuple[Passage, ...]

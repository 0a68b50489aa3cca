"""What a visitor can try with one click. The pictures are ours and lie in `examples/`."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True, slots=True)
class Example:
    """A question about pictures, with the words on its card."""

    title: str
    question: str
    files: tuple[str, ...]

    @property
    def paths(self) -> list[str]:
        return [str(FOLDER / name) for name in self.files]

    def card(self) -> dict:
        icon = {"icon": self.paths[0]} if self.files else {}
        return {"display_text": self.title, "text": self.question, "files": self.paths, **icon}


EXAMPLES = (
    Example("What is in the picture?", "Describe this picture.", ("shapes.png",)),
    Example("Count things", "How many objects are there?", ("shapes.png",)),
    Example("Who are you?", "What can you do?", ()),
)

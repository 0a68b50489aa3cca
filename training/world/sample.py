"""What the world hands to training and evaluation: pictures, and dialogues about them."""

from dataclasses import dataclass, field

import numpy as np

SPELL, ENDSPELL = "\x02", "\x03"


def spelled(text):
    """Marks text that was read off a picture: training spells it character by character, decoding gives the same string."""
    return f"{SPELL}{text}{ENDSPELL}"


def plain(answer):
    return answer.replace(SPELL, "").replace(ENDSPELL, "")


@dataclass
class Thing:
    """One object in a picture; box is (x1, y1, x2, y2) in pixels."""

    kind: str  # "shape" or "pictogram"
    name: str
    number: int  # index in SHAPES or PICTOGRAMS
    color: str | None = None
    rgb: tuple | None = None
    box: tuple = (0, 0, 0, 0)
    place: str = ""

    @property
    def full(self):
        return f"{self.color} {self.name}" if self.color else self.name

    @property
    def center(self):
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def area(self):
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


@dataclass
class Picture:
    """A still (one frame) or a clip (an even number of frames).

    frames: uint8 (T, H, W, 3), H and W multiples of 28.  things: what the dense labels may name, None if unknown.
    letters: (x, y, character) for every printed character, x and y in pixels at its middle.
    """

    frames: np.ndarray
    things: list | None = None
    letters: list = field(default_factory=list)
    seconds_per_grid: float | None = None  # set for clips: seconds between two merged frame pairs
    text: str | None = None  # of everyday images: all that is printed, where it is little and all of it can be read

    @property
    def is_clip(self):
        return self.seconds_per_grid is not None


@dataclass
class Turn:
    question: str
    answer: str
    kind: str
    thing: Thing | None = None  # what "it" means in the next turn
    boxes: list | None = None  # [(box, label)] that the answer must give
    points: list | None = None  # [(box, label)] in which the answered points must lie
    text: str | None = None  # printed text that the answer must read
    wanted: str | None = None  # of everyday images: what a useful answer holds; None where a refusal is right
    seen: object | None = None  # of everyday images: training.world.sheets.Seen
    chart_printed: bool | None = None  # of charts in libraries' looks: whether values stand at their marks


@dataclass
class Sample:
    """Pictures and independent dialogues about them; training shows the pictures once for all dialogues."""

    family: str
    pictures: list
    dialogues: list
    system: str = "You are a helpful assistant."
    history: list = field(default_factory=list)  # (question, answer) before the pictures arrive
    question_first: bool = False

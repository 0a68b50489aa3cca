"""Model text -> boxes and points in the original image's pixels. Pure, and never `eval`.

Qwen2.5-VL writes JSON, `[{"bbox_2d": [x1, y1, x2, y2], "label": "..."}]` or `point_2d`, in pixels
of the image as it saw it (model card of Qwen2.5-VL-7B-Instruct). Text is read as it comes: in a
fence or bare, cut off in the middle of a label, with single quotes or broken objects between good
ones, with anything hostile in it. The format does not say which of several images is meant.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

Size = tuple[int, int]

MAX_DETECTIONS = 500
MAX_LABEL_CHARACTERS = 200
# Long before that an answer is no list of boxes any more.
MAX_TEXT_CHARACTERS = 50_000
MAX_COORDINATE = 1e7

_NUMBER = r"\s*(-?\d{1,9}(?:\.\d{1,9})?)\s*"
_LISTS = {
    "bbox_2d": re.compile(rf"\[{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}\]"),
    "point_2d": re.compile(rf"\[{_NUMBER},{_NUMBER}\]"),
}
_KEY = re.compile(r"""["']?\b(bbox_2d|point_2d)["']?\s{0,9}:\s{0,9}""")
_BETWEEN = re.compile(r"\s{0,9},\s{0,9}")
# The closing quote may still be missing.
_LABEL = re.compile(
    r"""["']?\b(?:label|text_content)["']?\s{0,9}:\s{0,9}(?:"((?:[^"\\]|\\.)*)|'((?:[^'\\]|\\.)*))""", re.S
)
_VIEW = re.compile(r"""["']?\bview["']?\s{0,9}:\s{0,9}["']?(?:view\s{0,3})?(\d{1,3})""", re.I)
_ORDINALS = (
    r"\bfirst\b|\b1st\b|第一",
    r"\bsecond\b|\b2nd\b|第二",
    r"\bthird\b|\b3rd\b|第三",
    r"\bfourth\b|\b4th\b|第四",
)


@dataclass(frozen=True, slots=True)
class Detection:
    """A box (x1, y1, x2, y2) or a point (x, y), in pixels.

    Attributes:
        view: the number that the answer gives with it as `view`, of a point cloud or 3D model; None if it gives none.
        start: where it stands in the text.
    """

    coordinates: tuple[float, ...]
    label: str
    view: int | None = field(default=None, compare=False)
    start: int = field(default=0, compare=False)

    @property
    def is_box(self) -> bool:
        return len(self.coordinates) == 4


def find(text: str) -> list[Detection]:
    """All detections in `text`, in its order, in the pixels that the model writes; at most `MAX_DETECTIONS`.

    A detection counts as soon as its list of numbers is closed; its label may still be growing.
    """
    text = text[:MAX_TEXT_CHARACTERS]
    keys = list(_keys(text))
    ends = [0, *(key.end() for key in keys)]
    starts = [text.rfind("{", ends[index], key.start()) for index, key in enumerate(keys)]
    detections: list[Detection] = []
    for index, key in enumerate(keys):
        # One object reaches from its brace to the next detection's; labels may hold braces of their own.
        begin = starts[index] if starts[index] >= 0 else key.start()
        end = max(key.end(), starts[index + 1]) if index + 1 < len(keys) else len(text)
        lists = list(_lists(text, key.end(), _LISTS[key.group(1)]))
        if lists:
            label = _label(text, begin, key.start()) or _label(text, key.end(), end)
            view = _VIEW.search(text, begin, key.start()) or _VIEW.search(text, key.end(), end)
            number = int(view.group(1)) if view else None
            detections += [Detection(numbers, label, number, key.start()) for numbers in lists]
        if len(detections) >= MAX_DETECTIONS:
            break
    return detections[:MAX_DETECTIONS]


def _keys(text: str) -> Iterator[re.Match]:
    for count, key in enumerate(_KEY.finditer(text)):
        if count == 4 * MAX_DETECTIONS:
            return
        yield key


def _lists(text: str, at: int, pattern: re.Pattern) -> Iterator[tuple[float, ...]]:
    """One list of numbers, or a list of such lists."""
    nested = re.compile(r"\[\s{0,9}(?=\[)").match(text, at)
    at = nested.end() if nested else at
    while found := pattern.match(text, at):
        numbers = tuple(map(float, found.groups()))
        if all(math.isfinite(n) and abs(n) < MAX_COORDINATE for n in numbers):
            yield numbers
        comma = _BETWEEN.match(text, found.end()) if nested else None
        if not comma:
            return
        at = comma.end()


def _label(text: str, begin: int, end: int) -> str:
    found = _LABEL.search(text, begin, end)
    if not found:
        return ""
    raw = next(group for group in found.groups() if group is not None)
    try:
        label = json.loads(f'"{raw}"', strict=False) if found.group(1) is not None else raw
    except ValueError:
        label = raw
    # Half of a surrogate pair is no character, and nothing can send it on.
    return label.encode("utf-8", "replace").decode()[:MAX_LABEL_CHARACTERS]


def asked_image(question: str, count: int) -> int:
    """Which of `count` images a question is about, from 0: "in the second image"; the first if it does not say."""
    for index, ordinal in enumerate(_ORDINALS[:count]):
        number = rf"\b(?:image|picture|photo|图片?)\s?{index + 1}\b"
        if re.search(f"{ordinal}|{number}", question[:MAX_TEXT_CHARACTERS], re.I):
            return index
    return 0


def place(detections: Iterable[Detection], seen: Size, original: Size) -> list[Detection]:
    """Scale from the size that the model saw to the original, and clip to it.

    Boxes keep x1 < x2 and y1 < y2; what lies wholly outside or has no area is left out.

    Args:
        seen, original: width and height in pixels.
    """
    scaled = []
    for detection in detections:
        (xs, ys) = _scaled(detection, seen, original)
        if detection.is_box:
            xs, ys = sorted(xs), sorted(ys)
            if xs[0] == xs[1] or ys[0] == ys[1]:
                continue
        elif _outside(detection, seen):
            continue
        scaled.append(replace(detection, coordinates=tuple(c for pair in zip(xs, ys, strict=True) for c in pair)))
    return scaled


def as_model_json(detection: Detection, original: Size, seen: Size) -> str:
    """A region of the original image as JSON in the model's own pixels, for a question about it."""
    xs, ys = _scaled(detection, original, seen)
    numbers = [round(c) for pair in zip(xs, ys, strict=True) for c in pair]
    return json.dumps({"bbox_2d" if detection.is_box else "point_2d": numbers})


def _scaled(detection: Detection, source: Size, target: Size) -> tuple[list[float], list[float]]:
    """x and y values, clipped to the target."""
    (from_w, from_h), (width, height) = source, target
    xs = [min(max(x * width / from_w, 0.0), float(width)) for x in detection.coordinates[0::2]]
    ys = [min(max(y * height / from_h, 0.0), float(height)) for y in detection.coordinates[1::2]]
    return xs, ys


def _outside(detection: Detection, size: Size) -> bool:
    x, y = detection.coordinates
    return not (0 <= x <= size[0] and 0 <= y <= size[1])

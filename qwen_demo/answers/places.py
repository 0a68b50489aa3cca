"""Model text about the views of a point cloud or 3D model -> things in its own space. Pure.

The prompt asks for `"view"` beside each box or point (`points/words.py`). Where a model leaves it out, the last words
before the box that name a view count ("In view 3: ..."), else the view that is from above.
"""

import re
from collections.abc import Sequence

from qwen_demo.answers import detections
from qwen_demo.answers.detections import Detection, Size
from qwen_demo.points.join import Mark, Thing, things
from qwen_demo.types import Points

_NAMED = re.compile(r"\bviews?\s{0,3}(?:no\.?\s{0,3}|#\s{0,3})?(\d{1,2})\b|(?:视图|第)\s{0,3}(\d{1,2})", re.IGNORECASE)
MOST_MARKS = 200


def marks(text: str, points: Points, seen: Sequence[Size]) -> list[Mark]:
    """Boxes and points of an answer in the pixels of the views; at most `MOST_MARKS`.

    Args:
        seen: of each view, width and height as the model saw it.
    """
    text = text[: detections.MAX_TEXT_CHARACTERS]
    found: list[Mark] = []
    for detection in detections.find(text)[:MOST_MARKS]:
        view = _view(detection, text, len(points.views))
        side = points.views[view].camera.side
        placed = detections.place([detection], seen[view], (side, side))
        found += [Mark(view, each.coordinates, each.label) for each in placed]
    return found


def places(text: str, points: Points, seen: Sequence[Size]) -> tuple[list[Mark], list[Thing]]:
    """What an answer marks, and where that is; the same thing in several views is one."""
    found = marks(text, points, seen)
    return found, things(points, found)


def _view(detection: Detection, text: str, count: int) -> int:
    """From 0."""
    if detection.view is not None and 1 <= detection.view <= count:
        return detection.view - 1
    before = [int(one or two) for one, two in _NAMED.findall(text[max(0, detection.start - 300) : detection.start])]
    named = [number for number in before if 1 <= number <= count]
    return named[-1] - 1 if named else 0

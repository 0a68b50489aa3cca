"""How an answer is compared with the expected one."""

import json
import re

from qwen_demo.answers.likeness import overlap

SIDES = {"bbox_2d": 4, "point_2d": 2}


def parse_grounding(answer, key):
    """[(coordinates, label)] of a ```json answer, or None where it is not one.  key: "bbox_2d" or "point_2d"."""
    found = re.search(r"```json\s*(.*?)```", answer, re.S)
    try:
        rows = [(row[key], row["label"]) for row in json.loads(found.group(1))]
        return rows if all(len(at) == SIDES[key] for at, _ in rows) else None
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def best_overlaps(expected, answer):
    """For every expected (box, label), the largest overlap with an answered box of that label."""
    boxes = parse_grounding(answer, "bbox_2d") or []
    return [max((overlap(box, got) for got, name in boxes if name == label), default=0.0) for box, label in expected]


def points_inside(expected, answer):
    """For every expected (box, label), whether an answered point of that label lies in the box."""
    points = parse_grounding(answer, "point_2d") or []
    return [
        any(name == label and b[0] <= x <= b[2] and b[1] <= y <= b[3] for (x, y), name in points)
        for b, label in expected
    ]

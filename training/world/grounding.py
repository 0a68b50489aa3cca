"""Answers in Qwen2.5-VL's grounding format: boxes and points in pixels of the resized picture."""


def _listing(rows):
    return "```json\n[\n" + ",\n".join("\t" + row for row in rows) + "\n]\n```"


def boxes_json(pairs):
    """pairs: [((x1, y1, x2, y2), label)]"""
    return _listing(f'{{"bbox_2d": [{", ".join(map(str, box))}], "label": "{label}"}}' for box, label in pairs)


def points_json(pairs):
    """The middle of each box as a point.  pairs: [((x1, y1, x2, y2), label)]"""
    middles = [((b[0] + b[2]) // 2, (b[1] + b[3]) // 2, label) for b, label in pairs]
    return _listing(f'{{"point_2d": [{x}, {y}], "label": "{label}"}}' for x, y, label in middles)

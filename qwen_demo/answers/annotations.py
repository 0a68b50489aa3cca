"""Boxes and points of one image as files: JSON, COCO, CSV and an image with them drawn in. Pure.

All coordinates are pixels of the original, upright image.
"""

import csv
import io
import json
from collections.abc import Sequence

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from qwen_demo.answers.detections import Mark, Size

# Told apart in this order by people with and without full colour vision (Okabe and Ito 2008, without
# the two that vanish on black or on white).
COLOURS = ("#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
_LIGHT = ("#E69F00", "#56B4E9", "#CC79A7")
# A cell that begins with one of these is a formula to spreadsheets.
_LATIN_ENDS = 0x250
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_json(marks: Sequence[Mark], name: str, size: Size) -> str:
    """The model's own format, with the image's name and size beside it."""
    rows = [
        {("bbox_2d" if mark.is_box else "point_2d"): _rounded(mark.coordinates), "label": mark.label} for mark in marks
    ]
    content = {"image": name, "width": size[0], "height": size[1], "marks": rows}
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def as_coco(marks: Sequence[Mark], name: str, size: Size) -> str:
    """COCO detection format; a point is a keypoint with an empty box (cocodataset.org, Data format)."""
    names = list(dict.fromkeys(mark.label for mark in marks))
    content = {
        "images": [{"id": 1, "file_name": name, "width": size[0], "height": size[1]}],
        "categories": [{"id": index, "name": label} for index, label in enumerate(names, 1)],
        "annotations": [
            {"id": index, "image_id": 1, "category_id": names.index(mark.label) + 1, "iscrowd": 0, **_coco_shape(mark)}
            for index, mark in enumerate(marks, 1)
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _coco_shape(mark: Mark) -> dict:
    if mark.is_box:
        x1, y1, x2, y2 = mark.coordinates
        return {"bbox": _rounded((x1, y1, x2 - x1, y2 - y1)), "area": round((x2 - x1) * (y2 - y1), 2)}
    x, y = _rounded(mark.coordinates)
    return {"bbox": [x, y, 0, 0], "area": 0, "keypoints": [x, y, 2], "num_keypoints": 1}


def as_csv(marks: Sequence[Mark], name: str, size: Size) -> str:
    """One row a mark; a point leaves x2 and y2 empty. Labels that a spreadsheet would run get a quote in front."""
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(["image", "width", "height", "kind", "label", "x1", "y1", "x2", "y2"])
    for mark in marks:
        kind = "box" if mark.is_box else "point"
        rows.writerow([_cell(name), *size, kind, _cell(mark.label), *[*_rounded(mark.coordinates), "", ""][:4]])
    return file.getvalue()


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def drawn(marks: Sequence[Mark], image: PIL.Image.Image) -> PIL.Image.Image:
    """A copy of `image` with boxes, points and their labels."""
    image = image.copy()
    pen = PIL.ImageDraw.Draw(image)
    side = min(image.size)
    line = max(2, side // 250)
    font = PIL.ImageFont.load_default(max(12, side // 40))
    for number, (mark, colour) in enumerate(zip(marks, colours(marks), strict=True), 1):
        if mark.is_box:
            pen.rectangle(mark.coordinates, outline=colour, width=line)
        else:
            x, y = mark.coordinates
            pen.ellipse((x - 3 * line, y - 3 * line, x + 3 * line, y + 3 * line), fill=colour, outline="white")
        _write(pen, mark, number, colour, font)
    return image


def _write(pen, mark: Mark, number: int, colour: str, font) -> None:
    text = " ".join(mark.label.split())[:40]
    # The font that Pillow brings has Latin letters alone; the other files have the words.
    if not text or any(ord(letter) >= _LATIN_ENDS for letter in text):
        text = f"#{number}"
    _, _, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right + 6, bottom + 6
    x = min(mark.coordinates[0], max(0, pen.im.size[0] - width))
    y = mark.coordinates[1] - height if mark.coordinates[1] >= height else mark.coordinates[1]
    pen.rectangle((x, y, x + width, y + height), fill=colour)
    pen.text((x + 3, y + 3), text, fill="black" if colour in _LIGHT else "white", font=font)


def colours(marks: Sequence[Mark]) -> list[str]:
    """One colour for each label, in the order in which labels appear."""
    order: dict[str, int] = {}
    return [COLOURS[order.setdefault(mark.label, len(order)) % len(COLOURS)] for mark in marks]


def _rounded(numbers: Sequence[float]) -> list[float]:
    return [int(n) if n == int(n) else n for n in (round(number, 2) for number in numbers)]

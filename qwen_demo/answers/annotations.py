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

from qwen_demo.answers.detections import Detection, Size
from qwen_demo.spreadsheets import cell

# Told apart in this order by people with and without full colour vision (Okabe and Ito 2008, without
# the two that vanish on black or on white).
COLOURS = ("#E69F00", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
_LIGHT = ("#E69F00", "#56B4E9", "#CC79A7")
_LATIN_ENDS = 0x250


def as_json(detections: Sequence[Detection], name: str, size: Size) -> str:
    """The model's own format, with the image's name and size beside it."""
    rows = [
        {("bbox_2d" if detection.is_box else "point_2d"): _rounded(detection.coordinates), "label": detection.label}
        for detection in detections
    ]
    content = {"image": name, "width": size[0], "height": size[1], "detections": rows}
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def as_coco(detections: Sequence[Detection], name: str, size: Size) -> str:
    """COCO detection format; a point is a keypoint with an empty box (cocodataset.org, Data format)."""
    names = list(dict.fromkeys(detection.label for detection in detections))
    content = {
        "images": [{"id": 1, "file_name": name, "width": size[0], "height": size[1]}],
        "categories": [{"id": index, "name": label} for index, label in enumerate(names, 1)],
        "annotations": [
            {
                "id": index,
                "image_id": 1,
                "category_id": names.index(detection.label) + 1,
                "iscrowd": 0,
                **_coco_shape(detection),
            }
            for index, detection in enumerate(detections, 1)
        ],
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _coco_shape(detection: Detection) -> dict:
    if detection.is_box:
        x1, y1, x2, y2 = detection.coordinates
        return {"bbox": _rounded((x1, y1, x2 - x1, y2 - y1)), "area": round((x2 - x1) * (y2 - y1), 2)}
    x, y = _rounded(detection.coordinates)
    return {"bbox": [x, y, 0, 0], "area": 0, "keypoints": [x, y, 2], "num_keypoints": 1}


def as_csv(detections: Sequence[Detection], name: str, size: Size) -> str:
    """One row a detection; a point leaves x2 and y2 empty. What a spreadsheet would run gets a quote in front."""
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(["image", "width", "height", "kind", "label", "x1", "y1", "x2", "y2"])
    for detection in detections:
        kind = "box" if detection.is_box else "point"
        rows.writerow([cell(name), *size, kind, cell(detection.label), *[*_rounded(detection.coordinates), "", ""][:4]])
    return file.getvalue()


def draw(detections: Sequence[Detection], image: PIL.Image.Image) -> PIL.Image.Image:
    """A copy of `image` with boxes, points and their labels."""
    image = image.copy()
    pen = PIL.ImageDraw.Draw(image)
    side = min(image.size)
    line = max(2, side // 250)
    font = PIL.ImageFont.load_default(max(12, side // 40))
    for number, (detection, colour) in enumerate(zip(detections, colours(detections), strict=True), 1):
        if detection.is_box:
            pen.rectangle(detection.coordinates, outline=colour, width=line)
        else:
            x, y = detection.coordinates
            pen.ellipse((x - 3 * line, y - 3 * line, x + 3 * line, y + 3 * line), fill=colour, outline="white")
        _write(pen, detection, number, colour, font)
    return image


def _write(pen, detection: Detection, number: int, colour: str, font) -> None:
    text = " ".join(detection.label.split())[:40]
    # The font that Pillow brings has Latin letters alone; the other files have the words.
    if not text or any(ord(letter) >= _LATIN_ENDS for letter in text):
        text = f"#{number}"
    _, _, right, bottom = pen.textbbox((0, 0), text, font=font)
    width, height = right + 6, bottom + 6
    x = min(detection.coordinates[0], max(0, pen.im.size[0] - width))
    y = detection.coordinates[1] - height if detection.coordinates[1] >= height else detection.coordinates[1]
    pen.rectangle((x, y, x + width, y + height), fill=colour)
    pen.text((x + 3, y + 3), text, fill="black" if colour in _LIGHT else "white", font=font)


def colours(detections: Sequence[Detection]) -> list[str]:
    """One colour for each label, in the order in which labels appear."""
    order: dict[str, int] = {}
    return [COLOURS[order.setdefault(detection.label, len(order)) % len(COLOURS)] for detection in detections]


def _rounded(numbers: Sequence[float]) -> list[float]:
    return [int(n) if n == int(n) else n for n in (round(number, 2) for number in numbers)]

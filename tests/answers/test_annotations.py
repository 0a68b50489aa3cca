import csv
import io
import json

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_demo.answers import annotations
from qwen_demo.answers.detections import Detection

SIZE = (640, 480)
BOX, POINT = Detection((10.0, 20.5, 110.0, 220.0), "cat"), Detection((5.0, 6.0), "ear")
labels = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
detections = st.lists(
    st.builds(
        lambda x, y, w, h, label: Detection((float(x), float(y), float(x + w), float(y + h)), label),
        st.integers(0, 500), st.integers(0, 400), st.integers(1, 140), st.integers(1, 80), labels,
    ),
    max_size=6,
)  # fmt: skip


def test_json_is_the_models_format_in_the_originals_pixels():
    content = json.loads(annotations.as_json([BOX, POINT], "p.png", SIZE))
    assert content["detections"] == [
        {"bbox_2d": [10, 20.5, 110, 220], "label": "cat"},
        {"point_2d": [5, 6], "label": "ear"},
    ]
    assert (content["width"], content["height"]) == SIZE


@given(detections)
def test_coco_is_whole(some):
    content = json.loads(annotations.as_coco(some, "p.png", SIZE))
    names = {category["id"]: category["name"] for category in content["categories"]}
    assert [names[a["category_id"]] for a in content["annotations"]] == [detection.label for detection in some]
    for annotation, detection in zip(content["annotations"], some, strict=True):
        x, y, width, height = annotation["bbox"]
        assert (x, y, x + width, y + height) == pytest.approx(detection.coordinates)
        assert annotation["area"] == width * height
        assert annotation["image_id"] == content["images"][0]["id"]


def test_a_point_is_a_keypoint_in_coco():
    (annotation,) = json.loads(annotations.as_coco([POINT], "p.png", SIZE))["annotations"]
    assert annotation["keypoints"] == [5, 6, 2]
    assert annotation["area"] == 0


@given(detections)
def test_csv_comes_back_as_it_was(some):
    text = annotations.as_csv(some, "p.png", SIZE)
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(rows) == len(some)
    for row, detection in zip(rows, some, strict=True):
        assert tuple(float(row[key]) for key in ("x1", "y1", "x2", "y2")) == pytest.approx(detection.coordinates)
        assert row["label"].replace("'", "") == detection.label.replace("'", "")


SIGNS = "=+-@＝＋－＠"


@pytest.mark.parametrize(
    "before", ["", " ", "\t", "\r", "\n", "a;", "a,", "a|", 'a"', "a'", "a; ", 'a";"', "a\u2028", "\ufeff"]
)
@pytest.mark.parametrize("sign", SIGNS)
def test_csv_holds_no_formulas_however_its_reader_parts_the_cells(sign, before):
    text = annotations.as_csv([Detection((1, 2), f"{before}{sign}HYPERLINK(1)")], "=p", SIZE)
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["label"] == f"{before}'{sign}HYPERLINK(1)"
    assert (row["image"], row["x2"]) == ("'=p", "")
    for separator in ",;|\t\"'":
        for cell in text.replace("\r", "\n").replace("\u2028", "\n").replace("\n", separator).split(separator):
            assert not cell.strip(" \ufeff").startswith(tuple(SIGNS)) or separator == "'", (separator, cell)


@pytest.mark.parametrize("label", ["a-b", "1+1=2", "left - right", "it's", "mail@example.org"])
def test_signs_within_words_stay_as_they_are(label):
    (row,) = csv.DictReader(io.StringIO(annotations.as_csv([Detection((1, 2), label)], "p", SIZE), newline=""))
    assert row["label"] == label


@given(detections)
def test_drawing_leaves_the_original_alone(some):
    image = PIL.Image.new("RGB", SIZE, "white")
    done = annotations.draw(some, image)
    assert done.size == SIZE
    assert image.getcolors() == [(SIZE[0] * SIZE[1], (255, 255, 255))]
    assert (done.getcolors() == image.getcolors()) == (not some)


def test_equal_labels_have_equal_colours():
    first, second, third = annotations.colours([BOX, POINT, BOX])
    assert first == third != second

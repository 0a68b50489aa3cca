import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_demo.answers.detections import (
    MAX_DETECTIONS,
    MAX_LABEL_CHARACTERS,
    Detection,
    as_model_json,
    asked_image,
    find,
    place,
)

BOX = '{"bbox_2d": [10, 20, 30, 40], "label": "cat"}'
POINT = '{"point_2d": [5, 6], "label": "ear"}'
CAT, EAR = Detection((10, 20, 30, 40), "cat"), Detection((5, 6), "ear")


@pytest.mark.parametrize(
    ("text", "detections"),
    [
        (f"```json\n[{BOX}, {POINT}]\n```", [CAT, EAR]),
        (f"[{BOX}]", [CAT]),
        (f"Here it is: {BOX} and more", [CAT]),
        (f"```json\n[{BOX}, " + '{"bbox_2d": [1, 2', [CAT]),
        (f'[{{"bbox_2d": [1, 2,, 3], "label": "broken"}}, {BOX}', [CAT]),
        (f'[{{"bbox_2d": [1, 2, 3], "label": "three"}}, {BOX}]', [CAT]),
        ('{"bbox_2d": [1, 2, 3, NaN], "label": "x"}', []),
        ('{"bbox_2d": [1, 2, 3, 1e999], "label": "x"}', []),
        ('{"bbox_2d": ["1", 2, 3, 4], "label": "x"}', []),
        ('{"bbox_2d": [true, 2, 3, 4], "label": "x"}', []),
        ('{"bbox_2d": __import__("os").system("true"), "label": "x"}', []),
        ('{"bbox_2d": [10, 20, 30, 40], "text_content": "cat"}', [CAT]),
        ('{"bbox_2d": [10, 20, 30, 40]}', [Detection((10, 20, 30, 40), "")]),
        (f"```json\n[{BOX}, " + '{"point_2d": [5, 6], "label": "ear', [CAT, EAR]),
        ('[{"bbox_2d": [10, 20, 30, 40]', [Detection((10, 20, 30, 40), "")]),
        ("[{'bbox_2d': [10, 20, 30, 40], 'label': 'cat'},]", [CAT]),
        ('{bbox_2d: [10, 20, 30, 40], label: "cat"}', [CAT]),
        ('{"label": "cat", "bbox_2d": [10, 20, 30, 40]}, {"label": "ear", "point_2d": [5, 6]}', [CAT, EAR]),
        ('{"bbox_2d": [[10, 20, 30, 40], [1, 2, 3, 4]], "label": "cat"}', [CAT, Detection((1, 2, 3, 4), "cat")]),
        ('{"bbox_2d": [1, 2, 3, 4], "label": "a } b { c"}, ' + BOX, [Detection((1, 2, 3, 4), "a } b { c"), CAT]),
        ('{"bbox_2d": [1, 2, 3, 4], "label": "\\"a\\" \\u4e2d \\ud800"}', [Detection((1, 2, 3, 4), '"a" 中 ?')]),
        ('{"bbox_2d": [1, 2, 3, 4], "label": {"label": "inner"}}', [Detection((1, 2, 3, 4), "inner")]),
        ('{"bbox_2d": {"bbox_2d": [10, 20, 30, 40], "label": "cat"}}', [CAT]),
        ('{"bbox_2d": [1, 2, 3, ' + "9" * 5000 + "]}", []),
        ('{"bbox_2d": [1, 2, 3, 99999999]}', []),
        ("no boxes here", []),
        ("{" * 100_000, []),
    ],
)
def test_marks_are_found_in_what_models_write(text, detections):
    assert find(text) == detections


def test_a_million_boxes_and_endless_labels_are_bounded():
    assert len(find(f"[{BOX}," * 20_000)) == MAX_DETECTIONS
    assert len(find('{"bbox_2d": [' + "[1, 2, 3, 4]," * 20_000)) == MAX_DETECTIONS
    assert len(find('{"bbox_2d": [1, 2, 3, 4], "label": "' + "x" * 9999)[0].label) == MAX_LABEL_CHARACTERS


@pytest.mark.parametrize(
    ("question", "count", "index"),
    [
        ("Detect everything in the second image.", 2, 1),
        ("Box the fish in image 2", 3, 1),
        ("第三张图片里有什么？", 3, 2),
        ("Detect everything in the second image.", 1, 0),
        ("Is image 12 there?", 2, 0),
        ("Detect the fish", 2, 0),
    ],
)
def test_the_image_that_a_question_names_is_found(question, count, index):
    assert asked_image(question, count) == index


@given(st.text())
def test_any_text_is_read_without_an_error(text):
    find(text)
    find('[{"bbox_2d": ' + text + "}]")


@given(
    st.lists(st.tuples(*[st.integers(-50, 2000)] * 4), max_size=8), st.text(max_size=20).filter(lambda s: "{" not in s)
)
def test_every_cut_of_an_answer_gives_a_prefix_of_its_marks(boxes, label):
    text = json.dumps([{"bbox_2d": list(box), "label": label.replace("}", "")} for box in boxes])
    whole = find(text)
    assert len(whole) == len(boxes)
    for end in range(0, len(text), 7):
        cut = find(text[:end])
        assert [detection.coordinates for detection in cut] == [
            detection.coordinates for detection in whole[: len(cut)]
        ]
        # Only the newest label may still be growing.
        assert cut[:-1] == whole[: len(cut[:-1])]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_labels_come_through_whatever_they_hold(labels):
    text = json.dumps([{"bbox_2d": [1, 2, 3, 4], "label": label} for label in labels])
    expected = [label.encode("utf-8", "replace").decode() for label in labels]
    assert [detection.label for detection in find(text)] == expected


sizes = st.tuples(st.integers(28, 4000), st.integers(28, 4000))


@given(st.lists(st.tuples(*[st.floats(-5000, 5000)] * 4)), sizes, sizes)
def test_placed_boxes_lie_in_the_image_and_have_an_area(boxes, seen, original):
    for detection in place([Detection(box, "") for box in boxes], seen, original):
        x1, y1, x2, y2 = detection.coordinates
        assert 0 <= x1 < x2 <= original[0]
        assert 0 <= y1 < y2 <= original[1]


@given(sizes, st.integers(1, 8))
def test_scaling_loses_nothing(seen, factor):
    inside = Detection((1.0, 2.0, seen[0] - 3.0, seen[1] - 4.0), "x")
    (detection,) = place([inside], seen, (seen[0] * factor, seen[1] * factor))
    assert detection.coordinates == pytest.approx([c * factor for c in inside.coordinates])
    assert place([Detection((3.0, 4.0), "p")], seen, seen) == [Detection((3.0, 4.0), "p")]


@given(sizes, sizes, st.data())
def test_a_drawn_region_comes_back_to_its_place(original, seen, data):
    x = st.integers(0, original[0] - 20)
    y = st.integers(0, original[1] - 20)
    left, top = data.draw(x), data.draw(y)
    box = Detection((float(left), float(top), left + 20.0, top + 20.0), "")
    written = find(as_model_json(box, original, seen))
    assert len(written) == 1
    step = (original[0] / seen[0], original[1] / seen[1])
    for detection in place(written, seen, original):
        for axis, (there, back) in enumerate(zip(box.coordinates, detection.coordinates, strict=True)):
            assert abs(there - back) <= step[axis % 2] / 2 + 1e-6


def test_a_point_outside_the_image_is_left_out():
    assert place([Detection((5.0, 900.0), "p"), Detection((5.0, 9.0), "q")], (28, 28), (56, 56)) == [
        Detection((10.0, 18.0), "q")
    ]

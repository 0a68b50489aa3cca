import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_demo.grounding import MOST_MARKS, Mark, find, place

BOX = '{"bbox_2d": [10, 20, 30, 40], "label": "cat"}'
POINT = '{"point_2d": [5, 6], "label": "ear"}'
CAT, EAR = Mark((10, 20, 30, 40), "cat"), Mark((5, 6), "ear")


@pytest.mark.parametrize(
    ("text", "marks"),
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
        ('{"bbox_2d": [10, 20, 30, 40]}', [Mark((10, 20, 30, 40), "")]),
        ("no boxes here", []),
        ("{" * 100_000, []),
    ],
)
def test_marks_are_found_in_what_models_write(text, marks):
    assert find(text) == marks


def test_a_million_boxes_are_bounded():
    assert len(find(f"[{BOX}," * 20_000)) <= MOST_MARKS


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
        assert cut == whole[: len(cut)]


sizes = st.tuples(st.integers(28, 4000), st.integers(28, 4000))


@given(st.lists(st.tuples(*[st.floats(-5000, 5000)] * 4)), sizes, sizes)
def test_placed_boxes_lie_in_the_picture_and_have_an_area(boxes, seen, original):
    for mark in place([Mark(box, "") for box in boxes], seen, original):
        x1, y1, x2, y2 = mark.coordinates
        assert 0 <= x1 < x2 <= original[0]
        assert 0 <= y1 < y2 <= original[1]


@given(sizes, st.integers(1, 8))
def test_scaling_loses_nothing(seen, factor):
    inside = Mark((1.0, 2.0, seen[0] - 3.0, seen[1] - 4.0), "x")
    (mark,) = place([inside], seen, (seen[0] * factor, seen[1] * factor))
    assert mark.coordinates == pytest.approx([c * factor for c in inside.coordinates])
    assert place([Mark((3.0, 4.0), "p")], seen, seen) == [Mark((3.0, 4.0), "p")]

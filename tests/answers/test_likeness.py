import pytest

from qwen_demo.answers.likeness import edit_distance, overlap


def test_texts_are_as_far_apart_as_it_takes_edits():
    assert edit_distance("kitten", "sitting") == 3
    assert edit_distance("", "abc") == 3


def test_boxes_overlap_by_what_they_share():
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == 0
    assert overlap((5, 5, 0, 0), (5, 5, 0, 0)) == 0  # no box

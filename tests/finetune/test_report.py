"""How answers are judged, and that the page about them shows words as words."""

import numpy as np
import PIL.Image
import pytest

from qwen_demo.finetune.encoding import Encoded
from qwen_demo.finetune.judging import judged, summary
from qwen_demo.finetune.report import WORSE, card, html, is_worse, worst
from qwen_demo.finetune.rows import Row, RowTurn

BOX = '[{"bbox_2d": [0, 0, 10, 10], "label": "cat"}]'


@pytest.mark.parametrize(
    ("answer", "iou"),
    [
        (BOX, 1.0),
        (BOX.replace("10, 10", "10, 5"), 0.5),
        (BOX.replace("cat", "dog"), 0.0),
        (BOX[:-1] + "," + BOX[1:], 0.5),
        ("none", 0.0),
    ],
    ids=["same", "half", "another label", "one too many", "none"],
)
def test_boxes_are_judged_by_overlap_and_label(answer, iou):
    assert judged(BOX, answer).iou == pytest.approx(iou)


def test_words_are_judged_by_characters():
    assert judged("It is  so.", "It is so.").exact
    found = judged("kitten", "sitting")
    assert (found.exact, found.iou, found.errors) == (False, None, 0.5)
    assert summary([found, judged("a", "a")]) == {"rows": 2, "exact": 0.5, "character_errors": 0.25, "box_iou": None}


def case(expected, answer, question="<script>alert(1)</script>"):
    row = Row((RowTurn("user", (question,)), RowTurn("assistant", (expected,), True)), "data.jsonl:1")
    return Encoded(row, np.zeros(1, np.int32), ((0, 1),), (), 0), judged(expected, "?"), judged(expected, answer)


FACTS = {"base": "a<b", "revision": None, "fingerprint": "f" * 64, "told": "<b>", "max_pixels": 1, "updates": 1}
FACTS |= {"updates_of_this_run": 1, "seconds": 1, "loss": 1, "held_out_loss": None}


def test_the_page_escapes_whatever_is_said_and_loads_nothing():
    cases = [case("good", "good"), case(BOX, "</dd><img src=x onerror=1>")]
    assert worst(cases)[0] is cases[1]
    facts = FACTS | {"before": summary([c[1] for c in cases]), "after": summary([c[2] for c in cases])}
    page = html(facts, cases, [None, PIL.Image.new("RGB", (900, 600))])
    assert "<script" not in page and "<img src=x" not in page and "a&lt;b" in page and "<b>" not in page
    assert page.count("data:image/jpeg;base64,") == 1 and "default-src 'none'" in page
    assert "| exact matches | 0.000 | 0.500 |" in card(facts, "signs")


def test_an_adapter_that_answers_worse_than_its_base_is_said_to():
    good, poor = summary([judged("a b", "a b")]), summary([judged("a b", "a c")])
    facts = FACTS | {"before": good, "after": poor}
    assert is_worse(facts) and WORSE in html(facts, [], []) and WORSE in card(facts, "signs")
    assert not is_worse({"before": poor, "after": good}) and not is_worse({"before": good, "after": good})
    boxes = [summary([judged(BOX, answer)]) for answer in ("nowhere", BOX)]
    assert is_worse({"before": boxes[1], "after": boxes[0]}) and not is_worse({"before": boxes[0], "after": boxes[1]})


def test_without_held_out_rows_nothing_is_claimed():
    assert "nothing is known" in html(FACTS, [], []) and "nothing is known" in card(FACTS, "signs")

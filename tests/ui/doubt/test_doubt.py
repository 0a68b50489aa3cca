"""The measure of how sure a model was, its threshold, and the mark."""

import json
import math
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from qwen_demo.engines.scripted import Script
from qwen_demo.types import ModelInfo, TextDelta, TokenLogprob
from qwen_demo.ui.doubt import doubt
from tests.ui.steps import answered, ask


def sure(*probabilities: float) -> doubt.Surety:
    surety = doubt.Surety()
    for probability in probabilities:
        surety.add(TextDelta("x", (TokenLogprob("x", math.log(probability)),)))
    return surety


def test_the_measure_is_the_geometric_mean_of_the_tokens_probabilities():
    assert sure(0.9, 0.1).mean == pytest.approx(0.3)
    assert sure(0.9, 0.1).is_low(ModelInfo("some/model"))
    assert not sure(0.9, 0.8).is_low(ModelInfo("some/model"))


def test_a_model_may_be_doubted_for_its_least_probable_token(tmp_path):
    (tmp_path / "doubt.json").write_text(json.dumps({"unsure_below": 0.4, "measure": "least"}))
    model = ModelInfo(str(tmp_path))
    assert sure(0.99, 0.3, 0.99, 0.99).is_low(model) and not sure(0.99, 0.5).is_low(model)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "doubt.json").write_text(json.dumps({"unsure_below": 0.4, "measure": "luck"}))
    assert not sure(0.99, 0.3, 0.99, 0.99).is_low(ModelInfo(str(tmp_path / "other")))


def test_boxes_are_measured_by_the_mean_against_their_own_threshold(tmp_path):
    written = {"unsure_below": 0.9, "measure": "least", "places_unsure_below": 0.6}
    (tmp_path / "doubt.json").write_text(json.dumps(written))
    model = ModelInfo(str(tmp_path))
    found, lost = sure(0.99, 0.5), sure(0.99, 0.3)
    assert found.is_low(model)
    for surety in (found, lost):
        surety.add(TextDelta('[{"bbox_2d": [1, 2, 3, 4], "label": "dog"}]'))
    assert not found.is_low(model) and lost.is_low(model)


def test_an_engine_that_tells_no_probabilities_leaves_every_answer_unmarked():
    surety = doubt.Surety()
    surety.add(TextDelta("words"))
    assert surety.mean is None and not surety.is_low(ModelInfo("some/model"))


@pytest.mark.parametrize(
    ("written", "threshold"),
    [
        (json.dumps({"unsure_below": 0.8}), 0.8),
        (json.dumps({"unsure_below": 0}), 0.0),
        (json.dumps({"unsure_below": 7}), doubt.UNSURE_BELOW),
        (json.dumps({"unsure_below": "0.9"}), doubt.UNSURE_BELOW),
        (json.dumps([0.9]), doubt.UNSURE_BELOW),
        ("{}", doubt.UNSURE_BELOW),
        ("no JSON", doubt.UNSURE_BELOW),
    ],
)
def test_a_model_brings_its_own_threshold(tmp_path, written, threshold):
    (tmp_path / "doubt.json").write_text(written)
    assert doubt.threshold(ModelInfo(str(tmp_path))) == threshold
    assert doubt.threshold(ModelInfo(str(tmp_path), merged="an adapter")) == doubt.UNSURE_BELOW


def test_a_model_without_one_has_the_default():
    assert doubt.threshold(ModelInfo("Qwen/Qwen2.5-VL-3B-Instruct")) == doubt.UNSURE_BELOW


def test_an_answer_of_an_unsure_model_is_marked_and_that_of_a_sure_one_is_not(opened, app, monkeypatch):
    monkeypatch.setattr(app.engine, "info", replace(app.engine.info, logprobs=True))
    page = opened(app)
    app.engine.script = Script(["A", " guess."], probability=0.3)
    ask(page, "what breed is it?")
    answered(page, 1)
    expect(page.locator("#chat .unsure")).to_have_text("The model is unsure of this answer.")
    app.engine.script = Script(["A", " dog."], probability=0.99)
    ask(page, "what is it?")
    answered(page, 2)
    expect(page.locator("#chat .unsure")).to_have_count(1)
    # The mark is the page's word, not the model's.
    assert len(app.engine.requests[-1].messages) == 3

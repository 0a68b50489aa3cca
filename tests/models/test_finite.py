"""GPUs without bfloat16: what overflows in float16 is found with an image, and then the model computes in float32."""

import copy

import pytest
import torch

from qwen_demo.models.finite import compute_in_float32, ensure_finite, overflowing
from tests.conftest import image, question

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_probe(monkeypatch):
    """A processor is slow in float16."""
    monkeypatch.setattr("qwen_demo.models.finite.PROBE_SIDE", 112)


@pytest.fixture
def half(loaded):
    return copy.deepcopy(loaded.model).half()


def too_large(layer: torch.nn.Linear) -> None:
    """Finite weights whose products are not, in float16."""
    layer.weight.data = torch.full_like(layer.weight, 2000.0)


def test_a_model_that_stays_finite_stays_in_float16(loaded, half):
    ensure_finite(half, loaded.prompts, CPU)
    assert half.dtype == torch.float16


@pytest.mark.parametrize(
    ("where", "named"),
    [
        (lambda model: model.model.visual.blocks[2].mlp.down_proj, "model.visual.blocks.2"),
        (lambda model: model.model.language_model.layers[1].mlp.down_proj, "model.language_model.layers.1"),
    ],
    ids=["vision", "text"],
)
def test_the_first_layer_that_overflows_is_named_and_float32_answers(loaded, half, caplog, where, named):
    too_large(where(half))
    assert overflowing(half, loaded.prompts, CPU)[0] == named
    ensure_finite(half, loaded.prompts, CPU)
    assert named in caplog.text and "float32" in caplog.text
    assert half.dtype == torch.float32
    prompt = loaded.prompts.build(question("What color is the circle?", image("red")))
    with torch.inference_mode():
        assert half(**prompt.model_inputs("cpu")).logits.isfinite().all()


def test_quantised_layers_keep_their_weights_and_are_told_the_dtype(half):
    half.lm_head.compute_dtype = torch.float16
    compute_in_float32(half)
    assert half.lm_head.compute_dtype == torch.float32
    assert {parameter.dtype for parameter in half.parameters()} == {torch.float32}


def test_other_dtypes_are_not_probed(loaded, monkeypatch):
    monkeypatch.setattr("qwen_demo.models.finite.overflowing", lambda *_: pytest.fail("probed"))
    ensure_finite(loaded.model, loaded.prompts, CPU)

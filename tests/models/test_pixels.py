from hypothesis import given
from hypothesis import strategies as st

from qwen_demo.models import torchvision_shim
from qwen_demo.models.pixels import image_tokens, seen_size
from tests.conftest import image, question

torchvision_shim.install()
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize  # noqa: E402 after the shim

sides = st.integers(28, 8000)


@given(sides, sides, st.integers(1, 100), st.integers(100, 4000))
def test_the_size_is_the_processors(width, height, least, most):
    bounds = {"min_pixels": least * 784, "max_pixels": most * 784}
    if max(width, height) / min(width, height) <= 200:
        assert seen_size(width, height, **bounds) == smart_resize(height, width, 28, **bounds)[::-1]


def test_tokens_are_those_of_the_prompt(loaded):
    for size in ((336, 336), (1200, 500), (30, 900)):
        prompt = loaded.prompts.build(question("hi", image(size=size)))
        bounds = {"min_pixels": loaded.info.min_pixels, "max_pixels": loaded.info.max_pixels}
        assert image_tokens(*size, **bounds) == prompt.image_tokens

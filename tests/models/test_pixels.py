from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwen_demo.models import torchvision_shim
from qwen_demo.models.pixels import PixelBounds, clear_frames, seen_size
from qwen_demo.raster import Raster
from qwen_demo.types import ModelInfo, Video
from tests.conftest import draw, image, question

torchvision_shim.install()
import qwen_vl_utils  # noqa: E402 after the shim
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize  # noqa: E402 after the shim

sides = st.integers(28, 8000)


@given(sides, sides, st.integers(1, 100), st.integers(100, 4000))
@example(34, 3401, 1, 100)
def test_the_size_is_the_processors(width, height, least, most):
    bounds = {"min_pixels": least * 784, "max_pixels": most * 784}
    if max(width, height) / min(width, height) <= 200:
        seen = seen_size(width, height, **bounds)
        assert seen == smart_resize(height, width, 28, **bounds)[::-1]
        theirs = qwen_vl_utils.smart_resize(height, width, 28, **bounds)[::-1]
        assert seen == theirs or 0 in theirs  # of a strip the library may leave a side of nothing


@pytest.mark.parametrize("size", [(336, 336), (1200, 500), (30, 900), (28, 5600), (5600, 28), (40, 40)])
@pytest.mark.parametrize(
    "asked",
    [{}, {"max_pixels": 28 * 28 * 80}, {"min_pixels": 28 * 28 * 200}, {"min_pixels": 1 << 30}, {"max_pixels": 784}],
)
def test_what_is_charged_is_what_the_prompt_takes(loaded, size, asked):
    request = replace(question("hi", image(size=size)), **asked)
    assert PixelBounds.of(loaded.info, request).tokens(*size) == loaded.prompts.build(request).image_tokens


@pytest.mark.parametrize("frames", [2, 4, 16])
@pytest.mark.parametrize("asked", [{}, {"min_pixels": 28 * 28 * 200}, {"max_pixels": 28 * 28 * 80}])
def test_a_clip_is_charged_what_it_takes(loaded, frames, asked):
    clip = Video(Raster.of(*[draw("red", (320, 240))] * frames), tuple(range(frames)), 1.0, float(frames), "clip")
    request = replace(question("hi", clip), **asked)
    assert PixelBounds.of(loaded.info, request).cost(clip) == loaded.prompts.build(request).image_tokens


@pytest.mark.parametrize(("max_tokens", "most", "frames"), [(256, 32, 8), (1280, 32, 32), (16, 32, 2), (256, 7, 6)])
def test_frames_of_a_long_clip_are_few_enough_to_keep_their_shape(max_tokens, most, frames):
    model = ModelInfo("test", min_pixels=4 * 28 * 28, max_pixels=max_tokens * 28 * 28)
    assert clear_frames(model, most) == frames
    if max_tokens >= 256:
        width, height = PixelBounds.of(model).seen(1920, 1080, frames)
        assert abs(width / height - 16 / 9) < 0.15 * 16 / 9

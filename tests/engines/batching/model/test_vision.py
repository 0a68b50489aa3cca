"""The vision encoder without its loop gives what transformers' gives."""

import pytest
import torch

from qwen_demo.engines.batching.model.vision import StockVisionEncoder, VisionEncoder

# One window, equal windows, smaller windows at both borders, one row, frames of a clip.
GRIDS = [(1, 8, 8), (1, 16, 24), (1, 18, 26), (1, 2, 40), (4, 10, 16)]


@pytest.fixture(scope="module")
def both(loaded):
    return StockVisionEncoder(loaded.model.model.visual), VisionEncoder(loaded.model.model.visual)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_encoders_agree(both, grid):
    patches = torch.randn(grid[0] * grid[1] * grid[2], 1176, generator=torch.Generator().manual_seed(0))
    (expected,), (made,) = (encoder.encode([(patches, grid)]) for encoder in both)
    assert made.shape == expected.shape
    assert (made - expected).abs().max() < 1e-4 * expected.abs().max()


def test_a_image_is_encoded_alike_whatever_was_before(both):
    patches = torch.randn(18 * 26, 1176, generator=torch.Generator().manual_seed(1))
    (first,) = both[1].encode([(patches, (1, 18, 26))])
    both[1].encode([(patches, (1, 26, 18))])
    assert torch.equal(*both[1].encode([(patches, (1, 18, 26))]), first)


def test_images_of_one_pass_are_encoded_as_alone(both):
    images = [(torch.randn(t * h * w, 1176), (t, h, w)) for t, h, w in GRIDS]
    for stock, made, alone in zip(
        both[0].encode(images), both[1].encode(images), (both[1].encode([one])[0] for one in images), strict=True
    ):
        assert torch.equal(made, alone)
        assert (made - stock).abs().max() < 1e-4 * stock.abs().max()

"""The vision encoder without its loop gives what transformers' gives."""

from types import SimpleNamespace

import pytest
import torch

from qwen_demo.engines.batching.model import vision, vision_graphs
from qwen_demo.engines.batching.model.vision import StockVisionEncoder, VisionEncoder
from qwen_demo.engines.batching.model.vision_attention import _attend_equal

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


def attend_by_starts(query, key, value, spans, scaling):
    """What variable-length attention does: runs of patches as their starts say, the last ones empty."""
    out = torch.full_like(query, torch.nan)
    for start, stop in zip(spans.starts[:-1].tolist(), spans.starts[1:].tolist(), strict=True):
        if stop > start:
            run = slice(start, stop)
            assert stop - start <= spans.longest
            out[run] = _attend_equal(query[run], key[run], value[run], stop - start, scaling)
    return out


@torch.inference_mode()
def test_recorded_passes_give_what_plain_ones_do_whatever_was_before(both, monkeypatch):
    monkeypatch.setattr(vision, "attend", attend_by_starts)
    recorded = vision_graphs.RecordedEncoder(both[1], 600)

    def record(size: int):
        layout, pixels = recorded._layout(size), recorded._pixels[:size]
        recorded._results[size] = both[1].forward(pixels, layout)
        return SimpleNamespace(replay=lambda: recorded._results[size].copy_(both[1].forward(pixels, layout)))

    recorded._record = record
    for grids in ([(1, 18, 26)], [(1, 8, 8), (1, 2, 40)], [(4, 10, 12)], [(1, 4, 4)]):
        layout = both[1].layout(tuple(grids))
        assert recorded.takes(sum(t * h * w for t, h, w in grids), layout)
        assert vision_graphs.difference(recorded, both[1], tuple(grids)) < 1e-6
    assert sorted(recorded._graphs) == [256, 512]


def test_what_no_recording_fits_goes_the_plain_way(both):
    recorded = vision_graphs.RecordedEncoder(both[1], 256)
    assert not recorded.takes(260, both[1].layout(((1, 10, 26),)))
    narrow = ((1, 2, 2),) * 40  # windows of four patches each
    assert not recorded.takes(160, both[1].layout(narrow))


def test_layouts_are_kept_up_to_a_size_and_the_newest_in_any_case(loaded, monkeypatch):
    monkeypatch.setattr(vision, "LAYOUT_PATCHES_KEPT", 600)
    encoder = VisionEncoder(loaded.model.model.visual)
    for grid in GRIDS:
        encoder.layout((grid,))
    assert list(encoder._layouts) == [((4, 10, 16),)]  # 640 patches
    encoder.layout(((1, 8, 8),))
    encoder.layout(((1, 16, 24),))
    assert list(encoder._layouts) == [((1, 8, 8),), ((1, 16, 24),)]

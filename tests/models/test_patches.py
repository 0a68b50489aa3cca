"""Pixels reach the model as its own processor gives them, without its being called."""

import logging
import random
from types import SimpleNamespace

import PIL.Image
import pytest
import torch

from qwen_demo.models.patches import Patches, stacked
from qwen_demo.models.prompt import Medium, positions_with_stills


def noise(width: int, height: int, seed: int = 0) -> PIL.Image.Image:
    return PIL.Image.frombytes("RGB", (width, height), random.Random(seed).randbytes(3 * width * height))


@pytest.mark.parametrize("size", [(28, 28), (84, 140), (252, 56)], ids=str)
def test_an_images_patches_are_the_processors_bit_for_bit(loaded, size):
    image, patches = noise(*size), loaded.prompts.patches
    made = loaded.prompts.processor.image_processor(images=[image], do_resize=False, return_tensors="pt")
    frames = stacked([image])
    assert patches.grid(frames) == tuple(made["image_grid_thw"][0].tolist())
    assert torch.equal(patches.read(frames), made["pixel_values"])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_a_clips_patches_are_the_processors_bit_for_bit(loaded, count):
    frames, patches = [noise(56, 84, seed) for seed in range(count)], loaded.prompts.patches
    how = {"do_resize": False, "do_sample_frames": False, "return_tensors": "pt"}
    made = loaded.prompts.processor.video_processor(videos=[frames], **how)
    assert patches.grid(stacked(frames)) == tuple(made["video_grid_thw"][0].tolist())
    assert torch.equal(patches.read(stacked(frames)), made["pixel_values_videos"])


def test_numbers_are_left_as_they_are(loaded):
    values = torch.randn(4, 1176)
    assert loaded.prompts.patches.read(values) is values


def test_another_processor_is_called_itself(loaded, caplog):
    real = loaded.prompts.processor

    def other(**how):
        made = real.image_processor(**how)
        return {**made, "pixel_values": made["pixel_values"] * 1.5}

    other.__dict__.update(vars(real.image_processor))
    with caplog.at_level(logging.WARNING):
        assert (
            Patches.as_processor(SimpleNamespace(image_processor=other, video_processor=real.video_processor)) is None
        )
    assert "called for every image" in caplog.text


@pytest.mark.parametrize("shapes", [[], [(4, 6)], [(2, 2), (10, 4), (4, 8)]], ids=str)
@pytest.mark.parametrize("last", [0, 5])
def test_positions_are_those_of_transformers(loaded, shapes, last):
    media, ids, types = [], [7, 7, 7], [0, 0, 0]
    for height, width in shapes:
        tokens = height * width // 4
        media.append(Medium("", (1, height, width), len(ids), tokens, torch.empty(0)))
        ids += [loaded.prompts.processor.image_token_id] * tokens + [9, 9]
        types += [1] * tokens + [0, 0]
    ids, types = torch.tensor(ids + [5] * last), torch.tensor(types + [0] * last, dtype=torch.int32)
    grids = torch.tensor([medium.grid_thw for medium in media]) if media else None
    expected, delta = loaded.prompts._get_rope_index(ids[None], types[None], image_grid_thw=grids)
    made, own = positions_with_stills(len(ids), media)
    assert torch.equal(made, expected[:, 0]) and own == int(delta)

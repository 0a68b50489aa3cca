"""Pixels of an image or clip as the vision encoder takes them in: bytes, cut into patches and scaled where they are read.

The same numbers as the processor's, bit for bit (`Patches.as_processor` compares them once for each model). Until then a
request holds an eighth of their memory, and a GPU does the work itself.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import torch

log = logging.getLogger(__name__)

Grid = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Patches:
    """How one model's processor cuts and scales.

    Attributes:
        mean, std: [values of a patch] float32, of values from 0 to 255.
        side, merge, frames: pixels of a patch's side, patches of a token's side, frames of a patch.
    """

    mean: torch.Tensor
    std: torch.Tensor
    side: int
    merge: int
    frames: int

    @classmethod
    def as_processor(cls, processor: Any) -> "Patches | None":
        """Of a `Qwen2_5_VLProcessor`; None with a warning where it computes something else."""
        of_image = processor.image_processor
        try:
            side, frames = of_image.patch_size, of_image.temporal_patch_size
            mean, std = (
                (torch.tensor(values) * (1.0 / of_image.rescale_factor)).repeat_interleave(frames * side**2)
                for values in (of_image.image_mean, of_image.image_std)
            )
            made = cls(mean, std, side, of_image.merge_size, frames)
            right = made._agrees(processor)
        except (AttributeError, TypeError, ValueError):
            log.debug("a processor of another kind", exc_info=True)
            right = False
        if right:
            return made
        log.warning("this processor makes other patches than Qwen2.5-VL's; it is called for every image")
        return None

    def _agrees(self, processor: Any) -> bool:
        """Every value of a byte in every channel, as an image and as frames of a clip."""
        span = self.side * self.merge
        height, width = span * -(-16 // span), span * -(-32 // span)
        ramp = np.arange(height * width, dtype=np.uint16).reshape(height, width, 1) + np.array([0, 7, 101], np.uint16)
        image = PIL.Image.fromarray((ramp % 256).astype(np.uint8))
        clip = [image, image.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT), image.rotate(180)]
        still = processor.image_processor(images=[image], do_resize=False, return_tensors="pt")
        moving = processor.video_processor(videos=[clip], do_resize=False, do_sample_frames=False, return_tensors="pt")
        return all(
            self.grid(frames) == tuple(grid.tolist()) and torch.equal(self.scaled(self.cut(frames)), pixels)
            for frames, grid, pixels in (
                (stacked([image]), still["image_grid_thw"][0], still["pixel_values"]),
                (stacked(clip), moving["video_grid_thw"][0], moving["pixel_values_videos"]),
            )
        )

    def grid(self, frames: torch.Tensor) -> Grid:
        """How many patches [frames, height, width, 3] make on each axis."""
        count, height, width, _ = frames.shape
        return -(-count // self.frames), height // self.side, width // self.side

    def cut(self, frames: torch.Tensor) -> torch.Tensor:
        """[frames, height, width, 3], whole patches each -> [patches, values], on their device."""
        t, h, w = self.grid(frames)
        missing = t * self.frames - len(frames)
        if missing:
            frames = torch.cat([frames, frames[-1:].expand(missing, -1, -1, -1)])
        squares = (h // self.merge, self.merge, self.side, w // self.merge, self.merge, self.side)
        return frames.view(t, self.frames, *squares, 3).permute(0, 2, 5, 3, 6, 8, 1, 4, 7).reshape(t * h * w, -1)

    def scaled(self, pixels: torch.Tensor) -> torch.Tensor:
        """[patches, values] uint8 -> the same in float32, on their device."""
        return pixels.to(torch.float32).sub_(self.mean.to(pixels.device)).div_(self.std.to(pixels.device))

    def read(self, pixels: torch.Tensor) -> torch.Tensor:
        """Frames as bytes, cut and scaled; patches that are numbers already, as they are."""
        return self.scaled(self.cut(pixels)) if pixels.dtype == torch.uint8 else pixels


def stacked(images: Sequence[PIL.Image.Image]) -> torch.Tensor:
    """Images of one size -> [frames, height, width, 3] uint8."""
    return torch.from_numpy(np.stack([np.asarray(image.convert("RGB")) for image in images]))

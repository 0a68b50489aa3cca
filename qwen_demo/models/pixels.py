"""How large the model sees an image, and what that costs in tokens. Pure arithmetic, the same for every room.

Qwen2.5-VL reads images whose sides are multiples of one patch side (28 pixels: 14 a patch,
2 x 2 patches merged), one token for each such square (Qwen2.5-VL technical report, section 2.1).
The rule is that of `qwen_vl_utils` and of the processor in transformers, which both load PyTorch;
`tests/models/test_pixels.py` holds the three together.
"""

import math
from dataclasses import dataclass
from typing import Self

from qwen_demo.types import ChatRequest, Image, ModelInfo, Points, Video

TEMPORAL_PATCH = 2  # frames of a clip that become one layer of tokens
CLEAR_FRAME_PATCHES = 64  # tokens of a frame in which shapes keep their proportions and words of a title can be read
LEAST_FRAME_PATCHES = 4  # a frame is never seen smaller than that many tokens


def seen_size(width: int, height: int, *, min_pixels: int, max_pixels: int, patch: int = 28) -> tuple[int, int]:
    """Width and height after the model's own resizing, both multiples of `patch`."""
    seen_h = max(patch, round(height / patch) * patch)
    seen_w = max(patch, round(width / patch) * patch)
    if seen_h * seen_w > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        seen_h = max(patch, math.floor(height / shrink / patch) * patch)
        seen_w = max(patch, math.floor(width / shrink / patch) * patch)
    elif seen_h * seen_w < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        seen_h = math.ceil(height * grow / patch) * patch
        seen_w = math.ceil(width * grow / patch) * patch
    return seen_w, seen_h


def clear_frames(model: ModelInfo, most: int) -> int:
    """Of a long clip: the even number of frames, at most `most`, that a model sees clearly: they share one image's area.

    A frame of few tokens is squashed, as its sides are cut to whole patches.
    """
    if not model.max_pixels:
        return most // 2 * 2
    shared = model.max_pixels * TEMPORAL_PATCH // (CLEAR_FRAME_PATCHES * model.patch_pixels**2)
    return max(TEMPORAL_PATCH, min(shared, most) // 2 * 2)


def image_tokens(width: int, height: int, *, min_pixels: int, max_pixels: int, patch: int = 28) -> int:
    """Tokens that one image takes in the prompt."""
    seen_w, seen_h = seen_size(width, height, min_pixels=min_pixels, max_pixels=max_pixels, patch=patch)
    return seen_w * seen_h // patch**2


@dataclass(frozen=True, slots=True)
class PixelBounds:
    """Bounds of an image's area, of the model and of one request together: the narrower of both counts."""

    min_pixels: int
    max_pixels: int
    patch: int = 28

    @classmethod
    def of(cls, model: ModelInfo, request: ChatRequest | None = None, *, max_pixels: int | None = None) -> Self:
        """Those of `request`, or of a request with this `max_pixels`, to this model."""
        asked_least = request.min_pixels if request else None
        asked_most = request.max_pixels if request else max_pixels
        most = min(asked_most or model.max_pixels, model.max_pixels)
        least = max(asked_least or model.min_pixels, model.min_pixels)
        return cls(min(least, most), most, model.patch_pixels)

    def of_frames(self, count: int) -> "PixelBounds":
        """Of one of `count` frames of a clip: they share one image's area."""
        most = max(self.max_pixels * TEMPORAL_PATCH // count, LEAST_FRAME_PATCHES * self.patch**2)
        return PixelBounds(min(self.min_pixels, most), most, self.patch)

    def seen(self, width: int, height: int, frames: int = 0) -> tuple[int, int]:
        """Width and height as the model sees an image of that size, or each of so many frames."""
        bounds = self.of_frames(frames) if frames else self
        return seen_size(width, height, min_pixels=bounds.min_pixels, max_pixels=bounds.max_pixels, patch=self.patch)

    def tokens(self, width: int, height: int, frames: int = 0) -> int:
        """In the prompt, for an image of that size or for so many frames."""
        seen_w, seen_h = self.seen(width, height, frames)
        return seen_w * seen_h // self.patch**2 * max(1, -(-frames // TEMPORAL_PATCH))

    def cost(self, medium: Image | Video) -> int:
        """Tokens that it takes in the prompt."""
        if isinstance(medium, Image):
            return self.tokens(*medium.size)
        return self.tokens(*medium.raster.size, medium.raster.count)


def seen_views(points: Points, model: ModelInfo, max_pixels: int | None = None) -> list[tuple[int, int]]:
    """Width and height of each view as the model sees it; as it is drawn where that is not known."""
    sizes = [view.image.size for view in points.views]
    return [PixelBounds.of(model, max_pixels=max_pixels).seen(*size) for size in sizes] if model.max_pixels else sizes

"""How large the model sees an image, and what that costs in tokens. Pure arithmetic.

Qwen2.5-VL reads images whose sides are multiples of one patch side (28 pixels: 14 a patch,
2 x 2 patches merged), one token for each such square (Qwen2.5-VL technical report, section 2.1).
The rule is that of the processor in transformers; `tests/test_pixels.py` holds the two together.
"""

import math


def seen_size(width: int, height: int, *, min_pixels: int, max_pixels: int, patch: int = 28) -> tuple[int, int]:
    """Width and height after the model's own resizing, both multiples of `patch`."""
    seen_h = round(height / patch) * patch
    seen_w = round(width / patch) * patch
    if seen_h * seen_w > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        seen_h = max(patch, math.floor(height / shrink / patch) * patch)
        seen_w = max(patch, math.floor(width / shrink / patch) * patch)
    elif seen_h * seen_w < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        seen_h = math.ceil(height * grow / patch) * patch
        seen_w = math.ceil(width * grow / patch) * patch
    return seen_w, seen_h


def image_tokens(width: int, height: int, *, min_pixels: int, max_pixels: int, patch: int = 28) -> int:
    """Tokens that one image takes in the prompt."""
    seen_w, seen_h = seen_size(width, height, min_pixels=min_pixels, max_pixels=max_pixels, patch=patch)
    return seen_w * seen_h // patch**2

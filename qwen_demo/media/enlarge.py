"""No side of an image is shorter than one visual token. Pure."""

import PIL.Image

MODEL_MIN_SIDE = 28  # one visual token of Qwen2.5-VL; its processors fail on thinner images


def enlarged_size(width: int, height: int) -> tuple[int, int]:
    """The size of the same shape with both sides at least `MODEL_MIN_SIDE`.

    1 x 1 becomes 28 x 28 and 20 x 2000 becomes 28 x 2800.
    """
    side = min(width, height)
    if side >= MODEL_MIN_SIDE:
        return width, height
    return max(MODEL_MIN_SIDE, round(width * MODEL_MIN_SIDE / side)), max(
        MODEL_MIN_SIDE, round(height * MODEL_MIN_SIDE / side)
    )


def enlarged(image: PIL.Image.Image) -> PIL.Image.Image:
    size = enlarged_size(*image.size)
    return image if size == image.size else image.resize(size, PIL.Image.Resampling.BICUBIC)

"""A clip that is already cut into frames -> `Video`: each frame was decoded as any image, here they get one size."""

import asyncio
from collections.abc import Sequence

from qwen_demo.errors import MediaRefused
from qwen_demo.media.downscale import kept_size, rgb_on_white
from qwen_demo.media.memory_budget import MemoryBudget
from qwen_demo.media.videos import digest_of_frames
from qwen_demo.raster import Raster
from qwen_demo.settings import Settings
from qwen_demo.types import Image, Video


def sampled(frames: Sequence[str], limits: Settings) -> tuple[Sequence[str], float]:
    """At most `max_frames` of them, evenly spaced, and how many seconds one stands for.

    They are taken for frames of `video_fps` per second: nothing in a list says otherwise.
    """
    step_s = 1 / limits.video_fps
    most = limits.max_frames // 2 * 2
    if len(frames) <= most:
        return frames, step_s
    return [frames[n * len(frames) // most] for n in range(most)], step_s * len(frames) / most


async def video_of(images: Sequence[Image], step_s: float, limits: Settings, budget: MemoryBudget, name: str) -> Video:
    """A video of an even number of frames, the last one given twice if need be.

    Raises:
        MediaRefused: the frames differ in their size.
        Overloaded: what others hold leaves no room for them.
    """
    size = images[0].raster.size
    for number, image in enumerate(images):
        if image.raster.size != size:
            raise MediaRefused(
                f"Frame {number} of {name} has {image.raster.width} x {image.raster.height} pixels and the first one "
                f"{size[0]} x {size[1]}: frames of one video have one size."
            )
    kept = kept_size(*size, limits.frame_pixels)
    frames = [*images, images[-1]] if len(images) % 2 else list(images)
    times_s = tuple(n * step_s for n in range(len(frames)))
    with budget.take(2 * 3 * kept[0] * kept[1] * len(frames)) as share:
        raster = await asyncio.to_thread(_joined, frames, kept)
        share.keep(raster.nbytes, raster)
        digest = await asyncio.to_thread(digest_of_frames, raster, times_s)
    return Video(raster, times_s, 1 / step_s, len(frames) * step_s, digest, name)


def _joined(frames: Sequence[Image], size: tuple[int, int]) -> Raster:
    return Raster.of(*[rgb_on_white(frame.pixels, size) for frame in frames])

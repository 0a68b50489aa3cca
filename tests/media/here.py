"""The image decoder without its process, for tests that need it thousands of times or look at its memory."""

import os

import PIL.Image

from qwen_demo.media import deep_image_decoder, image_decoder, images
from qwen_demo.media.content import HEAD_BYTES, Content
from qwen_demo.media.exchange import Refused
from qwen_demo.raster import Raster, open_memory, seal
from qwen_demo.settings import Settings


class Here:
    """Gives memory as the server does.

    Attributes:
        plan: what the decoder said that it would make.
        within_bytes: to what it then limited itself.
    """

    def __init__(self):
        self.plan: dict = {}
        self.fd = -1
        self.within_bytes = 0

    def memory_for(self, plan: dict) -> int:
        self.plan, self.fd = plan, open_memory("test")
        os.ftruncate(self.fd, plan["width"] * plan["height"] * 3)
        return self.fd

    def keep_within(self, nbytes: int) -> None:
        self.within_bytes = nbytes


def run_here(data: bytes, limits: Settings) -> tuple[Here, dict]:
    """What the decoder said first and last. Raises `Refused` in the decoder's own words."""
    file = open_memory("test")
    os.write(file, data)
    content, here = Content(file, len(data), data[:HEAD_BYTES]), Here()
    with content:
        job = images._task(content, limits).job
        try:
            return here, image_decoder.decode(job, file, here)
        except Refused as refused:
            if refused.code != "deep":
                raise
            return here, deep_image_decoder.decode(job, file, here)


def decode_here(data: bytes, limits: Settings) -> PIL.Image.Image:
    here, last = run_here(data, limits)
    seal(here.fd)
    return Raster(here.fd, 1, last["width"], last["height"]).image()

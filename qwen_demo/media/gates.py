"""How many files are decoded at once, for the processor's sake; a video's decoder takes 2 GB at worst."""

import asyncio
from weakref import WeakKeyDictionary

IMAGES_AT_ONCE = 4
VIDEOS_AT_ONCE = 2

_Gates = WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]
_image_gates: _Gates = WeakKeyDictionary()
_video_gates: _Gates = WeakKeyDictionary()


def image_gate() -> asyncio.Semaphore:
    return _gate(_image_gates, IMAGES_AT_ONCE)


def video_gate() -> asyncio.Semaphore:
    return _gate(_video_gates, VIDEOS_AT_ONCE)


def _gate(gates: _Gates, size: int) -> asyncio.Semaphore:
    # A semaphore belongs to one event loop.
    return gates.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(size))

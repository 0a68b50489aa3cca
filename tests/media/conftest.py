"""Decoders for the tests of a module, a loader over them, and a web site for the tests of fetching.

All tests of a module share one event loop, because decoders belong to one.
"""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from qwen_demo import media
from qwen_demo.media.fetch import fetch_url
from qwen_demo.settings import MIB, Settings
from tests.media.site import Names, Site, network, running

LIMITS = Settings(_env_file=None, max_image_bytes=100_000, max_video_bytes=200_000)

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent == HERE and inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.asyncio(loop_scope="module"), append=False)


Loaders = Callable[..., media.MediaLoader]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def decoders():
    pool = media.DecoderPool(4)
    yield pool
    await pool.close()


@pytest.fixture(autouse=True)
def no_decoder_makes_a_mistake(caplog):
    """A library that wants a file when it is confined would only look like a damaged file."""
    yield
    assert not [record for record in caplog.get_records("call") if record.levelname == "ERROR"]


@pytest.fixture
def loader(decoders) -> Loaders:
    """A loader with the given settings and a budget of its own."""

    def make(**limits) -> media.MediaLoader:
        settings = Settings(_env_file=None, **limits)
        return media.MediaLoader(settings, media.MemoryBudget(settings.memory_budget_mib * MIB), decoders)

    return make


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest_asyncio.fixture(loop_scope="module")
async def site(authority):
    async with running(Site(), authority) as site:
        yield site


@pytest.fixture
def fetch(site, authority):
    async def fetch(path_or_url: str = "/a.png", limits: Settings = LIMITS, names: Names | None = None, **options):
        url = path_or_url if "://" in path_or_url else "https://a.example" + path_or_url
        budget = media.MemoryBudget(64 * MIB)
        return await fetch_url(url, limits, budget, network=network(site, authority, names), **options)

    return fetch

"""Decoders for all tests of the folder, a loader over them, and a web site for the tests of fetching.

All these tests share one event loop, because decoders belong to one, and each kind takes a second to start.
"""

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from qwen_demo import media
from qwen_demo.media.fetch import fetch_url
from qwen_demo.settings import MIB, Settings
from tests.conftest import until
from tests.media.site import Names, Site, network, running

LIMITS = Settings(_env_file=None, max_image_bytes=100_000, max_video_bytes=200_000)

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent == HERE and inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


Loaders = Callable[..., media.MediaLoader]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def decoders():
    pool = media.DecoderPool(4)
    yield pool
    await pool.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def probes():
    """Decoders that run the code of their job, whatever they are asked for."""
    pool = media.DecoderPool(2, programs=dict.fromkeys(("probe", "image", "video"), "tests.media.probe"))
    yield pool
    await pool.close()


@pytest_asyncio.fixture(loop_scope="session")
async def pool(probes):
    """They, with nothing left of the test before."""
    for resting in probes._resting.values():
        resting.end_all_but(0)
    await until(lambda: not any(zygote.decoders for zygote in probes._all()))
    return probes


@pytest.fixture
def standing_in(pool, monkeypatch):
    """Makes a loader whose decoders of images and videos are the code `program`."""

    def make(program: str, **settings) -> media.MediaLoader:
        run, limits = pool.job, Settings(_env_file=None, **settings)
        monkeypatch.setattr(pool, "job", lambda task, file: run(replace(task, job={"code": program}), file))
        return media.MediaLoader(limits, media.MemoryBudget(limits.memory_budget_mib * MIB), pool)

    return make


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


@pytest_asyncio.fixture(loop_scope="session")
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

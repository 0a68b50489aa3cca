"""A web site for the tests of fetching."""

import pytest
import trustme

from qwen_demo import media
from qwen_demo.settings import Settings
from tests.media.site import Names, Site, network, running

LIMITS = Settings(_env_file=None, max_image_bytes=100_000, max_video_bytes=200_000)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def site(authority):
    async with running(Site(), authority) as site:
        yield site


@pytest.fixture
def fetch(site, authority):
    async def fetch(path_or_url: str = "/a.png", limits: Settings = LIMITS, names: Names | None = None, **options):
        url = path_or_url if "://" in path_or_url else "https://a.example" + path_or_url
        return await media.fetch_url(url, limits, network=network(site, authority, names), **options)

    return fetch

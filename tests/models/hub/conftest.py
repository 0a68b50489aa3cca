"""A hub of our own, in the place of the real one for this process."""

import pytest

from tests.models.hub.hub_server import Hub, hub_server, use_hub


@pytest.fixture
def empty_hub(monkeypatch, tmp_path):
    """Holds nothing yet; what is fetched comes to `tmp_path / "cache"`."""
    with hub_server(Hub()) as hub:
        use_hub(hub, monkeypatch, tmp_path)
        yield hub

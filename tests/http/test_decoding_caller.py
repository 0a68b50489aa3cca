"""Who shares decoders with whom: as few as can be told apart, and nobody whom a proxy hides."""

import pytest
from fastapi import Request

from qwen_demo.http.access import ApiAccess, decoding_caller
from qwen_demo.http.arrival import Arrival, OwnCalls
from qwen_demo.media.callers import current_caller
from qwen_demo.settings import Settings


async def arrived(client: tuple[str, int] | None, trusted: str = "", **headers: str) -> Request:
    """As it is after its arrival."""
    found = []

    async def app(scope, receive, send):
        found.append(Request(scope))

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "client": client, "path": "/", "scheme": "http", "headers": named}
    await Arrival(app, settings=Settings(trusted_proxies=trusted), own_calls=OwnCalls())(scope, None, None)
    return found[0]


async def test_callers_differ_by_address_and_by_key():
    asked = [("192.0.2.1", "key:a"), ("192.0.2.2", "key:a"), ("192.0.2.1", "key:b")]
    names = [decoding_caller(await arrived((address, 1234)), key) for address, key in asked]
    assert len(set(names)) == 3 and "" not in names
    assert decoding_caller(await arrived(("192.0.2.1", 99)), "key:a") == names[0]


@pytest.mark.parametrize("header", ["forwarded", "x_forwarded_for", "x_real_ip", "via"])
async def test_whom_a_proxy_hides_is_not_known(header):
    assert decoding_caller(await arrived(("192.0.2.1", 1234), **{header: "198.51.100.7"}), "key:a") == ""
    assert decoding_caller(await arrived(None), "unknown") == ""


async def test_whom_a_trusted_proxy_names_is_known():
    told = await arrived(("192.0.2.1", 1234), trusted="192.0.2.1", x_forwarded_for="198.51.100.7")
    assert "198.51.100.7" in decoding_caller(told, "198.51.100.7")
    silent = await arrived(("192.0.2.1", 1234), trusted="192.0.2.1", via="1.1 proxy")
    assert decoding_caller(silent, "192.0.2.1") == ""


async def test_only_the_api_tells_for_whom_it_decodes():
    """Calls of the page and of MCP run in tasks that may outlive one caller."""
    access = ApiAccess(Settings(_env_file=None))
    await access.admit(await arrived(("192.0.2.1", 1234)))
    assert current_caller.get() == ""
    await access(await arrived(("192.0.2.1", 1234)))
    assert current_caller.get() == "192.0.2.1 192.0.2.1"

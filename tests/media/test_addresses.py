"""Which URLs and addresses are refused before anything is sent."""

import pytest

from qwen_demo import media
from qwen_demo.errors import FetchRefused
from qwen_demo.media.addresses import is_public, parse_https
from qwen_demo.media.fetch import fetch_url
from qwen_demo.settings import Settings
from tests.media.site import Names

LIMITS = Settings(_env_file=None)
BUDGET = media.MemoryBudget(64 << 20)

NOT_PUBLIC = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2002:808:808::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "5f00::1",
    "a.example",
    "",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "2a00:1450::1",
    "64:ff9b::808:808",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_no_host_with_an_address_inside_is_fetched(address):
    assert not is_public(address)
    for found in ([address], ["8.8.8.8", address], [address, "8.8.8.8"]):
        names = Names(a_example=[found])
        with pytest.raises(FetchRefused, match="not on the public internet") as caught:
            await fetch_url("https://a.example/a.png", LIMITS, BUDGET, network=media.Network(resolve=names))
        assert names.asked == ["a.example"]
        assert not address or address == "a.example" or address not in str(caught.value)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_pass(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example/a.png",
        "HTTP://a.example/",
        "ftp://a.example/",
        "file:///etc/passwd",
        "gopher://a.example/",
        "//a.example/a.png",
        "a.example/a.png",
        "https:a.example",
        "https:/a.example/",
        "https:///a.example/",
        "https://",
        "https://127.0.0.1/",
        "https://8.8.8.8/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.0.0.1.:443/",
        "https://1.2.3.0x4/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://localhost/",
        "https://LOCALHOST:443/",
        "https://intranet/",
        "https://a.example./",
        "https://.a.example/",
        "https://a..example/",
        "https://-a.example/",
        "https://a_b.example/",
        "https://a.example:80/",
        "https://a.example:8443/",
        "https://a.example:/",
        "https://a.example:0443/",
        "https://a.example:443:443/",
        "https://user@a.example/",
        "https://user:secret@a.example/",
        "https://@a.example/",
        "https://a.example@127.0.0.1/",
        "https://127.0.0.1\\@a.example/",
        "https://a.example\\@127.0.0.1/",
        "https://a.example\\.evil.example/",
        "https:\\\\a.example/",
        "https://a.example/\\..\\x",
        "https://a.example /",
        " https://a.example/",
        "https://a.example/\n",
        "https://a.example/\r\nHost: evil.example",
        "https://a.exa\tmple/",
        "https://a.example/\x00",
        "https://a.example/\u2028x",
        "https://a.example\u3000/",
        "https://%61.example/",
        "https://127%2e0.0.1/",
        "https://１２７.０.０.１/",
        "https://①②⑦.⓪.⓪.①/",
        "https://localhoſt/",
        "https://a。/",
        "https://a.example%00.evil.example/",
        "https://a\u00ad.\u200b/",
        "https://a.example／@evil.example/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 130 + "example/",
        "https://a.example/" + "x" * 9000,
    ],
)
async def test_odd_spellings_are_refused_before_any_look_up(url):
    names = Names()
    with pytest.raises(FetchRefused):
        await fetch_url(url, LIMITS, BUDGET, network=media.Network(resolve=names, is_allowed=lambda _: False))
    assert names.asked == []


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("https://a.example", "a.example", "/"),
        ("HTTPS://A.Example:443?x=1", "a.example", "/?x=1"),
        ("https://a.example/b@c:1?d=//e\u00fc#f", "a.example", "/b@c:1?d=//e\u00fc"),
        ("https://例え.テスト/", "xn--r8jz45g.xn--zckzah", "/"),
    ],
)
def test_ordinary_urls_are_read_as_they_are_meant(url, host, target):
    assert parse_https(url) == (host, target)

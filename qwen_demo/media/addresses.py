"""Which hosts and addresses a fetch may go to. Pure: no network."""

import ipaddress
import re

import idna

from qwen_demo.errors import FetchRefused
from qwen_demo.sentences import Sentence

# A last label of letters rules out every spelling of a numeric address (1.2.3.4, 0x7f000001,
# 017700000001, 127.1), which is why none of them needs a case of its own.
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}\.)+(?:[a-z]{{2,63}}|xn--[a-z0-9-]{{1,59}})")
_URL = re.compile(r"https://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_MAX_URL = 8192

_GLOBAL_V6 = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NOT_FOR_US = tuple(
    ipaddress.ip_network(block)
    for block in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "192.0.0.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.175.48.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "168.63.129.16/32",  # a public address that is the host's own agent inside Azure
        "2001::/23",  # Teredo and other protocol blocks
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries an IPv4 address
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)


def is_public(address: str) -> bool:
    """Whether `address` is an ordinary unicast address of the public internet.

    Private, loopback, link-local (cloud metadata), multicast, reserved and carrier-grade NAT
    addresses are not, nor are IPv6 addresses that wrap an IPv4 address, save NAT64 of a public one.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if parsed in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)))
    if parsed.version == 6 and parsed not in _GLOBAL_V6:
        return False
    if any(parsed in block for block in _NOT_FOR_US):
        return False
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved)


def parse_https(url: str) -> tuple[str, str]:
    """Host name, lower case and ASCII, and the path with query of an https URL.

    One strict reading. What two parsers might read differently (backslashes, spaces, control
    characters, user names, empty ports) is refused, not repaired.

    Raises:
        FetchRefused: what is wrong with it.
    """
    if len(url) > _MAX_URL:
        raise FetchRefused(f"The URL has {len(url):,} characters; the limit is {_MAX_URL:,}.")
    if any(c <= " " or c == "\\" or c == "\x7f" or c.isspace() for c in url):
        raise FetchRefused("The URL has a space, control character or backslash in it. Write it percent-encoded.")
    match = _URL.fullmatch(url)
    if not match:
        raise FetchRefused(Sentence("Only https:// URLs (and data: URLs) are accepted."))
    authority, target = match.groups()
    if "@" in authority:
        raise FetchRefused("The URL has a user name in it, which is not accepted.")
    host, colon, port = authority.partition(":")
    if colon and port != "443":
        raise FetchRefused("The URL's port must be 443, the usual one, and its host a name and not an address.")
    return normal_host(host), target if target.startswith("/") else "/" + target


def normal_host(host: str) -> str:
    """ASCII form of a host name (IDNA 2008), lower case.

    Raises:
        FetchRefused: not a full host name: numbers in any notation, brackets, `localhost`, a trailing dot.
    """
    try:
        name = host.lower() if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except UnicodeError as exc:
        raise FetchRefused("The URL's host name is not a valid international name.") from exc
    if len(name) > 253 or not _HOST.fullmatch(name):
        raise FetchRefused(Sentence("The URL's host must be a full name such as example.com, not an address."))
    return name

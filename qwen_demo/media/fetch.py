"""https URL -> bytes, safely: the only code that downloads for a visitor.

The host name is resolved once, every address it has must be public, and the connection goes to
that very address, so that a second answer of the name server changes nothing. The certificate is
still checked against the name. Redirects are followed by hand, each through all checks again.
Proxies and other environment settings are not used.
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx

from qwen_demo.errors import FetchRefused, MediaRefused
from qwen_demo.media.addresses import is_public, normal_host, parse_https
from qwen_demo.media.memory_budget import MemoryBudget
from qwen_demo.media.sniff import Kind, check_bytes, larger_kind
from qwen_demo.sentences import Sentence
from qwen_demo.settings import Settings

MAX_REDIRECTS = 3
MAX_ADDRESSES = 3  # tried in turn when connecting fails

_REDIRECTS = (301, 302, 303, 307, 308)
_HEADERS = {"Accept": "image/*, video/*", "Accept-Encoding": "identity", "User-Agent": "qwen-demo"}
_KINDS: tuple[Kind, ...] = ("image", "video")
_OTHER_TYPES = ("application/octet-stream", "binary/octet-stream")


async def resolve(host: str) -> list[str]:
    """Addresses of a host name, in the order the system prefers."""
    found = await asyncio.get_running_loop().getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


@dataclass(frozen=True, slots=True)
class Network:
    """What a fetch uses of the outside world. Only tests change it.

    Attributes:
        resolve: host name -> addresses.
        is_allowed: whether an address may be connected to.
        port: port connected to, whatever the URL says (it can only say 443).
        certificates: trusted authorities; None takes the usual public ones.
    """

    resolve: Callable[[str], Awaitable[list[str]]] = resolve
    is_allowed: Callable[[str], bool] = is_public
    port: int = 443
    certificates: ssl.SSLContext | None = None


async def fetch_url(
    url: str, limits: Settings, budget: MemoryBudget, *, kind: Kind | None = None, network: Network | None = None
) -> bytes:
    """Download an image or video.

    Args:
        kind: what is wanted; sets the byte limit and the accepted content types. None takes both.

    Raises:
        FetchRefused: fetching is off, the URL or an address is not allowed, or the answer is not
            acceptable: status, type, encoding, size, time.
        Overloaded: what others hold leaves no room for it.
    """
    if limits.fetch_urls == "off":
        raise FetchRefused(Sentence("This server does not fetch URLs (--fetch-urls off). Upload the file instead."))
    try:
        async with asyncio.timeout(limits.fetch_timeout_s):
            return await _follow(url, limits, budget, kind, network or Network())
    except TimeoutError as exc:
        raise FetchRefused(
            Sentence(
                "The download took longer than {limit_s:g} s (--fetch-timeout-s). Upload the file instead.",
                limit_s=limits.fetch_timeout_s,
            )
        ) from exc


async def _follow(url: str, limits: Settings, budget: MemoryBudget, kind: Kind | None, network: Network) -> bytes:
    # The bare transport: httpx's client adds cookies and netrc, and reads the Location of every
    # redirect. No connection is kept for the next hop: it would be found by its address, while its
    # certificate was checked for the first hop's name.
    async with httpx.AsyncHTTPTransport(
        trust_env=False,
        verify=network.certificates or _public_authorities(),
        limits=httpx.Limits(max_keepalive_connections=0),
    ) as transport:
        for _ in range(MAX_REDIRECTS + 1):
            response = await _open(transport, url, limits, network)
            try:
                if response.status_code not in _REDIRECTS:
                    return await _read(response, _content_kind(response, kind), limits, budget)
                url = _absolute(url, response)
            except httpx.HTTPError as exc:
                raise FetchRefused(f"The connection to {parse_https(url)[0]} broke during the download.") from exc
            finally:
                await response.aclose()
    raise FetchRefused(f"The URL redirects more than {MAX_REDIRECTS} times.")


async def _open(transport: httpx.AsyncHTTPTransport, url: str, limits: Settings, network: Network) -> httpx.Response:
    """The response to one hop, its body not read yet."""
    host, target = parse_https(url)
    if limits.fetch_hosts and host not in {normal_host(allowed) for allowed in limits.fetch_hosts}:
        raise FetchRefused(
            Sentence("The host {host} is not among those this server may fetch from (--fetch-hosts).", host=host)
        )
    return await _connect(transport, host, target, await _addresses(host, network), limits, network)


async def _addresses(host: str, network: Network) -> list[str]:
    try:
        addresses = list(dict.fromkeys(await network.resolve(host)))
    except (OSError, UnicodeError) as exc:
        raise FetchRefused(Sentence("The host name {host} is not known.", host=host)) from exc
    # One bad address refuses all: a name that is half public and half private is an attack.
    # The addresses are not told: they may describe the network that this server stands in.
    if not addresses or not all(network.is_allowed(address) for address in addresses):
        raise FetchRefused(
            Sentence("The host {host} is not on the public internet, so nothing is fetched from it.", host=host)
        )
    return addresses


async def _connect(
    transport: httpx.AsyncHTTPTransport,
    host: str,
    target: str,
    addresses: list[str],
    limits: Settings,
    network: Network,
) -> httpx.Response:
    """Open the response of the first address that can be reached; its body is not read yet."""
    tried = addresses[:MAX_ADDRESSES]
    for address in tried:
        request = httpx.Request(
            "GET",
            _pinned(host, target, address, network.port),
            headers={**_HEADERS, "Host": host},
            extensions={
                "sni_hostname": host,  # the certificate is checked against this name
                "timeout": {"connect": limits.fetch_timeout_s / len(tried)},
            },
        )
        try:
            return await transport.handle_async_request(request)
        except (httpx.ConnectError, httpx.ConnectTimeout) as exc:
            failure = exc
        except httpx.HTTPError as exc:
            raise FetchRefused(f"The host {host} did not answer as a web server should.") from exc
    raise FetchRefused(
        Sentence("No connection to {host}, or its certificate is not valid for that name.", host=host)
    ) from failure


def _pinned(host: str, target: str, address: str, port: int) -> httpx.URL:
    try:
        url = httpx.URL(f"https://{host}{target}")
    except httpx.InvalidURL as exc:
        raise FetchRefused("The URL is not well-formed.") from exc
    assert url.raw_host == host.encode(), "two readings of one URL"
    return url.copy_with(host=address, port=port)


def _absolute(url: str, response: httpx.Response) -> str:
    location: str = response.headers.get("location", "")
    if not location:
        raise FetchRefused("The URL redirects to nowhere.")
    if location.lower().startswith("http:"):
        raise FetchRefused("The URL redirects to an unencrypted http:// address.")
    try:
        return urljoin("https://{}{}".format(*parse_https(url)), location)
    except ValueError as exc:
        raise FetchRefused("The URL redirects to an address that is not well-formed.") from exc


def _content_kind(response: httpx.Response, kind: Kind | None) -> Kind | None:
    """The kind whose byte limit holds for the body; None if only its content can tell."""
    if response.status_code != 200:
        raise FetchRefused(Sentence("The server answered {status} instead of 200.", status=response.status_code))
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        raise FetchRefused("The server sent the file compressed, which was not asked for and is not accepted.")
    sent = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    for accepted in _KINDS if kind is None else (kind,):
        if sent.startswith(accepted + "/"):
            return accepted
    if sent in _OTHER_TYPES:
        return kind
    raise FetchRefused(
        Sentence(
            "The URL does not give {kind} content. Use the address of the file itself.",
            kind=Sentence("image or video") if kind is None else kind,
        )
    )


async def _read(response: httpx.Response, kind: Kind | None, limits: Settings, budget: MemoryBudget) -> bytes:
    declared = response.headers.get("content-length", "0")
    _check_size(int(declared) if declared.isdecimal() and len(declared) < 19 else 0, kind, limits)
    body = bytearray()
    with budget.take() as share:
        async for piece in response.aiter_raw(1 << 16):
            _check_size(len(body) + len(piece), kind, limits)
            share.grow(len(piece))
            body += piece
        return bytes(body)


def _check_size(count: int, kind: Kind | None, limits: Settings) -> None:
    try:
        check_bytes(max(count, 1), kind or larger_kind(limits), limits, Sentence("The file behind the URL"))
    except MediaRefused as exc:
        raise FetchRefused(exc.args[0]) from exc


@functools.cache
def _public_authorities() -> ssl.SSLContext:
    """Reading the list of authorities takes tens of milliseconds."""
    return httpx.create_ssl_context(trust_env=False)

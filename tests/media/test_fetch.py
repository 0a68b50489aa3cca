"""Fetching URLs: only public https hosts, only media, only so much, only so long.

The site under test is a TLS server on loopback with an authority of its own; `Network` lets
exactly its address through. Nothing leaves the machine.
"""

import asyncio
import gzip
import socket

import pytest
import trustme

from qwen_demo import media
from qwen_demo.errors import FetchRefused, MediaRefused
from qwen_demo.media.fetch import fetch_url
from qwen_demo.settings import Settings
from tests.media.conftest import LIMITS
from tests.media.site import HERE, PNG, Names, Site, answer, network, redirect, running

BUDGET = media.MemoryBudget(64 << 20)

# What works


async def test_an_image_is_fetched_with_a_plain_anonymous_request(site, fetch):
    site.pages["/dir/a.png?size=1&x=%20y"] = answer()
    assert await fetch("/dir/a.png?size=1&x=%20y#part") == PNG
    head = site.heads[0].lower()
    assert "host: a.example\r\n" in head and site.names == ["a.example"]
    assert "accept-encoding: identity\r\n" in head
    for private in ("cookie", "authorization", "referer", "127.0.0.1"):
        assert private not in head


async def test_load_url_gives_an_image(site, authority, loader):
    site.pages["/a.png"] = answer()
    image = await loader().load_url("https://a.example/a.png", network=network(site, authority))
    assert image.pixels.size == (40, 30)


async def test_international_names_are_normalised(authority):
    async with running(Site({"/a.png": answer()}), authority, names=["xn--bcher-kva.example"]) as site:
        for url in (
            "https://bücher.example/a.png",
            "https://BÜCHER.example/a.png",
            "https://xn--bcher-kva.example/a.png",
        ):
            assert await fetch_url(url, LIMITS, BUDGET, network=network(site, authority)) == PNG
    assert set(site.names) == {"xn--bcher-kva.example"}


async def test_chunked_bodies_and_unknown_content_types_work(site, fetch):
    chunk = f"{len(PNG):x}\r\n".encode() + PNG + b"\r\n0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: application/octet-stream\r\n\r\n"
    site.pages["/a.png"] = head + chunk
    assert await fetch() == PNG


async def test_proxies_of_the_environment_are_not_used(site, fetch, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    site.pages["/a.png"] = answer()
    assert await fetch() == PNG


# Names


async def test_a_host_without_addresses_is_refused():
    async def unknown(host):
        raise socket.gaierror(-2, "Name or service not known")

    for resolve, words in ((Names(a_example=[[]]), "public internet"), (unknown, "not known")):
        with pytest.raises(FetchRefused, match=words):
            await fetch_url("https://a.example/", LIMITS, BUDGET, network=media.Network(resolve=resolve))


async def test_a_second_answer_of_the_name_server_changes_nothing(site, authority, monkeypatch):
    """DNS rebinding: the connection goes to the address that was checked."""
    site.pages["/a.png"] = answer()
    names = Names(a_example=[[HERE], ["127.0.0.2"]])
    system = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: system.append(host) or pytest.fail(str(host)))
    async with running(Site({"/a.png": answer(b"inside")}), authority, address="127.0.0.2", port=site.port) as inside:
        assert (
            await fetch_url("https://a.example/a.png", LIMITS, BUDGET, network=network(site, authority, names)) == PNG
        )
    assert names.asked == ["a.example"] and not system
    assert site.connections == 1 and inside.connections == 0


async def test_the_next_address_is_tried_when_one_cannot_be_reached(site, authority):
    site.pages["/a.png"] = answer()
    way = network(site, authority, Names(a_example=[["127.0.0.9", HERE]]), is_allowed=lambda _: True)
    assert await fetch_url("https://a.example/a.png", LIMITS, BUDGET, network=way) == PNG


# Certificates


async def test_the_certificate_must_be_for_the_host(authority):
    async with running(Site({"/a.png": answer()}), authority, names=["other.example", HERE]) as site:
        with pytest.raises(FetchRefused, match="certificate"):
            await fetch_url("https://a.example/a.png", LIMITS, BUDGET, network=network(site, authority))
    assert site.heads == []


async def test_the_certificate_must_be_of_a_known_authority(site, authority):
    site.pages["/a.png"] = answer()
    for certificates in (None, network(site, trustme.CA()).certificates):
        way = network(site, authority, certificates=certificates)
        with pytest.raises(FetchRefused, match="certificate"):
            await fetch_url("https://a.example/a.png", LIMITS, BUDGET, network=way)
    assert site.heads == []


# Redirects


async def test_redirects_are_followed_with_every_check_again(site, fetch):
    site.pages |= {"/1": redirect("/2?x=1"), "/2?x=1": redirect("https://b.example/3"), "/3": redirect("4", "308 X")}
    site.pages["/4"] = answer()
    names = Names()
    assert await fetch("/1", names=names) == PNG
    assert names.asked == ["a.example", "a.example", "b.example", "b.example"]
    assert site.names == names.asked, "each hop has its own connection, checked for its own name"


async def test_too_many_redirects_are_refused(site, fetch):
    site.pages |= {"/a.png": redirect("/a.png")}
    with pytest.raises(FetchRefused, match="more than 3 times"):
        await fetch()
    assert len(site.heads) == 4


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://inside.example/", "not on the public internet"),
        ("//inside.example/", "not on the public internet"),
        ("https://127.0.0.1/", "full name"),
        ("https://[::1]/", "name"),
        ("https://169.254.169.254/latest/meta-data/", "full name"),
        ("http://a.example/b", "unencrypted"),
        ("file:///etc/passwd", "Only https"),
        ("data:image/png;base64,AAAA", "Only https"),
        ("https://u:p@a.example/b", "user name"),
        ("https://a.example:8443/b", "port"),
        ("\\\\inside.example/", "backslash"),
        ("https://a.example\\@inside.example/", "backslash"),
        ("https://a.example/" + "x" * 9000, "characters"),
        ("https://[", "not well-formed|full name"),
        ("", "nowhere"),
    ],
)
async def test_no_redirect_leads_inside(site, fetch, location, words):
    site.pages |= {"/a.png": redirect(location), "/b": answer(), "/": answer()}
    names = Names(inside_example=[["10.0.0.1"]])
    with pytest.raises(FetchRefused, match=words):
        await fetch(names=names)
    assert site.paths() == ["/a.png"]


async def test_a_redirect_to_a_host_that_the_certificate_does_not_cover_is_refused(authority):
    pages = {"/a.png": redirect("https://b.example/b.png"), "/b.png": answer()}
    async with running(Site(pages), authority, names=["a.example"]) as site:
        with pytest.raises(FetchRefused, match="certificate"):
            await fetch_url("https://a.example/a.png", LIMITS, BUDGET, network=network(site, authority))
    assert site.paths() == ["/a.png"]


# Settings


async def test_only_listed_hosts_are_fetched_from(site, fetch):
    site.pages |= {"/a.png": answer(), "/away": redirect("https://b.example/a.png")}
    limits = Settings(_env_file=None, fetch_hosts="A.example, c.example")
    assert await fetch(limits=limits) == PNG
    for url in ("https://b.example/a.png", "/away", "https://x.a.example/a.png", "https://a.example.evil.example/"):
        with pytest.raises(FetchRefused, match="--fetch-hosts"):
            await fetch(url, limits=limits)


async def test_fetching_can_be_switched_off(site, fetch):
    names = Names()
    with pytest.raises(FetchRefused, match="--fetch-urls"):
        await fetch(limits=Settings(_env_file=None, fetch_urls="off"), names=names)
    assert names.asked == []


# Answers


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (answer(kind="text/html"), "image or video"),
        (answer(kind="image"), "image or video"),
        (answer(kind="application/json; x=image/png"), "image or video"),
        (answer(kind=None), "image or video"),
        (answer(status="404 Not Found"), "404"),
        (answer(status="206 Partial Content"), "206"),
        (answer(status="500 Oops"), "500"),
        (answer(gzip.compress(PNG), "Content-Encoding: gzip"), "compressed"),
        (answer(gzip.compress(bytes(50_000_000)), "Content-Encoding: gzip"), "compressed"),
        (answer(PNG, "Content-Encoding: identity, br"), "compressed"),
        (answer(length=10**12), "limit is"),
        (answer(length="9" * 15), "limit is"),
        (answer(b""), "cannot|empty"),
        (answer(PNG, length=len(PNG) + 1), "broke"),
        (answer(PNG, length="9" * 5000), "web server|limit is|broke"),
        (answer(PNG, length="abc"), "web server"),
        (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "web server"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000 + b"\r\n\r\n", "web server"),
    ],
)
async def test_other_answers_are_refused(site, authority, loader, page, words):
    async def once(_site, writer):
        writer.write(page)
        await writer.drain()
        await asyncio.sleep(0.05)

    site.pages["/a.png"] = once
    with pytest.raises(MediaRefused, match=words):
        await loader(max_image_bytes=100_000).load_url("https://a.example/a.png", network=network(site, authority))


@pytest.mark.parametrize(("kind", "content"), [("image", "video/mp4"), ("video", "image/png")])
async def test_the_wanted_kind_is_checked(site, fetch, kind, content):
    site.pages["/a.png"] = answer(kind=content)
    with pytest.raises(FetchRefused, match=f"does not give {kind} content"):
        await fetch(kind=kind)


async def endless(site: Site, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n")
    while site.sent < 50_000_000:
        writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        await writer.drain()
        site.sent += 0x10000


async def test_a_body_without_a_length_is_cut_off_at_the_limit(site, fetch):
    site.pages["/a.png"] = endless
    with pytest.raises(FetchRefused, match="limit is"):
        await fetch()
    assert site.sent < 20_000_000, "buffers of both ends, not the whole"


async def test_each_kind_has_its_own_limit(site, fetch):
    site.pages["/a.png"] = answer(bytes(150_000))
    site.pages["/v.mp4"] = answer(bytes(150_000), kind="video/mp4")
    assert len(await fetch("/v.mp4")) == 150_000
    with pytest.raises(FetchRefused, match="--max-image-bytes"):
        await fetch("/a.png")


async def drip_head(site, writer):
    for _ in range(10_000):
        writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: " if not site.sent else b"y")
        site.sent += 1
        await writer.drain()
        await asyncio.sleep(0.02)


async def drip_body(site, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 9999\r\n\r\n")
    for _ in range(10_000):
        writer.write(b"y")
        await writer.drain()
        await asyncio.sleep(0.02)


async def nothing(site, writer):
    await writer.wait_closed()


@pytest.mark.parametrize("page", [drip_head, drip_body, nothing])
async def test_a_slow_site_is_left_at_the_deadline(site, fetch, page):
    site.pages["/a.png"] = page
    with pytest.raises(FetchRefused, match="longer than"):
        await fetch(limits=Settings(_env_file=None, fetch_timeout_s=0.5))


async def test_the_deadline_covers_redirects_and_look_ups(site, fetch):
    async def slowly(_site, writer):
        await asyncio.sleep(0.3)
        writer.write(redirect("/a.png"))
        await writer.drain()

    site.pages["/a.png"] = slowly
    with pytest.raises(FetchRefused, match="longer than"):
        await fetch(limits=Settings(_env_file=None, fetch_timeout_s=0.7))

    async def never(host):
        await asyncio.sleep(60)

    with pytest.raises(FetchRefused, match="longer than"):
        limits = Settings(_env_file=None, fetch_timeout_s=0.2)
        await fetch_url("https://a.example/", limits, BUDGET, network=media.Network(resolve=never))

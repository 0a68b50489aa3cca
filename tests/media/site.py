"""A scripted TLS web server on loopback, its name server, and the way to it."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import PIL.Image
import trustme

from qwen_demo import media
from tests import hostile

HERE = "127.0.0.1"
PNG = hostile.saved(PIL.Image.new("RGB", (40, 30), "blue"), "PNG")
HANG_GUARD_S = 120


def answer(
    body: bytes = PNG, *headers: str, status: str = "200 OK", kind: str | None = "image/png", length=None
) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    if kind:
        lines.append(f"Content-Type: {kind}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(b"", f"Location: {location}", status=status)


@dataclass
class Site:
    """A scripted TLS server. `pages` maps a path to bytes or to a coroutine function that writes."""

    pages: dict = field(default_factory=dict)
    heads: list[str] = field(default_factory=list)
    names: list[str | None] = field(default_factory=list)
    connections: int = 0
    sent: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            # Several requests on one connection are answered, so that reuse would show.
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                self.heads.append(head)
                page = self.pages[head.split()[1]]
                if callable(page):
                    await page(self, writer)
                    break
                writer.write(page)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    def paths(self) -> list[str]:
        return [head.split()[1] for head in self.heads]


@asynccontextmanager
async def running(site: Site, authority: trustme.CA, names=("a.example", "b.example"), address=HERE, port=0):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    context.sni_callback = lambda _connection, name, _context: site.names.append(name)
    server = await asyncio.start_server(site.serve, address, port, ssl=context)
    site.port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(HANG_GUARD_S):
            yield site
    finally:
        server.close()
        await server.wait_closed()


class Names:
    """A name server: what it answers for a host, call by call; the last answer stays."""

    def __init__(self, **answers: list[list[str]]):
        self.answers = {name.replace("_", "."): list(found) for name, found in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str) -> list[str]:
        self.asked.append(host)
        found = self.answers.get(host, [[HERE]])
        return found.pop(0) if len(found) > 1 else found[0]


def network(site: Site, authority: trustme.CA, names: Names | None = None, **options) -> media.Network:
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    options = {"is_allowed": lambda address: address == HERE, "certificates": trusted, **options}
    return media.Network(resolve=names or Names(), port=site.port, **options)

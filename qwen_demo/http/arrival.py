"""Where a request comes from and where it was sent: settled once, before anything else looks.

Plain ASGI. What comes after reads the caller's address, the scheme, the host and the path from the scope, and finds no
header that tells another one:
- what a proxy says of the caller is believed from `--trusted-proxies` alone, and taken out for everybody;
- the prefix of `--root-path` is taken off once, so that every check sees the path that is routed. `Prefix` puts it
  back for the routers, which write links with it;
- a host name that is not this server's is refused. On loopback these are the names of loopback, as any web site can
  give its own name this machine's address and then counts as the same site (DNS rebinding).
"""

import ipaddress
import logging
import re
import secrets
from collections.abc import Sequence

from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from qwen_demo.errors import SettingsError
from qwen_demo.http.errors import body
from qwen_demo.settings import Settings

log = logging.getLogger(__name__)

# In the scope: somebody stands between, whom the server was not told to trust, so the address is not the caller's.
RELAYED = "qwen_demo.relayed"
# Of this server's own calls to itself, see `OwnCalls`.
ON_BEHALF = b"x-qwen-demo-on-behalf-of"
_TOLD_BY_PROXIES = (b"forwarded", b"x-real-ip", b"via", b"x-gradio-server", ON_BEHALF)
_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::\d{1,5})?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """Whose word about callers is believed.

    Args:
        names: addresses and networks, comma-separated; `*` is everybody.

    Raises:
        SettingsError: one of them is no address.
    """

    def __init__(self, names: str):
        given = [name.strip() for name in names.split(",") if name.strip()]
        self._everybody = "*" in given
        self._networks = [_network(name) for name in given if name != "*"]

    def __contains__(self, address: object) -> bool:
        if self._everybody or not self._networks:
            return self._everybody
        parsed = _address(str(address))
        return parsed is not None and any(parsed in network for network in self._networks)

    def caller(self, chain: str) -> tuple[str, int] | None:
        """Who asks, by `X-Forwarded-For`: the last one that is no proxy of ours. Without a port, which nobody tells.

        None where the part of the chain that is believed names nobody.
        """
        found = None
        for entry in reversed(chain.split(",")):
            address = _address(entry.strip())
            if address is None:
                break
            found = (str(address), 0)
            if str(address) not in self:
                break
        return found


class Hosts:
    """By which names this server may be asked.

    Args:
        names: those of `--allowed-hosts`; `*.example.org` is every name under it. None: on loopback no others than
            addresses and names without a dot, elsewhere all.
    """

    def __init__(self, names: Sequence[str], *, on_loopback: bool):
        self._names = names
        self.given = bool(self._names)
        self._all = not self.given and not on_loopback

    def __contains__(self, host: object) -> bool:
        if self._all:
            return True
        name = str(host).rpartition(":")[0] if re.search(r":\d+$", str(host)) else str(host)
        name = name.lower().rstrip(".")
        # What no stranger can give an address: what is one, and names that nobody can register.
        if "." not in name or name.endswith(".localhost") or _address(name):
            return True
        return any(name == known or (known[:2] == "*." and name.endswith(known[1:])) for known in self._names)


class OwnCalls:
    """Calls of this server to itself, as Gradio's MCP server makes them, on behalf of who called it."""

    def __init__(self) -> None:
        self._pass = secrets.token_hex(16)

    def header(self, scope: Scope) -> tuple[bytes, bytes]:
        """What the call brings along. Nobody else can write it."""
        client = scope.get("client")
        return ON_BEHALF, f"{self._pass} {client[0] if client else ''}".encode()

    def caller(self, value: str) -> tuple[str, int] | None:
        word, _, address = value.partition(" ")
        return (address, 0) if address and secrets.compare_digest(word.encode(), self._pass.encode()) else None


class Arrival:
    """Before every check; only what gives requests their id and answers their policy may stand before it."""

    def __init__(self, app: ASGIApp, *, settings: Settings, own_calls: OwnCalls):
        self._app, self._own_calls = app, own_calls
        self._prefix = settings.root_path
        self._proxies = Proxies(settings.trusted_proxies)
        self._hosts = Hosts(settings.allowed_hosts, on_loopback=settings.on_loopback)
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        trusted = bool(scope.get("client")) and scope["client"][0] in self._proxies
        host = self._settle(scope, trusted)
        if host is None or _CONTROL.search(scope["path"]):
            text = "The request names more than one host, or none that can be; or its path has control characters."
            return await _refuse(400, text, scope, receive, send)
        # A proxy that is trusted was asked by the name that it lets through.
        if host and host not in self._hosts and not (trusted and not self._hosts.given):
            text = (
                "This server is not known by the name that it was asked by (an operator can name it with "
                "--allowed-hosts, or the proxy with --trusted-proxies)."
            )
            return await _refuse(421, text, scope, receive, send)
        path = scope["path"]
        if self._prefix and (path == self._prefix or path.startswith(f"{self._prefix}/")):
            scope["path"] = path[len(self._prefix) :] or "/"
        return await self._app(scope, receive, send)

    def _settle(self, scope: Scope, trusted: bool) -> str | None:
        """Put what is believed into the scope; gives the host, "" where none was named, None where it is no host."""
        told: dict[bytes, list[str]] = {}
        kept, hosts = [], []
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value.decode("latin-1"))
            elif name in _TOLD_BY_PROXIES or name.startswith(b"x-forwarded-"):
                told.setdefault(name, []).append(value.decode("latin-1"))
            else:
                kept.append((name, value))
        caller = self._own_calls.caller("".join(told.pop(ON_BEHALF, [])))
        if trusted and (chain := told.get(b"x-forwarded-for")):
            caller = caller or self._proxies.caller(",".join(chain))
        if caller:
            scope["client"] = caller
        elif told:
            scope[RELAYED] = True
        if trusted:
            scheme = "".join(told.get(b"x-forwarded-proto", [])).partition(",")[0].strip().lower()
            scope["scheme"] = scheme if scheme in ("http", "https") else scope["scheme"]
            if forwarded := told.get(b"x-forwarded-host"):
                hosts = [forwarded[0].partition(",")[0].strip()]
        elif b"x-forwarded-for" in told:
            self._warn(scope)
        if len(hosts) > 1 or not all(_HOST.fullmatch(host) for host in hosts if host):
            return None
        host = hosts[0] if hosts else ""
        scope["headers"] = [*([(b"host", host.encode())] if host else []), *kept]
        return host

    def _warn(self, scope: Scope) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "%s forwards requests and is not among --trusted-proxies: all that come through it count as one caller",
                scope["client"][0] if scope.get("client") else "somebody",
            )


class Prefix:
    """Gives routers the whole path and its prefix, as ASGI has it: they take it off, and write links with it."""

    def __init__(self, app: ASGIApp, *, prefix: str):
        self._app, self._prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._prefix and scope["type"] == "http":
            scope = {**scope, "root_path": self._prefix, "path": self._prefix + scope["path"]}
        await self._app(scope, receive, send)


def _network(name: str) -> Network:
    try:
        return ipaddress.ip_network(name, strict=False)
    except ValueError as error:
        raise SettingsError(f"--trusted-proxies {name}: it is no address or network, such as 10.0.0.0/8.") from error


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Also `192.0.2.1:80` and `[2001:db8::1]:80`, as some proxies write it."""
    if found := re.fullmatch(r"\[([^\]]*)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+", text):
        text = found[1] or found[2] or ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


async def _refuse(status: int, text: str, scope: Scope, receive: Receive, send: Send) -> None:
    content = body(text, "invalid_request_error", f"http_{status}")
    await JSONResponse(content, status, {"Connection": "close"})(scope, receive, send)

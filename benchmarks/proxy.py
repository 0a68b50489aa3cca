"""nginx with the configuration of deploy/nginx, before servers on this machine.

What differs from an installation: the ports, the servers' addresses, the certificate (a fresh one) and
where nginx keeps its files. Everything else is the configuration as it is deployed.
"""

import contextlib
import re
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

DEPLOYED = Path(__file__).parents[1] / "deploy" / "nginx"
UNPACKED = Path(__file__).parents[1] / ".cache" / "tools" / "nginx" / "usr" / "sbin" / "nginx"


@dataclass(frozen=True)
class Proxy:
    """A running nginx. `log` has a line for each request that ended."""

    url: str
    plain_url: str
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "access.log").read_text()


def program() -> str:
    """Path of nginx: the machine's, or the one that the tests fetched."""
    found = shutil.which("nginx") or (str(UNPACKED) if UNPACKED.exists() else "")
    if not found:
        raise FileNotFoundError("nginx is not installed: apt-get install nginx, or python tests/tools.py")
    return found


def configure(
    folder: Path,
    servers: Sequence[str],
    *,
    changes: Sequence[tuple[str, str]] = (),
    ports: tuple[int, int] | None = None,
) -> tuple[int, int]:
    """Write the configuration to `folder`; gives the ports for TLS and for plain HTTP.

    Args:
        servers: addresses of the demos.
        changes: texts to replace in demo.conf; each must be there.
        ports: free ones if left out.
    """
    shutil.copytree(DEPLOYED, folder, dirs_exist_ok=True)
    secure, plain = ports or free_ports(2)
    here(folder)
    listens = [("listen 443 ", f"listen {secure} "), ("listen 80;", f"listen {plain};")]
    replace(folder / "demo.conf", [*listens, *changes])
    lines = (folder / "servers.conf").read_text().splitlines()
    (options,) = {re.sub(r"server \S+ ", "", line) for line in lines if line.startswith("server ")}
    addresses = [urlsplit(url).netloc for url in servers]
    (folder / "servers.conf").write_text("".join(f"server {address} {options}\n" for address in addresses))
    certify(folder, "localhost", "127.0.0.1")
    return secure, plain


def here(folder: Path) -> None:
    """What nginx.conf keeps, it keeps in `folder`; and nginx is no daemon."""
    replace(folder / "nginx.conf", [
        ("http {\n", "http {\n" + "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in
                                           ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))),
        ("access_log /var/log/nginx/access.log", f"access_log {folder}/access.log"),
        ("worker_processes auto;", f"worker_processes 2;\npid {folder}/nginx.pid;\ndaemon off;"),
    ])  # fmt: skip


def certify(folder: Path, *names: str) -> bytes:
    """A certificate for `names` from a fresh authority, whose own, as PEM, is the result."""
    import trustme  # machines that only ask for a free port need not have it

    authority = trustme.CA()
    certificate = authority.issue_cert(*names)
    certificate.private_key_pem.write_to_path(folder / "certificate.key")
    (folder / "certificate.pem").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    return authority.cert_pem.bytes()


def replace(path: Path, changes: Sequence[tuple[str, str]]) -> None:
    text = path.read_text()
    for old, new in changes:
        if old not in text:
            raise ValueError(f"{old!r} is no longer in {path.name}")
        text = text.replace(old, new)
    path.write_text(text)


def free_ports(count: int) -> list[int]:
    """Of those that systems give to no connection by themselves: nobody gets one before it is used here."""
    with contextlib.ExitStack() as stack:
        found: list[int] = []
        while len(found) < count:
            port = 20_000 + secrets.randbelow(10_000)
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
        return found


def check(folder: Path) -> str:
    """`nginx -t`: what it says. Raises `ValueError` if the configuration is refused."""
    done = subprocess.run(command(folder, "-t"), capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stderr


def command(folder: Path, *flags: str) -> list[str]:
    return [program(), "-p", str(folder), "-c", str(folder / "nginx.conf"), *flags]


@contextlib.contextmanager
def running(folder: Path, servers: Sequence[str], **options) -> Iterator[Proxy]:
    """nginx before `servers`, until the end of the block."""
    secure, plain = configure(folder, servers, **options)
    with (folder / "error.log").open("wb") as errors:
        process = subprocess.Popen(command(folder), stderr=errors)
    try:
        _wait_for(secure, process, folder)
        yield Proxy(f"https://127.0.0.1:{secure}", f"http://127.0.0.1:{plain}", folder)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(port: int, process: subprocess.Popen, folder: Path) -> None:
    for _ in range(500):
        if process.poll() is not None:
            raise RuntimeError("nginx ended: " + (folder / "error.log").read_text())
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    raise RuntimeError("nginx does not listen")

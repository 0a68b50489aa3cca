"""Three regions and a front beside each, on one machine, with the configuration of deploy/regions and deploy/nginx.

Every region and every front is a network namespace with an address of its own; `benchmarks.namespaces` delays what goes
between them. A region has its copies of the app and its nginx; a front has nginx and HAProxy. What differs from an
installation: where logs and temporary files are, the certificates (fresh ones), and `changes`.
"""

import concurrent.futures
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from benchmarks import proxy
from benchmarks.namespaces import Internet, Place
from benchmarks.running import CROWD, ROOT, read_address

DEPLOYED = ROOT / "deploy" / "regions"
UNPACKED = ROOT / ".cache" / "tools" / "haproxy"
NAMES = ("eu", "us", "asia")
# Which region is asked first, second and third from the front at a place.
ORDER = {"eu": ("eu", "us", "asia"), "us": ("us", "eu", "asia"), "asia": ("asia", "us", "eu")}
# Milliseconds one way between places, as between Frankfurt, Virginia and Tokyo.
APART_MS = {("eu", "us"): 45.0, ("us", "asia"): 80.0, ("eu", "asia"): 115.0}
NEAR_MS = 2.0
HOST = "demo.test"
# All users of the trial have three addresses.
ROOMY = [("rate=20r/s", "rate=9000r/s"), ("limit_conn open 64", "limit_conn open 900")]


def address(name: str, kind: str) -> str:
    """Of a `region`, a `front`, or the `users` who live there."""
    number = NAMES.index(name) + 1
    return {"region": f"10.1{number}.0.1", "front": f"10.0.0.{number}", "users": f"10.2{number}.0.1"}[kind]


def delays_ms() -> dict[tuple[str, str], float]:
    """One way between all fronts and regions. Users are near their front."""
    apart = {frozenset(pair): way for pair, way in APART_MS.items()}
    return {
        (address(front, "front"), address(region, "region")): apart.get(frozenset((front, region)), NEAR_MS)
        for front in NAMES
        for region in NAMES
    }


def haproxy() -> tuple[str, dict[str, str]]:
    """Path of HAProxy, the machine's or the one that the tests fetched, and what has to be in its environment."""
    if found := shutil.which("haproxy"):
        return found, {}
    program = UNPACKED / "usr" / "sbin" / "haproxy"
    if not program.exists():
        raise FileNotFoundError("HAProxy is not installed: apt-get install haproxy, or python tests/tools.py")
    (libraries,) = UNPACKED.glob("usr/lib/*-linux-gnu")
    return str(program), {"LD_LIBRARY_PATH": str(libraries)}


def order(front: str, places: Mapping[str, str]) -> dict[str, str]:
    """The variables of haproxy.cfg for the front at that place.

    Args:
        places: addresses of the regions by name.
    """
    made = {"NAME": HOST}
    for variable, region in zip(("NEAREST", "SECOND", "THIRD"), ORDER[front], strict=True):
        made |= {variable: region, f"{variable}_AT": places[region]}
    return made


def configure_region(folder: Path, copies: Sequence[str], changes: Sequence[tuple[str, str]] = ROOMY) -> bytes:
    """nginx of a region, into `folder`; gives the PEM of who vouches for its certificate."""
    proxy.configure(folder, copies, changes=changes, ports=(443, 80))
    _as_who_starts_it(folder)
    (folder / "regions.d").mkdir()
    shutil.copy(DEPLOYED / "region.conf", folder / "regions.d")
    proxy.replace(folder / "regions.d" / "region.conf", [("root /run/qwen-demo;", f"root {folder};")])
    return proxy.certify(folder, HOST)


def configure_front(folder: Path, authorities: Sequence[bytes]) -> None:
    """nginx and HAProxy of a front, into `folder`; `authorities` vouch for the regions."""
    for name in ("nginx.conf", "forward.conf"):
        shutil.copy(proxy.DEPLOYED / name, folder)
    shutil.copy(DEPLOYED / "front.conf", folder / "demo.conf")
    proxy.here(folder)
    _as_who_starts_it(folder)
    proxy.certify(folder, HOST, "127.0.0.1")
    (folder / "regions.pem").write_bytes(b"".join(authorities))
    shutil.copy(DEPLOYED / "haproxy.cfg", folder)
    proxy.replace(folder / "haproxy.cfg", [("/run/haproxy/admin.sock", f"{folder}/admin.sock")])


def _as_who_starts_it(folder: Path) -> None:
    """Its workers may read `folder`, and need no other user, whom a user namespace may not have."""
    proxy.replace(folder / "nginx.conf", [("worker_processes 2;", "user root;\nworker_processes 2;")])


def check_haproxy(folder: Path, variables: Mapping[str, str]) -> str:
    """What it says of the configuration. Raises `ValueError` if it refuses it."""
    program, more = haproxy()
    command = [program, "-C", str(folder), "-f", "haproxy.cfg", "-c"]
    done = subprocess.run(command, env={**os.environ, **more, **variables}, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stdout + done.stderr


@dataclass
class Region:
    """One that runs.

    Attributes:
        copies: of the app.
    """

    name: str
    place: Place
    folder: Path
    authority: bytes = b""
    copies: list[subprocess.Popen] = field(default_factory=list)
    nginx: subprocess.Popen | None = None

    def start(self, flags: Sequence[str], copies: int) -> None:
        """The copies of the app, then nginx before them."""
        urls = []
        for number in range(copies):
            port = str(7861 + number)
            command = [sys.executable, "app.py", "--port", port, "--trusted-proxies", "127.0.0.1", *flags]
            environment = {**os.environ, **CROWD, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
            with (self.folder / f"copy-{number}.log").open("wb") as log:
                copy = subprocess.Popen(
                    self.place.command(command),
                    cwd=ROOT,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
            self.copies.append(copy)
        for number, copy in enumerate(self.copies):
            try:
                urls.append(read_address(copy))
            except RuntimeError as error:
                said = (self.folder / f"copy-{number}.log").read_text()
                raise RuntimeError(f"{error}; it said: {said[-2000:]}") from None
        self.authority = configure_region(self.folder, urls)
        self.nginx = _daemon(self.place.command(proxy.command(self.folder)), self.folder / "errors.log", {})

    def drain(self) -> None:
        (self.folder / "drained").touch()

    def fill(self) -> None:
        (self.folder / "drained").unlink()

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send the copies a signal; a killed region loses its nginx as well."""
        for copy in self.copies:
            copy.send_signal(number)
        if number == signal.SIGKILL and self.nginx:
            for process in (*psutil.Process(self.nginx.pid).children(), self.nginx):
                process.kill()


def _daemon(command: Sequence[str], log: Path, variables: Mapping[str, str]) -> subprocess.Popen:
    with log.open("wb") as out:
        return subprocess.Popen(command, env={**os.environ, **variables}, stdout=out, stderr=out)


@dataclass
class World:
    """All of it, until `close`. To be made in a namespace of its own (`namespaces.unshared`)."""

    regions: dict[str, Region]
    internet: Internet
    stack: contextlib.ExitStack

    @classmethod
    def make(cls, folder: Path, flags: Sequence[str], copies: int) -> "World":
        with contextlib.ExitStack() as stack:
            places = {
                (kind, name): Place.make(address(name, kind)) for kind in ("region", "front") for name in NAMES
            }  # fmt: skip
            for place in places.values():
                stack.callback(place.close)
            home = [address(name, "users") for name in NAMES]
            internet = Internet(list(places.values()), home, delays_ms(), NEAR_MS)
            stack.callback(internet.close)
            regions = {}
            for name in NAMES:
                (folder / f"region-{name}").mkdir()
                regions[name] = Region(name, places["region", name], folder / f"region-{name}")
            with concurrent.futures.ThreadPoolExecutor(len(NAMES)) as pool:
                list(pool.map(lambda region: region.start(flags, copies), regions.values()))
            for region in regions.values():
                for process in (*region.copies, region.nginx):
                    stack.callback(_stop, process)
            for name in NAMES:
                _start_front(name, folder / f"front-{name}", places["front", name], regions, stack)
            for name in NAMES:
                wait_until(lambda name=name: _sends_home(name), f"the front at {name} does not reach its region", 60)
            return cls(regions, internet, stack.pop_all())

    def close(self) -> None:
        self.stack.close()


def _start_front(
    name: str, folder: Path, place: Place, regions: Mapping[str, Region], stack: contextlib.ExitStack
) -> None:
    folder.mkdir()
    configure_front(folder, [region.authority for region in regions.values()])
    program, more = haproxy()
    variables = order(name, {other: address(other, "region") for other in NAMES})
    steering = [program, "-C", str(folder), "-f", "haproxy.cfg", "-db"]
    stack.callback(_stop, _daemon(place.command(steering), folder / "haproxy.log", {**more, **variables}))
    stack.callback(_stop, _daemon(place.command(proxy.command(folder)), folder / "errors.log", {}))


def _stop(process: subprocess.Popen | None) -> None:
    if process is None:
        return
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        with contextlib.suppress(ValueError):
            process.stdout.close()


def _sends_home(name: str) -> bool:
    """Whether the front there sends on to the region there."""
    with contextlib.suppress(httpx.HTTPError):
        answer = httpx.get(f"https://{address(name, 'front')}/v1/models", verify=False, timeout=5, trust_env=False)
        return answer.status_code == 200 and answer.headers.get("x-region") == name
    return False


def wait_until(holds: Callable[[], bool], otherwise: str, patience_s: float) -> None:
    """Raises `RuntimeError` with `otherwise` if it does not hold in time."""
    end = time.monotonic() + patience_s
    while not holds():
        if time.monotonic() > end:
            raise RuntimeError(otherwise)
        time.sleep(0.05)

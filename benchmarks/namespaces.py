"""A small internet on one machine: network namespaces as places, packets between them delayed, lost or let through.

    python -m benchmarks.namespaces PID=ADDRESS …          what `Internet` starts; by itself of no use

Each place is a namespace of its own, so a program in it has its own loopback, ports and address, and reaches others by
the delayed way alone. Packets pass a process that holds a TUN device in each namespace: it needs no netem in the kernel.
Root is not needed where the kernel lets users make namespaces and /dev/net/tun can be opened; `unshared` starts a command
in a fresh one.
"""

import ctypes
import fcntl
import heapq
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
# Fewer and larger packets than an Ethernet's: each costs this process some 20 µs.
MTU = 9000
# What waits on a link; more than that a real one would drop as well.
MOST_WAITING = 20_000


def unshared(command: Sequence[str]) -> list[str]:
    """A command line that runs `command` in a network namespace of its own; whatever it starts ends with it."""
    users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *users, "--net", "--pid", "--mount-proc", "--fork", "--kill-child", *command]


def loopback_up() -> None:
    """In this process' namespace."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@dataclass
class Place:
    """A namespace. It is there as long as its first process."""

    address: str
    holder: subprocess.Popen

    @classmethod
    def make(cls, address: str) -> Self:
        # It says when it is inside, so that nobody enters the namespace that it left.
        script = "ip link set lo up && echo inside && exec sleep infinity"
        holder = subprocess.Popen(["unshare", "--net", "sh", "-c", script], stdout=subprocess.PIPE, text=True)
        if holder.stdout is None or holder.stdout.readline() != "inside\n":
            raise RuntimeError("no network namespace can be made here: it needs root, or user namespaces")
        return cls(address, holder)

    def command(self, command: Sequence[str]) -> list[str]:
        """A command line that runs `command` in here."""
        return ["nsenter", "--net", "--target", str(self.holder.pid), *command]

    def close(self) -> None:
        self.holder.kill()
        self.holder.wait()
        if self.holder.stdout:
            self.holder.stdout.close()


class Internet:
    """Delivers packets between places, and this process' own namespace, which has addresses in `home`.

    Args:
        delays_ms: one way between two addresses, in either order; `usual_ms` for what is not named.
    """

    def __init__(
        self, places: Sequence[Place], home: Sequence[str], delays_ms: Mapping[tuple[str, str], float], usual_ms: float
    ):
        held = [f"{place.holder.pid}={place.address}" for place in places]
        command = [sys.executable, "-m", "benchmarks.namespaces", *held, f"{os.getpid()}={','.join(home)}"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin and self._process.stdout
        if self._process.stdout.readline() != "open\n":
            raise RuntimeError("no TUN device can be made here: /dev/net/tun must be there and may be opened")
        self._delays, self._usual_ms = dict(delays_ms), usual_ms
        self._cut: set[str] = set()
        self._slower: dict[str, float] = {}
        self._tell()

    def cut(self, address: str) -> None:
        """Whatever goes there or comes from there vanishes, without a word to either side."""
        self._cut.add(address)
        self._tell()

    def join(self, address: str) -> None:
        self._cut.discard(address)
        self._tell()

    def slow(self, address: str, more_ms: float) -> None:
        """Everything to and from there takes so much longer, each way; 0 ends it."""
        self._slower[address] = more_ms
        self._tell()

    def _tell(self) -> None:
        between = [[*pair, delay] for pair, delay in self._delays.items()]
        words = {"between": between, "usual": self._usual_ms, "cut": sorted(self._cut), "slower": self._slower}
        assert self._process.stdin
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass
class Links:
    """What is between two addresses at the moment."""

    between: dict[frozenset[str], float] = field(default_factory=dict)
    usual: float = 0.0
    cut: frozenset[str] = frozenset()
    slower: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, words: dict[str, Any]) -> Self:
        between = {frozenset(pair): delay for *pair, delay in words["between"]}
        return cls(between, words["usual"], frozenset(words["cut"]), words["slower"])

    def delay_s(self, source: str, target: str) -> float | None:
        """None where nothing arrives."""
        if source in self.cut or target in self.cut:
            return None
        more = self.slower.get(source, 0.0) + self.slower.get(target, 0.0)
        return (self.between.get(frozenset((source, target)), self.usual) + more) / 1000


def _open_tun(pid: str, addresses: Sequence[str]) -> int:
    """A TUN device in the namespace of that process, with its addresses, and the way to everybody else."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path(f"/proc/{pid}/ns/net").open() as space:
        if libc.setns(space.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"the namespace of process {pid} cannot be entered")
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", b"wide", IFF_TUN | IFF_NO_PI))
    for address in addresses:
        subprocess.run(["ip", "address", "add", f"{address}/32", "dev", "wide"], check=True)
    subprocess.run(["ip", "link", "set", "wide", "up", "mtu", str(MTU), "txqueuelen", "5000"], check=True)
    subprocess.run(["ip", "route", "add", "10.0.0.0/8", "dev", "wide"], check=True)
    return device


def deliver(devices: dict[int, Sequence[str]]) -> None:
    """Until standard input ends: whatever comes out of one device goes into that of its target, when its time has come."""
    homes = {socket.inet_aton(address): device for device, addresses in devices.items() for address in addresses}
    links, order = Links(), 0
    waiting: list[tuple[float, int, int, bytes]] = []
    ready = select.epoll()
    for source in (sys.stdin.fileno(), *devices):
        ready.register(source, select.EPOLLIN)
    while True:
        wait_s = max(0.0, waiting[0][0] - time.monotonic()) if waiting else -1
        for device, _ in ready.poll(wait_s):
            if device == sys.stdin.fileno():
                line = sys.stdin.readline()
                if not line:
                    return
                links = Links.read(json.loads(line))
                continue
            for packet in _packets(device):
                home = homes.get(packet[16:20])
                delay_s = links.delay_s(socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20]))
                if home is not None and delay_s is not None and len(waiting) < MOST_WAITING:
                    order += 1
                    heapq.heappush(waiting, (time.monotonic() + delay_s, order, home, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, home, packet = heapq.heappop(waiting)
            os.write(home, packet)


def _packets(device: int, most: int = 64) -> list[bytes]:
    """IPv4 packets that are there to be read."""
    found = []
    try:
        while len(found) < most:
            packet = os.read(device, MTU + 100)
            if len(packet) >= 20 and packet[0] >> 4 == 4:
                found.append(packet)
    except BlockingIOError:
        pass
    return found


def main(argv: Sequence[str] | None = None) -> int:
    devices: dict[int, Sequence[str]] = {}
    for word in sys.argv[1:] if argv is None else argv:
        pid, _, addresses = word.partition("=")
        found = addresses.split(",")
        devices[_open_tun(pid, found)] = found
    print("open", flush=True)
    deliver(devices)
    return 0


if __name__ == "__main__":
    sys.exit(main())

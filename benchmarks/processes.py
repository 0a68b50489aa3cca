"""What the processes of a server have used, by what they are for: `front`, `engine`, `decoders`, `other`."""

from dataclasses import dataclass

import psutil


@dataclass(slots=True)
class Share:
    """Of all processes with one role.

    Attributes:
        cpu_s: of them and of those that they started and that have ended.
        resident_mib: sum of what each has in memory; pages that several share count several times.
        own_mib: the same with shared pages divided among those that share them.
    """

    processes: int = 0
    cpu_s: float = 0.0
    resident_mib: float = 0.0
    own_mib: float = 0.0


def role(command: list[str], root: bool) -> str:
    """By the command line. In one process for everything that process is the front."""
    words = " ".join(command)
    if "engines/process" in words:
        return "engine"
    if "decoder" in words or "zygote" in words or "qwen_demo.media" in words:
        return "decoders"
    return "front" if root else "other"


def shares(root: psutil.Process) -> dict[str, Share]:
    """Of `root` and everything below it; a process that ends meanwhile is left out."""
    found: dict[str, Share] = {}
    for process in (root, *root.children(recursive=True)):
        try:
            name = role(process.cmdline(), process.pid == root.pid)
            times, memory = process.cpu_times(), process.memory_full_info()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        share = found.setdefault(name, Share())
        share.processes += 1
        share.cpu_s += times.user + times.system + times.children_user + times.children_system
        share.resident_mib += memory.rss / (1 << 20)
        share.own_mib += memory.pss / (1 << 20)
    return found


def spent(before: dict[str, Share], after: dict[str, Share]) -> dict[str, Share]:
    """`after`, with the CPU time since `before` alone."""
    return {
        name: Share(
            share.processes,
            share.cpu_s - before.get(name, Share()).cpu_s,
            share.resident_mib,
            share.own_mib,
        )
        for name, share in after.items()
    }

"""What this machine computes on and with which numbers: decided before anything is loaded."""

import functools
import importlib.util
import logging
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
PROCESSOR_TIMES = Path("/proc/stat")
LOOKED_S = 0.3
# bfloat16 counts as quick where it takes at most this share of float32's time: a third to a fifth with instructions of
# its own, many times as long without.
QUICK = 0.8


def on_zerogpu() -> bool:
    """Whether this process runs on a ZeroGPU Space, where a GPU is there only within some calls."""
    if importlib.util.find_spec("spaces") is None:
        return False
    from spaces.config import Config

    return bool(Config.zero_gpu)


def device() -> str:
    """The CUDA GPU with most free memory, else Apple's GPU, else the CPU."""
    import torch

    if on_zerogpu():
        return "cuda" if torch.cuda.is_available() else "cpu"
    if torch.cuda.is_available():
        free = [torch.cuda.mem_get_info(index)[0] for index in range(torch.cuda.device_count())]
        return f"cuda:{free.index(max(free))}"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def device_name(device: str, device_map: str | None) -> str:
    """For people."""
    import torch

    if device.startswith("cuda"):
        name = torch.cuda.get_device_name(device)
        return f"{torch.cuda.device_count()} × {name}" if device_map else name
    return {"mps": "Apple GPU", "cpu": "CPU"}[device]


def dtype_for(device: str, *, small: bool) -> "torch.dtype":
    """bfloat16 wherever it is quick: the model was trained in it, and float16 ends at 65,504, which its layers exceed.

    GPUs before Ampere have float16 alone (`finite.py` looks after what overflows). The embedded model and its like stay in
    float32 on a CPU: it gives the same bits alone and in a crowd.
    """
    import torch

    if device.startswith("cuda"):
        known = on_zerogpu() or torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if known else torch.float16
    if device == "mps":
        return torch.bfloat16
    return torch.bfloat16 if not small and is_quick_at_bfloat16() else torch.float32


@functools.cache
def is_quick_at_bfloat16() -> bool:
    """Whether this CPU multiplies matrices of bfloat16 quicker than of float32, by a measurement of some milliseconds."""
    import torch

    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        x, weight = torch.ones(64, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
        seconds[dtype] = least_seconds(lambda x=x, weight=weight: torch.nn.functional.linear(x, weight))
    return seconds[torch.bfloat16] <= QUICK * seconds[torch.float32]


def least_seconds(work, times: int = 4) -> float:
    """The least of some runs: what the machine can do when nobody else asks it."""
    work()
    least = float("inf")
    for _ in range(times):
        began = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - began)
    return least


def usable_processors() -> int:
    """Those that this process may run on, its container's quota included."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = CPU_QUOTA.read_text().split() if CPU_QUOTA.exists() else ["max"]
    if quota[0] != "max":
        allowed = min(allowed, math.ceil(int(quota[0]) / int(quota[1])))
    return max(1, allowed)


@functools.cache
def idle_threads() -> int:
    """Threads for a model on a CPU: usable processors less what others keep busy, but half of them at least, as others end.

    A thread more than there are idle processors makes all wait for the one that has none. Looked at once, before this
    process has made work of its own. Others count where they were busy in the last minute and still are: an installation
    that has just ended would else cost a processor for as long as the model is served.
    """
    usable = usable_processors()
    busy = round(os.getloadavg()[0])
    if busy:
        busy = min(busy, busy_processors())
    idle = (os.cpu_count() or usable) - busy
    threads = max(math.ceil(usable / 2), min(usable, idle))
    log.info("%d threads: %d processors may be used, and of the machine's %d are idle", threads, usable, max(0, idle))
    return threads


def busy_processors() -> int:
    """Those at work during the next third of a second; all, where the system does not tell."""
    if not PROCESSOR_TIMES.exists():
        return os.cpu_count() or 1
    began, resting = time.perf_counter(), _rested_s()
    time.sleep(LOOKED_S)
    return round((os.cpu_count() or 1) - (_rested_s() - resting) / (time.perf_counter() - began))


def _rested_s() -> float:
    """Seconds that all processors together had nothing to do or waited for a disk, since the machine started."""
    ticks = PROCESSOR_TIMES.read_text().split("\n", 1)[0].split()
    return (int(ticks[4]) + int(ticks[5])) / os.sysconf("SC_CLK_TCK")


def free_memory(device: str) -> int:
    """Bytes that a model may still take on a device."""
    if not device.startswith("cuda"):
        return available_memory()
    import torch

    return int(torch.cuda.mem_get_info(device)[0])


def total_memory(device: str) -> int:
    """Bytes that a device has in all."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[1])
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()) != "max":
        total = min(total, int(text))
    return total


def available_memory() -> int:
    """Main memory that this process may still take, its container's limit included."""
    available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
        available = int(fields["MemAvailable"].split()[0]) * 1024
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and (text := limit.read_text().strip()) != "max":
        available = min(available, int(text) - int(used.read_text()))
    return available

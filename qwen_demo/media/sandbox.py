"""Takes a decoding process its rights: Landlock, seccomp, limits. Runs in the decoders, so it imports nothing else.

Where a kernel or a system lacks one of them the rest applies; what is in force is returned, in words.

- Landlock: no file can be opened or made whatever its path, so not `/proc` of the server either; no TCP (ABI 4);
  no signal to a process outside, no abstract socket (ABI 6).
- seccomp: only the calls of `seccomp.py`: no open, socket, exec, fork, ptrace, bpf, io_uring.
- limits: memory, processor time, no core dump, no file descriptor beyond the ones it has.
- no capability of root and no privilege through a set-uid program, not readable by others of the same user, killed
  when its parent ends.
"""

import contextlib
import ctypes
import functools
import os
import resource
import signal
import struct
import sys

from qwen_demo.media import seccomp

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAPABILITIES_VERSION = 0x20080522
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446  # the same on every machine
_VERSION = 1


def address_space_bytes() -> int:
    """Of this process, to be asked before files can no longer be opened; 0 where the system does not tell."""
    with contextlib.suppress(OSError), open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
    return 0


def confine_zygote(parent: int) -> tuple[str, ...]:
    """Give up, for ever, everything but starting jobs. Jobs inherit it.

    Args:
        parent: id of the process with which this one is to end.

    Returns:
        what is in force: "Landlock (ABI 7)", "seccomp", "limits".
    """
    force = []
    if sys.platform == "linux":
        _end_with(parent)
        _libc().prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # Root, too, can raise no limit any more.
        _libc().capset(struct.pack("=II", _CAPABILITIES_VERSION, 0), bytes(24))
        if abi := _landlock():
            force.append(f"Landlock (ABI {abi})")
    _limit({"CORE": 0})
    # Last: it refuses the calls above.
    if sys.platform == "linux" and seccomp.install(_libc(), zygote=True):
        force.append("seccomp")
    return (*force, "limits")


def confine_job(zygote: int, limits: dict[str, int]) -> None:
    """Give up what the zygote could still do, too: start processes, signal any, hear of other jobs.

    Args:
        zygote: id of the process with which this one is to end.
        limits: for `resource.setrlimit`, by the name without `RLIMIT_`.
    """
    if sys.platform == "linux":
        _end_with(zygote)
        _limit(limits)
        # A domain of its own keeps signals from its neighbours, where no filter does.
        if not seccomp.install(_libc(), zygote=False):
            _landlock()
    else:
        _limit(limits)


def _end_with(parent: int) -> None:
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)  # it ended before that call


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _landlock() -> int:
    """Enter a domain without any rule, in which everything that this kernel's Landlock knows of is refused.

    Returns:
        the version of Landlock's interface; 0 where there is none.
    """
    libc = _libc()
    abi: int = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    if abi < 1:
        return 0
    files = (1 << 13) - 1
    for since, bit in ((2, 13), (3, 14), (5, 15)):  # to link elsewhere, to cut, ioctl of devices
        files |= (abi >= since) << bit
    ports = 0b11 if abi >= 4 else 0  # bind, connect
    scope = 0b11 if abi >= 6 else 0  # abstract sockets, signals
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    rules = struct.pack("=QQQ", files, ports, scope)[:size]
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, rules, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return 0
    entered = libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return abi if entered else 0


def _limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        # macOS knows RLIMIT_AS but does not take it.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))

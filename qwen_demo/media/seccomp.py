"""Which system calls a decoder may make: a seccomp filter in classic BPF, written by hand so that it needs no library.

A list of what is allowed, because the list of what is not would grow with every kernel. What is not on it fails
with EPERM, so that a library that asks for something needless goes on. Two machines are known, x86-64 and AArch64;
elsewhere there is no filter. Method: Documentation/userspace-api/seccomp_filter.rst of the Linux kernel.
"""

import ctypes
import errno
import platform
import resource
import struct

# Name -> number on x86-64 and on AArch64 (None: it has no such call).
_NUMBERS = {
    "read": (0, 63),
    "write": (1, 64),
    "close": (3, 57),
    "poll": (7, None),
    "lseek": (8, 62),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "readv": (19, 65),
    "writev": (20, 66),
    "sched_yield": (24, 124),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "dup2": (33, None),
    "nanosleep": (35, 101),
    "getpid": (39, 172),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "getsockname": (51, 204),
    "getsockopt": (55, 209),
    "clone": (56, 220),
    "fork": (57, None),
    "exit": (60, 93),
    "wait4": (61, 260),
    "kill": (62, 129),
    "uname": (63, 160),
    "gettimeofday": (96, 169),
    "getrusage": (98, 165),
    "sysinfo": (99, 179),
    "times": (100, 153),
    "getppid": (110, 173),
    "sigaltstack": (131, 132),
    "prctl": (157, 167),
    "setrlimit": (160, 164),
    "gettid": (186, 178),
    "time": (201, None),
    "futex": (202, 98),
    "sched_getaffinity": (204, 123),
    "set_tid_address": (218, 96),
    "restart_syscall": (219, 128),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "exit_group": (231, 94),
    "ppoll": (271, 73),
    "set_robust_list": (273, 99),
    "dup3": (292, 24),
    "prlimit64": (302, 261),
    "getcpu": (309, 168),
    "seccomp": (317, 277),
    "getrandom": (318, 278),
    "membarrier": (324, 283),
    "rseq": (334, 293),
    "clone3": (435, 435),
    "close_range": (436, 436),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
}
# What the zygote does for each job, and a job never again.
_OF_ZYGOTE = {
    *("poll", "ppoll", "dup2", "dup3", "close_range", "fork", "wait4", "kill", "recvmsg", "prctl", "setrlimit"),
    *("seccomp", "landlock_create_ruleset", "landlock_restrict_self"),
    *("getsockname", "getsockopt"),
}
# Looked at more closely, or refused in a way of its own.
_SPECIAL = {"mmap", "mprotect", "clone", "clone3", "prctl", "recvmsg", "prlimit64"}

_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of _NUMBERS, AUDIT_ARCH_*
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_PROT_EXEC, _CLONE_THREAD, _PR_SET_NAME, _PR_SET_SECCOMP, _MODE_FILTER = 4, 0x10000, 15, 22, 2
_X32 = 0x40000000

_Instruction = tuple[int, int, int, int]


def install(libc: ctypes.CDLL, *, zygote: bool) -> bool:
    """Put the filter on this thread and all it starts, for ever. Needs `no_new_privs`.

    Args:
        zygote: with what it takes to start jobs; a job puts its own, stricter filter on top.

    Returns:
        whether it is in force: False on another machine, or where the kernel has no seccomp.
    """
    code = _PROGRAMS.get(zygote)
    if code is None:
        return False
    header = struct.pack("HL", len(code) // 8, ctypes.addressof(code))
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, header, 0, 0) == 0)


def _program(column: int, architecture: int, *, zygote: bool) -> list[_Instruction]:
    numbers = {name: number for name, each in _NUMBERS.items() if (number := each[column]) is not None}
    plain = numbers.keys() - _SPECIAL - (set() if zygote else _OF_ZYGOTE)
    code: list[_Instruction] = [
        _load(4),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        _load(0),
        (_AT_LEAST, 0, 1, _X32),  # a second table of calls, with other numbers for the same
        (_RETURN, 0, 0, _KILL),
    ]
    for name in sorted(plain):
        code += [(_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, _ALLOW)]
    # No new code in memory, neither mapped nor made of data.
    for name in ("mmap", "mprotect"):
        code += _checked(numbers[name], 2, (_ANY_BIT, 1, 0, _PROT_EXEC))
    code += [(_EQUAL, 0, 1, numbers["clone3"]), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]  # then clone is asked
    if zygote:
        for name in ("clone", "prctl", "recvmsg", "prlimit64"):
            code += [(_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, _ALLOW)]
    else:
        code += _checked(numbers["clone"], 0, (_ANY_BIT, 0, 1, _CLONE_THREAD))
        code += _checked(numbers["prctl"], 0, (_EQUAL, 0, 1, _PR_SET_NAME))
        code += [(_EQUAL, 0, 1, numbers["recvmsg"]), (_RETURN, 0, 0, _ALLOW)]
        code += _own_memory(numbers["prlimit64"])
    return [*code, (_RETURN, 0, 0, _ERRNO | errno.EPERM)]


def _checked(number: int, argument: int, test: _Instruction) -> list[_Instruction]:
    """`test` jumps by 0 to allow and by 1 to refuse; it sees the low half of the argument (both are little-endian)."""
    return [
        (_EQUAL, 0, 4, number),
        _load(16 + 8 * argument),
        test,
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]


def _own_memory(number: int) -> list[_Instruction]:
    """The limit of its own address space, which it has no right to raise: `exchange.py` lowers it."""
    return [
        (_EQUAL, 0, 6, number),
        _load(16),
        (_EQUAL, 0, 3, 0),
        _load(24),
        (_EQUAL, 0, 1, resource.RLIMIT_AS),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
    ]


def _load(offset: int) -> _Instruction:
    return _LOAD, 0, 0, offset


def _packed(*, zygote: bool) -> ctypes.Array[ctypes.c_char]:
    code = b"".join(struct.pack("=HBBI", *each) for each in _program(*_MACHINES[platform.machine()], zygote=zygote))
    return ctypes.create_string_buffer(code, len(code))


# Ready before any job: a new process pays for every page that it writes to.
_PROGRAMS = {zygote: _packed(zygote=zygote) for zygote in (True, False)} if platform.machine() in _MACHINES else {}

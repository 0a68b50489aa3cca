"""Code that runs in a decoder, as it would after a hostile file took it over: it gets nothing and reaches nobody."""

import asyncio
import contextlib
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qwen_demo import media
from qwen_demo.media import decoders
from qwen_demo.media.content import content_of
from tests.conftest import ROOT, until
from tests.media.test_decoders import PROGRAMS, ask, task

# What such code could do while only the number of descriptors was limited, and more of its kind.
# {server} is the process of the server, {neighbour} a decoder of another stranger's file.
ESCAPES = {
    "open a file": "open('/etc/hostname').read()",
    "open a file in the place of a closed one": "(os.close(2), os.open('/etc/passwd', os.O_RDONLY))",
    "look for a file": "os.stat('/etc/passwd')",
    "list a folder": "os.listdir('/')",
    "list a folder by a path of another kind": "os.scandir(b'/proc/self/fd').__next__()",
    "make a file": "os.open('/tmp/decoder-was-here', os.O_CREAT | os.O_WRONLY)",
    "make a link": "os.symlink('/etc/passwd', '/tmp/decoder-was-here')",
    "remove a file": "os.unlink('/tmp/decoder-was-here')",
    "change the folder": "os.chdir('/tmp')",
    "the server's environment": "open('/proc/{server}/environ', 'rb').read()",
    "the server's memory": "os.open('/proc/{server}/mem', os.O_RDWR)",
    "the server's descriptors": "os.readlink('/proc/{server}/fd/0')",
    "the zygote's memory": "os.open('/proc/%d/mem' % os.getppid(), os.O_RDWR)",
    "its own memory by a path": "os.open('/proc/self/mem', os.O_RDWR)",
    "the neighbour's memory": "os.open('/proc/{neighbour}/mem', os.O_RDONLY)",
    "a socket": "socket.socket()",
    "a Unix socket": "socket.socket(socket.AF_UNIX)",
    "a pair of sockets": "socket.socketpair()",
    "raise a limit again": "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))",
    "raise somebody's limit": "resource.prlimit({server}, resource.RLIMIT_NOFILE, (64, 64))",
    "fork": "os.fork()",
    "run a program": "subprocess.run(['/bin/sh', '-c', 'id -u'])",
    "become a program": "os.execv('/bin/sh', ['sh', '-c', 'id'])",
    "signal the server": "os.kill({server}, 0)",
    "signal the zygote": "os.kill(os.getppid(), signal.SIGTERM)",
    "signal the neighbour": "os.kill({neighbour}, signal.SIGKILL)",
    "become another user": "os.setuid(12345)",
    "another descriptor of the same": "os.dup(0)",
    "new anonymous memory to send": "os.memfd_create('x')",
    "a handle on a process": "os.pidfd_open({server})",
    "much memory": "bytearray(6 << 30)",
}
# Calls that Python has no word for, by their number on x86-64 and on AArch64.
CALLS = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "pidfd_getfd": (438, 438),
    "open_by_handle_at": (304, 265),
    "memfd_secret": (447, 447),
    "execveat": (322, 281),
    "ioctl": (16, 29),
    "fcntl": (72, 25),
    "rt_tgsigqueueinfo": (297, 240),
    "clone3": (435, 435),
}
COLUMN = {"x86_64": 0, "aarch64": 1}.get(platform.machine())


async def test_no_escape_succeeds_from_a_real_decoder(pool):
    code = "\n".join(
        ["answer = {}"] + [f"answer[{name!r}] = attempt(lambda: {what})" for name, what in ESCAPES.items()]
    )
    with await content_of(b"of somebody else") as file:
        async with pool.job(task(NEIGHBOUR), file.fd) as other:
            neighbour = (await other.answer())["id"]
            code = code.replace("{server}", str(os.getpid())).replace("{neighbour}", str(neighbour))
            found = await ask(pool, code)
            assert not other.ended.done()
    assert found.keys() == ESCAPES.keys()
    assert {name: result for name, result in found.items() if result.startswith("done")} == {}
    assert found["much memory"] == "MemoryError"


NEIGHBOUR = "exchange.say({'id': os.getpid()}); time.sleep(600)"


async def test_no_dangerous_call_gets_through(pool):
    code = f"""
libc = ctypes.CDLL(None, use_errno=True)
answer = {{}}
for name, number in { ({name: numbers[COLUMN] for name, numbers in CALLS.items()})!r}.items():
    ctypes.set_errno(0)
    answer[name] = [libc.syscall(number, *[0] * 6), ctypes.get_errno()]
"""
    found = await ask(pool, code)
    for name, (result, error) in found.items():
        assert result == -1 and error in (1, 38), name  # EPERM; ENOSYS where a library is to ask in another way


async def test_no_memory_becomes_code(pool):
    code = """
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
page = libc.mmap(None, 4096, 3, 0x22, -1, 0)
answer = {
    "mapped": libc.mmap(None, 4096, 7, 0x22, -1, 0) != ctypes.c_void_p(-1).value,
    "made": libc.mprotect(ctypes.c_void_p(page), 4096, 5) == 0,
    "written": page != ctypes.c_void_p(-1).value,
}
"""
    assert await ask(pool, code) == {"mapped": False, "made": False, "written": True}


async def test_memory_that_the_server_has_not_counted_is_not_to_be_had(pool):
    code = """
before = attempt(lambda: len(bytearray(500 << 20)))
exchange.keep_within(1 << 20)
answer = {
    "before": before,
    "after": attempt(lambda: len(bytearray(500 << 20))),
    "raised again": attempt(lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))),
    "of others": attempt(lambda: resource.prlimit(os.getppid(), resource.RLIMIT_AS, (1 << 40, 1 << 40))),
    "another": attempt(lambda: resource.setrlimit(resource.RLIMIT_CPU, (9, 9))),
}
"""
    found = await ask(pool, code)
    assert found.pop("before").startswith("done")
    assert found.pop("after") == "MemoryError"
    assert not [name for name, result in found.items() if result.startswith("done")]


async def test_threads_work_that_libraries_start(pool):
    code = """
done = []
threads = [threading.Thread(target=done.append, args=(each,)) for each in range(4)]
[each.start() for each in threads]; [each.join() for each in threads]
answer = {"done": sorted(done)}
"""
    assert await ask(pool, code) == {"done": [0, 1, 2, 3]}


async def test_no_secret_of_the_server_is_inside(pool, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret-of-the-server")
    own = media.DecoderPool(1, programs=PROGRAMS)
    found = await ask(
        own, "answer = {'environment': dict(os.environ), 'arguments': sys.argv, 'modules': list(sys.modules)}"
    )
    await own.close()
    assert "secret" not in str(found["environment"]) + str(found["arguments"])
    package = {name for name in found["modules"] if name.startswith("qwen_demo")}
    assert "qwen_demo.settings" not in package and "qwen_demo.media.fetch" not in package, package
    assert not {"httpx", "pydantic", "asyncio", "ssl"} & set(found["modules"])


async def test_it_has_no_descriptor_but_its_own(pool):
    code = """
answer = {"open": []}
for fd in range(256):
    try:
        os.lseek(fd, 0, os.SEEK_CUR)
        answer["open"].append(fd)
    except OSError as error:
        if error.errno != 9:
            answer["open"].append(fd)
"""
    assert (await ask(pool, code))["open"] == [0, 1, 2, 3, 4]


async def test_what_is_in_force_is_told(pool):
    await ask(pool, "answer = {}")
    assert pool.sandbox[-1] == "limits"
    if sys.platform == "linux" and COLUMN is not None:
        assert "seccomp" in pool.sandbox


@pytest.mark.parametrize(
    ("force", "told"),
    [
        (
            ("Landlock (ABI 7)", "seccomp", "limits"),
            "INFO decoders are confined by Landlock (ABI 7), seccomp and limits",
        ),
        (("seccomp", "limits"), "INFO decoders are confined by seccomp and limits"),
        (("limits",), "WARNING decoders are confined by limits alone, as this system has neither Landlock nor seccomp"),
    ],
)
def test_the_log_says_what_confines_decoders_and_warns_where_it_is_little(caplog, force, told):
    with caplog.at_level("INFO"):
        decoders._log_confinement(force)
    (record,) = caplog.records
    assert f"{record.levelname} {record.getMessage()}".startswith(told)


def test_a_system_without_anonymous_memory_is_told(caplog, monkeypatch):
    monkeypatch.delattr("os.memfd_create")
    decoders._log_confinement(("limits",))
    assert "unnamed files of" in caplog.records[-1].getMessage()


def test_windows_is_told_in_one_sentence_where_it_can_run():
    program = "import sys; sys.platform = 'win32'; import qwen_demo.raster"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert "runs on Linux and macOS" in result.stderr.splitlines()[-1]
    assert "WSL 2" in result.stderr.splitlines()[-1]


ALONE = """
import os, sys
from qwen_demo.media import sandbox, seccomp
{change}
print(*sandbox.confine_zygote(os.getppid()), sep=";")
sandbox.confine_job(os.getppid(), {{"NOFILE": 3}})
try:
    os.open("/etc/passwd", os.O_RDONLY)
    print("opened")
except OSError as error:
    print(error.errno)
"""


@pytest.mark.parametrize(
    ("change", "force"),
    [
        ("sandbox._landlock = lambda: 0", "seccomp;limits"),
        ("seccomp._PROGRAMS = {}", "limits"),
        ("sandbox._landlock = lambda: 0; seccomp._PROGRAMS = {}", "limits"),
    ],
    ids=["no Landlock", "no seccomp", "neither"],
)
def test_where_the_system_lacks_one_the_rest_applies(change, force):
    command = [sys.executable, "-c", ALONE.format(change=change)]
    told, error = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()[-2:]
    assert told.endswith(force) and error in ("1", "13", "24")


async def test_an_orphan_ends_by_itself():
    """Whoever started it was killed, so nobody told it to end."""
    program = """
import asyncio, os
from qwen_demo import media
from qwen_demo.media import decoders
from qwen_demo.media.content import content_of
from tests.media.test_decoders import PROGRAMS, task

async def main():
    pool = media.DecoderPool(1, programs=PROGRAMS)
    with await content_of(b"x") as file:
        code = "exchange.say({'ids': [os.getpid(), os.getppid()]}); time.sleep(600)"
        async with pool.job(task(code), file.fd) as job:
            print(*(await job.answer())["ids"], flush=True)
            os.kill(os.getpid(), 9)

asyncio.run(main())
"""
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, env=environment)
    ids = [int(each) for each in result.stdout.split()]
    assert len(ids) == 2, result.stderr
    await until(lambda: not any(map(_lives, ids)))


async def test_a_decoder_ends_with_the_process_that_forked_it(pool):
    with await content_of(b"x") as file:
        async with pool.job(
            task("exchange.say({'ids': [os.getpid(), os.getppid()]}); time.sleep(600)"), file.fd
        ) as job:
            decoder, zygote = (await job.answer())["ids"]
            os.kill(zygote, signal.SIGKILL)
            await until(lambda: not _lives(decoder))


def _lives(process: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        # Of those whose parent has gone nobody may take note.
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False

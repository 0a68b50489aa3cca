"""The process that decoders are forked from: one for each kind of file, warm, and never near a stranger's byte.

It imports the library of its kind, gives up its rights (`sandbox.py`), and then forks a child for a job. The child
gives up more (it can start nothing, signal nobody, hear of no other job), decodes one file and ends, or waits for the
next file of the same caller where the server said that it may (`resting.py`). So what a hostile file does to its
decoder stays with whoever sent it: the next stranger's file is read by a process that never saw the first.

Imports nothing of the package but what decodes; `decoders.py` starts it, with a socket for standard input.

Requests: four bytes of length, JSON {"number", "job", "limits", "again"} and two descriptors (the line, the file), or
{"kill": number}. Replies are lines: {"ready": what is in force} once, {"ended": number, "status": n} for each job.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import traceback
from typing import Any

from qwen_demo.media import sandbox
from qwen_demo.media.exchange import FILE, Exchange, Refused

_LINE = 3  # memory for pixels comes at 5
_DETAIL = 4000
_MOST_KIB = 128 << 10  # resident; a decoder that ever had more serves no other file


def main(place: dict[str, Any]) -> None:
    """Serve until the server's end of the socket is closed.

    Args:
        place: `program`, the module that decodes: `decode(job, file, exchange) -> answer` and `DAMAGE`, the exceptions
            that damaged files raise; `server`, the id of the process with which this one ends.
    """
    program = importlib.import_module(place["program"])
    control = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    ended, woken = os.pipe()
    os.set_blocking(ended, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server's to answer
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    own_bytes = sandbox.address_space_bytes()
    force = sandbox.confine_zygote(place["server"])
    for standard in (0, 1, 2):  # from here on it has nothing to say to a terminal
        os.dup2(nothing, standard)
    os.close(nothing)
    # Children share these pages until they write to them; counting references to garbage would be writing.
    gc.collect()
    gc.freeze()
    gc.disable()
    _tell(control, {"ready": force})
    with contextlib.suppress(ConnectionError):
        _Zygote(control, ended, program, own_bytes).serve()


class _Zygote:
    def __init__(self, control: socket.socket, ended: int, program: Any, own_bytes: int):
        self._control, self._ended, self._program, self._own_bytes = control, ended, program, own_bytes
        self._jobs: dict[int, int] = {}  # process -> number of its job

    def serve(self) -> None:
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLIN)
        poll.register(self._ended, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._ended in ready:
                self._bury()
            if self._control.fileno() in ready and not self._take():
                return

    def _bury(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._ended, 512):
                pass
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                number = self._jobs.pop(found[0])
                _tell(self._control, {"ended": number, "status": os.waitstatus_to_exitcode(found[1])})

    def _take(self) -> bool:
        """Do what the next request says; False when the server is gone."""
        head, descriptors, _, _ = socket.recv_fds(self._control, 4, 2)
        if not head:
            return False
        request = json.loads(_exactly(self._control, int.from_bytes(head + _exactly(self._control, 4 - len(head)))))
        if "kill" in request:
            for process, number in self._jobs.items():
                if number == request["kill"]:
                    os.kill(process, signal.SIGKILL)
            return True
        zygote, process = os.getpid(), os.fork()
        if not process:
            _work(request, descriptors, zygote, self._program, self._own_bytes)
        self._jobs[process] = request["number"]
        for descriptor in descriptors:
            os.close(descriptor)
        return True


def _work(request: dict[str, Any], descriptors: list[int], zygote: int, program: Any, own_bytes: int) -> None:
    """One job, or several of one caller, in a process of its own. Does not return."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # They are higher numbers: the zygote's own three descriptors came first.
        os.dup2(descriptors[0], _LINE)
        os.dup2(descriptors[1], FILE)
        os.closerange(FILE + 1, 1 << 16)
        exchange = Exchange(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=_LINE), own_bytes)
        sandbox.confine_job(zygote, {"NOFILE": FILE + 2, **request["limits"]})
        job = request["job"]
        while job is not None:
            answer = _answer(job, exchange, program)
            again = request["again"] and "refused" not in answer and _has_not_grown()
            exchange.say({**answer, "again": True} if again else answer)
            job = exchange.next_job() if again else None
        os._exit(0)
    finally:
        os._exit(1)


def _has_not_grown() -> bool:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < _MOST_KIB


def _answer(job: dict[str, Any], exchange: Exchange, program: Any) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = program.decode(job, FILE, exchange)
        return answer
    except Refused as exc:
        return {"refused": exc.code, "values": exc.values}
    except MemoryError:
        return {"refused": "memory", "values": []}
    except program.DAMAGE:
        return {"refused": "damaged", "values": []}
    except Exception:  # our own mistake: told to the server, which logs it
        return {"refused": "failed", "values": [], "detail": traceback.format_exc()[-_DETAIL:]}


def _tell(control: socket.socket, reply: dict[str, Any]) -> None:
    control.sendall(json.dumps(reply).encode() + b"\n")


def _exactly(control: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = control.recv(count - len(data))
        if not piece:
            raise ConnectionError
        data += piece
    return data

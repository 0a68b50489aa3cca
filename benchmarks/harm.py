"""The processes of a running program, and ways to harm them. For Linux."""

import base64
import contextlib
import io
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import PIL.Image
import psutil

PATIENCE_S = 120.0
LOOK_EVERY_S = 0.02
# No certificates: reading them would take the processor from the program that starts again.
PLAIN = {"timeout": PATIENCE_S, "verify": False, "trust_env": False}
SPARE_BYTES = 8 << 20  # for the answers in work; an image of `LARGE` does not fit
LARGE = (3000, 3000)
HUGE = (6000, 6000)  # takes long enough to decode that it can be caught at work


@dataclass(frozen=True)
class Program:
    """`app.py` on the embedded model, in all its processes.

    Attributes:
        front: id of its front's process.
    """

    url: str
    front: int

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, **PLAIN)

    @property
    def is_ready(self) -> bool:
        return self.get("/ready").status_code == 200

    def ask(self, words: str = "Who are you?", image: bytes = b"", tokens: int = 8) -> httpx.Response:
        content: list[dict] = [{"type": "text", "text": words}]
        if image:
            url = "data:image/png;base64," + base64.b64encode(image).decode()
            content.insert(0, {"type": "image_url", "image_url": {"url": url}})
        body = {"messages": [{"role": "user", "content": content}], "max_tokens": tokens}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, **PLAIN)

    def family(self) -> list[psutil.Process]:
        """The front and all that it has started."""
        front = psutil.Process(self.front)
        return [front, *front.children(recursive=True)]

    def children(self) -> list[psutil.Process]:
        """The front and what it started itself; decoders come and go below these."""
        front = psutil.Process(self.front)
        return [front, *front.children()]

    def engine(self) -> psutil.Process:
        return next(child for child in self.family() if "boot.py" in " ".join(_command(child)))

    def decoders(self) -> psutil.Process:
        """The process that decoders of images are forked from."""
        return next(child for child in self.family() if '"qwen_demo.media.image_decoder"' in " ".join(_command(child)))


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that are there; one that nobody has buried yet is not."""
    left = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(LOOK_EVERY_S)


def drawn(size: tuple[int, int] = LARGE) -> bytes:
    """A PNG that no cache has, with little in it, which still has to be decoded pixel by pixel."""
    image = PIL.Image.linear_gradient("L").convert("RGB").resize(size)
    image.putpixel((0, 0), tuple(os.urandom(3)))
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    return data.getvalue()


@contextlib.contextmanager
def without_memory(process: psutil.Process) -> Iterator[None]:
    """It gets no more than `SPARE_BYTES` beyond what it has."""
    before = resource.prlimit(process.pid, resource.RLIMIT_AS)
    resource.prlimit(process.pid, resource.RLIMIT_AS, (process.memory_info().vms + SPARE_BYTES, before[1]))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_AS, before)


def ask_and_kill_its_decoder(program: Program) -> tuple[httpx.Response, float]:
    """The answer about an image whose decoder was killed at work, and when it was killed."""
    zygote = program.decoders().pid
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        answers: list[httpx.Response] = []
        image = drawn(HUGE)
        asking = threading.Thread(target=lambda into, data: into.append(program.ask(image=data)), args=(answers, image))
        asking.start()
        killed = _kill_a_child(zygote, while_=asking.is_alive)
        asking.join(PATIENCE_S)
        if killed and answers[0].status_code != 200:  # else it had just finished
            return answers[0], killed
    raise TimeoutError("no decoder was caught at work")


def _kill_a_child(pid: int, while_: Callable[[], bool]) -> float:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while while_():
        for child in children.read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
                return time.perf_counter()
    return 0.0

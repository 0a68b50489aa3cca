"""Three copies of the app behind nginx; one is killed and one drained while many people and programs ask.

    python -m benchmarks.failover                     the embedded model, 50 users
    python -m benchmarks.failover --engine scripted       the proxy alone

Half of the users stream, a quarter asks for whole answers, a quarter are visitors of the page with their cookie. An
answer is `lost` if it was not given although nothing of it had arrived: that must not happen. One that broke off after
its first byte is `broken`: nobody can take back what a caller has read. Prints a table, writes JSON.
"""

import argparse
import asyncio
import base64
import concurrent.futures
import contextlib
import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import httpx

from benchmarks import machine, proxy
from benchmarks.load import quantile
from benchmarks.running import CROWD, ENGINES, ROOT, read_address
from benchmarks.users import TIMEOUT, image

FRONTS = ("stream", "stream", "whole", "page")
# What a draining or full server says, by REST and in Gradio's events.
COME_BACK = ("not_ready", "overloaded")


class Target(Protocol):
    """One copy of the app."""

    url: str
    process: subprocess.Popen


@dataclass
class Crowd:
    """Users who ask again as soon as they are answered, and what happened to them.

    Attributes:
        words: length of the question, which the scripted engine repeats.
        images: whether each question comes with an image of its own.
        ended: (seconds since the start, front, kind, seconds it took) of each request. Kinds: `answered`,
            `told` to come back, `broken` after it began, `lost` before.
        homes: the servers that each visitor of the page met, in order.
    """

    users: int
    words: int = 40
    images: bool = False
    ended: list[tuple[float, str, str, float]] = field(default_factory=list)
    lost_before_they_began: list[str] = field(default_factory=list)
    homes: dict[int, list[str]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        return sum(kind == "answered" for _, _, kind, _ in self.ended)

    @property
    def sessions_moved(self) -> int:
        """Visitors who were sent away from a server that was still there."""
        return sum(any(home not in self.gone for home in homes[:-1]) for homes in self.homes.values())


async def run(
    front_url: str, servers: Sequence[Target], crowd: Crowd, seconds: float, events: Sequence[tuple[float, int, int]]
) -> None:
    """All users ask for `seconds`; each event is (after seconds, which server, signal)."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    began = time.perf_counter()
    names = [await asyncio.to_thread(_name, server) for server in servers]

    async def user(number: int) -> None:
        front = FRONTS[number % len(FRONTS)]
        async with httpx.AsyncClient(base_url=front_url, verify=context, timeout=TIMEOUT, trust_env=False) as http:
            if front == "page":
                (await http.get("/")).raise_for_status()
            while time.perf_counter() < began + seconds:
                asked = time.perf_counter()
                kind, detail = await ask(http, front, number, crowd, {})
                now = time.perf_counter()
                crowd.ended.append((now - began, front, kind, now - asked))
                if kind == "lost":
                    crowd.lost_before_they_began.append(f"{front}: {detail}")
                if kind != "answered":
                    await asyncio.sleep(0.5)

    async def happen(after_s: float, index: int, number: int) -> None:
        await asyncio.sleep(after_s)
        crowd.gone.append(names[index])
        servers[index].process.send_signal(number)

    await asyncio.gather(*[user(number) for number in range(crowd.users)], *[happen(*event) for event in events])


def _name(server: Target) -> str:
    """Gradio gives each process a name of its own."""
    return httpx.get(server.url + "/gradio_api/app_id", trust_env=False).json()["app_id"]


async def ask(http: httpx.AsyncClient, front: str, number: int, crowd: Crowd, state: dict) -> tuple[str, str]:
    """The kind of its end, and what was said.

    Args:
        state: gets `began`, and `region`, which of several the answer says that it comes from.
    """
    state |= {"began": False, "region": None}
    try:
        if front == "page":
            return await _ask_page(http, number, crowd, state)
        return await _ask_rest(http, front == "stream", crowd, state)
    except httpx.HTTPError as error:
        return ("broken" if state["began"] else "lost"), repr(error)


async def _ask_rest(http: httpx.AsyncClient, stream: bool, crowd: Crowd, state: dict) -> tuple[str, str]:
    content: list[dict] = [{"type": "text", "text": "word " * crowd.words}]
    if crowd.images:
        content.insert(0, {"type": "image_url", "image_url": {"url": _data_url()}})
    body = {"messages": [{"role": "user", "content": content}], "max_tokens": crowd.words, "stream": stream}
    async with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        text = ""
        state["region"] = answer.headers.get("x-region")
        async for piece in answer.aiter_text():
            state["began"] = answer.status_code == 200
            text = (text + piece)[-2000:]
    if answer.status_code == 200 and (not stream or text.endswith("data: [DONE]\n\n")):
        return "answered", ""
    if any(f'"code":"{code}"' in text.replace(" ", "") for code in COME_BACK):
        return "told", text
    return ("broken" if state["began"] else "lost"), f"{answer.status_code} {text[-300:]}"


async def _ask_page(http: httpx.AsyncClient, number: int, crowd: Crowd, state: dict) -> tuple[str, str]:
    answer = await http.get("/gradio_api/app_id")
    if answer.status_code != 200:
        return "told" if answer.status_code == 503 else "lost", answer.text[:300]
    home = answer.json()["app_id"]
    met = crowd.homes.setdefault(number, [])
    if met[-1:] != [home]:
        met.append(home)
    shown = None
    if crowd.images:
        files = {"files": ("image.jpg", image(number), "image/jpeg")}
        uploaded = await http.post("/gradio_api/upload", files=files)
        if uploaded.status_code != 200:
            return "told" if uploaded.status_code == 503 else "lost", uploaded.text[:300]
        shown = {"path": uploaded.json()[0], "meta": {"_type": "gradio.FileData"}}
    values = ["word " * crowd.words, shown, 0, crowd.words, 1, 1, None, None, ""]
    call = await http.post("/gradio_api/call/ask", json={"data": values})
    state["region"] = call.headers.get("x-region")
    if call.status_code != 200:
        return "told" if call.status_code == 503 else "lost", call.text[:300]
    # From here on the answer belongs to one server.
    state["began"] = True
    event = data = ""
    async with http.stream("GET", f"/gradio_api/call/ask/{call.json()['event_id']}") as answer:
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            event, data = (value, data) if name == "event" else (event, value if name == "data" else data)
    if event == "complete":
        return "answered", ""
    return ("told" if any(code in data for code in COME_BACK) else "broken"), data[:300]


def _data_url() -> str:
    return "data:image/jpeg;base64," + base64.b64encode(image(time.perf_counter_ns())).decode()


def phases(crowd: Crowd, borders: Sequence[tuple[str, float, float]]) -> list[dict]:
    """A row for each named stretch of time."""
    rows = []
    for name, start, end in borders:
        here = [one for one in crowd.ended if start <= one[0] < end]
        took = [seconds for _, _, kind, seconds in here if kind == "answered"]
        kinds = Counter(kind for _, _, kind, _ in here)
        rows.append(
            {
                "phase": name,
                "answered": kinds["answered"],
                "answers/s": kinds["answered"] / (end - start),
                "p50 s": statistics.median(took) if took else None,
                "p95 s": quantile(took, 0.95),
                "told to come back": kinds["told"],
                "broken off": kinds["broken"],
                "lost": kinds["lost"],
            }
        )
    return rows


@dataclass
class Copy:
    """One copy of the app, on a free port."""

    process: subprocess.Popen
    url: str


def start(engine: str) -> Copy:
    # Longer than any answer takes, also where three models share two cores.
    flags = ["--max-waiting", "256", "--max-running", "64", "--grace-s", "90", "--trusted-proxies", "127.0.0.1"]
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", "0", *ENGINES[engine], *flags],
        cwd=ROOT,
        env={**os.environ, **CROWD, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return Copy(process, read_address(process))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=ENGINES, default="embedded")
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args(argv)
    third = options.seconds / 3
    crowd = Crowd(options.users, words=30, images=options.engine != "scripted")
    roomy = [("rate=20r/s", "rate=9000r/s"), ("limit_conn open 64", "limit_conn open 900")]
    load = os.getloadavg()[0]
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(3) as pool:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        copies = list(pool.map(start, [options.engine] * 3))
        try:
            front = stack.enter_context(proxy.running(folder, [copy.url for copy in copies], changes=roomy))
            events = [(third, 0, signal.SIGKILL), (2 * third, 1, signal.SIGTERM)]
            asyncio.run(run(front.url, copies, crowd, options.seconds, events))
            drained = copies[1].process.wait(timeout=120)
        finally:
            for copy in copies:
                copy.process.kill()
                copy.process.wait()
    end = max(one[0] for one in crowd.ended) + 1e-6
    borders = [("three servers", 0, third), ("one killed", third, 2 * third), ("one drained as well", 2 * third, end)]
    rows = phases(crowd, borders)
    print(machine.table(rows))
    visitors = {"visitors": len(crowd.homes), "moved from a living server": crowd.sessions_moved}
    visitors["found another after theirs went"] = sum(len(homes) > 1 for homes in crowd.homes.values())
    print(json.dumps({**visitors, "exit code of the drained": drained}))
    for detail in crowd.lost_before_they_began[:5]:
        print("lost:", detail, file=sys.stderr)
    told = {"asked": vars(options), "rows": rows, "visitors": visitors, "load_average_before": load}
    print(machine.write(f"failover-{options.engine}", {**told, "exit code of the drained": drained}))
    return int(bool(crowd.lost_before_they_began or crowd.sessions_moved or drained))


if __name__ == "__main__":
    sys.exit(main())

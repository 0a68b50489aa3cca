"""A long mixed load, to see what grows: `python -m benchmarks.soak --minutes 20`.

Starts the app with the scripted engine and a folder for uploads of its own, and lets ask, all at once
and with pauses: programs (REST) and people (Gradio, a new image each time), some of whom leave in
the middle, and some who send what must be refused. Samples the server's memory, open files and the
bytes of its upload folder. Everything is bounded and stays on this machine.

Memory per 1,000 requests is the slope of a line through the samples after the first minutes, in
which every program grows.
"""

import argparse
import asyncio
import itertools
import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks import machine
from benchmarks.running import ENGINES, app, scrape
from benchmarks.users import FRONTS, GradioUser, Outcome, Question, connect, image

MIB = 1 << 20
SETTINGS = ["--max-running", "16", "--max-image-bytes", str(MIB), "--max-video-bytes", str(2 * MIB),
            "--max-request-bytes", str(3 * MIB)]  # fmt: skip
QUESTION = "what do you see in this image tell me all of it " * 2
IMAGES = 500
# A body over the limit may be cut off while it is still being sent; then its 413 is lost on the way.
CUT_OFF = (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError)


@dataclass
class Soak:
    """What happened so far."""

    url: str
    uploads: Path | None
    ends: float
    pause_s: float
    counts: Counter = field(default_factory=Counter)
    wrong: Counter = field(default_factory=Counter)
    samples: list[dict] = field(default_factory=list)
    numbers: itertools.count = field(default_factory=itertools.count)

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.ends

    def count(self, who: str, outcome: str, detail: str = "") -> None:
        self.counts[f"{who}: {outcome}"] += 1
        if detail:
            self.wrong[f"{who}: {detail}"] += 1


async def asker(soak: Soak, front: str, dice: random.Random, *, leaves: bool) -> None:
    """Asks about an image, reads or leaves in the middle, thinks, comes back on a new connection."""
    while not soak.over:
        number = next(soak.numbers)
        async with connect(soak.url) as http:
            user = FRONTS[front](http, Question(f"{number} {QUESTION}", 30, image(number % IMAGES)))
            try:
                await user.prepare()
                outcome = await user.ask(leave_after_s=dice.uniform(0.05, 0.6) if leaves else None)
            except httpx.HTTPError as error:
                outcome = Outcome("error", 0.0, detail=f"upload: {error!r}")
        soak.count(f"{front}, leaves" if leaves else front, outcome.kind, outcome.detail)
        await asyncio.sleep(dice.uniform(0, 2 * soak.pause_s))


async def nuisance(soak: Soak, dice: random.Random) -> None:
    """Sends what must be refused with a 4xx, one kind after the other."""
    whole = image(0)
    broken = [
        whole[: len(whole) // 2],
        b"\x89PNG\r\n\x1a\n" + b"x" * 400,
        b"",
        b"<svg onload=alert(1)>",
        b"GIF89a" + b"\0" * 300,
    ]
    bodies: list[dict] = [
        {"files": {"file": ("a.jpg", broken[0])}, "data": {"prompt": "hi"}},
        {"files": {"file": ("a.png", broken[1])}, "data": {"prompt": "hi"}},
        {"files": {"file": ("a.svg", broken[3])}, "data": {"prompt": "hi"}},
        {"files": {"file": ("a.gif", broken[4])}, "data": {"prompt": "hi"}},
        {"files": {"file": ("large.jpg", whole + b"\0" * 2 * MIB)}, "data": {"prompt": "hi"}},
        {"json": {"prompt": "x" * (4 * MIB)}},
        {"json": {"prompt": "hi", "image": "not base64"}},
        {"json": {"prompt": "hi", "image_url": "http://169.254.169.254/"}},
        {"content": b"{", "headers": {"content-type": "application/json"}},
    ]
    for body in itertools.cycle(bodies):
        if soak.over:
            return
        try:
            async with connect(soak.url) as http:
                response = await http.post("/inference", **body)
            refused = 400 <= response.status_code < 500
            kind, detail = (
                ("refused", "") if refused else ("not refused", f"{response.status_code}: {response.text[:200]}")
            )
        except CUT_OFF:
            kind, detail = "cut off", ""
        except httpx.HTTPError as error:
            kind, detail = "not refused", repr(error)
        soak.count("bad request", kind, detail)
        await asyncio.sleep(dice.uniform(0, 2 * soak.pause_s))


async def bad_uploader(soak: Soak, dice: random.Random) -> None:
    """Uploads to the page what is too large, or no image, and asks about it."""
    for number in itertools.count():
        if soak.over:
            return
        data = os.urandom(3 * MIB if number % 2 else 5000)
        async with connect(soak.url) as http:
            try:
                files = {"files": ("image.jpg", data, "image/jpeg")}
                response = await http.post("/gradio_api/upload", files=files)
                kind, detail = "refused", ""
                if response.status_code == 200:
                    user = GradioUser(http, Question("what is it", 30))
                    user.show(response.json()[0])
                    outcome = await user.ask()
                    refused = outcome.kind == "rejected" or "invalid_media" in outcome.detail
                    kind, detail = ("refused", "") if refused else ("not refused", f"{outcome.kind} {outcome.detail}")
                elif response.status_code >= 500:
                    kind, detail = "not refused", f"{response.status_code}: {response.text[:200]}"
            except CUT_OFF:
                kind, detail = "cut off", ""
            except httpx.HTTPError as error:
                kind, detail = "not refused", repr(error)
        soak.count("bad upload", kind, detail)
        await asyncio.sleep(dice.uniform(0, 4 * soak.pause_s))


async def sampler(soak: Soak, began: float, every_s: float) -> None:
    while not soak.over:
        soak.samples.append(await asyncio.to_thread(sample, soak, began))
        await asyncio.sleep(every_s)


def sample(soak: Soak, began: float) -> dict:
    figures = scrape(soak.url)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "requests": sum(soak.counts.values()),
        "rss_mib": round(figures.rss_mib, 2),
        "fds": figures.fds,
        "upload_mib": round(_size(soak.uploads) / MIB, 2) if soak.uploads else None,
        "running": figures.running,
        "waiting": figures.waiting,
    }


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


async def run(url: str, uploads: Path | None, seconds: float, users: int, pause_s: float, sample_s: float) -> Soak:
    """`users` of each kind for `seconds`, then a last sample when everybody has gone."""
    began = time.monotonic()
    soak = Soak(url, uploads, began + seconds, pause_s)
    dice = random.Random(5)
    everybody = [nuisance(soak, dice), bad_uploader(soak, dice), sampler(soak, began, sample_s)]
    for front in FRONTS:
        everybody += [asker(soak, front, dice, leaves=False) for _ in range(users)]
        everybody += [asker(soak, front, dice, leaves=True) for _ in range(max(1, users // 3))]
    await asyncio.gather(*everybody)
    for _ in range(30):  # those who left free their places within a moment
        await asyncio.sleep(1)
        soak.samples.append(await asyncio.to_thread(sample, soak, began))
        if not soak.samples[-1]["running"] + soak.samples[-1]["waiting"]:
            break
    return soak


def summary(soak: Soak, warm_up_s: float) -> dict:
    """One row: what grew after `warm_up_s`, and by how much."""
    late = [s for s in soak.samples if s["seconds"] >= warm_up_s] or soak.samples
    requests, memory = [s["requests"] for s in late], [s["rss_mib"] for s in late]
    slope = statistics.linear_regression(requests, memory).slope if len(set(requests)) > 1 else 0.0
    last = soak.samples[-1]
    return {
        "minutes": last["seconds"] / 60,
        "requests": last["requests"],
        "MiB at start": soak.samples[0]["rss_mib"],
        "MiB after warm-up": memory[0],
        "MiB at end": memory[-1],
        "MiB per 1,000 requests": 1000 * slope,
        "open files, most": max(s["fds"] for s in soak.samples),
        "open files, end": last["fds"],
        "uploads MiB, end": last["upload_mib"],
        "still running": last["running"] + last["waiting"],
        "wrong": sum(soak.wrong.values()),
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--warm-up-minutes", type=float, default=None, help="default: a quarter of it, 5 at most")
    parser.add_argument("--engine", choices=ENGINES, default="scripted")
    parser.add_argument("--users", type=int, default=6, help="of each front; a third as many leave in the middle")
    parser.add_argument("--pause-s", type=float, default=0.5, help="mean pause between two questions of a user")
    parser.add_argument("--label", default="")
    options, settings = parser.parse_known_args(argv)
    seconds = 60 * options.minutes
    warm_up = options.warm_up_minutes
    warm_up_s = min(300.0, seconds / 4) if warm_up is None else 60 * warm_up
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        flags = [*SETTINGS, "--upload-dir", folder, *settings]
        with app(options.engine, flags) as url:
            every_s = min(5.0, seconds / 20)
            soak = asyncio.run(run(url, Path(folder), seconds, options.users, options.pause_s, every_s))
    row = summary(soak, warm_up_s)
    print(machine.table([row]))
    for what, count in sorted(soak.counts.items()):
        print(f"{count:6} {what}")
    for what, count in soak.wrong.most_common(5):
        print(f"wrong, {count} times: {what}", file=sys.stderr)
    name = "-".join(filter(None, ("soak", options.engine, options.label)))
    more = {"asked": vars(options), "settings": settings, "counts": dict(soak.counts), "wrong": dict(soak.wrong)}
    print(machine.write(name, {"rows": [row], **more, "samples": soak.samples}))
    return 1 if soak.wrong or row["still running"] else 0


if __name__ == "__main__":
    sys.exit(main())

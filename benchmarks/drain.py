"""Users ask without a pause while one replica after the other is taken out and brought back: what is lost, how long it takes.

    python -m benchmarks.drain
    python -m benchmarks.drain --model CHECKPOINT --users 64 --column 1036x756,64    # a GPU for each replica

Each request has an image of its own and is streamed; a user asks again when the answer is whole. DRAIN_LOG names a file
for what the server prints. Other flags are settings of the server.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from benchmarks import machine
from benchmarks.checkouts import commit
from benchmarks.closed_loop import WORDS, Column, TimedUser
from benchmarks.running import ROOT, serving
from benchmarks.users import Outcome, Question, connect, image
from qwen_demo.http.credentials import new_key

LOOK_EVERY_S = 0.1


def arguments(argv: list[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--column", default="112x84,16", metavar="WIDTHxHEIGHT,TOKENS")
    parser.add_argument("--steady-s", type=float, default=3, help="with all of them, before each is taken out")
    parser.add_argument("--label", default="", help="in the name of the result; the model if left out")
    parser.add_argument("--out", type=Path, help="folder of the result, benchmarks/results if left out")
    options, settings = parser.parse_known_args(argv)
    options.column = Column.read(f"{options.users}x1,{options.column}")
    return options, settings


class Crowd:
    """Users who ask until they are told that it is over.

    Attributes:
        ends: how each request ended, and whether a replica was away when it was asked.
    """

    def __init__(self, url: str, column: Column):
        self._url, self._column = url, column
        self._over = asyncio.Event()
        self.one_is_away = False
        self.ends: list[tuple[bool, Outcome]] = []
        self._tasks = [asyncio.create_task(self._user(number)) for number in range(column.users)]

    async def _user(self, number: int) -> None:
        async with connect(self._url) as http:
            for turn in itertools.count():
                if self._over.is_set():
                    return
                shown = image(number * 100_000 + turn, self._column.width, self._column.height)
                question = Question(WORDS, self._column.tokens, shown, {"temperature": 0})
                away = self.one_is_away
                self.ends.append((away, await TimedUser(http, question).ask()))

    async def end(self) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)


async def rounds(url: str, key: str, options: argparse.Namespace) -> dict[str, Any]:
    """Each replica out and back, in turn."""
    crowd, rows = Crowd(url, options.column), []
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as operator:
        for number in range(options.replicas):
            await asyncio.sleep(options.steady_s)
            crowd.one_is_away = True
            row: dict[str, Any] = {"replica": number}
            for way, state in (("out", "out"), ("in", "serving")):
                began = time.perf_counter()
                told = (await operator.post(f"/v1/replicas/{number}/{way}")).raise_for_status().json()
                row |= {"requests in work": told["requests"]} if way == "out" else {}
                await until(operator, number, state)
                row[f"{way} after s"] = time.perf_counter() - began
            crowd.one_is_away = False
            rows.append(row)
    await crowd.end()
    lost = [outcome for _, outcome in crowd.ends if outcome.kind != "answered"]
    return {
        "rows": rows,
        "answered": len(crowd.ends) - len(lost),
        "asked_while_one_was_away": sum(away for away, _ in crowd.ends),
        "lost": len(lost),
        "why": dict(Counter(f"{outcome.kind} {outcome.detail}"[:200] for outcome in lost)),
    }


async def until(operator: httpx.AsyncClient, number: int, state: str) -> None:
    """Raises `RuntimeError` where a replica did not come back."""
    while True:
        seat = (await operator.get("/v1/replicas")).raise_for_status().json()["data"][number]
        if seat["state"] == state:
            return
        if state == "serving" and seat["state"] == "out":
            raise RuntimeError(f"replica {number} did not come back: {seat['detail']}")
        await asyncio.sleep(LOOK_EVERY_S)


def main(argv: list[str] | None = None) -> int:
    options, settings = arguments(argv)
    key, hashed = new_key()
    with tempfile.TemporaryDirectory(prefix="drain") as folder:
        keys = Path(folder) / "operators"
        keys.write_text(f"operator:{hashed}\n")
        command = [sys.executable, "app.py", "--port", "{port}", "--model", options.model]
        command += ["--replicas", str(options.replicas), "--operator-keys-file", str(keys), *settings]
        with serving(command, log_variable="DRAIN_LOG", health="/ready", folder=ROOT) as url:
            found = asyncio.run(rounds(url, key, options))
    print(machine.table(found["rows"]))
    print(f"{found['answered']} answered, {found['lost']} lost {found['why'] or ''}")
    record = {
        "label": options.label or Path(options.model).name,
        "column": options.column.name,
        "commit": commit(ROOT),
        "settings": settings,
        **found,
    }
    print(machine.write("drain", record, options.out))
    return 1 if found["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())

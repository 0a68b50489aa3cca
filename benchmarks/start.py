"""From nothing to the first answered question, in parts, and what memory all processes then have.

    python -m benchmarks.start
    python -m benchmarks.start --tree before=PATH --tree after=. --runs 3      another checkout beside this one, in turns

Starts `python app.py` anew several times. A warm Chromium opens the page as soon as its address is printed (needs
requirements-dev.txt; `python tests/browser.py` installs one), and a question about an image is asked over HTTP as soon as
the model is ready.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from playwright.sync_api import Browser

from benchmarks import machine
from benchmarks.checkouts import checkouts, commit
from benchmarks.page import chromium
from benchmarks.processes import shares
from benchmarks.users import Question, RestUser, connect, image

# When the first content was painted, in milliseconds since 1970: the browser may be too busy to say so at once.
PAINTED = """() => {
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return paint && performance.timeOrigin + paint.startTime;
}"""
PATIENCE_S = 300.0


@dataclass
class Output:
    """What a server prints: its address, and seconds since its start until each line that is a step."""

    began: float
    url: str = ""
    seen: dict[str, float] = field(default_factory=dict)
    addressed: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def now(self) -> float:
        return time.perf_counter() - self.began

    def read(self, lines) -> None:
        """Until the server closes its output; `ended` is set when it is ready, too."""
        for line in lines:
            if "demo: http" in line:
                self.seen["page is there"] = self.now()
                self.url = line.split()[2]
                self.addressed.set()
            elif "Loading embedded" in line:
                self.seen["PyTorch and transformers imported"] = self.now()
            elif line.strip().endswith(": ready"):
                self.seen["weights loaded"] = self.now()
            elif line.startswith("Ready after"):
                self.seen["warm"] = self.now()
                self.ended.set()
        self.addressed.set()
        self.ended.set()


async def answered(url: str) -> None:
    """One short answer about an image.

    Raises:
        RuntimeError: the server gave none.
    """
    async with connect(url) as http:
        outcome = await RestUser(http, Question("What is in this image?", 32, image(1))).ask()
    if outcome.kind != "answered":
        raise RuntimeError(f"the first question ended with {outcome.kind} {outcome.detail}")


def once(tree: Path, browser: Browser) -> dict[str, dict]:
    """Seconds since start until each step (`until`), and memory by role after the first answer (`memory`)."""
    output, began = Output(time.perf_counter()), time.time()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", "0", "--model", "embedded"],
        cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    reader = threading.Thread(target=output.read, args=(process.stdout,))
    reader.start()
    try:
        output.addressed.wait(PATIENCE_S)
        if not output.url:
            raise RuntimeError("the program ended before its page was there")
        page = browser.new_page()
        page.goto(output.url, wait_until="commit")
        painted = page.wait_for_function(PAINTED, timeout=1000 * PATIENCE_S).json_value()
        output.seen["page is painted"] = painted / 1000 - began
        page.close()
        output.ended.wait(PATIENCE_S)
        if "warm" not in output.seen:
            raise RuntimeError("the program ended before it was ready")
        # Playwright keeps a loop of its own in this thread.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, answered(output.url)).result()
        output.seen["first question answered"] = output.now()
        memory = {role: asdict(share) for role, share in shares(psutil.Process(process.pid)).items()}
    finally:
        process.terminate()
        process.wait()
        reader.join()
        process.stdout.close()
    return {"until": output.seen, "memory": memory}


def steps(runs: list[dict], name: str) -> list[dict]:
    """In the order in which they came."""
    rows = [
        {
            "tree": name,
            "until": step,
            "median s": statistics.median(run["until"][step] for run in runs),
            "worst s": max(run["until"][step] for run in runs),
        }
        for step in runs[0]["until"]
    ]
    return sorted(rows, key=lambda row: row["median s"])


def memories(runs: list[dict], name: str) -> list[dict]:
    """Medians by role and of all together, MiB."""
    tables = [run["memory"] | {"all": _together(run["memory"])} for run in runs]
    return [
        {
            "tree": name,
            "role": role,
            **{
                figure: statistics.median(table[role][figure] for table in tables if role in table)
                for figure in ("processes", "resident_mib", "own_mib")
            },
        }
        for role in tables[0]
    ]


def _together(memory: dict[str, dict]) -> dict[str, float]:
    return {key: sum(share[key] for share in memory.values()) for key in ("processes", "resident_mib", "own_mib")}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tree", action="append", metavar="[NAME=]PATH", help="a checkout; may be repeated")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args(argv)
    trees, load = checkouts(options.tree), os.getloadavg()[0]
    runs: dict[str, list[dict]] = {name: [] for name in trees}
    with chromium() as browser:
        for number in range(options.runs):
            # Nobody is always first.
            for name in sorted(trees, reverse=bool(number % 2)):
                runs[name].append(once(trees[name], browser))
    rows = [row for name, made in runs.items() for row in steps(made, name)]
    memory = [row for name, made in runs.items() for row in memories(made, name)]
    print(machine.table(rows), machine.table(memory), sep="\n\n")
    about = {"commits": {name: commit(tree) for name, tree in trees.items()}, "load_average_before": load}
    print(
        machine.write(
            "start", {"runs": options.runs, **about, "rows": rows, "memory": memory, "each": runs}, options.out
        )
    )


if __name__ == "__main__":
    main()

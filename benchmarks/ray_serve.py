"""deploy/ray on this machine: does it scale to two replicas and back, and what happens when one is killed?

    python -m benchmarks.ray_serve --serve PATH/TO/ENVIRONMENT/bin/serve

The environment has `ray[serve]` and what the app needs. The application is that of deploy/ray/serve.yaml with the
embedded model, a share of a CPU for each replica instead of a GPU, and shorter delays. Each request must end in an
answer or in an error that its caller sees; one that ends in neither is `silent`. Prints a table, writes JSON.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import yaml

from benchmarks import machine, proxy
from benchmarks.load import quantile
from benchmarks.running import ROOT
from benchmarks.users import Outcome, Question, RestUser, connect, image

DASHBOARD = "http://127.0.0.1:{port}/api/serve/applications/"
# Longer than anything here should take.
PATIENCE_S = 240.0
ASKED = Question("Describe the image.", 60)


def configuration(port: int) -> dict:
    """deploy/ray/serve.yaml, changed as the docstring of this file says."""
    config = yaml.safe_load((ROOT / "deploy" / "ray" / "serve.yaml").read_text())
    config["http_options"]["port"] = port
    (application,) = config["applications"]
    application["args"]["flags"] = ["--model", "embedded", "--threads", "1", "--max-waiting", "64"]
    (replica,) = application["deployments"]
    replica["ray_actor_options"] = {"num_cpus": 0.4}
    replica |= {"health_check_period_s": 2, "graceful_shutdown_timeout_s": 60}
    replica["autoscaling_config"] |= {"max_replicas": 2, "target_ongoing_requests": 4}
    replica["autoscaling_config"] |= {"upscale_delay_s": 3, "downscale_delay_s": 10}
    return config


@contextlib.contextmanager
def serving(serve: str) -> Iterator[tuple[str, str]]:
    """`serve run`; gives the address of the application and that of Ray's dashboard."""
    port, dashboard = proxy.free_ports(1)[0], 8265
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "serve.yaml"
        path.write_text(yaml.safe_dump(configuration(port)))
        # All of it listens on loopback; the dashboard would ask for a token otherwise.
        quiet = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
        log = Path(os.environ.get("RAY_LOG", os.devnull))
        with log.open("wb") as out:
            process = subprocess.Popen(
                [serve, "run", str(path)], cwd=ROOT, env={**os.environ, **quiet}, stdout=out, stderr=out
            )
        try:
            yield f"http://127.0.0.1:{port}", DASHBOARD.format(port=dashboard)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=120)


def replicas(dashboard: str) -> list[int]:
    """Process ids of the replicas that answer."""
    try:
        found = httpx.get(dashboard, timeout=20, trust_env=False).json()["applications"]["qwen-demo"]["deployments"]
    except (httpx.HTTPError, KeyError, ValueError):
        return []
    return [one["pid"] for one in found.get("replica", {"replicas": []})["replicas"] if one["state"] == "RUNNING"]


async def until(condition, what: str) -> float:
    """Seconds until `condition()` holds; it may take its time."""
    began = time.perf_counter()
    while not await asyncio.to_thread(condition):
        if time.perf_counter() - began > PATIENCE_S:
            raise TimeoutError(f"after {PATIENCE_S:.0f} s still not: {what}")
        await asyncio.sleep(0.5)
    return time.perf_counter() - began


class Users:
    """So many users who ask without a pause until they are told to stop."""

    def __init__(self, url: str, count: int):
        self.outcomes: list[Outcome] = []
        self._stopping = False
        self._tasks = [asyncio.create_task(self._ask(url, number)) for number in range(count)]

    async def _ask(self, url: str, number: int) -> None:
        question = Question(ASKED.text, ASKED.max_tokens, image(number, 336))
        async with connect(url) as http:
            user = RestUser(http, question)
            while not self._stopping:
                outcome = await user.ask()
                self.outcomes.append(outcome)
                if outcome.kind != "answered":
                    await asyncio.sleep(0.5)

    async def stop(self) -> None:
        """Ends when the last of them has been answered."""
        self._stopping = True
        await asyncio.gather(*self._tasks)


def row(phase: str, outcomes: list[Outcome], seconds: float, **more) -> dict:
    kinds = Counter(outcome.kind for outcome in outcomes)
    silent = sum("Timeout" in outcome.detail for outcome in outcomes)
    return {
        "phase": phase,
        "seconds": seconds,
        "answered": kinds["answered"],
        "answers/s": kinds["answered"] / seconds,
        "p95 s": quantile([o.seconds for o in outcomes if o.kind == "answered"], 0.95),
        "told to come back": kinds["rejected"],
        "errors that were told": kinds["error"] - silent,
        "silent": silent,
        **more,
    }


async def measure(url: str, dashboard: str, count: int) -> tuple[list[dict], list[str]]:
    started_s = await until(lambda: len(replicas(dashboard)) == 1, "one replica")
    rows, wrong = [row("start", [], 1e-9, replicas=1)], []
    rows[0]["seconds"] = started_s
    users = Users(url, count)
    for phase, enough_s in (("load, scaling to two", 0.0), ("two replicas", 20.0), ("one of them killed", 0.0)):
        users.outcomes.clear()
        began = time.perf_counter()
        if phase.startswith("one"):
            victim = replicas(dashboard)[0]
            os.kill(victim, signal.SIGKILL)
            await until(lambda gone=victim: gone not in replicas(dashboard), "the dead replica forgotten")
        await until(lambda: len(replicas(dashboard)) == 2, "two replicas")
        await asyncio.sleep(enough_s)
        rows.append(row(phase, list(users.outcomes), time.perf_counter() - began, replicas=2))
        wrong += [outcome.detail for outcome in users.outcomes if outcome.kind == "error"]
        print(json.dumps(rows[-1]), file=sys.stderr)
    users.outcomes.clear()
    began = time.perf_counter()
    await users.stop()
    await until(lambda: len(replicas(dashboard)) == 1, "one replica again")
    rows.append(row("no load, scaling to one", users.outcomes, time.perf_counter() - began, replicas=1))
    wrong += [outcome.detail for outcome in users.outcomes if outcome.kind == "error"]
    return rows, wrong


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", required=True, help="the program `serve` of an environment with ray[serve]")
    parser.add_argument("--users", type=int, default=12)
    options = parser.parse_args(argv)
    load = os.getloadavg()[0]
    with serving(options.serve) as (url, dashboard):
        rows, wrong = asyncio.run(measure(url, dashboard, options.users))
    print(machine.table(rows))
    for detail, times in Counter(wrong).most_common(5):
        print(f"error, {times} times: {detail[:300]}", file=sys.stderr)
    told = {"users": options.users, "rows": rows, "load_average_before": load}
    print(machine.write("ray-serve", {**told, "errors": [list(pair) for pair in Counter(wrong).most_common(20)]}))
    return int(any(one["silent"] for one in rows))


if __name__ == "__main__":
    sys.exit(main())

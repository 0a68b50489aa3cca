"""Full-size models on a CPU: ours, stock transformers and llama.cpp, in the shapes of 3B and 7B with random weights.

    python -m benchmarks.cpu --work FOLDER                           everything, about two hours on two cores
    python -m benchmarks.cpu --work FOLDER --prepare                 no more than the checkpoints, 30 GB, and llama.cpp
    python -m benchmarks.cpu --work FOLDER --architectures 3b --ways ours "ours, second start"
    python -m benchmarks.cpu --work FOLDER --capabilities avx2       a processor without AVX-512
    python -m benchmarks.cpu --work FOLDER --architectures tiny --sizes 56x56 --tokens 4     does it run at all?

What is measured joins what the result's file has of other shapes, capabilities, ways, sizes and numbers of users, and the
table shows all of it: the whole can be split into parts by these flags. Images are noise, each another. First token and
milliseconds a token are medians over the users' answers, who ask at once; transformers answers them one after another.

- `ours`: weights from the files, quantised on the way; `ours, second start`: from the cache that the first one left.
- `llama.cpp q4_0`: over HTTP, with its own vision encoder in float16 (benchmarks/llama_cpp/serve.sh). Its build is for
  AVX2, whatever the processor has, so that there is no second measurement with that capability.
- transformers' NF4 takes the product that the processor has, whatever capability is asked for: it is left out there, and
  so is bf16, which takes minutes.
"""

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from benchmarks import machine, random_checkpoint
from benchmarks.architectures import SHAPES
from benchmarks.cpu_ways import WAYS, Stopwatch, Task, server

ROOT = Path(__file__).parents[1]
LLAMA = "llama.cpp q4_0"
ALL_WAYS = (*WAYS, LLAMA)
CAPABILITIES: dict[str, dict[str, str]] = {
    "own": {},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
}
WITH_AVX2 = ("ours", "ours, second start")
PORT = "8097"
LONGEST_START_S = 900.0
COLUMNS = {
    "architecture": "shapes",
    "capability": "processor",
    "way": "way",
    "image": "image",
    "users": "users",
    "first_token_s": "first token, s",
    "ms_a_token": "ms a token",
    "tokens_per_s": "tokens/s",
    "ready_s": "ready after, s",
    "loading_peak_gib": "loading peak, GiB",
    "gib": "resident, GiB",
    "peak_gib": "peak, GiB",
}
PART = ("architecture", "capability", "way")
ROW = (*PART, "image", "users")


def checkpoint(architecture: str, work: Path) -> Path:
    """Written if it is not there."""
    folder = work / architecture
    if not (folder / "preprocessor_config.json").exists():  # the last file
        say(f"writing random weights of {architecture}")
        random_checkpoint.write(architecture, folder)
    return folder


def llama_environment(architecture: str, work: Path, users: int) -> dict[str, str]:
    return os.environ | {
        "MODEL": str(checkpoint(architecture, work)),
        "GGUF": str(work / f"{architecture}-q4_0"),
        "OUTTYPE": "q4_0",
        "CONVERTER_PYTHON": sys.executable,
        "LLAMA_VENV": os.environ.get("LLAMA_VENV", str(work / "llama-cpp")),
        "PORT": PORT,
        "SLOTS": str(users),
        "CONTEXT": "2048",
    }


def prepare(architecture: str, work: Path, ways: list[str]) -> None:
    checkpoint(architecture, work)
    if LLAMA in ways:
        say(f"converting {architecture} for llama.cpp")
        script = str(ROOT / "benchmarks" / "llama_cpp" / "serve.sh")
        subprocess.run(
            ["bash", script, "prepare"], check=True, env=llama_environment(architecture, work, 1), stderr=_log(work)
        )


@contextlib.contextmanager
def llama(environment: dict[str, str], work: Path) -> Iterator[tuple[str, Stopwatch]]:
    """The server, as soon as it is ready."""
    script = str(ROOT / "benchmarks" / "llama_cpp" / "serve.sh")
    process = subprocess.Popen(["bash", script], env=environment, stdout=_log(work), stderr=subprocess.STDOUT)
    watch, url = Stopwatch(process.pid), f"http://127.0.0.1:{PORT}"
    deadline = time.monotonic() + LONGEST_START_S
    try:
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"llama.cpp did not start, see {work / 'log.txt'}")
            time.sleep(0.1)
        watch.ready()
        yield url, watch
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _log(work: Path) -> Any:
    return (work / "log.txt").open("a")


def measured(way: str, task: Task, architecture: str, capability: str, work: Path) -> dict[str, Any]:
    if way == LLAMA:
        with llama(llama_environment(architecture, work, max(task.users)), work) as (url, watch):
            return asyncio.run(server(task, url, watch))
    given = {key: value for key, value in asdict(task).items() if key != "seeds"}
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"} | CAPABILITIES[capability]
    command = [sys.executable, "-m", "benchmarks.cpu_ways", way, json.dumps(given)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=_log(work), text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{way} failed, see {work / 'log.txt'}")
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


def rows_of(made: dict[str, Any], part: dict[str, str], tokens: int) -> list[dict[str, Any]]:
    shared = {key: value for key, value in made.items() if key != "rows"}
    return [{**part, **row, **shared, "tokens": tokens} for row in made["rows"]]


def joined(before: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`before` with what was measured anew replaced, in one order."""
    anew = {tuple(row[key] for key in ROW) for row in new}
    kept = [row for row in before if tuple(row[key] for key in ROW) not in anew]
    order = [list(SHAPES), list(CAPABILITIES), list(ALL_WAYS)]
    places = [[names.index(row[key]) for names, key in zip(order, PART, strict=True)] for row in (*kept, *new)]
    pairs = zip(places, (*kept, *new), strict=True)
    return [
        row
        for _, row in sorted(
            pairs, key=lambda pair: (pair[0], len(pair[1]["image"]), pair[1]["image"], pair[1]["users"])
        )
    ]


def say(words: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints, kept weights and the log")
    parser.add_argument("--prepare", action="store_true", help="measure nothing")
    parser.add_argument("--architectures", nargs="+", default=["3b", "7b"], choices=list(SHAPES))
    parser.add_argument("--capabilities", nargs="+", default=list(CAPABILITIES), choices=list(CAPABILITIES))
    parser.add_argument("--ways", nargs="+", default=list(ALL_WAYS), choices=ALL_WAYS)
    parser.add_argument("--quantization", default="auto", help="of ours")
    parser.add_argument("--sizes", nargs="+", type=_size, default=[(448, 448), (1036, 756)], help="of the images")
    parser.add_argument("--users", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--tokens", type=int, default=32, help="of each answer")
    parser.add_argument("--out", type=Path, help="folder for the JSON file of the figures")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = _options(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    for architecture in options.architectures:
        prepare(architecture, options.work, options.ways)
    if options.prepare:
        return 0
    path = machine.place("cpu", "", options.out)
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    for architecture in options.architectures:
        for capability in options.capabilities:
            for way in (each for each in options.ways if capability == "own" or each in WITH_AVX2):
                began = time.perf_counter()
                cache = options.work / f"{architecture}-{capability}-kept"
                if way == "ours":
                    subprocess.run(["rm", "-rf", str(cache)], check=True)
                task = Task(
                    str(options.work / architecture), str(cache), options.sizes, options.users, options.tokens,
                    options.quantization,
                )  # fmt: skip
                made = measured(way, task, architecture, capability, options.work)
                part = dict(zip(PART, (architecture, capability, way), strict=True))
                rows = joined(rows, rows_of(made, part, options.tokens))
                machine.write("cpu", {"rows": rows}, options.out)
                say(f"{architecture}, {capability}, {way}: {time.perf_counter() - began:.0f} s")
    print(machine.table(rows, COLUMNS))
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())

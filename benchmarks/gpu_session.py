"""Everything worth measuring on one GPU, in one go, in order of value.

    python -m benchmarks.gpu_session --out results --seconds 560
    python -m benchmarks.gpu_session --out results --only smoke,nf4

Each step is a process of its own with a time limit; one that fails or is stopped does not keep the
next from running. Logs and results are packed into `OUT/gpu.tar.gz` after every step, so that
whatever ends the session leaves what was measured before. Uses the first visible GPU: choose it
with CUDA_VISIBLE_DEVICES. Without a GPU the tiny architecture tries all of it on the CPU.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BF16_PARTS = "steps,users,first token,gaps,short answers,long answers,exactness,naive"
LEAST_S = 15  # a step is not begun with less time than this


@dataclass(frozen=True)
class Step:
    """A command and how long it may take."""

    name: str
    command: tuple[str, ...]
    seconds: int


def steps(architecture: str) -> list[Step]:
    """In order of value."""
    half = "fp32" if architecture == "tiny" else "bf16"
    shapes = ("--architecture", architecture)
    exactness = ("benchmarks.exactness", "--tokens", "64")
    return [
        Step("smoke", ("benchmarks.gpu_cases", "smoke"), 100),
        Step("trained-bf16", (*exactness, "--weights", half), 60),
        Step("trained-nf4", (*exactness, "--weights", "nf4"), 60),
        Step("nf4", ("benchmarks.gpu_cases", "model", *shapes, "--weights", "nf4"), 400),
        Step("bf16", ("benchmarks.gpu_cases", "model", *shapes, "--weights", half, "--parts", BF16_PARTS), 150),
        Step("memory", ("benchmarks.memory", *shapes), 400),
    ]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=560, help="for all steps together")
    parser.add_argument("--only", default="", help="names of steps, comma-separated")
    parser.add_argument("--architecture", default="7b", help="7b, 3b or tiny")
    return parser.parse_args()


def run(step: Step, limit: float, folder: Path) -> str:
    """How the step ended, in words; its output is in `folder/NAME.log`."""
    command = [sys.executable, "-m", *step.command, "--out", str(folder / "results")]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    began = time.monotonic()
    with open(folder / f"{step.name}.log", "w") as log:
        log.write(f"{' '.join(command)}\n")
        log.flush()
        # A group of its own: the processes that a step starts end with it.
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, process_group=0
        )
        try:
            code = process.wait(timeout=limit)
            ended = "done" if code == 0 else f"ended with {code}"
        except subprocess.TimeoutExpired:
            ended = "stopped at its limit"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return f"{ended} after {time.monotonic() - began:.0f} s"


def pack(folder: Path, out: Path) -> None:
    """All logs and results in one file; the old one stays whole until the new one is."""
    out.mkdir(parents=True, exist_ok=True)
    partial = folder.parent / f"{folder.name}.tar.gz"
    with tarfile.open(partial, "w:gz") as archive:
        archive.add(folder, arcname="gpu")
    (out / "gpu.tar.gz.new").write_bytes(partial.read_bytes())
    os.replace(out / "gpu.tar.gz.new", out / "gpu.tar.gz")
    partial.unlink()


def shown(log: Path, lines: int) -> str:
    return "\n".join(line[:400] for line in log.read_text(errors="replace").splitlines()[-lines:])


def main() -> None:
    options = arguments()
    end = time.monotonic() + options.seconds
    wanted = [s for s in steps(options.architecture) if not options.only or s.name in options.only.split(",")]
    with tempfile.TemporaryDirectory(prefix="gpu_session") as scratch:
        folder = Path(scratch) / "gpu"
        (folder / "results").mkdir(parents=True)
        for step in wanted:
            left = end - time.monotonic()
            if left < LEAST_S:
                told = "not begun: the time is up"
            else:
                told = run(step, min(step.seconds, left), folder)
                print(shown(folder / f"{step.name}.log", 8 if told.startswith("done") else 25))
            print(f"== {step.name}: {told}", flush=True)
            with open(folder / "session.log", "a") as log:
                log.write(f"{step.name}: {told}\n")
            pack(folder, options.out)


if __name__ == "__main__":
    main()

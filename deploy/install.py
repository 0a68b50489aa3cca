"""Installs requirements into the environment whose Python runs this, as `make` does.

    .venv/bin/python deploy/install.py -r requirements.txt

Everything after the file's name goes to `pip install`. On Linux the usual index gives PyTorch with CUDA's libraries, some
gigabytes. Where there is no NVIDIA GPU its CPU build is fetched from PyTorch's own index first; pip then finds the pinned
version there already. Where that index cannot be reached, or lacks it, the usual index alone does. `TORCH=usual` in the
environment leaves it to that, `TORCH=cpu` takes the CPU build also beside a GPU. Needs nothing but Python and pip.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
# What shows a driver: natively, in WSL, and in containers that were given a card.
DRIVER_FILES = ("/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1", "/dev/nvidiactl")
PINNED = re.compile(r"^(torch|torchvision)==([^\s#]+)", re.MULTILINE)
PIP = (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")


def has_nvidia_gpu() -> bool:
    """Whether a driver is there. A card without one is of no use to PyTorch either."""
    return shutil.which("nvidia-smi") is not None or any(Path(name).exists() for name in DRIVER_FILES)


def wants_cpu_build(given: Mapping[str, str], platform: str, *, gpu: bool) -> bool:
    """`given` is the environment; elsewhere than on Linux the usual index has no CUDA libraries."""
    asked = given.get("TORCH", "auto")
    if asked not in ("auto", "cpu", "usual"):
        raise SystemExit(f"TORCH={asked} is refused: it may be auto, cpu or usual")
    return platform == "linux" and (asked == "cpu" or (asked == "auto" and not gpu))


def pins(requirements: Path) -> list[str]:
    """PyTorch's packages as the file, or the one that it includes, pins them."""
    text = requirements.read_text(encoding="utf-8")
    for included in re.findall(r"^-r\s+(\S+)", text, re.MULTILINE):
        text += "\n" + (requirements.parent / included).read_text(encoding="utf-8")
    return [f"{name}=={version}" for name, version in PINNED.findall(text)]


def commands(requirements: Path, more: Sequence[str], *, cpu: bool) -> list[list[str]]:
    """To run one after the other; all but the last may fail."""
    usual = [*PIP, *more, "-r", str(requirements)]
    if not cpu:
        return [usual]
    # These two alone come from there: what they need in turn is looked up in the usual index.
    alone = ["--no-deps", "--retries", "1", "--timeout", "15", "--index-url", CPU_INDEX]
    first = [*PIP, *more, *alone, *pins(requirements)]
    return [first, usual]


def main(argv: Sequence[str]) -> int:
    if len(argv) < 2 or argv[0] != "-r":
        raise SystemExit(f"usage: {sys.argv[0]} -r FILE [what goes to pip install]")
    cpu = wants_cpu_build(os.environ, sys.platform, gpu=has_nvidia_gpu())
    *first, last = commands(Path(argv[1]), argv[2:], cpu=cpu)
    for command in first:
        print("There is no NVIDIA GPU: PyTorch's CPU build is fetched, without CUDA's libraries.", flush=True)
        if subprocess.run(command, check=False).returncode:
            print("It was not to be had there. The usual index is asked, whose build may bring them.", flush=True)
    return subprocess.run(last, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

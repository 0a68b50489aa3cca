"""What a first installation fetches, how long it takes, and what it leaves on the disk.

    python -m benchmarks.install                     both builds of PyTorch: what pip would fetch; the CPU one is installed
    python -m benchmarks.install --installs          nothing is installed

The CPU build is installed as `make` does without an NVIDIA GPU, into a fresh environment and past pip's cache. Sizes are
those that the index tells of each wheel, or of files where pip's own configuration names some.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from benchmarks import machine

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements.txt"
BUILDS = ("usual", "cpu")
COLUMNS = {
    "build": "PyTorch",
    "packages": "packages",
    "download_mb": "to fetch, MB",
    "cuda_mb": "of it CUDA's libraries, MB",
    "seconds": "installed in, s",
    "disk_mb": "on the disk, MB",
}
CUDA = ("nvidia-", "cuda-", "triton")
MB = 10**6


def environment(build: str) -> dict[str, str]:
    """`usual` asks the public index alone, whatever pip's configuration adds; PyTorch's CPU build may be among that."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL")}
    return {**(kept | {"PIP_CONFIG_FILE": os.devnull} if build == "usual" else os.environ), "TORCH": build}


def planned(build: str) -> list[dict[str, Any]]:
    """Name and bytes of each wheel that pip would fetch into an empty environment."""
    asked = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    done = subprocess.run(
        [*asked, "-r", str(REQUIREMENTS)], capture_output=True, text=True, check=True, env=environment(build)
    )
    report = json.loads(done.stdout[done.stdout.index("{") :])
    with httpx.Client(follow_redirects=True, timeout=30) as client:
        return [
            {"name": each["metadata"]["name"].lower(), "bytes": size_of(each["download_info"]["url"], client)}
            for each in report["install"]
        ]


def size_of(url: str, client: httpx.Client) -> int:
    if url.startswith("file:"):
        return Path(unquote(urlsplit(url).path)).stat().st_size
    return int(client.head(url).raise_for_status().headers["content-length"])


def installed(build: str) -> tuple[float, float]:
    """Seconds that `deploy/install.py` takes into a fresh environment, and MB that lie there then."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        command = [
            str(python),
            str(ROOT / "deploy" / "install.py"),
            "-r",
            str(REQUIREMENTS),
            "--no-cache-dir",
            "--quiet",
        ]
        subprocess.run(command, check=True, env=environment(build), stdout=sys.stderr)
        seconds = time.perf_counter() - began
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())
    return seconds, size / MB


def measure(build: str, *, installs: bool) -> dict[str, Any]:
    wheels = planned(build)
    seconds, disk_mb = installed(build) if installs else (None, None)
    return {
        "build": build,
        "packages": len(wheels),
        "download_mb": sum(wheel["bytes"] for wheel in wheels) / MB,
        "cuda_mb": sum(wheel["bytes"] for wheel in wheels if wheel["name"].startswith(CUDA)) / MB,
        "seconds": seconds,
        "disk_mb": disk_mb,
        "largest": sorted(wheels, key=lambda wheel: -wheel["bytes"])[:8],
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--builds", nargs="+", default=list(BUILDS), choices=BUILDS)
    parser.add_argument("--installs", nargs="*", default=["cpu"], choices=BUILDS, help="those that are installed, too")
    parser.add_argument("--out", type=Path, help="folder for a JSON file of the figures")
    options = parser.parse_args(argv)
    rows = [measure(build, installs=build in options.installs) for build in options.builds]
    print(machine.table(rows, COLUMNS))
    print(machine.write("install", {"rows": rows}, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())

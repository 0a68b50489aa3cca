"""Checkouts of this project, to measure one beside another."""

import subprocess
from pathlib import Path

from benchmarks.running import ROOT


def checkouts(told: list[str] | None) -> dict[str, Path]:
    """By name, from `NAME=PATH` or a path whose folder is the name; this one if nothing is told."""
    found = {}
    for words in told or [str(ROOT)]:
        name, _, path = words.rpartition("=")
        folder = Path(path).resolve()
        found[name or folder.name] = folder
    return found


def commit(tree: Path) -> str | None:
    """Of a checkout, `+` if something of it is changed; None of a folder that is none."""
    try:
        told = [
            subprocess.run(["git", "-C", str(tree), *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (["rev-parse", "--show-toplevel"], ["rev-parse", "--short", "HEAD"], ["status", "--porcelain"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return told[1] + ("+" if told[2] else "") if Path(told[0]) == tree else None

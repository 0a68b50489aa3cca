"""What a result has to say about where it was measured, and how it is shown."""

import datetime
import importlib.metadata
import json
import os
import platform
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def hardware() -> str:
    """A short name of what does the work."""
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"{_cpu_name()}, {os.cpu_count()} cores"


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("torch", "transformers", "bitsandbytes", "triton"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def place(name: str, label: str = "", out: Path | None = None) -> Path:
    """Where `write` puts a result: the file's name has the hardware in it."""
    made = "".join(c if c.isalnum() else "-" for c in f"{name} {label} {hardware()}".lower())
    return (out or RESULTS) / ("-".join(part for part in made.split("-") if part) + ".json")


def write(name: str, content: dict, out: Path | None = None) -> Path:
    """Write a result beside the others."""
    record = {
        "benchmark": name,
        "hardware": hardware(),
        "versions": versions(),
        "taken": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **content,
    }
    path = place(name, content.get("label", ""), out)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return path


def crowds(record: dict) -> tuple[list[dict], int]:
    """Rows with many users at once, and the tokens of each answer, from `benchmarks.engine` or `benchmarks.gpu_session`."""
    if "rows" in record:
        return record["rows"], int(record["options"]["tokens"])
    parts = record["parts"]
    tokens = parts["users"][0]["tokens"]
    return [row for row in (*parts["users"], *parts["naive"]) if row["tokens"] == tokens], tokens


def table(rows: list[dict], columns: dict[str, str] | None = None) -> str:
    """Markdown; `columns` maps keys of the rows to headings, by default each to itself."""
    columns = columns or {key: key for key in rows[0]}
    lines = ["| " + " | ".join(columns.values()) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        lines.append("| " + " | ".join(_shown(row.get(key)) for key in columns) + " |")
    return "\n".join(lines)


def _shown(value) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if value < 100 else f"{value:.0f}"
    return str(value)

"""Tables of a result of `benchmarks.over_http`: a row for each server, a column for each crowd, ratios to the first server."""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks import machine

FIGURES = {
    "tokens_per_s": "tokens/s in all",
    "requests_per_s": "requests/s",
    "ttft_p50_s": "first token, median s",
    "gap_p50_ms": "gap between tokens, median ms",
    "gap_p99_ms": "gap between tokens, p99 ms",
    "latency_p95_s": "whole answer, p95 s",
    "errors": "errors",
}
# What the documents show.
COMPACT = {"tokens_per_s": "tokens/s", "ttft_p50_s": "first token, s", "gap_p99_ms": "p99 of the gap, ms"}
COUNTS = ("errors",)
Cell = Callable[[str, str], float | None]


def show(record: dict[str, Any]) -> str:
    """Markdown; the median of rounds where there are several."""
    rows, parts = record["rows"], []
    columns = list(dict.fromkeys(row["column"] for row in rows))
    kinds = list(dict.fromkeys(row["quantization"] for row in rows))
    for figure, title in FIGURES.items():
        if any(figure in row for row in rows):
            parts.append(f"{title}\n\n{_figure(rows, figure, columns, kinds)}")
    names = list(dict.fromkeys(row["server"] for row in rows))
    if len(names) == 2:
        parts.append(f"{' / '.join(names)} / ratio\n\n{compact(record)}")
    for part in ("starts", "processes", "failed"):
        if record[part]:
            parts.append(machine.table(record[part]))
    wrong = [f"{row['server']} {row['column']}: {row['first_error']}" for row in rows if row["errors"]]
    return "\n\n".join([*parts, *wrong])


def _cells(rows: list[dict], figure: str, kind: str) -> Cell:
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["quantization"] == kind and row.get(figure) is not None:
            found.setdefault((row["server"], row["column"]), []).append(row[figure])
    return lambda server, column: statistics.median(found[server, column]) if (server, column) in found else None


def _servers(rows: list[dict], kind: str) -> list[str]:
    return list(dict.fromkeys(row["server"] for row in rows if row["quantization"] == kind))


def _ratio(value: float | None, base: float | None) -> float | None:
    return value / base if value is not None and base else None


def _figure(rows: list[dict], figure: str, columns: list[str], kinds: list[str]) -> str:
    lines = []
    for kind in kinds:
        cell, (first, *others) = _cells(rows, figure, kind), _servers(rows, kind)
        for server in (first, *others):
            lines.append({"server": f"{server}, {kind}"} | {column: cell(server, column) for column in columns})
        for server in others if figure not in COUNTS else ():
            ratios = {column: _ratio(cell(server, column), cell(first, column)) for column in columns}
            lines.append({"server": f"**{server} / {first}, {kind}**"} | ratios)
    return machine.table(lines)


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def compact(record: dict[str, Any]) -> str:
    """Two servers side by side: `first / second / ratio` of what counts most."""
    rows, lines = record["rows"], []
    for kind, column in dict.fromkeys((row["quantization"], row["column"]) for row in rows):
        line = {"quantisation": kind, "crowd": column}
        for figure, title in COMPACT.items():
            cell = _cells(rows, figure, kind)
            values = [cell(server, column) for server in _servers(rows, kind)]
            ratio = _ratio(values[-1], values[0])
            line[title] = " / ".join([*map(_shown, values), "-" if ratio is None else f"{ratio:.2f}"])
        lines.append(line)
    return machine.table(lines)

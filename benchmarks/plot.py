"""Draw results of `benchmarks.engine` or `benchmarks.gpu_session` as SVG: tokens per second and first token, by users.

python -m benchmarks.plot benchmarks/results/engine-*.json --out docs/engine.svg
python -m benchmarks.plot benchmarks/results/gpu-7b-*.json --out docs/engine-gpu.svg
"""

import argparse
import json
import math
from pathlib import Path

from benchmarks import machine

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 420, 260, 56, 34, 40
COLOURS = ("#4c6ef5", "#e8590c", "#2b8a3e", "#c2255c", "#5f3dc4", "#0b7285", "#868e96")


def series(records: list[dict], field: str) -> dict[str, list[tuple[float, float]]]:
    """Points (users, value) by engine; with several files the label tells them apart."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        for row in machine.crowds(record)[0]:
            name = row["engine"] if len(records) == 1 else f"{row['engine']}, {record['label']}"
            if row.get(field):
                lines.setdefault(name, []).append((row["users"], row[field]))
    return {name: sorted(points) for name, points in lines.items()}


def panel(x: int, title: str, lines: dict[str, list[tuple[float, float]]]) -> list[str]:
    """One chart with logarithmic axes, its left edge at `x`."""
    points = [point for line in lines.values() for point in line]
    spans = [_span([p[axis] for p in points], base) for axis, base in ((0, 2), (1, 10))]

    def place(point) -> tuple[float, float]:
        shares = [(math.log(v / lo) / math.log(hi / lo)) for v, (lo, hi) in zip(point, spans, strict=True)]
        right, bottom = x + WIDTH - 16, HEIGHT - BOTTOM
        return x + LEFT + shares[0] * (right - x - LEFT), bottom - shares[1] * (bottom - TOP)

    made = [f'<text x="{x + LEFT}" y="20" font-weight="bold">{title}</text>']
    for users in sorted({p[0] for p in points}):
        at = place((users, spans[1][0]))
        made.append(f'<text x="{at[0]:.1f}" y="{at[1] + 16:.1f}" text-anchor="middle">{users:g}</text>')
    value = spans[1][0]
    while value <= spans[1][1] * 1.001:
        at = place((spans[0][0], value))
        made.append(f'<line x1="{x + LEFT}" x2="{x + WIDTH - 16}" y1="{at[1]:.1f}" y2="{at[1]:.1f}" stroke="#ddd"/>')
        made.append(f'<text x="{x + LEFT - 6}" y="{at[1] + 4:.1f}" text-anchor="end">{value:g}</text>')
        value *= 10
    for colour, line in zip(COLOURS, lines.values(), strict=False):
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in map(place, line))
        made.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        made += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in map(place, line)]
    made.append(f'<text x="{x + WIDTH // 2}" y="{HEIGHT - 6}" text-anchor="middle">users</text>')
    return made


def _span(values: list[float], base: int) -> tuple[float, float]:
    """Powers of `base` around the values."""
    low = base ** math.floor(math.log(min(values), base) + 1e-9)
    high = base ** math.ceil(math.log(max(values), base) - 1e-9)
    return low, max(high, low * base)


def draw(records: list[dict]) -> str:
    speed, first = series(records, "tokens_per_s"), series(records, "ttft_p50_s")
    body = panel(0, "tokens/s, all users together", speed) + panel(WIDTH, "first token, median seconds", first)
    for n, (colour, name) in enumerate(zip(COLOURS, speed, strict=False)):
        body.append(f'<text x="{LEFT}" y="{HEIGHT + 16 + 16 * n}" fill="{colour}">&#9679; {name}</text>')
    where = " / ".join(dict.fromkeys(record["hardware"] for record in records))
    height = HEIGHT + 36 + 16 * len(speed)
    body.append(f'<text x="{LEFT}" y="{height - 6}" fill="#666">{where}</text>')
    size = f'width="{2 * WIDTH}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *body, "</svg>\n"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.write_text(draw([json.loads(path.read_text()) for path in options.results]))
    print(options.out)


if __name__ == "__main__":
    main()

"""This server and vLLM in turn on one GPU: the same checkpoint, the same client, the same crowds, over HTTP.

    python -m benchmarks.random_checkpoint --architecture 7b --out CHECKPOINT
    python -m benchmarks.gpu_peers --checkpoint CHECKPOINT
    python -m benchmarks.gpu_peers --checkpoint CHECKPOINT --kinds none --peer-python VENV/bin/python
    python -m benchmarks.gpu_peers --checkpoint CHECKPOINT --kinds nf4,fp8 --together --slots 64 --slot-tokens 1536 …
    python -m benchmarks.gpu_peers --show benchmarks/results/gpu-peers-*.json --plot docs/gpu-peers.svg

Kinds of weights are named as `--quantization` names them: `none` is bf16, `nf4` stands against vLLM's bitsandbytes. Neither
keeps images between requests, as each is asked about once. A server that does not start keeps no other from its turn;
OVER_HTTP_LOG names a file for what the one that runs prints. Other flags are settings of this server.

With --together all are started in one moment and stay on the GPU, which must hold them; each is still asked alone, while
the others are idle. That saves their starting one after the other. Each then needs a bound: --peer-cache-gib for the
peer's keys and values, --kv-cache-mib, --slot-tokens and --memory-limit-gib for ours.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from benchmarks import machine
from benchmarks.checkouts import commit
from benchmarks.closed_loop import Column
from benchmarks.over_http import COLUMNS, SERVERS, Running, Server, Turn, asked, measure, nvidia_smi, started
from benchmarks.over_http_tables import show
from benchmarks.running import ROOT

PEER, OURS = "vllm", "ours"
END_S = 40.0
# vLLM's flags for the weights that `--quantization` makes here.
PEER_FLAGS = {"none": (), "nf4": ("--quantization", "bitsandbytes"), "fp8": ("--quantization", "fp8")}
TITLES = {"none": "bf16", "nf4": "NF4 / bitsandbytes", "fp8": "fp8"}


def arguments(argv: list[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--kinds", default="none,nf4,fp8")
    parser.add_argument("--servers", default=f"{PEER},{OURS}", help="in this order, for each kind")
    parser.add_argument("--columns", nargs="+", default=COLUMNS, metavar="USERSxREQUESTS,WIDTHxHEIGHT,TOKENS")
    parser.add_argument("--peer-python", default=sys.executable, help="interpreter that has vLLM")
    parser.add_argument("--peer-path", default="", help="PYTHONPATH of that one")
    parser.add_argument("--together", action="store_true", help="start all at once, ask each in its turn")
    parser.add_argument("--peer-cache-gib", type=float, default=6, help="with --together: its keys and values")
    parser.add_argument("--label", default="", help="in the name of the result; the checkpoint's folder if left out")
    parser.add_argument("--out", type=Path, help="folder of the result, benchmarks/results if left out")
    parser.add_argument("--show", type=Path, nargs="+", help="only print the tables of these results, taken together")
    parser.add_argument("--plot", type=Path, help="with --show: also draw it into this file")
    options, settings = parser.parse_known_args(argv)
    if not options.show and not options.checkpoint:
        parser.error("--checkpoint is missing; benchmarks.random_checkpoint writes one")
    options.columns = [Column.read(words) for words in options.columns]
    return options, settings


def peer(python: str, path: str, kind: str, cache_gib: float | None = None) -> Server:
    """vLLM with as many slots as this server has, and without what would keep an image.

    Args:
        cache_gib: of keys and values, where others are on the GPU; else what 85 % of it leave.
    """
    share = ("0.85",) if cache_gib is None else ("0.2", "--kv-cache-memory-bytes", str(int(cache_gib * (1 << 30))))
    return Server(
        (
            *(python, "-m", "vllm.entrypoints.openai.api_server", "--model", "{checkpoint}", "--port", "{port}"),
            *("--host", "127.0.0.1", "--dtype", "bfloat16", "--max-model-len", "4096", "--max-num-seqs", "64"),
            *("--limit-mm-per-prompt", '{{{{"image":1,"video":0}}}}', "--gpu-memory-utilization", *share),
            *("--mm-processor-cache-gb", "0", "--generation-config", "vllm", *PEER_FLAGS[kind]),
        ),
        "/health",
        {"ignore_eos": True},
        {"VLLM_NO_USAGE_STATS": "1", "VLLM_USE_FLASHINFER_SAMPLER": "0", **({"PYTHONPATH": path} if path else {})},
    )


def peer_version(python: str, path: str) -> str | None:
    asked = [python, "-c", "import importlib.metadata as found; print(found.version('vllm'))"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        told = subprocess.run(asked, env={"PYTHONPATH": path}, capture_output=True, text=True, check=True)
        return told.stdout.strip()
    return None


def turns(options: argparse.Namespace) -> list[tuple[Turn, Server]]:
    """Who is asked, in this order."""
    room = options.peer_cache_gib if options.together else None
    return [
        (
            Turn(name, ROOT, kind, 1),
            SERVERS["app"] if name == OURS else peer(options.peer_python, options.peer_path, kind, room),
        )
        for kind in options.kinds.split(",")
        for name in options.servers.split(",")
    ]


def failed(turn: Turn, error: RuntimeError) -> dict[str, list[dict]]:
    return {"failed": [{**turn.about, "reason": str(error)}]}


def one_by_one(options: argparse.Namespace, settings: list[str], cache: Path, found: dict[str, list[dict]]) -> None:
    """Each server starts, is asked and ends before the next one."""
    for turn, server in turns(options):
        try:
            made = measure(turn, server, options, settings if turn.name == OURS else [], cache)
        except RuntimeError as error:
            made = failed(turn, error)
        gather(found, made)


def all_together(options: argparse.Namespace, settings: list[str], cache: Path, found: dict[str, list[dict]]) -> None:
    """All servers start at once; then each is asked while the others are idle."""
    several = [(turn, replace(server, log_variable=log_of(turn))) for turn, server in turns(options)]
    with contextlib.ExitStack() as stack:

        def start(turn: Turn, server: Server) -> Running | RuntimeError:
            try:
                return stack.enter_context(started(turn, server, options, settings if turn.name == OURS else [], cache))
            except RuntimeError as error:
                return error

        with ThreadPoolExecutor(len(several)) as pool:
            running = list(pool.map(lambda each: start(*each), several))
        for (turn, server), each in zip(several, running, strict=True):
            refused = isinstance(each, RuntimeError)
            gather(found, failed(turn, each) if refused else asked(each, turn, server, options.columns))
        # They end in the same time, too; told once, as a second word means at once.
        roots = [each.root for each in running if isinstance(each, Running)]
        for root in roots:
            root.terminate()
        psutil.wait_procs(roots, timeout=END_S)


def log_of(turn: Turn) -> str:
    """The variable that names a file of this server's own beside OVER_HTTP_LOG."""
    variable = f"OVER_HTTP_LOG_{turn.name}_{turn.quantization}"
    if log := os.environ.get("OVER_HTTP_LOG"):
        os.environ[variable] = f"{log}.{turn.name}-{turn.quantization}"
    return variable


def gather(found: dict[str, list[dict]], made: dict[str, list[dict]]) -> None:
    for part, some in made.items():
        found[part] += some


def together(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Results as one, the peer's rows first; of a crowd that several measured the last one's figures."""
    made = dict(records[0])
    for part in ("rows", "starts", "processes", "failed"):
        found = [row for record in records for row in record[part]]
        if part == "rows":
            found = list({(row["server"], row["quantization"], row["column"]): row for row in found}.values())
        made[part] = sorted(found, key=lambda row: (list(TITLES).index(row["quantization"]), row["server"] == OURS))
    return made


def ratios(record: dict[str, Any], kind: str, figure: str = "tokens_per_s") -> dict[str, float]:
    """Ours over the peer's, by column."""
    found = {(row["server"], row["column"]): row.get(figure) for row in record["rows"] if row["quantization"] == kind}
    columns = dict.fromkeys(column for _, column in found)
    both = {column: (found.get((OURS, column)), found.get((PEER, column))) for column in columns}
    return {column: own / other for column, (own, other) in both.items() if own and other}


def draw(record: dict[str, Any]) -> str:
    """An SVG: what this server gives for each token of the peer's, in each crowd and kind of weights."""
    kinds = [kind for kind in TITLES if ratios(record, kind)]
    bar, gap, left, top, unit = 18, 26, 40, 40, 90
    made, x = [], left
    highest = max(value for kind in kinds for value in ratios(record, kind).values())
    bottom = top + unit * highest
    for kind in kinds:
        made.append(f'<text x="{x}" y="20" font-weight="bold">{TITLES[kind]}</text>')
        for column, value in ratios(record, kind).items():
            height = unit * value
            made.append(f'<rect x="{x}" y="{bottom - height:.1f}" width="{bar}" height="{height:.1f}" fill="#4c6ef5"/>')
            made.append(
                f'<text x="{x + bar / 2}" y="{bottom - height - 4:.1f}" text-anchor="middle">{value:.2f}</text>'
            )
            turned = f'transform="rotate(60 {x + 4} {bottom + 12:.1f})"'
            made.append(f'<text x="{x + 4}" y="{bottom + 12:.1f}" {turned}>{column}</text>')
            x += bar + gap // 2
        x += gap
    line = bottom - unit
    made.append(
        f'<line x1="{left - 8}" x2="{x - gap}" y1="{line:.1f}" y2="{line:.1f}" stroke="#e8590c" stroke-dasharray="4"/>'
    )
    made.append(f'<text x="{left - 12}" y="{line + 4:.1f}" text-anchor="end" fill="#e8590c">vLLM</text>')
    made.append(f'<text x="{left}" y="{bottom + 210:.1f}" fill="#666">tokens/s, vLLM = 1; {record["hardware"]}</text>')
    size = f'width="{x + 60}" height="{bottom + 220:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *made, "</svg>\n"])


def main(argv: list[str] | None = None) -> int:
    options, settings = arguments(argv)
    if options.show:
        record = together([json.loads(path.read_text()) for path in options.show])
        print(show(record))
        if options.plot:
            options.plot.write_text(draw(record))
        return 0
    found: dict[str, list[dict]] = {"rows": [], "starts": [], "processes": [], "failed": []}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    try:
        with tempfile.TemporaryDirectory(prefix="gpu_peers") as cache:
            (all_together if options.together else one_by_one)(options, settings, Path(cache), found)
    finally:
        # What was measured is kept when the time is up.
        record = {
            "label": options.label or options.checkpoint.resolve().name,
            "client": "benchmarks.closed_loop",
            "card": nvidia_smi("name,driver_version,memory.total,power.limit"),
            "commit": commit(ROOT),
            "peer_version": peer_version(options.peer_python, options.peer_path),
            "settings": settings,
            "together": options.together,
            **found,
        }
        print(show(record))
        print(machine.write("gpu_peers", record, options.out))
    return 1 if found["failed"] or any(row["errors"] for row in found["rows"]) else 0


if __name__ == "__main__":
    sys.exit(main())

"""A full-size model on a CPU: ours, stock transformers and llama.cpp in one run, each in a process of its own.

    python -m benchmarks.cpu --checkpoint FOLDER                      ours (from the files, then from the cache), transformers
    python -m benchmarks.cpu --checkpoint FOLDER --ways "ours" --users 1
    python -m benchmarks.cpu --checkpoint FOLDER --server llama.cpp=http://127.0.0.1:8081 --server-pid 4711
    ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 python -m benchmarks.cpu ...     a processor without AVX-512

FOLDER: a checkpoint with endless answers, as benchmarks/random_checkpoint.py writes it. Images are noise, each another.
First token and milliseconds a token are medians over the users' answers. `--server` asks a program that runs already,
over its OpenAI interface: llama.cpp with the checkpoint in Q4_0 and its own vision encoder (benchmarks/llama_cpp has the
server; converting takes its own tools).
"""

import argparse
import asyncio
import base64
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import write

WAYS = ("ours", "ours, second start", "transformers nf4", "transformers bf16")
COLUMNS = ("way", "image", "users", "first token, s", "ms a token", "tokens/s", "ready after, s", "GiB", "peak GiB")
GIB_IN_KIB = 1 << 20
QUESTION = "What is in this picture, and where is it?"
Sizes = Sequence[tuple[int, int]]


def resident_gib(pid: int | str = "self") -> tuple[float, float]:
    """Now, and at most until now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return tuple(int(fields[name].split()[0]) / GIB_IN_KIB for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def noise(size: tuple[int, int], seed: int) -> Any:
    """A picture that no cache knows."""
    import numpy
    import PIL.Image

    dice = numpy.random.default_rng(seed)
    return PIL.Image.fromarray(dice.integers(0, 256, (size[1], size[0], 3), dtype=numpy.uint8))


def summary(answers: Sequence[tuple[float, float]], tokens: int, seconds: float) -> dict[str, float]:
    """Of (first token in s, s a token) of each user's answer."""
    return {
        "first_token_s": statistics.median(answer[0] for answer in answers),
        "ms_a_token": 1e3 * statistics.median(answer[1] for answer in answers),
        "tokens_per_s": tokens * len(answers) / seconds,
    }


async def ours(options: argparse.Namespace, cache: str) -> dict[str, Any]:
    """The batching engine; all users ask at once."""
    from qwen_demo.engines.batching.engine import BatchingEngine
    from qwen_demo.raster import Raster
    from qwen_demo.settings import Settings
    from qwen_demo.types import ChatRequest, Image, Message, Sampling, Text, collect

    began = time.perf_counter()
    chosen = {"model": str(options.checkpoint), "quantization": options.quantization, "weights_cache_dir": cache}
    engine = BatchingEngine(Settings(**chosen, repetition_guard=False))
    await engine.start()
    ready, seeds = time.perf_counter() - began, iter(range(1 << 30))

    async def ask(size: tuple[int, int]) -> tuple[float, float]:
        image = Image(Raster.of(noise(size, seed := next(seeds))), f"{seed} {size}", "noise")
        sampling = Sampling(max_new_tokens=options.tokens)
        answer = await collect(engine.stream(ChatRequest((Message("user", (image, Text(QUESTION))),), sampling)))
        timing, count = answer.finished.timing, answer.finished.usage.completion_tokens
        return timing.ttft_s, timing.decode_s / max(1, count - 1)

    await ask(options.sizes[0])
    rows = []
    for size in options.sizes:
        for users in options.users:
            start = time.perf_counter()
            answers = await asyncio.gather(*(ask(size) for _ in range(users)))
            rows.append({**_at(size, users), **summary(answers, options.tokens, time.perf_counter() - start)})
    now, peak = resident_gib()
    await engine.close()
    return {"ready_s": ready, "gib": now, "peak_gib": peak, "quantization": engine.info.quantization, "rows": rows}


def transformers(options: argparse.Namespace, kind: str) -> dict[str, Any]:
    """transformers' own `generate`; users ask one after another."""
    began = time.perf_counter()
    from qwen_demo.models import torchvision_shim

    torchvision_shim.install()
    import torch
    from transformers import AutoProcessor, BitsAndBytesConfig, Qwen2_5_VLForConditionalGeneration

    four_bits = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=["model.visual", "lm_head"],
    )
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        options.checkpoint, dtype=torch.bfloat16, quantization_config=four_bits if kind == "nf4" else None
    ).eval()
    processor = AutoProcessor.from_pretrained(options.checkpoint)
    ready, seeds = time.perf_counter() - began, iter(range(1 << 30))
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)

    @torch.inference_mode()
    def ask(size: tuple[int, int]) -> tuple[float, float]:
        start, times = time.perf_counter(), []
        inputs = processor(text=[text], images=[noise(size, next(seeds))], return_tensors="pt")
        streamer = type(
            "Times", (), {"put": lambda self, value: times.append(time.perf_counter()), "end": lambda self: None}
        )()
        model.generate(**inputs, max_new_tokens=options.tokens, do_sample=False, streamer=streamer)
        # The first call of the streamer brings the prompt.
        return times[1] - start, (times[-1] - times[1]) / (len(times) - 2)

    ask(options.sizes[0])
    rows = []
    for size in options.sizes:
        for users in options.users:
            start = time.perf_counter()
            alone = [ask(size) for _ in range(users)]
            waited = [
                (first + n * (time.perf_counter() - start) / users, each) for n, (first, each) in enumerate(alone)
            ]
            rows.append({**_at(size, users), **summary(waited, options.tokens, time.perf_counter() - start)})
    now, peak = resident_gib()
    return {"ready_s": ready, "gib": now, "peak_gib": peak, "rows": rows}


async def server(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """A program that runs already; all users ask at once."""
    import httpx

    seeds = iter(range(1 << 30))

    async def ask(client: httpx.AsyncClient, size: tuple[int, int]) -> tuple[float, float]:
        packed = io.BytesIO()
        noise(size, next(seeds)).save(packed, "PNG")
        address = f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}"
        content = [{"type": "image_url", "image_url": {"url": address}}, {"type": "text", "text": QUESTION}]
        body = {"messages": [{"role": "user", "content": content}], "max_tokens": options.tokens, "stream": True}
        start, times = time.perf_counter(), []
        async with client.stream("POST", f"{url}/v1/chat/completions", json=body | {"ignore_eos": True}) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {") and (json.loads(line[6:])["choices"] or [{}])[0].get("delta", {}).get(
                    "content"
                ):
                    times.append(time.perf_counter())
        return times[0] - start, (times[-1] - times[0]) / max(1, len(times) - 1)

    rows = []
    async with httpx.AsyncClient(timeout=None, trust_env=False) as client:
        await ask(client, options.sizes[0])
        for size in options.sizes:
            for users in options.users:
                start = time.perf_counter()
                answers = await asyncio.gather(*(ask(client, size) for _ in range(users)))
                rows.append({**_at(size, users), **summary(answers, options.tokens, time.perf_counter() - start)})
    now, peak = resident_gib(options.server_pid) if options.server_pid else (float("nan"),) * 2
    return {"ready_s": float("nan"), "gib": now, "peak_gib": peak, "rows": rows}


def _at(size: tuple[int, int], users: int) -> dict[str, Any]:
    return {"image": f"{size[0]} x {size[1]}", "users": users}


def child(way: str, options: argparse.Namespace, cache: str) -> dict[str, Any]:
    """One way in a process of its own, which alone tells what it needs at most."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.cpu",
        "--checkpoint",
        str(options.checkpoint),
        "--child",
        way,
        "--cache",
        cache,
    ]
    command += [
        "--tokens",
        str(options.tokens),
        "--users",
        *map(str, options.users),
        "--quantization",
        options.quantization,
    ]
    command += ["--sizes", *(f"{width}x{height}" for width, height in options.sizes)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}, check=False
    )
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr[-2000:]}")
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


def show(way: str, made: dict[str, Any]) -> None:
    for row in made["rows"]:
        print(
            f"| {way} | {row['image']} | {row['users']} | {row['first_token_s']:.1f} | {row['ms_a_token']:.0f} | "
            f"{row['tokens_per_s']:.2f} | {made['ready_s']:.0f} | {made['gib']:.1f} | {made['peak_gib']:.1f} |",
            flush=True,
        )


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of the model")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=WAYS)
    parser.add_argument("--quantization", default="auto", help="of ours")
    parser.add_argument("--sizes", nargs="+", type=_size, default=[(448, 448), (1036, 756)], help="of the images")
    parser.add_argument("--users", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--tokens", type=int, default=32, help="of each answer")
    parser.add_argument("--server", help="NAME=URL of a program that runs already")
    parser.add_argument("--server-pid", type=int, help="its process, for its memory")
    parser.add_argument("--out", type=Path, help="folder for a JSON file of the figures")
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--cache", default="", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    options = _options(argv)
    if options.child:
        kinds: dict[str, Callable[[], dict[str, Any]]] = {
            "ours": lambda: asyncio.run(ours(options, options.cache)),
            "ours, second start": lambda: asyncio.run(ours(options, options.cache)),
            "transformers nf4": lambda: transformers(options, "nf4"),
            "transformers bf16": lambda: transformers(options, "bf16"),
        }
        print(json.dumps(kinds[options.child]()))
        return 0
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    figures = {}
    with tempfile.TemporaryDirectory() as cache:
        for way in options.ways:
            figures[way] = child(way, options, cache)
            show(way, figures[way])
    if options.server:
        name, url = options.server.split("=", 1)
        figures[name] = asyncio.run(server(url, options))
        show(name, figures[name])
    capability = os.environ.get("ATEN_CPU_CAPABILITY", "the processor's own")
    content = {"label": options.checkpoint.name, "capability": capability, "tokens": options.tokens, "ways": figures}
    print(write("cpu", content, options.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())

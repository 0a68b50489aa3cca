"""What our front costs before a remote engine: the same questions through us and straight to vLLM.

    python -m benchmarks.front                              starts vLLM by deploy/vllm/cpu.sh
    python -m benchmarks.front --url http://127.0.0.1:8000  a server that speaks OpenAI's API already

All users of a level ask at once, each about an image of their own. Both ways take turns, and each turn gives a ratio
(through us by straight); the medians of these count, as a busy machine slows down both. The front's processor time
for a token says what it costs where it does not share its cores with the model. So does an upstream that only waits
between its tokens, as a GPU's processor does:

    python app.py --engine scripted --max-running 64 --port 7900
    python -m benchmarks.front --url http://127.0.0.1:7900 --words 100 --label waiting
"""

import argparse
import asyncio
import base64
import contextlib
import io
import json
import os
import statistics
import sys
import time

import httpx
import PIL.Image

from benchmarks import machine
from benchmarks.engine import summary
from benchmarks.peer import first_model
from benchmarks.running import scrape
from benchmarks.through_vllm import EXAMPLES, in_front_of, vllm
from benchmarks.users import TIMEOUT

QUESTION = "Detect all objects and output their bounding boxes in JSON."


def body(model: str, number: int, tokens: int, words: int = 0) -> bytes:
    """A question whose answer is some hundred tokens long, about an image that nobody has asked about."""
    shown = PIL.Image.open(EXAMPLES / "boxes.png").convert("RGB")
    # One pixel tells it from the others; the answer stays the same.
    shown.putpixel((0, 0), (number % 256, number // 256 % 256, number // 65536 % 256))
    png = io.BytesIO()
    shown.save(png, "PNG", compress_level=1)
    url = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
    asked = {
        "model": model,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": url}},
                    {"type": "text", "text": QUESTION + " word" * words},
                ],
            }
        ],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return json.dumps(asked).encode()


async def ask(url: str, asked: bytes) -> dict:
    """Seconds of each piece from asking; tokens as the server counted them."""
    times, tokens = [], 0
    headers = {"content-type": "application/json"}
    async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as http:
        started = time.perf_counter()
        async with http.stream("POST", f"{url}/v1/chat/completions", content=asked, headers=headers) as reply:
            if reply.status_code != 200:
                raise RuntimeError(f"{url} answered {reply.status_code}: {(await reply.aread())[:300]!r}")
            async for line in reply.aiter_lines():
                if '"content":"' in line and '"content":""' not in line:
                    times.append(time.perf_counter() - started)
                elif '"completion_tokens":' in line:
                    tokens = json.loads(line[6:])["usage"]["completion_tokens"]
                elif line.startswith('data: {"error"'):
                    raise RuntimeError(f"{url}: {line[:300]}")
    return {"times": times, "total": time.perf_counter() - started, "tokens": tokens}


async def crowd(url: str, requests: list[bytes]) -> dict:
    started = time.perf_counter()
    answers = await asyncio.gather(*[ask(url, asked) for asked in requests])
    return summary(answers, time.perf_counter() - started)


def level(users: int, straight: str, through: str, model: str, options: argparse.Namespace) -> dict:
    """Turns of both ways; who begins changes, so that neither finds the machine warmer."""
    pairs, fresh = [], iter(range(100_000 * users, 100_000 * (users + 1)))
    cpu_s, tokens = 0.0, 0
    for turn in range(options.turns + 1):  # the first warms up
        both = {}
        for url in (straight, through)[:: 1 if turn % 2 else -1]:
            requests = [body(model, next(fresh), options.tokens, options.words) for _ in range(users)]
            before = scrape(through)
            both[url] = asyncio.run(crowd(url, requests))
            if url == through and turn:
                after = scrape(through)
                cpu_s, tokens = cpu_s + after.cpu_s - before.cpu_s, tokens + after.tokens - before.tokens
        if turn:
            pairs.append((both[straight], both[through]))
    row = {"users": users}
    for name, key in (("tokens/s", "tokens_per_s"), ("first token s", "ttft_p50_s"), ("answer s", "latency_p50_s")):
        row[f"straight {name}"] = statistics.median(a[key] for a, _ in pairs)
        row[f"through {name}"] = statistics.median(b[key] for _, b in pairs)
        row[f"ratio {name}"] = statistics.median(b[key] / a[key] for a, b in pairs)
    row["front CPU ms a token"] = 1000 * cpu_s / max(1, tokens)
    print(json.dumps(row), file=sys.stderr)
    return row


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a server that runs already")
    parser.add_argument("--users", default="1,16,64")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=128, help="longest answer")
    parser.add_argument("--words", type=int, default=0, help="added to the question; the scripted engine repeats them")
    parser.add_argument("--label", default="vllm")
    options = parser.parse_args(argv)
    load = os.getloadavg()[0]
    server = contextlib.nullcontext(options.url.rstrip("/")) if options.url else vllm()
    with server as straight, in_front_of(straight) as through:
        model = first_model(straight)
        rows = [level(users, straight, through, model, options) for users in map(int, options.users.split(","))]
    print(machine.table(rows))
    told = {"asked": vars(options), "load_average_before": load}
    print(machine.write("front", {"label": options.label, "rows": rows, **told}))
    return 0


if __name__ == "__main__":
    sys.exit(main())

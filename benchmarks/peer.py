"""An OpenAI-compatible server, measured as the engines are. Needs `httpx` alone."""

import asyncio
import base64
import io
import json
import time

import httpx

from qwen_demo.types import Text


def body(request, model: str, tokens: int, endless: bool = True) -> dict:
    """The request for OpenAI's chat API; `endless` tells servers that know the word to go on to the limit."""
    content = []
    for part in request.messages[0].parts:
        if isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
        else:
            png = io.BytesIO()
            part.pixels.save(png, "PNG")
            url = "data:image/png;base64," + base64.b64encode(png.getvalue()).decode()
            content.append({"type": "image_url", "image_url": {"url": url}})
    asked = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "max_tokens": tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return {**asked, "ignore_eos": True} if endless else asked


async def _ask(client: httpx.AsyncClient, asked: dict) -> dict:
    started, times, tokens = time.perf_counter(), [], 0
    async with client.stream("POST", "/v1/chat/completions", json=asked) as reply:
        reply.raise_for_status()
        async for line in reply.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            if any(choice.get("delta", {}).get("content") for choice in chunk.get("choices", ())):
                times.append(time.perf_counter() - started)
            if chunk.get("usage"):
                tokens = chunk["usage"]["completion_tokens"]
    return {"times": times, "total": time.perf_counter() - started, "tokens": tokens}


async def crowd_of(url: str, asked: list[dict]) -> dict:
    """All at once, each on a connection of its own, as some servers close those that were used."""
    from benchmarks.engine import summary

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, timeout=None, limits=limits, trust_env=False) as client:
        started = time.perf_counter()
        answers = await asyncio.gather(*(_ask(client, one) for one in asked))
        return summary(answers, time.perf_counter() - started)


def first_model(url: str) -> str:
    """The name of the first model that a server offers."""
    return httpx.get(f"{url}/v1/models", timeout=30).raise_for_status().json()["data"][0]["id"]


def measure_peer(name: str, url: str, options) -> list[dict]:
    from benchmarks.engine import question

    rows, run = [], 10_000
    model = options.peer_model or first_model(url)
    for users in map(int, options.users.split(",")):
        runs = []
        for _ in range(options.repeat + 1):  # the first warms up
            run += 1
            asked = [body(question(options, user, run), model, options.tokens) for user in range(users)]
            runs.append(asyncio.run(crowd_of(url, asked)))
        rows.append({"engine": name, "users": users, **max(runs[1:], key=lambda r: r["tokens_per_s"])})
        print(json.dumps(rows[-1]), flush=True)
    return rows

"""Our page and API in front of vLLM: are the answers those of our own engine, does a cancel reach it, does overload?

    python -m benchmarks.through_vllm                             starts vLLM by deploy/vllm/cpu.sh
    python -m benchmarks.through_vllm --url http://127.0.0.1:8000    one that serves the embedded model already

Both sides serve the embedded model, in float32 and greedily, so answers must be equal to the letter. Prints a
table and writes JSON; ends with 1 if anything is not as it must be.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import sys
import time
from collections import Counter
from pathlib import Path

import httpx

from benchmarks import machine
from benchmarks.running import ROOT, app, serving
from benchmarks.users import TIMEOUT, GradioUser, Question, RestUser, connect

EXAMPLES = ROOT / "examples"
QUESTIONS = {
    "shapes": ["Describe the image.", "How many objects are there?", "What colour is the background?"],
    "boxes": ["Detect all objects and output their bounding boxes in JSON.", "Describe the image."],
    "count": ["How many apples are there?", "Describe the image."],
    "sign": ["Read the text."],
    "receipt": ["What is the total?", "Read the text."],
    "bar_chart": ["Which bar is the highest?", "Describe the chart."],
    "pie_chart": ["Which slice is the largest?", "Describe the image."],
    "point": ["Describe the image.", "Detect all objects and output their bounding boxes in JSON."],
    "chinese": ["描述这张图片", "Describe the image."],
    "two_images_1": ["Describe the image."],
    "two_images_2": ["Describe the image."],
}
# vLLM turns away what comes beyond this many; see `overload`.
IN_FLIGHT = 80
LEAVERS = 24


def vllm(*flags: str) -> contextlib.AbstractContextManager[str]:
    """deploy/vllm/cpu.sh on a free port; gives its address once it answers."""
    command = [str(ROOT / "deploy" / "vllm" / "cpu.sh"), "--max-num-queued-reqs", str(IN_FLIGHT), *flags]
    return serving(command, log_variable="VLLM_LOG")


def in_front_of(*urls: str) -> contextlib.AbstractContextManager[str]:
    """Our app with the remote engine; gives its address."""
    addresses = ",".join(url + "/v1" for url in urls)
    return app("scripted", ["--engine", "remote", "--base-url", addresses, "--max-waiting", "1000"])


def counted(url: str, name: str, **labels: str) -> float:
    """A number from vLLM's own metrics."""
    from prometheus_client.parser import text_string_to_metric_families

    text = httpx.get(f"{url}/metrics", timeout=30).raise_for_status().text
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def ask(url: str, image: Path, question: str) -> tuple[str, str, int, int]:
    """Words, reason, tokens of prompt and of answer."""
    data = "data:image/png;base64," + base64.b64encode(image.read_bytes()).decode()
    content = [{"type": "image_url", "image_url": {"url": data}}, {"type": "text", "text": question}]
    body = {"messages": [{"role": "user", "content": content}], "max_tokens": 200, "temperature": 0}
    answer = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=TIMEOUT).raise_for_status().json()
    choice, usage = answer["choices"][0], answer["usage"]
    return choice["message"]["content"], choice["finish_reason"], usage["prompt_tokens"], usage["completion_tokens"]


def answers(ours: str, through: str) -> tuple[dict, list[dict]]:
    """How many answers are equal, and the pairs that are not."""
    equal, wrong = Counter(), []
    pairs = [(EXAMPLES / f"{name}.png", question) for name, asked in QUESTIONS.items() for question in asked]
    for image, question in pairs:
        one, other = ask(ours, image, question), ask(through, image, question)
        for column, a, b in zip(("words", "reason", "prompt tokens", "answer tokens"), one, other, strict=True):
            equal[column] += a == b
        if one != other:
            wrong.append({"image": image.name, "question": question, "own engine": one, "vllm": other})
    return {"what": "equal answers", "asked": len(pairs), **equal}, wrong


async def page(through: str) -> dict:
    """The page's own endpoint, by Gradio's queue."""
    async with connect(through) as http:
        user = GradioUser(http, Question("Describe the image.", 64, (EXAMPLES / "shapes.png").read_bytes()))
        await user.prepare()
        outcome = await user.ask()
    return {"what": "page", "answered": outcome.kind == "answered", "first token s": outcome.ttft_s}


async def cancel(through: str, behind: str) -> dict:
    """Many leave at the first byte. vLLM counts the answers that it ends: it must end none of these, and be idle."""
    before = counted(behind, "vllm:request_success_total")
    question = Question("Detect all objects and output their bounding boxes in JSON.", 200, _image("boxes"))

    async def leave() -> str:
        async with connect(through) as http:
            return (await RestUser(http, question).ask(leave_after_s=0.0)).kind

    kinds = Counter(await asyncio.gather(*[leave() for _ in range(LEAVERS)]))
    left_at = time.perf_counter()
    while counted(behind, "vllm:num_requests_running") + counted(behind, "vllm:num_requests_waiting"):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    idle_s = time.perf_counter() - left_at
    ended = counted(behind, "vllm:request_success_total") - before
    return {"what": "cancel", "left": kinds["left"], "ended by vLLM all the same": int(ended), "idle after s": idle_s}


async def overload(through: str) -> dict:
    """More at once than vLLM takes. Everybody is answered, or told at once to come back."""
    # Without an image, so that even a slow machine says no within the two seconds before a stream begins.
    question = Question("Describe the image.", 100)

    async def one():
        async with connect(through) as http:
            return await RestUser(http, question).ask()

    outcomes = await asyncio.gather(*[one() for _ in range(2 * IN_FLIGHT)])
    rejected = [o for o in outcomes if o.kind == "rejected"]
    # A stream that has begun, as its server took over two seconds to say no, can only be told inside.
    late = sum(o.kind == "error" and '"code":"overloaded"' in o.detail for o in outcomes)
    return {
        "what": "overload",
        "asked": len(outcomes),
        "answered": sum(o.kind == "answered" for o in outcomes),
        "429": len(rejected),
        "told in the stream": late,
        "least Retry-After s": min((o.retry_after_s for o in rejected), default=0.0),
        "errors": sum(o.kind == "error" for o in outcomes) - late,
    }


def _image(name: str) -> bytes:
    return (EXAMPLES / f"{name}.png").read_bytes()


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help=f"a vLLM that runs already, with --max-num-queued-reqs {IN_FLIGHT}")
    options = parser.parse_args(argv)
    server = contextlib.nullcontext(options.url.rstrip("/")) if options.url else vllm()
    with server as behind, in_front_of(behind) as through, app("embedded", []) as ours:
        version = httpx.get(f"{behind}/version").json()["version"]
        equal, wrong = answers(ours, through)
        rows = [equal, asyncio.run(page(through)), asyncio.run(cancel(through, behind)), asyncio.run(overload(through))]
    for row in rows:
        print(json.dumps(row))
    for pair in wrong:
        print(json.dumps(pair, ensure_ascii=False), file=sys.stderr)
    print(machine.write("through-vllm", {"vllm": version, "rows": rows, "unequal": wrong}))
    return int(not passed(*rows))


def passed(equal: dict, asked_page: dict, left: dict, refused: dict) -> bool:
    return (
        equal.get("words") == equal["asked"]
        and asked_page["answered"]
        and left["left"] == LEAVERS
        and left["ended by vLLM all the same"] == 0
        and refused["429"] > 0
        and refused["least Retry-After s"] > 0
        and refused["errors"] == 0
    )


if __name__ == "__main__":
    sys.exit(main())

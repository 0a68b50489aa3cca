"""The ways in which benchmarks/cpu.py answers on a CPU, each in a process of its own: that alone tells what it needs at most.

python -m benchmarks.cpu_ways WAY TASK          TASK is JSON, see `Task`; prints what was measured, as JSON
"""

import asyncio
import base64
import io
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GIB_IN_KIB = 1 << 20
QUESTION = "What is in this image, and where is it?"
# Seconds to the first token, and for each token after it.
Times = tuple[float, float]


@dataclass(frozen=True)
class Task:
    """What is asked.

    Attributes:
        checkpoint: folder of the model, whose answers never end by themselves.
        cache: folder in which ours keeps quantised weights.
        sizes: width and height of the images; each is asked about by each number of `users` at once.
        tokens: of each answer.
        quantization: of ours.
    """

    checkpoint: str
    cache: str = ""
    sizes: Sequence[tuple[int, int]] = ((448, 448), (1036, 756))
    users: Sequence[int] = (1, 4)
    tokens: int = 32
    quantization: str = "auto"
    seeds: Iterator[int] = field(default_factory=lambda: iter(range(1 << 30)), repr=False)

    @classmethod
    def of(cls, text: str) -> "Task":
        return cls(**json.loads(text))


def resident_gib(pid: int | str = "self") -> tuple[float, float]:
    """Now, and at most until now."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return tuple(int(fields[name].split()[0]) / GIB_IN_KIB for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def noise(size: Sequence[int], seed: int) -> Any:
    """An image that no cache knows."""
    import numpy
    import PIL.Image

    dice = numpy.random.default_rng(seed)
    return PIL.Image.fromarray(dice.integers(0, 256, (size[1], size[0], 3), dtype=numpy.uint8))


class Stopwatch:
    """From the start of a way to its figures. `pid` is whose memory counts."""

    def __init__(self, pid: int | str = "self"):
        self._pid, self._began = pid, time.perf_counter()
        self._figures: dict[str, Any] = {}

    def ready(self, **figures: Any) -> None:
        """It could answer now."""
        seconds = time.perf_counter() - self._began
        self._figures = {"ready_s": seconds, "loading_peak_gib": resident_gib(self._pid)[1], **figures}

    async def crowds(self, task: Task, ask: Callable[[Sequence[int]], Awaitable[Times]]) -> dict[str, Any]:
        """Figures of all sizes and numbers of users, who ask at once. The first answer warms up."""
        await ask(task.sizes[0])
        rows = []
        for size in task.sizes:
            for users in task.users:
                start = time.perf_counter()
                answers = await asyncio.gather(*(ask(size) for _ in range(users)))
                seconds = time.perf_counter() - start
                rows.append(
                    {
                        "image": f"{size[0]} x {size[1]}",
                        "users": users,
                        "first_token_s": statistics.median(first for first, _ in answers),
                        "ms_a_token": 1e3 * statistics.median(each for _, each in answers),
                        "tokens_per_s": task.tokens * users / seconds,
                    }
                )
                print(rows[-1], file=sys.stderr, flush=True)
        now, peak = resident_gib(self._pid)
        return {**self._figures, "gib": now, "peak_gib": peak, "rows": rows}


async def ours(task: Task) -> dict[str, Any]:
    """The batching engine, with its weights from the files, or from `cache` where that has them."""
    watch = Stopwatch()
    from qwen_demo.engines.batching.engine import BatchingEngine
    from qwen_demo.models import machine
    from qwen_demo.raster import Raster
    from qwen_demo.settings import Settings
    from qwen_demo.types import ChatRequest, Image, Message, Sampling, Text, collect

    chosen = {"model": task.checkpoint, "quantization": task.quantization, "weights_cache_dir": task.cache}
    # All processors, as the others take them; the program itself would leave out those that it finds busy.
    engine = BatchingEngine(Settings(**chosen, repetition_guard=False, threads=machine.usable_processors()))
    await engine.start()
    watch.ready(quantization=engine.info.quantization, dtype=engine.info.dtype)

    async def ask(size: Sequence[int]) -> Times:
        image = Image(Raster.of(noise(size, seed := next(task.seeds))), f"{seed} {size}", "noise")
        sampling = Sampling(max_new_tokens=task.tokens)
        answer = await collect(engine.stream(ChatRequest((Message("user", (image, Text(QUESTION))),), sampling)))
        timing, count = answer.finished.timing, answer.finished.usage.completion_tokens
        return timing.ttft_s, timing.decode_s / max(1, count - 1)

    made = await watch.crowds(task, ask)
    await engine.close()
    return made


async def transformers(task: Task, kind: str) -> dict[str, Any]:
    """transformers' own `generate`, which answers users one after another. `kind`: nf4 or bf16."""
    watch = Stopwatch()
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
        task.checkpoint, dtype=torch.bfloat16, quantization_config=four_bits if kind == "nf4" else None
    ).eval()
    processor = AutoProcessor.from_pretrained(task.checkpoint)
    watch.ready()
    content = [{"type": "image"}, {"type": "text", "text": QUESTION}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    turn = asyncio.Lock()

    @torch.inference_mode()
    def generate(size: Sequence[int]) -> list[float]:
        times: list[float] = []
        inputs = processor(text=[text], images=[noise(size, next(task.seeds))], return_tensors="pt")
        take = {"put": lambda self, value: times.append(time.perf_counter()), "end": lambda self: None}
        model.generate(**inputs, max_new_tokens=task.tokens, do_sample=False, streamer=type("Times", (), take)())
        return times[1:]  # the first call of a streamer brings the prompt

    async def ask(size: Sequence[int]) -> Times:
        start = time.perf_counter()
        async with turn:
            times = generate(size)
        return times[0] - start, (times[-1] - times[0]) / max(1, len(times) - 1)

    return await watch.crowds(task, ask)


async def server(task: Task, url: str, watch: Stopwatch) -> dict[str, Any]:
    """A program that is ready, over OpenAI's interface."""
    import httpx

    async with httpx.AsyncClient(timeout=None, trust_env=False) as client:

        async def ask(size: Sequence[int]) -> Times:
            packed = io.BytesIO()
            noise(size, next(task.seeds)).save(packed, "PNG")
            address = f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}"
            content = [{"type": "image_url", "image_url": {"url": address}}, {"type": "text", "text": QUESTION}]
            body = {"messages": [{"role": "user", "content": content}], "max_tokens": task.tokens, "stream": True}
            start, times = time.perf_counter(), []
            async with client.stream("POST", f"{url}/v1/chat/completions", json=body | {"ignore_eos": True}) as answer:
                answer.raise_for_status()
                async for line in answer.aiter_lines():
                    if line.startswith("data: {") and _brings_text(json.loads(line[6:])):
                        times.append(time.perf_counter())
            return times[0] - start, (times[-1] - times[0]) / max(1, len(times) - 1)

        return await watch.crowds(task, ask)


def _brings_text(chunk: dict[str, Any]) -> bool:
    return bool((chunk["choices"] or [{}])[0].get("delta", {}).get("content"))


WAYS: dict[str, Callable[[Task], Awaitable[dict[str, Any]]]] = {
    "ours": ours,
    "ours, second start": ours,
    "transformers nf4": lambda task: transformers(task, "nf4"),
    "transformers bf16": lambda task: transformers(task, "bf16"),
}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(WAYS[sys.argv[1]](Task.of(sys.argv[2])))))  # type: ignore[arg-type]

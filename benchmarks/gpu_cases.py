"""What `benchmarks.gpu_session` runs in one process: `smoke`, or `model` with one kind of weights.

    python -m benchmarks.gpu_cases smoke
    python -m benchmarks.gpu_cases model --architecture 7b --weights nf4

`smoke` tries every part that needs a GPU on a small model and says what fails, with its traceback.
`model` loads weights once and measures them in order of value; its results are written after
each part. Images are random patches: what a processor does to a real one is not in the figures.
"""

import argparse
import asyncio
import gc
import json
import logging
import statistics
import sys
import time
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks import machine

SLOTS = (1, 4, 8, 16, 32, 64)
CONTEXT = 1100
IMAGE = "1036x756"  # 999 tokens


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["smoke", "model"])
    parser.add_argument("--architecture", default="7b")
    parser.add_argument("--weights", default="nf4")
    parser.add_argument("--parts", default="", help="of `model`, comma-separated; all if empty")
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args()


class Report:
    """Runs parts one after another; keeps what each gave, and goes on after one that fails."""

    def __init__(self, name: str, label: str, out: Path | None):
        self._name, self._label, self._out = name, label, out
        self.parts: dict[str, object] = {}
        self.failed: list[str] = []

    async def part(self, name: str, call) -> None:
        began = time.perf_counter()
        try:
            self.parts[name] = await call()
            print(f"-- {name}: {json.dumps(self.parts[name])} ({time.perf_counter() - began:.1f} s)", flush=True)
        except Exception:
            traceback.print_exc()
            self.failed.append(name)
            self.parts[name] = {"failed": traceback.format_exc(limit=-3)}
            print(f"-- {name}: FAILED", flush=True)
        machine.write(self._name, {"label": self._label, "parts": self.parts}, self._out)


def request(image: str = "none", tokens: int = 64, words: int = 40, run: int = 0, user: int = 0):
    from benchmarks.engine import question

    return question(argparse.Namespace(image=image, images="own", words=words, tokens=tokens), user, run)


class Opened:
    """`async with Opened(loaded, slots=8) as engine`."""

    def __init__(self, loaded, **changes):
        from benchmarks.architectures import settings
        from qwen_demo.engines.batching.engine import BatchingEngine

        self.engine = BatchingEngine(settings(**changes), lambda *_: loaded)

    async def __aenter__(self):
        began = time.perf_counter()
        await self.engine.start()
        print(
            f"started in {time.perf_counter() - began:.1f} s: {self.engine.plan.text}; {paths(self.engine)}", flush=True
        )
        return self.engine

    async def __aexit__(self, *_):
        await self.engine.close()
        self.engine = None
        tidy()


def paths(engine) -> dict:
    """Which of its ways the engine takes."""
    runner, encoder = engine.loop.runner, engine.preprocessor.encoder.vision
    return {
        "decoder": type(runner.decoder).__name__,
        "graphs": sum(len(owner.graphs._graphs) for owner in runner.recorders if owner.graphs),
        "kernels": runner.kernels is not None,
        "nf4_kernel": bool(runner.kernels and runner.kernels.product),
        "vision": type(encoder).__name__,
    }


def tidy() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def wait() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def timed(call, times: int = 10, warm: int = 2) -> float:
    """Median milliseconds, device included."""
    import torch

    if not torch.cuda.is_available():
        times, warm = 1, 0
    taken = []
    for _ in range(warm + times):
        wait()
        began = time.perf_counter()
        call()
        wait()
        taken.append(1e3 * (time.perf_counter() - began))
    return statistics.median(taken[warm:])


# smoke


async def smoke(options) -> int:
    import torch

    from benchmarks.architectures import load

    report = Report("smoke", "tiny", options.out)
    print(machine.hardware(), machine.versions(), flush=True)
    cuda = torch.cuda.is_available()
    await report.part("bitsandbytes", library)
    for weights in ("bf16", "nf4") if cuda else ("fp32",):
        try:
            loaded = load("tiny", weights, context_tokens=4096)
        except Exception:
            traceback.print_exc()
            report.failed.append(f"load {weights}")
            continue
        for name, changes in (
            ("", {}),
            (" plain", {"cuda_graphs": False, "kernels": False}),
            (" stock", {"fast_path": False}),
        ):
            await report.part(f"{weights}{name}", lambda m=loaded, c=changes: served(m, c))
    await report.part("exactness fp32", lambda: exact("tiny", "fp32", load("tiny", "fp32", context_tokens=4096), 12))
    if cuda:
        await report.part(
            "exactness bf16", lambda: exact("tiny", "bf16", load("tiny", "bf16", context_tokens=4096), 12)
        )
    print("failed:", report.failed or "nothing", flush=True)
    return len(report.failed)


async def library() -> dict:
    """bitsandbytes' library is there and its product is right."""
    import bitsandbytes as bnb
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    weight, x = torch.randn(256, 256, device=device).to(dtype), torch.randn(4, 256, device=device).to(dtype)
    codes, state = bnb.functional.quantize_4bit(weight, blocksize=64, quant_type="nf4")
    made = bnb.matmul_4bit(x, codes, quant_state=state)
    expected = x @ bnb.functional.dequantize_4bit(codes, state).to(dtype).T
    return {"version": bnb.__version__, "error": float((made - expected).norm() / expected.norm())}


async def served(loaded, changes: dict) -> dict:
    """Images of several sizes, words, a clip, a follow-up, sampling, a caller who leaves: at once."""
    import PIL.Image

    from qwen_demo.raster import Raster
    from qwen_demo.types import Message, Sampling, Text, Video, collect

    sizes = ("448x448", "336x616", "none", "1036x756", "252x252", "none", "56x56", "700x420")
    frames = tuple(PIL.Image.new("RGB", (140, 84), (9 * n, 0, 0)) for n in range(6))
    clip = Video(Raster.of(*frames), tuple(n / 2 for n in range(6)), 2.0, 3.0, "clip")
    asked = [request(size, tokens=12, user=n) for n, size in enumerate(sizes)]
    told = Text("and what happens here")
    asked.append(replace(asked[0], messages=(Message("user", (clip, told)),), request_id="clip"))
    hot = Sampling(12, 0.8, 0.9, 40, 0.01, 1.1, 0.1, 0.1, seed=3, top_logprobs=3)
    asked.append(replace(asked[1], sampling=hot, request_id="sampled"))
    asked.append(replace(asked[2], sampling=Sampling(12, 1.0, 0.95, seed=4), request_id="nucleus"))
    async with Opened(loaded, slots=8, slot_tokens=2048, **changes) as engine:
        way = paths(engine)
        leaving = engine.stream(request("448x448", tokens=200, user=99))
        await anext(leaving)
        answers = await asyncio.gather(*(collect(engine.stream(one)) for one in asked))
        await leaving.aclose()
        said = Message("assistant", (Text("a word or two"),))
        then = (*asked[3].messages, said, Message("user", (Text("and why"),)))
        follow = await collect(engine.stream(replace(asked[3], messages=then)))
        health = engine.health()
        if not health.ready:
            raise RuntimeError(health.detail)
        return {
            **way,
            "graphs": paths(engine)["graphs"],
            "answers": len(answers),
            "tokens": sum(a.finished.usage.completion_tokens for a in answers),
            "follow_up_cached_tokens": follow.finished.usage.cached_tokens,
            "encoder_hits": follow.finished.timing.encoder_hits,
        }


# model


async def model(options) -> int:
    from benchmarks.architectures import load

    began = time.perf_counter()
    loaded = load(options.architecture, options.weights, context_tokens=8192)
    wait()
    print(f"loaded in {time.perf_counter() - began:.1f} s", flush=True)
    tidy()
    tiny = options.architecture == "tiny"
    room = {"slot_tokens": 2048, "slots": 4 if tiny else 64, "kv_cache_mib": 0}
    report = Report("gpu", f"{options.architecture} {options.weights}", options.out)
    chosen = options.parts.split(",") if options.parts else None

    async def part(name, call):
        if chosen is None or name in chosen:
            await report.part(name, call)

    async with Opened(loaded, **room) as engine:
        await part("steps", lambda: on_a_thread(step_times, engine))
        await part("users", lambda: crowds(engine, (1, 4, 16, 32, 64) if not tiny else (1, 4)))
        await part("first token", lambda: first_tokens(engine))
        await part("gaps", lambda: gaps_while_admitting(engine, 2 if tiny else 16))
        await part("short answers", lambda: short_answers(engine, 4 if tiny else 100))
        await part("long answers", lambda: crowds(engine, (16, 48) if not tiny else (2,), tokens=192, first_run=800))
    await part("exactness", lambda: exact(options.architecture, options.weights, loaded, 8 if tiny else 32))
    switches = {
        "without kernels": {"kernels": False},
        "prefill_tokens 512": {"prefill_tokens": 512},
        "without graphs": {"cuda_graphs": False},
    }
    await part(
        "naive", lambda: naive(loaded, (2,) if tiny else (1, 4, 16) if options.weights == "nf4" else (1, 4), tiny)
    )
    for name, changes in switches.items():
        await part(name, lambda c=changes: switched(loaded, {**room, **c}, tiny))
    return len(report.failed)


async def on_a_thread(call, *arguments):
    return await asyncio.to_thread(call, *arguments)


def step_times(engine) -> dict:
    """Milliseconds of a decode step with its sampling, of the vision encoder and of a prompt, one at a time."""
    import torch

    from qwen_demo.engines.batching.job import PrefillChunk
    from qwen_demo.models.prompt import Prompt
    from qwen_demo.types import Sampling

    runner, encoder, vocabulary = engine.loop.runner, engine.preprocessor.encoder.vision, 1000
    if torch.cuda.is_available():
        torch.cuda.set_device(runner.cache.device(0))
    length = 1051
    ids = torch.randint(10, vocabulary, (length,))
    prompt = Prompt(ids, torch.zeros_like(ids), torch.arange(length).expand(3, -1), 0, ())
    short = replace(prompt, input_ids=ids[:300], token_types=ids[:300] * 0, positions=prompt.positions[:, :300])
    one, few = PrefillChunk.whole(prompt, 0), PrefillChunk.whole(short, 0)
    together = [PrefillChunk.whole(short, slot) for slot in range(min(4, engine.plan.slots))]
    made = {
        "prefill_1051": timed(lambda: runner.prefill([one])),
        "prefill_300": timed(lambda: runner.prefill([few])),
        "prefill_300_x4": timed(lambda: runner.prefill(together)),
        "prefill_40_after_1000": timed(lambda: runner.prefill([replace(one, start=1000, stop=1040)])),
        "prefill_512_after_512": timed(lambda: runner.prefill([replace(one, start=512, stop=1024)])),
    }
    for name, grid, count in (
        ("1036x756", (1, 54, 74), 1),
        ("448x448", (1, 32, 32), 1),
        ("448x448_x4", (1, 32, 32), 4),
    ):
        images = [(torch.randn(grid[1] * grid[2], 3 * 2 * 14 * 14), grid) for _ in range(count)]
        made[f"vision_{name}"] = timed(lambda p=images: encoder.encode(p), times=5)
        there = [(pixels.to(encoder.device), grid) for pixels, grid in images]
        made[f"vision_{name}_on_device"] = timed(lambda p=there: encoder.encode(p), times=5)
    runner.reset()
    for slots in (n for n in SLOTS if n <= engine.plan.slots):
        fill(runner, slots, Sampling())
        made[f"decode_{slots}"] = timed(lambda n=slots: runner.decode(n), times=20, warm=3)
        if runner.graphs:
            replay = partial(runner.graphs, slots, CONTEXT + 64)
            made[f"decode_{slots}_graph_alone"] = timed(replay, times=20, warm=3)
    drawn = Sampling(temperature=0.8, top_p=0.9, seed=1)
    for slots in {1, engine.plan.slots}:
        fill(runner, slots, drawn)
        made[f"decode_{slots}_sampled"] = timed(lambda n=slots: runner.decode(n), times=10, warm=3)
    runner.reset()
    return made


def fill(runner, slots: int, sampling) -> None:
    """Slots as if each had read CONTEXT tokens; they stay at that place."""
    import torch

    runner.reset()
    with torch.inference_mode():
        for slot in range(slots):
            runner.sampler.start(slot, sampling, torch.arange(8))
        runner._places[:slots] = CONTEXT
    runner._lengths[:slots] = [CONTEXT] * slots


async def crowds(engine, users, tokens: int = 64, first_run: int = 100, repeat: int = 2) -> list[dict]:
    """All users at once, each with an image of its own; the better of two runs."""
    from benchmarks.engine import crowd, memory

    rows, run = [], first_run
    await crowd([engine.stream(request(IMAGE, tokens, run=run, user=900))])
    for count in users:
        runs = []
        for _ in range(repeat):
            run += 1
            runs.append(await crowd([engine.stream(request(IMAGE, tokens, run=run, user=u)) for u in range(count)]))
        best = max(runs, key=lambda r: r["tokens_per_s"])
        rows.append({"engine": engine.info.engine, "users": count, "tokens": tokens, **best, **memory()})
        print(json.dumps(rows[-1]), flush=True)
    return rows


async def first_tokens(engine) -> dict:
    """Seconds to the first token of an idle engine, and of a second question about the same image."""
    from benchmarks.engine import follow_up

    made = []
    for n in range(3):
        options = argparse.Namespace(image=IMAGE, images="own", words=40, tokens=8)
        row = await follow_up("batching", engine, options) if n == 0 else None
        if row is None:
            from benchmarks.engine import crowd

            first = await crowd([engine.stream(request(IMAGE, 8, run=300 + n))])
            made.append(first["ttft_p50_s"])
        else:
            told = {"follow_up_s": row["ttft_p50_s"], "first_turn_s": row["first_turn_s"]}
    return {"idle_s": min(made), **told, "ratio": told["follow_up_s"] / told["first_turn_s"]}


async def gaps_while_admitting(engine, newcomers: int) -> dict:
    """Milliseconds between tokens of answers under way while others arrive."""
    from benchmarks.engine import ask, summary

    async def late(n: int):
        await asyncio.sleep(0.5 + 0.06 * n)
        return await ask(engine.stream(request(IMAGE, 16, run=401, user=n)))

    running = [ask(engine.stream(request("none", 400, run=400, user=n))) for n in range(min(8, engine.plan.slots - 1))]
    began = time.perf_counter()
    answers = await asyncio.gather(*running, *(late(n) for n in range(newcomers)))
    old = summary(answers[: len(running)], time.perf_counter() - began)
    new = summary(answers[len(running) :], time.perf_counter() - began)
    return {
        "gap_p50_ms": old["gap_p50_ms"],
        "gap_p99_ms": old["gap_p99_ms"],
        "newcomers_ttft_p50_s": new["ttft_p50_s"],
        "newcomers": newcomers,
    }


async def short_answers(engine, users: int, each: int = 3) -> dict:
    """Requests a second: 448x448 images, 16 tokens, everybody asks again as soon as answered."""
    from benchmarks.engine import ask

    errors = 0

    async def user(number: int, run: int) -> list[dict]:
        nonlocal errors
        heard = []
        for turn in range(each):
            try:
                heard.append(await ask(engine.stream(request("448x448", 16, run=run + turn, user=number))))
            except Exception:
                traceback.print_exc()
                errors += 1
        return heard

    await asyncio.gather(*(user(n, 500) for n in range(min(users, 8))))
    began = time.perf_counter()
    answers = [a for heard in await asyncio.gather(*(user(n, 600) for n in range(users))) for a in heard]
    wall = time.perf_counter() - began
    first = sorted(a["times"][0] for a in answers)
    return {
        "users": users,
        "answers": len(answers),
        "errors": errors,
        "requests_per_s": len(answers) / wall,
        "ttft_p50_s": statistics.median(first),
        "latency_p50_s": statistics.median(a["total"] for a in answers),
    }


async def exact(architecture: str, weights: str, loaded, count: int) -> dict:
    """As `benchmarks.exactness`, on a model that is loaded."""
    from benchmarks import exactness

    made = argparse.Namespace(architecture=architecture, weights=weights, requests=count, tokens=16, slots=16)
    asked = exactness.requests(made)
    async with Opened(loaded, slots=16, slot_tokens=2048, reuse=False) as engine:
        alone = await exactness.answers(engine, asked, at_once=False)
        crowd = await exactness.answers(engine, asked, at_once=True)
        logits = await asyncio.to_thread(exactness.logits_difference, engine, loaded)
    rows = [exactness.compared("in a crowd / alone", crowd, alone)]
    some = asked[: max(8, count // 4)]
    reference = await asyncio.to_thread(exactness.stock, loaded, some)
    shared = {key: alone[key] for key in reference}
    rows.append(exactness.compared("alone / stock generate", shared, reference))
    return {"rows": rows, "logits": logits}


async def switched(loaded, changes: dict, tiny: bool) -> dict:
    """The figures that a switch is about."""
    async with Opened(loaded, **changes) as engine:
        made = {"paths": paths(engine)}
        made["steps"] = {k: v for k, v in (await asyncio.to_thread(step_times, engine)).items() if "vision" not in k}
        made["users"] = await crowds(engine, (2,) if tiny else (1, 16, 64), repeat=1)
        if engine.loop.runner.graphs:
            made["gaps"] = await gaps_while_admitting(engine, 2 if tiny else 16)
        return made


async def naive(loaded, users: tuple[int, ...], tiny: bool) -> list[dict]:
    """One transformers `generate` for each request, in threads or behind a lock, as if nothing of ours were there."""
    import torch

    from benchmarks.architectures import settings
    from benchmarks.engine import crowd
    from qwen_demo.engines.generate import GenerateEngine

    if torch.cuda.is_available():
        torch.backends.cuda.enable_cudnn_sdp(True)  # PyTorch's default, which our engine turns off
    rows, tokens = [], 8 if tiny else 64
    for name, together, counts in (("generate, a thread each", 64, users), ("generate, one at a time", 1, (2,))):
        engine = GenerateEngine(settings(max_running=together), lambda *_: loaded)
        await engine.start()
        await crowd([engine.stream(request(IMAGE, 4, run=899))])
        for count in counts:
            streams = [engine.stream(request(IMAGE, tokens, run=900 + together, user=n)) for n in range(count)]
            rows.append({"engine": name, "users": count, "tokens": tokens, **await crowd(streams)})
            print(json.dumps(rows[-1]), flush=True)
        await engine.close()
    return rows


def main() -> None:
    options = arguments()
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)d %(name)s: %(message)s")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    sys.exit(1 if asyncio.run({"smoke": smoke, "model": model}[options.what](options)) else 0)


if __name__ == "__main__":
    main()

"""`qwen-demo quantize`: a checkpoint with four-bit weights, and a report of what that saves and costs."""

import argparse
import asyncio
import json
import logging
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from qwen_demo.errors import SettingsError
from qwen_demo.settings import Settings, apply_environment, process_environment
from qwen_demo.types import ChatRequest, Image, Message, Sampling, Text, collect
from qwen_demo.ui.examples import FOLDER as EXAMPLES

GB = 10**9
QUESTION = "Describe the image."
ANSWER_TOKENS = 48
# Images of the report, where none are given.
USUAL = ("shapes.png", "sign.png", "receipt.png", "bar_chart.png", "boxes.png", "count.png")


@dataclass(frozen=True, slots=True)
class Figures:
    """One model, measured here on some images.

    Attributes:
        file_gb: of its weights on the disk.
        resident_gib: of a process of its own, the most, after all answers.
        first_token_s, tokens_per_s: medians over the images.
    """

    file_gb: float
    resident_gib: float
    first_token_s: float
    tokens_per_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """Before and after.

    Attributes:
        logit_distance: |after - before| / |before| of the first token's logits, the mean over the images.
        same_answers: share of the images whose greedy answer is the same.
        same_tokens: share of the answers' tokens up to the first that differs.
    """

    kind: str
    before: Figures
    after: Figures
    logit_distance: float
    same_answers: float
    same_tokens: float

    @property
    def text(self) -> str:
        """For people."""
        rows = [
            ("weights on the disk, GB", self.before.file_gb, self.after.file_gb),
            ("memory of the process, GiB", self.before.resident_gib, self.after.resident_gib),
            ("first token, s", self.before.first_token_s, self.after.first_token_s),
            ("tokens/s", self.before.tokens_per_s, self.after.tokens_per_s),
        ]
        table = [f"{name:28} {before:10.2f} {after:10.2f}" for name, before, after in rows]
        return "\n".join(
            [
                f"{'':28} {'before':>10} {self.kind:>10}",
                *table,
                f"logits of the first token are {self.logit_distance:.1%} away; {self.same_answers:.0%} of the answers are the "
                f"same, and {self.same_tokens:.0%} of their tokens up to the first that differs",
            ]
        )


def quantize(argv: Sequence[str], prog: str) -> int:
    """Write the checkpoint, then measure both."""
    options = _options(argv, prog)
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr, format="%(message)s")
    apply_environment(process_environment())
    from qwen_demo.models import torchvision_shim

    torchvision_shim.install()
    from qwen_demo.models.checkpoint import Checkpoint
    from qwen_demo.models.choose import choose
    from qwen_demo.models.hub.fetch import folder_of
    from qwen_demo.models.quantize import write_quantized

    settings = Settings(model=options.model, revision=options.revision, quantization="none")
    folder = folder_of(choose(settings), settings, lambda stage: print(stage, file=sys.stderr))
    write_quantized(Checkpoint.of(folder), options.to, options.out, lambda stage: print(stage, file=sys.stderr))
    print(options.out)
    if not options.no_report:
        report = asyncio.run(compare(folder, options.out, options.to, options.images or [EXAMPLES / n for n in USUAL]))
        (options.out / "quantization_report.json").write_text(json.dumps(asdict(report), indent=2))
        print(report.text)
    return 0


async def compare(before: Path, after: Path, kind: str, images: Sequence[Path]) -> Report:
    """Load one after the other, ask each the same of every image."""
    from qwen_demo.media import MediaLoader

    async with aclosing(MediaLoader.of(Settings())) as loader:
        opened = [await loader.load_path(path, allowed_roots=[path.resolve().parent]) for path in images]
    results = []
    for folder, quantization in ((before, "none"), (after, "auto")):
        results.append(await _measured(folder, quantization, [each for each in opened if isinstance(each, Image)]))
    (first, logits, answers), (second, other_logits, other_answers) = results
    away = [float((b - a).norm() / a.norm()) for a, b in zip(logits, other_logits, strict=True)]
    pairs = list(zip(answers, other_answers, strict=True))
    return Report(
        kind,
        first,
        second,
        sum(away) / len(away),
        sum(a == b for a, b in pairs) / len(pairs),
        sum(_alike(a, b) for a, b in pairs) / max(1, sum(len(a) for a, _ in pairs)),
    )


def _alike(ours: list[str], theirs: list[str]) -> int:
    """Tokens up to the first that differs."""
    for count, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        if a != b:
            return count
    return min(len(ours), len(theirs))


async def _measured(folder: Path, quantization: str, images: Sequence[Image]) -> tuple[Figures, list[Any], list[list[str]]]:
    """Figures; the logits of each first token; each answer's tokens."""
    import torch

    from qwen_demo.engines.batching.engine import BatchingEngine
    from qwen_demo.models.load import load

    settings = Settings(model=str(folder), quantization=quantization, slots=1, repetition_guard=False)
    print(f"asking {folder}", file=sys.stderr)
    loaded = load(settings)
    requests = [
        ChatRequest((Message("user", (image, Text(QUESTION))),), Sampling(max_new_tokens=ANSWER_TOKENS, top_logprobs=0))
        for image in images
    ]
    logits = []
    with torch.inference_mode():
        for request in requests:
            inputs = loaded.prompts.build(request).model_inputs(loaded.device)
            logits.append(loaded.model(**inputs, logits_to_keep=1).logits[0, -1].float().cpu())
    engine = BatchingEngine(settings, loader=lambda *_: loaded)
    await engine.start()
    try:
        made = [await collect(engine.stream(request)) for request in requests]
    finally:
        await engine.close()
    timings = sorted(answer.finished.timing.ttft_s for answer in made)
    speeds = sorted(
        (answer.finished.usage.completion_tokens - 1) / max(1e-9, answer.finished.timing.decode_s) for answer in made
    )
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / GB
    figures = Figures(size, resident, timings[len(timings) // 2], speeds[len(speeds) // 2])
    return figures, logits, [[each.token for each in answer.logprobs] for answer in made]


def _options(argv: Sequence[str], prog: str) -> argparse.Namespace:
    parser = _ReportParser(
        prog, description="Write a checkpoint with four-bit weights, and say what that saves and costs.", allow_abbrev=False
    )
    parser.add_argument("model", metavar="MODEL", help="embedded, a folder, or a hub id")
    parser.add_argument("--revision", help="branch, tag or commit of the hub model")
    parser.add_argument(
        "--to",
        choices=("nf4", "int4", "nf4-vision"),
        required=True,
        help="nf4 and nf4-vision are bitsandbytes' format, int4 is GPTQ's",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a new folder")
    parser.add_argument("--no-report", action="store_true", help="write it, and ask neither of the two")
    parser.add_argument("--images", type=Path, nargs="*", metavar="FILE", help="images to ask about, by default examples")
    return parser.parse_args(argv)


class _ReportParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}. See {self.prog} --help.")


_ = time

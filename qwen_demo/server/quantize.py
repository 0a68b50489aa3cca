"""`qwen-demo quantize`: a checkpoint with four-bit weights, and a report of what that saves and costs."""

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qwen_demo.server.command_parser import CommandParser
from qwen_demo.settings import apply_environment, process_environment, read_settings
from qwen_demo.types import ChatRequest, Message, Part, Sampling, Text

if TYPE_CHECKING:
    from qwen_demo.engines.distance import Distance, Measured

GB = 10**9
QUESTION = "Describe the image."
ANSWER_TOKENS = 48
# Images of the report, where none are given.
USUAL = ("shapes.png", "sign.png", "receipt.png", "bar_chart.png", "boxes.png", "count.png")


@dataclass(frozen=True, slots=True)
class Figures:
    """One of the two models, measured here.

    Attributes:
        file_gb: of its weights on the disk.
        weights_gib: of its weights in memory.
        first_token_s, tokens_per_s: medians over the images.
    """

    file_gb: float
    weights_gib: float
    first_token_s: float
    tokens_per_s: float

    @classmethod
    def of(cls, folder: Path, measured: "Measured") -> "Figures":
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        return cls(size / GB, measured.weights_gib, measured.first_token_s, measured.tokens_per_s)


@dataclass(frozen=True, slots=True)
class Report:
    """Before and after."""

    kind: str
    before: Figures
    after: Figures
    distance: "Distance"

    @property
    def text(self) -> str:
        """For people."""
        rows = [
            ("weights on the disk, GB", self.before.file_gb, self.after.file_gb),
            ("weights in memory, GiB", self.before.weights_gib, self.after.weights_gib),
            ("first token, s", self.before.first_token_s, self.after.first_token_s),
            ("tokens/s", self.before.tokens_per_s, self.after.tokens_per_s),
        ]
        away = self.distance
        return "\n".join(
            [
                f"{'':24} {'before':>10} {self.kind:>10}",
                *(f"{name:24} {before:10.2f} {after:10.2f}" for name, before, after in rows),
                f"Logits of the first token are {away.logits:.1%} away; {away.same_answers:.0%} of the answers are the same, "
                f"and {away.same_tokens:.0%} of their tokens up to the first that differs.",
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

    settings = read_settings({"model": options.model, "revision": options.revision, "quantization": "none"})
    folder = folder_of(choose(settings), settings, _tell)
    write_quantized(Checkpoint.of(folder), options.to, options.out, _tell)
    print(options.out)
    if not options.no_report:
        report = compare(folder, options.out, options.to, asyncio.run(_opened(options.images or usual_images())))
        (options.out / "quantization_report.json").write_text(json.dumps(asdict(report), indent=2))
        print(report.text)
    return 0


def compare(before: Path, after: Path, kind: str, images: Sequence[Part]) -> Report:
    """Load one after the other, and ask each the same about every image."""
    from qwen_demo.engines.distance import Distance, measure
    from qwen_demo.models.load import load

    requests = [
        ChatRequest((Message("user", (image, Text(QUESTION))),), Sampling(max_new_tokens=ANSWER_TOKENS))
        for image in images
    ]
    first = measure(
        load(read_settings({"model": str(before), "quantization": "none", "weights_cache_gib": 0}), _tell), requests
    )
    second = measure(load(read_settings({"model": str(after), "weights_cache_gib": 0}), _tell), requests)
    return Report(kind, Figures.of(before, first), Figures.of(after, second), Distance.between(first, second))


def usual_images() -> list[Path]:
    from qwen_demo.ui.examples import FOLDER

    return [FOLDER / name for name in USUAL]


async def _opened(paths: Sequence[Path]) -> list[Part]:
    from qwen_demo.media import MediaLoader
    from qwen_demo.points.words import parts_of

    async with aclosing(MediaLoader.of(read_settings({}))) as loader:
        opened = [await loader.load_path(path, allowed_roots=[path.resolve().parent]) for path in paths]
    return [part for each in opened for part in parts_of(each)]


def _tell(stage: str) -> None:
    print(stage, file=sys.stderr, flush=True)


def _options(argv: Sequence[str], prog: str) -> argparse.Namespace:
    parser = CommandParser(prog, "Write a checkpoint with four-bit weights, and say what that saves and costs.")
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
    parser.add_argument(
        "--images", type=Path, nargs="*", metavar="FILE", help="images to ask about, by default examples"
    )
    return parser.parse_args(argv)

"""Teaching the embedded model three made-up signs, and what it forgets; distilling it into a quarter of its size.

    python -m benchmarks.finetune signs --out FOLDER [--limit 40]
    python -m benchmarks.finetune distill --out FOLDER

`signs` draws 60 labelled images, teaches them by `qwen-demo finetune` as it comes, and asks about 90 new ones, before
and after. What the model knew is asked by `benchmarks.finetune_kept`, `--limit` questions a task, before and after; the
base's own answers are kept in FOLDER for the next run. Where there is an adapter already it is asked, not taught anew.
`distill` tries the machinery: the embedded model teaches one with a quarter of its layers, about drawn images.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import finetune_kept
from benchmarks import finetune_signs as signs
from benchmarks.machine import write

LEARNT, ASKED = 60, 90
DRAWN = 120


def taught_signs(out: Path, limit: int) -> dict[str, Any]:
    """The claim of docs/finetune.md, measured."""
    from qwen_demo.server.cli import main

    data, adapter = out / "learn", out / "signs"
    timed = out / "signs.json"
    if not adapter.exists():
        signs.write(data, LEARNT, 1)
        began, cpu = time.perf_counter(), processor_s()
        code = main(["finetune", str(data), "--base", "embedded", "--out", str(adapter)])
        assert code == 0, "training failed; why is said above"
        timed.write_text(json.dumps({"seconds": time.perf_counter() - began, "processor_s": processor_s() - cpu}))
    taught = json.loads(timed.read_text())
    report = json.loads((adapter / "report.json").read_text())
    result = {"label": "signs", "run": taught, "report": report, "new": asked_anew(out, adapter)}
    if limit:
        result["kept"] = finetune_kept.kept(adapter, limit, out / "base-answers.json")
    return result


def processor_s() -> float:
    """Seconds of a processor, of this process and of those that it has waited for."""
    times = os.times()
    return sum(times[:4])


def asked_anew(out: Path, adapter: Path) -> dict[str, Any]:
    """Share of exact answers about signs that were drawn after the lesson."""
    from PIL import Image

    data = [json.loads(line) for line in signs.write(out / "new", ASKED, 2).read_text().splitlines()]
    model = finetune_kept.evaluated(adapter)
    right = {"before": 0, "after": 0}
    for row in data:
        content = [{"type": "image"}, {"type": "text", "text": row["question"]}]
        text = model.processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        inputs = model.processor(text=[text], images=[Image.open(out / "new" / row["image"])], return_tensors="pt")
        wanted = model.processor.tokenizer(row["answer"] + "<|im_end|>")["input_ids"]
        for name, way in (("before", model.model.disable_adapter()), ("after", contextlib.nullcontext())):
            with way:
                right[name] += finetune_kept.would_say(model, inputs, wanted)
    found = {name: count / len(data) for name, count in right.items()}
    print(f"{ASKED} new signs: {found}", file=sys.stderr)
    return {"rows": len(data), **found}


def quarter(folder: Path) -> int:
    """The embedded model with a quarter of its layers of either kind, at their own weights; gives its parameters."""
    from qwen_demo.models import torchvision_shim

    torchvision_shim.install()
    from transformers import Qwen2_5_VLForConditionalGeneration

    from qwen_demo.models.choose import EMBEDDED_DIR

    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(EMBEDDED_DIR, dtype="bfloat16")
    words, visual = model.model.language_model, model.model.visual
    words.layers, visual.blocks = words.layers[::4], visual.blocks[3::4]
    text, vision = model.config.text_config, model.config.vision_config
    text.num_hidden_layers, text.layer_types = len(words.layers), text.layer_types[: len(words.layers)]
    vision.depth, vision.fullatt_block_indexes = len(visual.blocks), list(range(len(visual.blocks)))
    model.save_pretrained(folder)
    for path in EMBEDDED_DIR.iterdir():
        if (
            path.suffix in (".json", ".jinja", ".txt")
            and not (folder / path.name).exists()
            and "index" not in path.name
        ):
            shutil.copy(path, folder)
    return sum(each.numel() for each in model.parameters())


def distilled(out: Path) -> dict[str, Any]:
    """One question about drawn shapes, from a model into a quarter of it."""
    from qwen_demo.server.cli import main

    images = out / "images"
    drawn(images)
    parameters = quarter(out / "student")
    questions = out / "questions.txt"
    questions.write_text("What objects are in the image?\n")
    words = ["distill", str(images), "--teacher", "embedded", "--student", str(out / "student"), "--questions"]
    words += [str(questions), "--out", str(out / "distilled"), "--rank", "64", "--vision", "--answer-tokens", "64"]
    began, cpu = time.perf_counter(), processor_s()
    with contextlib.redirect_stdout(io.StringIO()):
        code = main(words)
    assert code == 0, "it failed; why is said above"
    report = json.loads((out / "distilled" / "report.json").read_text())
    report["base"] = Path(report["base"]).name  # no path of this machine
    return {
        "label": "distill",
        "seconds": time.perf_counter() - began,
        "processor_s": processor_s() - cpu,
        "student_parameters": parameters,
        "report": report,
    }


def drawn(folder: Path) -> None:
    """One or two coloured shapes on white."""
    import numpy as np
    import PIL.Image
    import PIL.ImageDraw

    colours = {"red": (220, 40, 40), "green": (40, 160, 60), "blue": (40, 80, 220), "black": (20, 20, 20)}
    random = np.random.default_rng(1)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(DRAWN):
        image = PIL.Image.new("RGB", (224, 224), "white")
        pen = PIL.ImageDraw.Draw(image)
        for place in range(1 + int(random.integers(2))):
            x, y, side = 20 + 110 * place, int(random.integers(30, 110)), int(random.integers(50, 80))
            shape = (pen.ellipse, pen.rectangle)[random.integers(2)]
            shape((x, y, x + side, y + side), fill=list(colours.values())[random.integers(len(colours))])
        image.save(folder / f"{number:03}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("signs", "distill"))
    parser.add_argument("--out", type=Path, required=True, help="a folder for data, adapters and reports")
    parser.add_argument("--limit", type=int, default=40, help="questions a task of what the model knew; 0 asks none")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    result = taught_signs(given.out, given.limit) if given.what == "signs" else distilled(given.out)
    print(write("finetune", result, given.out))


if __name__ == "__main__":
    main()

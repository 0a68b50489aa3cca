"""Teaching the embedded model three made-up signs, and what it forgets; distilling it into a quarter of its size.

    python -m benchmarks.finetune signs --out FOLDER [--limit 8]
    python -m benchmarks.finetune distill --out FOLDER

`signs` draws 60 labelled images, teaches them by `qwen-demo finetune` as it comes, and asks about 90 new ones, before
and after. What the model knew is `training.evaluate` over the tasks of `KEPT`, `--limit` questions each, before and after.
`distill` tries the machinery: the embedded model teaches one with a quarter of its layers, about drawn images.
"""

import argparse
import contextlib
import io
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import finetune_signs as signs
from benchmarks.machine import write

LEARNT, ASKED = 60, 90
# Of the evaluation's tasks, those with short answers; all kinds of images but clips.
KEPT = (
    "shapes: list",
    "shapes: colour",
    "shapes: place",
    "shapes: relations",
    "shapes: yes / no",
    "count up to 6",
    "pictograms: name",
    "box of one thing",
    "point to a thing",
    "printed words",
    "receipts: total, price, items",
    "charts: value",
    "charts: highest, lowest",
    "photographs: honest refusal",
)
DRAWN = 120


def taught_signs(out: Path, limit: int) -> dict[str, Any]:
    """The claim of docs/finetune.md, measured."""
    from qwen_demo.server.cli import main

    data, adapter = out / "learn", out / "signs"
    signs.write(data, LEARNT, 1)
    began, cpu = time.perf_counter(), time.process_time()
    code = main(["finetune", str(data), "--base", "embedded", "--out", str(adapter)])
    assert code == 0, "training failed; why is said above"
    taught = {"seconds": time.perf_counter() - began, "processor_s": time.process_time() - cpu}
    report = json.loads((adapter / "report.json").read_text())
    result = {"label": "signs", "run": taught, "report": report, "new": asked_anew(out, adapter)}
    if limit:
        result["kept"] = kept(adapter, limit)
    return result


def asked_anew(out: Path, adapter: Path) -> dict[str, Any]:
    """Exact answers about signs that were drawn after the lesson."""
    from PIL import Image

    data = [json.loads(line) for line in signs.write(out / "new", ASKED, 2).read_text().splitlines()]
    model = evaluated(adapter)
    found = {}
    for name, way in (("before", model.model.disable_adapter()), ("after", contextlib.nullcontext())):
        with way:
            right = 0
            for row in data:
                content = [{"type": "image"}, {"type": "text", "text": row["question"]}]
                text = model.processor.apply_chat_template(
                    [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
                )
                image = Image.open(out / "new" / row["image"])
                inputs = model.processor(text=[text], images=[image], return_tensors="pt")
                ids = model.model.generate(**inputs, max_new_tokens=24, do_sample=False)[
                    :, inputs["input_ids"].shape[1] :
                ]
                right += model.processor.batch_decode(ids, skip_special_tokens=True)[0].strip() == row["answer"]
            found[name] = right / len(data)
    print(f"{ASKED} new signs: {found}", file=sys.stderr)
    return {"rows": len(data), **found}


def evaluated(adapter: Path) -> Any:
    """`training.evaluate`'s model in the stock library, with the adapter in peft's own way of loading it."""
    import torch

    from qwen_demo.models import torchvision_shim

    torchvision_shim.install()
    from peft import PeftModel

    from qwen_demo.models.choose import EMBEDDED_DIR
    from training.evaluate import Model

    torch.set_num_threads(1)
    model = Model(EMBEDDED_DIR)
    model.model = PeftModel.from_pretrained(model.model, adapter).eval()
    return model


def kept(adapter: Path, limit: int) -> dict[str, Any]:
    """What the model knew: scores of the evaluation's tasks, before and after."""
    from training import questions as held_out
    from training.evaluate import judge, summary

    model = evaluated(adapter)
    assets, photos = held_out.load_assets(), held_out.sample_photos()
    rows: dict[str, Any] = {}
    for task in held_out.TASKS:
        if task.name not in KEPT:
            continue
        asked = held_out.questions(task, limit, assets, photos)
        row = {}
        for name, way in (("before", model.model.disable_adapter()), ("after", contextlib.nullcontext())):
            with way:
                scores = [judge(each, model.answer(each.messages(), each.sample.pictures)) for each in asked]
            found = summary(scores)
            row[name] = found.get("iou_over_half", found["exact"])
        rows[task.name] = row
        print(f"{task.name}: {row}", file=sys.stderr, flush=True)
    means = {name: sum(row[name] for row in rows.values()) / len(rows) for name in ("before", "after")}
    print(f"mean of {len(rows)} tasks: {means}", file=sys.stderr)
    return {"questions_a_task": limit, "tasks": rows, "mean": means}


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
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        code = main(words)
    assert code == 0, "it failed; why is said above"
    report = json.loads((out / "distilled" / "report.json").read_text())
    return {
        "label": "distill",
        "seconds": time.perf_counter() - began,
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
    parser.add_argument("--limit", type=int, default=8, help="questions a task of what the model knew; 0 asks none")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    result = taught_signs(given.out, given.limit) if given.what == "signs" else distilled(given.out)
    print(write("finetune", result, given.out))


if __name__ == "__main__":
    main()
